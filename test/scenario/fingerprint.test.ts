import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { type Comparison, compareFingerprints } from '../../src/fingerprint/compare.ts'
import { readSequences } from '../../src/fingerprint/contents.ts'
import { findWordings } from '../../src/fingerprint/find-wordings.ts'
import { takeFingerprint, withSequencesBetween } from '../../src/fingerprint/fingerprint.ts'
import {
  coverAll,
  type CoveragePolicy,
  coverLike,
  coverUpTo,
} from '../../src/fingerprint/tables.ts'
import type { DatabaseFingerprint } from '../../src/format/fingerprint.ts'
import { unpackRowBuckets } from '../../src/format/row-buckets.ts'
import { openPsql, type PsqlSession } from '../../src/postgres/psql.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { everyObjectSql } from '../harness/every-object.ts'
import { POSTGRES_VERSIONS, postgresBin } from '../harness/peers.ts'
import { makeReplica } from '../harness/replica.ts'
import { checkout, runAs, temporaryFolder, writeAs } from '../harness/run.ts'
import { until } from './archived-cluster.ts'

const { signal } = new AbortController()
/** Programs of the newest version, which know every server. */
const programs = await postgresBin('18')
await using stack = new AsyncDisposableStack()
const owned = stack.move()
after(async () => {
  await owned.disposeAsync()
})

const environment = ({ socketDir, port }: Cluster): Record<string, string> => ({
  PGHOST: socketDir,
  PGPORT: String(port),
  PGUSER: 'postgres',
  PATH: '/usr/bin:/bin',
})

function open(cluster: Cluster, database: string): PsqlSession {
  return openPsql({
    psql: join(programs, 'psql'),
    server: { env: environment(cluster) },
    database,
    applicationName: 'pgsurety [test]',
    signal,
  })
}

/** Begins a transaction and says what follows `begin`. */
async function begin(session: PsqlSession, rest: string): Promise<PsqlSession> {
  try {
    await session.run(`begin ${rest}`)
    return session
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
}

async function take(
  cluster: Cluster,
  database: string,
  coverage: CoveragePolicy = coverAll,
): Promise<DatabaseFingerprint> {
  const openSession = async (): Promise<PsqlSession> => {
    return await begin(open(cluster, database), 'isolation level repeatable read read only')
  }
  return await takeFingerprint({ openSession, sessions: 2, coverage, signal })
}

/** The fingerprint while `changes` are there, which nobody else ever sees. */
async function takeWith(changes: string): Promise<DatabaseFingerprint> {
  const openSession = async (): Promise<PsqlSession> => {
    return await begin(open(newest, 'source'), `; ${changes}`)
  }
  return await takeFingerprint({ openSession, sessions: 1, coverage: coverAll, signal })
}

/** What a role sees that has no more rights than every role, in a database that is its own. */
async function takeAsNobody(cluster: Cluster): Promise<DatabaseFingerprint> {
  await cluster.psql('create role nobody')
  await cluster.psql('create database "of nobody" owner nobody')
  const openSession = async (): Promise<PsqlSession> =>
    await begin(open(cluster, 'of nobody'), '; set local role nobody')
  return await takeFingerprint({ openSession, sessions: 1, coverage: coverAll, signal })
}

async function makeSource(cluster: Cluster): Promise<void> {
  await cluster.psql('create database source template template0')
  await psql(cluster, 'source', everyObjectSql(cluster.version))
}

async function psql(cluster: Cluster, database: string, input: string): Promise<void> {
  await runAs([join(programs, 'psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', database], {
    env: environment(cluster),
    input,
  })
}

/** Dumps database `source` and restores it as a new one of another server, with PostgreSQL's own programs. */
async function dumpAndRestore(from: Cluster, to: Cluster, database: string): Promise<void> {
  const dump = await runAs([join(programs, 'pg_dump'), 'source'], { env: environment(from) })
  await to.psql(`create database "${database}" template template0`)
  await psql(to, database, dump.stdout)
}

const NOTHING = { ignoreKinds: new Set<string>(), wordings: new Map() }

/** What differs or cannot be compared, one line each. */
function found({ tables, sequences, largeObjects, facts }: Comparison): readonly string[] {
  return [
    ...tables.map(({ name, result }) => `${result}: table ${name}`),
    ...sequences.map(({ name, result }) => `${result}: sequence ${name}`),
    `${largeObjects.result}: large objects`,
    ...facts.map(({ kind, name, result }) => `${result}: ${kind} ${name}`),
  ].filter((line) => !line.startsWith('exact: '))
}

/** In each kind of definition another meaning, and what is to be found. */
const REWORDED: readonly (readonly [change: string, ...findings: readonly string[]])[] = [
  [
    "create or replace view app.happy as select id, email from app.customers where mood = 'sad' with local check option",
    'view app.happy',
  ],
  [
    'drop materialized view app.notes; create materialized view app.notes as select lower(note) as note from app.letters',
    'materialized view app.notes',
  ],
  [
    'alter table app.letters alter note set default xmlserialize(content xmlelement(name hallo) as text)',
    'default app.letters.note',
  ],
  [
    'alter table app.letters drop length, add length int generated always as (length(xmlserialize(document doc as text))) stored',
    'generation app.letters.length',
  ],
  [
    'alter table app.letters drop constraint long_enough, add constraint long_enough check (length(xmlserialize(content doc as text)) > 4) no inherit not valid',
    'constraint app.letters.long_enough',
  ],
  [
    'alter table app.letters drop constraint no_twins, add constraint no_twins exclude using btree (upper(xmlserialize(content doc as text)) collate "C" with =, id with =) where (xmlserialize(content doc as text) <> \'; with check \') deferrable',
    'constraint app.letters.no_twins',
    'index app.no_twins',
  ],
  [
    `drop index app.letters_by_text; create index letters_by_text on app.letters using btree (id, lower(xmlserialize(content doc as text)) collate "C" desc nulls last,
      (xmlserialize(content doc as varchar(8)) || ', id') text_pattern_ops, xmlserialize(content doc as text)) include (note)
      where xmlserialize(content doc as text) <> 'it''s; clustered'; alter index app.letters_by_text alter column 2 set statistics 33`,
    'index app.letters_by_text',
  ],
  [
    'alter policy of_buyers on app.letters using (exists (select from app.customers where id = letters.id and email = session_user))',
    'policy app.letters.of_buyers',
  ],
  [
    `drop trigger when_changed on app.letters; create trigger when_changed after update on app.letters for each row
      when (xmlserialize(content old.doc as text) <> xmlserialize(content old.doc as text) and old.* is distinct from new.* and app.not_now(2) = 2)
      execute function app.stamp(' WHEN (true) EXECUTE FUNCTION '); alter table app.letters enable always trigger when_changed`,
    'trigger app.letters.when_changed',
  ],
  [
    `create or replace rule gone as on delete to app.letters where xmlserialize(content old.doc as text) <> '; disabled' and app.not_now(4) = 4
      do also update app.same_rows set x = old.id where x = (select sum(number) from app.orders where number = old.id)`,
    'rule app.letters.gone',
  ],
  [
    `create or replace rule through_view as on update to app.written do instead
      update app.letters set note = old.note where id = old.id returning id, note`,
    'rule app.written.through_view',
  ],
  [
    `create or replace function app.text_of(doc xml) returns text immutable language sql return xmlserialize(document doc as text)`,
    'function app.text_of(pg_catalog.xml)',
  ],
  [
    `create or replace procedure app.remember(doc xml, inout id int) language sql
      begin atomic delete from app.letters where letters.id <> remember.id; select 1; end`,
    'procedure app.remember(pg_catalog.xml,integer)',
  ],
  [
    `create or replace procedure app.proceed(a text default xmlserialize(content xmlelement(name "a,c") as text)) language sql as ''`,
    'procedure app.proceed(pg_catalog.text)',
  ],
  [
    `alter domain app.paper drop constraint has_text;
      alter domain app.paper add constraint has_text check (xmlserialize(content value as text) <> ' ');
      alter domain app.paper set default xmlelement(name "; nott null")`,
    'domain constraint app.paper.has_text',
    'type app.paper',
  ],
  [
    `drop table app.by_text; create table app.by_text (id int, doc xml) partition by range (id, lower(xmlserialize(content doc as text)) collate "C" text_pattern_ops,
      (xmlserialize(content doc as text) || 'y'));
    create table app.by_text_some partition of app.by_text for values from (1, '; partitioned by', minvalue) to (2, minvalue, minvalue)`,
    'table app.by_text',
  ],
  [
    `drop statistics app.texts; create statistics app.texts on id, upper(xmlserialize(content doc as text)), (xmlserialize(content doc as text) || ' FROM x') from app.letters;
      alter statistics app.texts set statistics 7`,
    'statistics app.texts',
  ],
  [
    "alter publication texts set table app.letters (id, doc, note) where (xmlserialize(content doc as text) <> '; when ')",
    'published table texts: app.letters',
  ],
  [
    "drop collation app.phone_book; create collation app.phone_book (provider = icu, locale = 'de@collation=eor', deterministic = false)",
    'collation app.phone_book',
  ],
]

/** `policy` of `policy app.letters.of_buyers`. */
const kindOf = (name: string): string => name.replace(/ (?:texts: )?app\..*$/, '')

const newest = owned.use(await startCluster({ version: '18', settings: { wal_level: 'logical' } }))
await makeSource(newest)
const source = await take(newest, 'source')

const fifteen = owned.use(await startCluster({ version: '15', settings: { wal_level: 'logical' } }))
await makeSource(fifteen)
const dumped = await take(fifteen, 'source')
await dumpAndRestore(fifteen, newest, 'from 15')
const restored = await take(newest, 'from 15', coverLike(dumped))
const unasked = compareFingerprints(dumped, restored, NOTHING)

/** What is still found of the two when the server of the session is asked. */
async function foundAsking(
  session: PsqlSession,
  now: DatabaseFingerprint,
): Promise<readonly string[]> {
  const wordings = await findWordings(session, dumped, now)
  return found(
    compareFingerprints(dumped, now, { ignoreKinds: new Set(['grant']), wordings }),
  ).toSorted()
}

test('what PostgreSQL 15 dumped and 18 restored is proved exact, whatever roles and databases have set', async () => {
  await newest.psql(`
    alter database "from 15" set datestyle = 'SQL, DMY'; alter database "from 15" set extra_float_digits = -3;
    alter database "from 15" set search_path = app, public; alter role postgres set bytea_output = 'escape';
    alter role postgres set timezone = 'Asia/Tokyo'; alter role postgres set intervalstyle = 'iso_8601'`)
  const now = await take(newest, 'from 15', coverLike(dumped))
  await newest.psql('alter role postgres reset all')

  await using session = open(newest, 'from 15')
  const wordings = await findWordings(session, dumped, now)
  const proved = compareFingerprints(dumped, now, { ...NOTHING, wordings })
  assert.deepEqual(found(proved), [])
  assert.equal(proved.verdict, 'exact')
})

test('without asking the server, what it worded otherwise is not called wrong, and not called right', async () => {
  assert.equal(unasked.verdict, 'not-comparable')
  assert.deepEqual(
    found(unasked).filter((line) => !line.startsWith('not-comparable: ')),
    [],
  )
  const kinds = REWORDED.flatMap(([, ...names]) => names.map(kindOf))
  assert.deepEqual(new Set(unasked.facts.map(({ kind }) => kind)), new Set(kinds))

  await using session = open(newest, 'from 15')
  await session.run('set default_transaction_read_only = on')
  assert.deepEqual(await foundAsking(session, restored), found(unasked).toSorted())
})

test('asking waits for no lock, but for what writes, and runs nothing of the user’s', async () => {
  await using session = open(newest, 'from 15')
  await session.run(
    `create function app.loud() returns event_trigger language plpgsql as $f$ begin raise 'it ran'; end $f$;
    create event trigger loud on ddl_command_start execute function app.loud();
    alter event trigger loud enable always`,
  )
  await using other = await begin(open(newest, 'from 15'), '')
  await other.run(
    'lock table app.customers, app.orders, app.letters, app.same_rows in share row exclusive mode',
  )

  assert.deepEqual(await foundAsking(session, restored), [
    'not-comparable: function app.buyers(pg_catalog.xml,integer)',
    'not-comparable: rule app.letters.gone',
  ])
  await other.run('rollback')
  await session.run('drop event trigger loud; drop function app.loud()')
})

test('a server that cannot run without its event triggers is not asked', async () => {
  const total = dumped.facts.find(
    ({ kind, name }) => kind === 'default' && name === 'app.orders.total',
  )
  assert.ok(total !== undefined)
  const other = { ...dumped, facts: [{ ...total, definition: '(12.5 + 0)::money' }] }
  await using session = open(fifteen, 'source')
  await session.run('alter event trigger on_ddl enable')
  const wordings = await findWordings(session, other, dumped)
  await session.run('alter event trigger on_ddl enable always')
  const none = await findWordings(session, other, dumped)
  await session.run('alter event trigger on_ddl disable')

  assert.deepEqual([...wordings.values()], ['different'])
  assert.equal(none.size, 0)
})

test('another meaning is found in each kind of definition that versions word differently', async () => {
  await using session = open(newest, 'from 15')
  for (const [change] of REWORDED) await session.run(change)
  const changed = await take(newest, 'from 15', coverLike(dumped))

  assert.deepEqual(
    await foundAsking(session, changed),
    REWORDED.flatMap(([, ...names]) => names.map((name) => `differs: ${name}`)).toSorted(),
  )
})

test('what one version dumped and restored is proved exact without asking', async () => {
  await dumpAndRestore(newest, newest, 'copy')

  const comparison = compareFingerprints(source, await take(newest, 'copy'), NOTHING)
  await newest.psql('alter subscription from_afar disable', 'copy')

  assert.deepEqual(found(comparison), [])
  assert.equal(comparison.verdict, 'exact')
  assert.ok(comparison.factsEqual > 450)
})

/** A change to the restored database, and all that must be said about it. */
const DAMAGES: readonly (readonly [change: string, ...findings: readonly string[]])[] = [
  ["update app.orders set note = 'y' where number = 7", 'differs: table app.orders'],
  [
    'delete from app.events where id = 3',
    'differs: table app.events_2020',
    'differs: table app.events_2021_rest',
    'differs: table app.events_more',
  ],
  ["insert into app.same_rows values (1, 0.1, '\\x00ff')", 'differs: table app.same_rows'],
  ['insert into app.no_columns default values', 'differs: table app.no_columns'],
  ['update app.volatile set x = 11 where x = 1', 'differs: table app.volatile'],
  [
    "insert into app.customers (id, name) overriding system value values (1, 'new')",
    'differs: table app.customers',
  ],
  ['alter sequence app.numbers restart with 18', 'differs: sequence app.numbers'],
  ["select lo_put(4711, 9999, 'x')", 'differs: large objects'],
  ['select lo_truncate(lo_open(4713, 131072), 5)', 'differs: large objects'],
  ['drop index app.orders_by_note', 'missing: index app.orders_by_note'],
  [
    'drop policy own on app.customers',
    'missing: policy app.customers.own',
    'missing: comment policy own on app.customers',
  ],
  ['alter policy few on app.customers using (height > 5)', 'differs: policy app.customers.few'],
  ['alter table app.customers disable row level security', 'differs: table app.customers'],
  [
    'revoke select on app.customers from reader',
    'missing: grant table app.customers to reader: SELECT',
  ],
  ['grant select on app.customers to public', 'extra: grant table app.customers to public: SELECT'],
  [
    'grant select (total) on app.orders to reader',
    'extra: grant table column app.orders.total to reader: SELECT',
  ],
  [
    'revoke execute on function app.ddl() from public',
    'extra: grant function app.ddl() to public: EXECUTE',
  ],
  [
    'revoke grant option for select on app.customers from reader',
    'differs: grant table app.customers to reader: SELECT',
  ],
  ['alter table app.orders disable trigger always', 'differs: trigger app.orders.always'],
  ['drop trigger later on app.orders', 'missing: trigger app.orders.later'],
  [
    'alter table app.customers drop constraint tall',
    'missing: constraint app.customers.tall',
    'missing: comment table constraint tall on app.customers',
  ],
  ['alter table app.orders alter total set default 12.6', 'differs: default app.orders.total'],
  [
    'alter table app.customers alter email drop not null',
    'differs: column app.customers.email',
    'missing: not-null constraint app.customers.customers_email_not_null',
  ],
  [
    'alter table app.empty add y int',
    'not-comparable: table app.empty',
    'extra: column app.empty.y',
  ],
  ['alter sequence app.numbers increment 4', 'differs: sequence app.numbers'],
  [
    'drop rule quiet on app.same_rows',
    'missing: rule app.same_rows.quiet',
    'missing: comment rule quiet on app.same_rows',
  ],
  ['alter table app.same_rows replica identity full', 'differs: table app.same_rows'],
  ["alter type app.mood rename value 'sad' to 'SAD'", 'differs: type app.mood'],
  [
    "create or replace function app.add(a int, b int default 3) returns int language sql immutable leakproof parallel safe cost 7 set search_path = app, pg_temp as 'select a + b'",
    'differs: function app.add(integer,integer)',
  ],
  [
    'alter table app.orders owner to reader',
    'differs: owner table app.orders',
    'differs: owner sequence app.orders_number_seq',
  ],
  ["comment on schema app is 'x'", 'differs: comment schema app'],
  ['alter event trigger on_ddl enable', 'differs: event trigger on_ddl'],
  [
    "alter user mapping for reader server far options (set password 'other')",
    'differs: user mapping reader on far',
  ],
  [
    'alter publication filtered set table app.orders (number, note) where (number > 8)',
    'differs: published table filtered: app.orders',
  ],
  ['alter statistics app.together set statistics 78', 'differs: statistics app.together'],
  [
    'alter default privileges in schema app revoke select on tables from reader',
    'missing: default privilege of postgres in app on r to reader: SELECT',
  ],
  ['alter table app.events detach partition app.events_2020', 'differs: table app.events_2020'],
  ['drop table app.in_heap2', 'missing: table app.in_heap2'],
  ['create view app.more as select 1 as a', 'extra: view app.more'],
  ["comment on large object 4711 is 'x'", 'differs: comment large object 4711'],
  ["comment on large object 4713 is 'x'", 'extra: comment large object 4713'],
  ['alter subscription from_afar set (origin = none)', 'differs: subscription from_afar'],
  ['alter subscription from_afar set (binary)', 'differs: subscription from_afar'],
  [
    "create function pg_catalog.more() returns int language sql as 'select 1'",
    'extra: object in a system schema function pg_catalog.more()',
  ],
  [
    'alter function app.ddl() depends on extension hstore',
    'extra: extension dependency function app.ddl() on hstore',
  ],
  ['alter extension hstore set schema public', 'differs: extension hstore'],
]

for (const [change, ...findings] of DAMAGES) {
  test(`it is found and named: ${change.slice(0, 90)}`, async () => {
    const damaged = await takeWith(change)

    const lines = found(compareFingerprints(source, damaged, NOTHING))
    for (const finding of findings) assert.ok(lines.includes(finding), lines.join('\n'))
  })
}

test('the order of rows, their place and the owner of a session do not matter', async () => {
  const same =
    await takeWith(`create temporary table kept as select * from app.orders order by random();
    delete from app.orders; insert into app.orders overriding system value select * from kept; drop table kept;
    set local role none; set local time zone 'Asia/Tokyo'`)
  const withTemporary = await takeWith(`alter default privileges grant select on tables to reader;
    create temporary table passing (a int, b int); comment on table passing is 'x'; comment on column passing.a is 'y';
    create temporary view glance as select 1 as a;
    create rule quiet as on insert to passing do nothing; comment on rule quiet on passing is 'z';
    create type pg_temp.kind as enum ('a'); comment on type pg_temp.kind is 'x';
    create function pg_temp.f() returns int language sql as 'select 1'; revoke all on function pg_temp.f() from public;
    create statistics app.of_passing on a, b from passing;
    alter default privileges revoke select on tables from reader`)

  assert.deepEqual(found(compareFingerprints(source, withTemporary, NOTHING)), [])
  assert.deepEqual(found(compareFingerprints(source, same, NOTHING)), [])
})

test('the script on the page about fingerprints computes the same digest from what psql prints', async () => {
  const page = readFileSync(join(checkout, 'docs/fingerprint.md'), 'utf8')
  const script = /```js\n(?<script>.*?)```/s.exec(page)?.groups?.['script'] ?? ''
  const query = 'copy (select x, y, z from only app.same_rows) to stdout'
  const psqlArgs = [join(programs, 'psql'), '-XAtq', '-c', query, 'source']
  const rows = await runAs(psqlArgs, { env: environment(newest) })

  const computed = await runAs([process.execPath, '--input-type=module', '-e', script], {
    input: rows.stdout,
  })

  const table = source.tables.find(({ name }) => name === 'same_rows')
  assert.equal(table?.rows, '5')
  assert.equal(table?.digest, computed.stdout.trim())
})

test('of an extension only the rows count that are the user’s, and a new version is a remark', async () => {
  await using folder = await temporaryFolder('extension')
  const place = join(folder.path, 'extension')
  await runAs(['mkdir', place])
  await writeAs(join(place, 'setup.control'), "default_version = '1'\n")
  const script = `create table kept (x int, ours bool);
    insert into kept values (1, true);
    create table scratch (x int);
    select pg_extension_config_dump('kept', 'where not ours');`
  await writeAs(join(place, 'setup--1.sql'), script)
  await writeAs(join(place, 'setup--2.sql'), script)
  const create = (version: string): string =>
    `set local extension_control_path = '${folder.path}:$system'; create extension setup schema app version '${version}';`
  const before = await takeWith(create('1'))
  const withChange = async (change: string): Promise<Comparison> =>
    compareFingerprints(before, await takeWith(change), NOTHING)

  const kept = before.tables.filter(({ name }) => ['kept', 'scratch'].includes(name))
  assert.deepEqual(
    kept.map(({ name, rows }) => [name, rows]),
    [['kept', '0']],
  )
  const own = await withChange(
    `${create('2')} insert into app.kept values (2, true); insert into app.scratch values (1)`,
  )
  assert.equal(own.verdict, 'exact')
  assert.deepEqual(own.remarks, ['extension version of setup: 1 in the source, 2 restored'])
  const theirs = await withChange(`${create('1')} insert into app.kept values (2, false)`)
  assert.deepEqual(found(theirs), ['differs: table app.kept'])
  const hung = 'create index on app.scratch (x);'
  const lost = await withChange(`${create('1')} ${hung}`)
  assert.deepEqual(found(lost), ['differs: extension table app.scratch'])
  assert.match(lost.facts[0]?.restored ?? '', /^of setup; columns x integer; indexes /)
  assert.equal((await withChange(`${create('2')} ${hung}`)).verdict, 'exact')
})

test('the first of several statements that is refused is told, and none behind it is run', async () => {
  await using session = open(newest, 'source')
  for (const statement of ['select 1/0', 'select 1/0;']) {
    await assert.rejects(session.run("set a.b = 'before'", statement, "set a.b = 'behind'"), {
      kind: 'db-query',
      message: /division by zero/,
    })
  }
  assert.deepEqual(await session.rows("select current_setting('a.b') as b"), [{ b: 'before' }])
})

test('a database of another locale is a remark', async () => {
  await newest.psql(`create database "of another locale" template template0 lc_collate 'C.utf8'`)

  const { remarks } = compareFingerprints(source, await take(newest, 'of another locale'), NOTHING)
  assert.match(remarks.join(), /^locale of the database: UTF8; .*C\.utf8/)
})

test('a sample holds the same rows in every copy, all rows are counted, and what was only counted is not proved', async () => {
  const policy = coverUpTo(0, { kind: 'sampled', percent: 30 })
  const sampled = await take(newest, 'source', policy)
  const again = await take(newest, 'source', coverLike(sampled))
  const counted = await take(newest, 'source', coverUpTo(0, { kind: 'counted' }))

  const comparison = compareFingerprints(sampled, again, NOTHING)
  assert.equal(comparison.verdict, 'sampled')
  const customers = sampled.tables.find(({ name }) => name === 'customers')
  assert.equal(customers?.rows, '200')
  const inSample = [...unpackRowBuckets(customers?.buckets ?? '').values()]
  const sampledRows = Number(inSample.reduce((sum, { count }) => sum + count, 0n))
  assert.ok(sampledRows > 30 && sampledRows < 90, String(sampledRows))
  assert.equal(compareFingerprints(counted, counted, NOTHING).verdict, 'sampled')
})

test('a sequence that goes on during the dump has two values', async () => {
  await using session = open(newest, 'source')
  const before = source.sequences.map((each) => ({ ...each, lastValue: '2' }))
  const later = withSequencesBetween(source, before, await readSequences(session))

  assert.deepEqual(
    later.sequences.find(({ name }) => name === 'numbers'),
    {
      schema: 'app',
      name: 'numbers',
      lastValue: '2',
      isCalled: true,
      later: { lastValue: '17', isCalled: true },
    },
  )
})

test('a sequence that is dropped during the dump is left out of its later values', async () => {
  await newest.psql('create database dropping')
  await newest.psql('create sequence gone; create sequence stays', 'dropping')
  await using session = await begin(open(newest, 'dropping'), 'isolation level repeatable read')
  await session.run('select 1')
  await newest.psql('drop sequence gone', 'dropping')

  assert.deepEqual(
    (await readSequences(session)).map(({ name }) => name),
    ['stays'],
  )
})

test('several sessions do not wait for ever for somebody who wants a table alone', async () => {
  await newest.psql('create database wanted')
  await newest.psql('create table t as select generate_series(1, 1000) n', 'wanted')
  let truncating: Promise<string> | undefined
  const openSession = async (): Promise<PsqlSession> => {
    const session = open(newest, 'wanted')
    await session.run('begin isolation level repeatable read read only')
    return {
      rows: async (query) => await session.rows(query),
      copy: (from) => session.copy(from),
      copies: (sources) => session.copies(sources),
      run: async (...statements) => {
        await session.run(...statements)
        // The first session has locked all tables; the second has not yet begun to read.
        if (truncating !== undefined || statements[0]?.startsWith('lock table') !== true) return
        truncating = newest.psql('truncate t', 'wanted')
        await until('somebody waits for the table', async () => {
          return (await newest.psql('select count(*) from pg_locks where not granted')) === '1'
        })
      },
      [Symbol.asyncDispose]: async () => {
        await session[Symbol.asyncDispose]()
      },
    }
  }
  const { tables } = await takeFingerprint({ openSession, sessions: 2, coverage: coverAll, signal })

  assert.deepEqual(
    tables.map(({ rows }) => rows),
    ['1000'],
  )
  await truncating
  assert.equal(await newest.psql('select count(*) from t', 'wanted'), '0')
})

test('who may not see every row gets an error, and large objects that may not be read are told', async () => {
  await assert.rejects(takeWith('set local role app_owner'), { kind: 'db-query' })

  const reader = await takeWith(`
    grant usage on all sequences in schema app, public to reader;
    do $$ declare t record; begin
      for t in select schemaname, tablename from pg_tables where schemaname !~ '^pg_|^information' loop
        execute format('drop table if exists %I.%I cascade', t.schemaname, t.tablename);
      end loop;
      for t in select schemaname, sequencename from pg_sequences loop
        execute format('alter sequence %I.%I owner to reader', t.schemaname, t.sequencename);
      end loop;
    end $$;
    set local role reader`)
  assert.deepEqual(
    reader.uncovered.map(({ kind }) => kind).filter((kind) => kind === 'large objects'),
    ['large objects'],
  )
})

test('a standby gives the fingerprint of its primary, without what only the primary has', async () => {
  await using standby = await makeReplica(newest)
  await standby.start()
  const lsn = await newest.psql('select pg_current_wal_lsn()')
  while ((await standby.psql(`select pg_last_wal_replay_lsn() >= '${lsn}'`)) !== 't');

  const there = await take(standby, 'source')

  assert.deepEqual(
    there.uncovered.filter(({ kind }) => kind === 'unlogged table').map(({ name }) => name),
    ['app.volatile'],
  )
  const now = await take(newest, 'source')
  assert.deepEqual(found(compareFingerprints(there, now, NOTHING)), [])
})

test('no secret is in a fact', () => {
  const text = JSON.stringify(source)

  assert.doesNotMatch(text, /secret of the mapping|secret_of_the_subscription/)
})

test('every version’s database of every object is proved exact in 18', {
  skip: process.env['PGSURETY_TEST_FULL'] === undefined,
}, async () => {
  for (const version of POSTGRES_VERSIONS.slice(0, -1)) {
    await using old = await startCluster({ version, settings: { wal_level: 'logical' } })
    await makeSource(old)
    const there = await take(old, 'source')
    await dumpAndRestore(old, newest, version)
    const here = await take(newest, version, coverLike(there))
    await using session = open(newest, version)
    const wordings = await findWordings(session, there, here)
    assert.deepEqual(found(compareFingerprints(there, here, { ...NOTHING, wordings })), [], version)
    assert.ok((await takeAsNobody(old)).facts.length > 0, version)
  }
})
