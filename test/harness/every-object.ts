/**
 * A database that holds every kind of object pg_dump knows (security labels need a module that servers do not come with), with
 * names that break careless quoting: what a dump, a restore and a fingerprint are tried on.
 */
import type { PostgresVersion } from './peers.ts'

interface Part {
  /** First major version that knows all of it. */
  readonly from: number
  readonly sql: string
}

/** Roles are the cluster's: they must be there before a dump is restored without its globals. */
const ROLES = `
do $$
declare
  wanted text;
begin
  foreach wanted in array array['app_owner', 'reader', 'Writer "x"'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      execute format('create role %I', wanted);
    end if;
  end loop;
end $$;
`

const TYPES = `
create schema app authorization app_owner;
create schema "Sch ema ""x""";
comment on schema app is 'What the application has';
create extension hstore schema app;
create extension citext schema public;
comment on extension hstore is 'pairs';

create type app.mood as enum ('sad', 'ok', 'happy');
alter type app.mood add value 'a''b' before 'ok';
create type app.pair as (a int, "b c" text collate "C");
create type app.shell;
create domain app.positive as int default 1 not null constraint is_positive check (value > 0);
create domain app.any_case as public.citext constraint not_valid check (value <> '');
create domain app.word as text collate "C";
comment on constraint is_positive on domain app.positive is 'more than none';
create type app.float_range as range (subtype = float8, subtype_diff = float8mi);
create type app.int42;
create function app.int42_in(cstring) returns app.int42 language internal strict immutable as 'int4in';
create function app.int42_out(app.int42) returns cstring language internal strict immutable as 'int4out';
create type app.int42 (
  internallength = 4, input = app.int42_in, output = app.int42_out, alignment = int4, default = 42, passedbyvalue
);
comment on type app.mood is 'how it is';
comment on column app.pair."b c" is 'second';
create collation app.german (provider = icu, locale = 'de');
create collation app.plain from "C";
alter collation app.plain owner to app_owner;
create access method heap2 type table handler heap_tableam_handler;
create access method gist2 type index handler gisthandler;
comment on access method gist2 is 'a second one';
create default conversion app.latin for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
create function app.other_call() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler';
create function app.other_inline(internal) returns void language c as '$libdir/plpgsql', 'plpgsql_inline_handler';
create trusted language other handler app.other_call inline app.other_inline;
create transform for int language sql (
  from sql with function prsd_lextype(internal), to sql with function int4recv(internal)
);
`

const CODE = `
create function app.add(a int, b int default 2) returns int language sql immutable leakproof parallel safe cost 7
  set search_path = app, pg_temp as 'select a + b';
create function app.many(variadic xs int[], out n int, out s text) returns setof record language plpgsql rows 7 stable
  security definer set work_mem = '4MB' as $f$ begin return next; end $f$;
create function "Sch ema ""x"""."odd ""name'"("arg $1" app.mood) returns table (x int, y app.pair) language sql as 'select 1, null::app.pair';
create procedure app.do_it(inout x int) language plpgsql as $p$ begin x := x + 1; end $p$;
create function app.stamp() returns trigger language plpgsql as $f$ begin return new; end $f$;
create function app.ddl() returns event_trigger language plpgsql as $f$ begin end $f$;
create aggregate app.total(int) (sfunc = int4pl, stype = int, initcond = '0');
create aggregate app.moving(int) (
  sfunc = int4pl, stype = int, initcond = '0', msfunc = int4pl, minvfunc = int4mi, mstype = int, minitcond = '1',
  combinefunc = int4pl, parallel = safe
);
create aggregate app.middle(float8 order by anyelement) (
  sfunc = ordered_set_transition, stype = internal, finalfunc = percentile_disc_final, finalfunc_extra
);
comment on function app.add(int, int) is 'adds';
comment on aggregate app.total(int) is 'sums';
create function app.equal(app.int42, app.int42) returns bool language internal strict immutable as 'int4eq';
create function app.less(app.int42, app.int42) returns bool language internal strict immutable as 'int4lt';
create function app.compare(app.int42, app.int42) returns int language internal strict immutable as 'btint4cmp';
create operator app.=== (leftarg = app.int42, rightarg = app.int42, function = app.equal, commutator = operator(app.===), hashes, merges,
  restrict = eqsel, join = eqjoinsel);
create operator app.<<< (leftarg = app.int42, rightarg = app.int42, function = app.less);
create operator app.## (rightarg = int, function = int4um);
comment on operator app.## (none, int) is 'minus';
create operator family app.numbers using btree;
create operator class app.int42_ops default for type app.int42 using btree family app.numbers as
  operator 1 app.<<<, operator 3 app.===, function 1 app.compare(app.int42, app.int42);
alter operator family app.numbers using btree add operator 1 < (int4, int8), function 1 (int4, int8) btint48cmp(int4, int8);
create cast (app.int42 as int) without function as assignment;
create cast (text as app.pair) with inout as implicit;
`

const TEXT_SEARCH = `
create text search parser app.words (
  start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype, headline = prsd_headline
);
create text search template app.plain (init = dsimple_init, lexize = dsimple_lexize);
create text search dictionary app.short (template = app.plain, accept = 'false');
create text search configuration app.search (parser = app.words);
alter text search configuration app.search add mapping for asciiword, word with app.short, pg_catalog.simple;
comment on text search configuration app.search is 'how to search';
`

const TABLES = `
set check_function_bodies = off;
create sequence app.numbers as bigint increment by 3 minvalue 2 maxvalue 100000 start 5 cache 7 cycle;
select setval('app.numbers', 17, true);
create sequence public.untouched;

create table app.customers (
  id bigint generated always as identity (start 100 increment 2) primary key,
  email text collate "C" not null default 'nobody@example.com' unique,
  mood app.mood default 'ok',
  height app.positive,
  pairs app.hstore,
  name public.citext,
  born date check (born > '1800-01-01'),
  doubled int generated always as (height * 2) stored,
  flag "char",
  flags "char"[],
  unbounded numeric,
  exact numeric(12, 4),
  spans tstzrange,
  at timestamptz default now(),
  gone int,
  constraint tall check (height < 300) no inherit
) with (fillfactor = 70, autovacuum_enabled = off, toast.autovacuum_enabled = off);
alter table app.customers drop column gone;
alter table app.customers alter column email set statistics 500, alter column email set (n_distinct = -0.5),
  alter column name set storage external, owner to app_owner;
alter table app.customers replica identity full;
comment on table app.customers is 'Who buys';
comment on column app.customers.email is 'Where to write to; "quoted" and ''quoted''';
comment on constraint tall on app.customers is 'not too tall';
insert into app.customers (email, mood, height, pairs, name, born, flag, flags, unbounded, exact, spans, at)
  select 'user' || i || '@example.com', (array['sad', 'ok', 'happy', 'a''b', null])[1 + i % 5]::app.mood, 1 + i % 200,
    app.hstore('k' || i, 'v'), 'Name' || i, date '1950-01-01' + i, chr(65 + i % 26)::"char", array['a', 'b']::"char"[],
    i / 7.0, i / 3.0, tstzrange('2020-01-01 00:00+02', null), timestamptz '2020-01-01 00:00+00' + i * interval '1 hour'
  from generate_series(1, 200) i;

create table app.orders (
  customer bigint references app.customers on update cascade on delete set null deferrable initially deferred,
  number int generated by default as identity,
  total money default 12.5,
  note text,
  constraint orders_pkey primary key (number) include (total),
  constraint no_overlap exclude using btree (number with =) where (number > 10)
);
alter table app.orders add constraint large check (number < 1000000) not valid;
alter table app.orders cluster on orders_pkey;
alter table app.orders replica identity using index orders_pkey;
insert into app.orders (customer, number, note)
  select 100 + 2 * i, i, repeat('x', i) || E'\\\\\\t\\n\\r' from generate_series(1, 50) i;
insert into app.orders values (null, 1001, 3, null), (null, 1002, 3, '\\N'), (null, 1003, 3, '\\.');
create index orders_by_note on app.orders using btree (lower(note) collate "C" text_pattern_ops desc nulls last, total)
  include (customer) with (fillfactor = 50) where (number > 0);
create index customers_by_pairs on app.customers using gin (pairs);
create unique index customers_by_name on app.customers (name, (height + 1));
alter index app.customers_by_name alter column 2 set statistics 50;
comment on index app.customers_by_pairs is 'finds pairs';
create statistics app.together (ndistinct, dependencies, mcv) on email, mood from app.customers;
alter statistics app.together set statistics 77;
comment on statistics app.together is 'what belongs together';

create table app.no_columns ();
insert into app.no_columns default values;
insert into app.no_columns default values;
create table app.empty (x int);
create table app.typed of app.pair (a primary key, "b c" with options default 'b');
insert into app.typed values (1, 'one');
create unlogged table app.volatile (x int primary key);
insert into app.volatile select generate_series(1, 10);
create table app.same_rows (x int, y float8, z bytea);
insert into app.same_rows values (1, 0.1, '\\x00ff'), (1, 0.1, '\\x00ff'), (2, 'NaN', ''), (2, '-Infinity', null), (3, '-0', '\\x5c');
create table app.in_heap2 (x int) using heap2;

create table app.parent (a int, b text);
create table app.child (c int default 3, primary key (a)) inherits (app.parent);
insert into app.parent values (1, 'parent');
insert into app.child values (2, 'child', 4);

create table app.events (at date not null, id int, payload jsonb, primary key (at, id)) partition by range (at);
create table app.events_2020 partition of app.events for values from ('2020-01-01') to ('2021-01-01');
create table app.events_2021 partition of app.events for values from ('2021-01-01') to ('2022-01-01') partition by list (id);
create table app.events_2021_some partition of app.events_2021 (payload default '{}') for values in (1, 2, null);
create table app.events_2021_rest partition of app.events_2021 default;
create table app.events_more partition of app.events default;
create index events_by_id on app.events (id);
create index events_only on only app.events (payload);
insert into app.events select date '2020-06-01' + i, i % 5, jsonb_build_object('n', i) from generate_series(1, 900) i;
create table app.hashed (k text, v int) partition by hash (k);
create table app.hashed_0 partition of app.hashed for values with (modulus 2, remainder 0);
create table app.hashed_1 partition of app.hashed for values with (modulus 2, remainder 1);
insert into app.hashed select 'key' || i, i from generate_series(1, 20) i;
create table app.felt (mood app.mood, id int generated by default as identity) partition by hash (mood);
create table app.felt_0 partition of app.felt for values with (modulus 2, remainder 0);
create table app.felt_1 partition of app.felt for values with (modulus 2, remainder 1) partition by list (id);
create table app.felt_1_all partition of app.felt_1 default;
insert into app.felt select mood from unnest(enum_range(null::app.mood)) mood, generate_series(1, 30);

create table "Sch ema ""x"""."tab""le'; -- \\ *?%" ("col""umn'; $1" int primary key, "*?\\" text, "ünï 中文" text default E'a\\nb');
insert into "Sch ema ""x"""."tab""le'; -- \\ *?%" values (1, E'tab\\there', 'ß'), (2, null, E'line\\nbreak');
create table "Sch ema ""x"""."select" ("table" int, "system_user" int, "json_array" text);
insert into "Sch ema ""x"""."select" values (1, 2, 'three');
`

const BEHAVIOUR = `
create trigger stamp_it before insert or update of email on app.customers for each row
  when (new.email is distinct from 'x') execute function app.stamp('arg', 'it''s');
create trigger off after delete on app.customers for each statement execute function app.stamp();
alter table app.customers disable trigger off;
create trigger always before update on app.orders for each row execute function app.stamp();
alter table app.orders enable always trigger always;
create constraint trigger later after insert on app.orders deferrable initially deferred for each row execute function app.stamp();
create trigger on_parts after insert on app.events for each row execute function app.stamp();
alter table app.events_2020 disable trigger on_parts;
create trigger seen after insert on app.orders referencing new table as added for each statement execute function app.stamp();
comment on trigger stamp_it on app.customers is 'stamps';
create event trigger on_ddl on ddl_command_end when tag in ('CREATE TABLE', 'DROP TABLE') execute function app.ddl();
alter event trigger on_ddl disable;
comment on event trigger on_ddl is 'sees';
create rule quiet as on delete to app.same_rows where old.x = 0 do instead nothing;
create rule replica_only as on update to app.same_rows do also notify changed;
alter table app.same_rows enable replica rule replica_only;
comment on rule quiet on app.same_rows is 'says nothing';

alter table app.customers enable row level security;
alter table app.orders enable row level security, force row level security;
create policy own on app.customers as permissive for select to reader, "Writer ""x""" using (email = current_user);
create policy few on app.customers as restrictive for update using (height > 3) with check (height > 4);
comment on policy own on app.customers is 'only own';

create view app.happy as select id, email from app.customers where mood = 'happy' with local check option;
create view app.joined with (security_barrier) as
  select c.id, o.number as "order no", sum(o.total) over (partition by c.id) as sum, c.mood::text || '!' as loud
  from app.customers c left join app.orders o on o.customer = c.id where c.height between 1 and 500 and c.email like 'user%';
create view "Sch ema ""x"""."vi ew" as with recursive n(i) as (values (1) union all select i + 1 from n where i < 5)
  select i, (select count(*) from app.orders where number > i) as "co unt" from n order by 1 desc limit 3;
alter view app.happy alter column email set default 'from a view';
comment on view app.happy is 'only the happy';
comment on column app.happy.id is 'whose';
create materialized view app.totals with (fillfactor = 90) as select mood, count(*) as n from app.customers group by mood;
create unique index totals_by_mood on app.totals (mood);
create materialized view app.not_yet as select 1 as one with no data;
comment on materialized view app.totals is 'how many';
`

/**
 * What other versions word otherwise, XMLSERIALIZE since 16 and views of one table, in each kind of definition that may hold it. A
 * function that must not run is called where only use would run it.
 */
const WORDED = `
create function app.not_now(x int) returns int immutable language plpgsql as $f$ begin raise 'it ran'; end $f$;
create table app.letters (id int, doc xml, note text default xmlserialize(content xmlelement(name hello) as text) || app.not_now(1));
alter table app.letters
  add length int generated always as (length(xmlserialize(content doc as text))) stored,
  add constraint long_enough check (length(xmlserialize(content doc as text)) > 3) no inherit not valid,
  add constraint no_twins exclude using btree (lower(xmlserialize(content doc as text)) collate "C" with =, id with =)
    where (xmlserialize(content doc as text) <> '; with check ') deferrable,
  alter id set not null;
create index letters_by_text on app.letters using btree (id, lower(xmlserialize(content doc as text)) collate "C" desc nulls last,
  (xmlserialize(content doc as varchar(7)) || ', id') text_pattern_ops, xmlserialize(content doc as text)) include (note)
  where xmlserialize(content doc as text) <> 'it''s; clustered';
alter index app.letters_by_text alter column 2 set statistics 33;
create trigger when_changed after update on app.letters for each row
  when (xmlserialize(content old.doc as text) <> xmlserialize(content new.doc as text) and old.* is distinct from new.* and app.not_now(2) = 2)
  execute function app.stamp(' WHEN (true) EXECUTE FUNCTION ');
alter table app.letters enable always trigger when_changed;
create policy of_buyers on app.letters as restrictive for all to reader, "Writer ""x"""
  using (exists (select from app.customers where id = letters.id and email = current_user))
  with check (xmlserialize(content doc as text) <> '; using (false)' and app.not_now(3) = 3 and id in (select number from app.orders));
create policy add on app.letters for insert with check (id = (select max(id) from app.customers));
create rule copied as on insert to app.letters where new.id in (select id from app.customers where height > 7)
  do also (insert into app.same_rows (x, y) select new.id, height from app.customers where id = new.id; delete from app.same_rows where z = 'x; disabled');
create rule told as on update to app.letters do also notify letters;
create rule gone as on delete to app.letters where xmlserialize(content old.doc as text) <> '; disabled' and app.not_now(4) = 4 do also
  update app.same_rows set x = old.id where x = (select count(*) from app.orders where number = old.id);
alter table app.letters disable rule gone;
create view app.written as select id, note from app.letters where app.not_now(5) = 5;
create rule through_view as on update to app.written do instead
  update app.letters set note = new.note where id = old.id returning id, note;
create view app.above as select id from app.written for share;
create materialized view app.notes as select note from app.letters;
create function app.shown(a xml default null, "b ""DEFAULT"" c" text default xmlserialize(content xmlelement(name "a,b") as text),
  variadic c text[] default array[', d', 'DEFAULT 1']) returns text language plpgsql set search_path = 'a, b', "x DEFAULT 1"
  as $f$ begin return ' DEFAULT '; end $f$;
create procedure app.proceed(a text default xmlserialize(content xmlelement(name "a,b") as text)) language sql as '';
create domain app.paper as xml default xmlelement(name "; not null") not null
  constraint has_text check (xmlserialize(content value as text) <> '');
create domain app.title as varchar(40) collate "C" default xmlserialize(content xmlelement(name hello) as varchar(7)) || app.not_now(8);
create table app.by_text (id int, doc xml) partition by range (id, lower(xmlserialize(content doc as text)) collate "C" text_pattern_ops,
  (xmlserialize(content doc as text) || 'x'));
create table app.by_text_some partition of app.by_text for values from (1, '; partitioned by', minvalue) to (2, minvalue, minvalue);
create collation app.phone_book (provider = icu, locale = 'de@collation=phonebook', deterministic = false);
`

const ELSEWHERE = `
create foreign data wrapper nowhere options (debug 'true');
create server far type 'none' version '1' foreign data wrapper nowhere options (host 'far.example.com');
create user mapping for reader server far options (user 'u', password 'secret of the mapping');
create user mapping for public server far;
create foreign table app.remote (x int options (column_name 'y') not null, t text default 'd') server far options (schema_name 's');
create table app.log (at date, line text) partition by range (at);
create foreign table app.log_far partition of app.log for values from ('1999-01-01') to ('2000-01-01') server far;
comment on server far is 'far away';
comment on foreign data wrapper nowhere is 'leads nowhere';
comment on foreign table app.remote is 'not here';
create publication everything for all tables with (publish = 'insert, update');
create publication a_few for table app.orders, only app.parent with (publish_via_partition_root);
create publication nothing;
comment on publication a_few is 'a few';
create subscription from_afar connection 'host=far.example.com password=secret_of_the_subscription' publication far_pub
  with (connect = false, enabled = false, slot_name = none);
comment on subscription from_afar is 'from afar';
`

const ACCESS = `
grant usage on schema app to reader, "Writer ""x""";
grant select on app.customers to reader with grant option;
grant select (number, note), update (note) on app.orders to "Writer ""x""";
grant all on all tables in schema "Sch ema ""x""" to "Writer ""x""";
revoke update on app.same_rows from postgres;
revoke execute on function app.add(int, int) from public;
grant execute on function app.add(int, int) to reader;
grant usage on sequence app.numbers to reader;
grant usage on type app.mood to reader;
revoke usage on type app.positive from public;
grant usage on foreign data wrapper nowhere to reader;
grant usage on foreign server far to reader;
grant usage on language other to reader;
revoke usage on language plpgsql from public;
grant select on app.joined to public;
grant create on schema public to reader;
grant execute on function pg_catalog.pg_ls_dir(text) to reader;
grant execute on function app.hstore_to_json(app.hstore) to reader;
revoke execute on function app.skeys(app.hstore) from public;
alter function app.add(int, int) owner to app_owner;
alter type app.mood owner to app_owner;
alter operator app.## (none, int) owner to app_owner;
alter default privileges in schema app grant select on tables to reader;
alter default privileges for role app_owner revoke execute on functions from public;
alter default privileges for role app_owner grant usage on types to reader with grant option;
select lo_create(4711);
select lo_put(4711, 0, 'begin'), lo_put(4711, 10000, 'after a hole');
select lo_from_bytea(4712, decode(repeat('00ff10', 3000), 'hex'));
select lo_create(4713);
alter large object 4712 owner to app_owner;
grant select on large object 4711 to reader;
comment on large object 4711 is 'with a hole';
`

const PARTS: readonly Part[] = [
  { from: 13, sql: ROLES },
  { from: 13, sql: TYPES },
  {
    from: 14,
    sql: 'create type app.text_range as range (subtype = text, collation = "C", multirange_type_name = app.many_texts);',
  },
  { from: 13, sql: CODE },
  {
    from: 14,
    sql: `create function app.standard(a int) returns int language sql begin atomic select a + 1; select a + 2; end;
create function app.half(a int) returns int language sql immutable return a / 2;`,
  },
  { from: 13, sql: TEXT_SEARCH },
  { from: 13, sql: TABLES },
  {
    from: 14,
    sql: `create statistics app.expressed on (number % 10), (lower(note)) from app.orders;
create table app.pressed (a text compression pglz, b text);
alter table app.orders alter column note set compression pglz;`,
  },
  {
    from: 15,
    sql: `create table app.one_null (x int unique nulls not distinct);
create view app.as_invoker with (security_invoker) as select * from app.orders;
create unlogged sequence app.unlogged_numbers;`,
  },
  {
    from: 18,
    sql: `create table app.temporal (id int4range, valid daterange, constraint temporal_pkey primary key (id, valid without overlaps));
create table app.virtual (a int constraint a_is_there not null, b int generated always as (a * 3) virtual);
insert into app.virtual (a) select generate_series(1, 5);
alter table app.orders add constraint not_enforced check (number > 0) not enforced;`,
  },
  { from: 13, sql: BEHAVIOUR },
  { from: 13, sql: WORDED },
  {
    from: 14,
    sql: `create statistics app.texts on id, lower(xmlserialize(content doc as text)), (xmlserialize(content doc as text) || ' FROM x')
  from app.letters;
alter statistics app.texts set statistics 7;
create function app.buyers("from" xml default null, standard int default app.not_now(6) + length(xmlserialize(content xmlelement(name a) as text)))
  returns table (id bigint, "e ""mail" text) language sql stable cost 8 rows 9 set search_path = app, "x BEGIN ATOMIC"
  begin atomic
    insert into app.letters (doc) select "from" from app.customers where mood = 'ok' and app.not_now(7) = 7;
    select id, email from app.customers where id > buyers.standard and xmlserialize(content "from" as text) <> 'END';
  end;
create function app.text_of(doc xml) returns text immutable language sql return xmlserialize(content doc as text);
create procedure app.remember(doc xml, inout id int) language sql begin atomic delete from app.letters where letters.id = remember.id; select 1; end;`,
  },
  { from: 13, sql: ELSEWHERE },
  {
    from: 15,
    sql: `create publication chosen for tables in schema app, table only app.parent;
create publication filtered for table app.orders (number, note) where (number > 7);
create publication texts for table app.letters (id, doc, note) where (xmlserialize(content doc as text) <> '; where ');`,
  },
  { from: 13, sql: ACCESS },
  { from: 17, sql: 'grant maintain on app.empty to reader;' },
]

/** For a superuser, through psql or a driver, in a database made from template0; ends with an error at the first mistake. */
export function everyObjectSql(version: PostgresVersion): string {
  const major = Number(version)
  return PARTS.filter(({ from }) => from <= major)
    .map(({ sql }) => sql)
    .join('\n')
}
