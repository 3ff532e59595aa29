/** Databases restored by users who are no superusers: what they may, what they are told before, and what is never proved. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { postgresBin } from '../harness/peers.ts'
import { refusal } from './archived-cluster.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

let source: DumpedCluster
let newer: Cluster
/** Of database `shop` alone. */
let label: string

before(async () => {
  source = await startDumpedCluster({ lines: [`pg-client-path=${await postgresBin('18')}`] })
  newer = await startCluster({ version: '18' })
  const { cluster } = source
  await cluster.psql(
    `create role app; create role stock; create role reader;
     create role alone login createdb;
     create role member login createdb; grant app, stock to member`,
  )
  await cluster.psql('create database shop owner app')
  await cluster.psql(
    `create schema s authorization stock;
     set role stock;
     create table s.goods (n int primary key, t text);
     insert into s.goods select n, md5(n::text) from generate_series(1, 1000) n;
     grant usage on schema s to app;
     grant references on s.goods to app;
     set role app;
     create table orders (id bigserial primary key, n int references s.goods (n), buyer text default current_user);
     insert into orders (n) select n from generate_series(1, 500) n;
     create view cheap as select * from orders where n < 10;
     create function twice(int) returns int language sql as 'select 2 * $1';
     alter table orders enable row level security;
     create policy own on orders to reader using (buyer = current_user);
     grant select on orders to reader;
     alter default privileges grant select on tables to reader;
     reset role;
     comment on database shop is 'the shop';
     grant connect on database shop to reader;
     alter database shop set search_path to 's', public;
     alter database shop set log_min_duration_statement to '1s';
     alter role app in database shop set work_mem to '5MB'`,
    'shop',
  )
  label = (await source.dump('--db-include=shop')).label
})

after(async () => {
  await newer[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

/** Arguments for a restore by this user. */
function by(user: string, { socketDir, port }: Cluster): readonly string[] {
  return [`--to-conninfo=host=${socketDir} port=${port} user=${user}`, `--set=${label}`]
}

/** What is printed; the command must succeed. */
async function restored(...argv: readonly string[]): Promise<string> {
  const ran = source.context([...argv, 'dump-restore'])
  const code = await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )
  assert.equal(code, 0)
  return ran.output()
}

interface Refused {
  readonly told: string
  readonly output: string
}

async function refused(...argv: readonly string[]): Promise<Refused> {
  const ran = source.context([...argv, 'dump-restore'])
  const told = await refusal(dumpRestore(ran.context))
  return { told, output: ran.output() }
}

async function databases(cluster: Cluster): Promise<string> {
  return await cluster.psql(
    `select string_agg(datname, ' ' order by datname) from pg_database where datname ~ 'shop|hard|large'`,
  )
}

/** Owners of the database and of what is in it, and its settings. */
async function owners(cluster: Cluster, database: string): Promise<string> {
  return await cluster.psql(
    `select (select datdba::regrole from pg_database where datname = current_database()), 'orders'::regclass, relowner::regrole,
       (select relowner::regrole from pg_class where oid = 's.goods'::regclass),
       (select count(*) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where d.datname = current_database())
     from pg_class where oid = 'orders'::regclass`,
    database,
  )
}

test('who may make roles makes those of the set, and restores what is theirs when their rights come with it', async () => {
  await newer.psql('create role maker login createdb createrole')
  const asked = [...by('maker', newer), '--globals']
  const { told } = await refused(...asked)
  assert.match(told, /user 'maker' may not give objects to roles 'app', 'stock'/)
  assert.equal(await newer.psql(`select count(*) from pg_roles where rolname = 'app'`), '0')

  await newer.psql(`alter role maker set createrole_self_grant to 'set, inherit'`)
  const output = await restored(...asked)

  assert.match(output, /^ {2}roles +makes app, stock, reader|^ {2}roles +makes alone, app, /m)
  assert.match(output, /memberships are granted by this user/)
  assert.match(output, /proved exact/)
  assert.equal(await owners(newer, 'shop'), 'app|orders|app|stock|2')
  await newer.psql('drop database shop')
})

test('a member of the roles that own a database restores it as it was; what may not be set is told before', async () => {
  for (const [cluster, jobs] of [
    [source.cluster, 1],
    [newer, 2],
  ] as const) {
    const asked = [...by('member', cluster), '--to-database=shop2', `--jobs=${jobs}`]
    const plan = await restored(...asked, '--plan')
    assert.match(plan, /setting 'log_min_duration_statement' of the database is left out: .*denied/)
    assert.match(plan, /setting 'work_mem' of role 'app' in it is left out: /)

    assert.match(await restored(...asked), /proved exact/)
    assert.equal(await owners(cluster, 'shop2'), 'app|orders|app|stock|1')
    await cluster.psql('drop database shop2')
  }
})

test('who is no member restores without owners, or as a role; and not otherwise', async () => {
  const { cluster } = source
  const asked = [...by('alone', cluster), '--to-database=shop3']
  const { told } = await refused(...asked)
  assert.match(told, /user 'alone' may not give objects to roles 'app', 'stock'; be a member/)
  assert.equal(await databases(cluster), 'shop')

  assert.match(
    (await refused(...asked, '--no-owner')).told,
    /may not set default privileges of role 'app'; .*--no-privileges/,
  )
  assert.match(await restored(...asked, '--no-owner', '--no-privileges'), /proved exact/)
  assert.match(await owners(cluster, 'shop3'), /^alone\|orders\|alone\|alone\|/)
  const asRole = [...by('member', cluster), '--to-database=shop3', '--replace=shop3']
  assert.match(
    (await refused(...asRole, '--no-owner', '--role=app')).told,
    /database 'shop3' belongs to 'alone'/,
  )
  await cluster.psql('drop database shop3')
  const [server = '', set = ''] = asRole
  const made = await restored(server, set, '--to-database=shop3', '--no-owner', '--role=app')
  assert.match(made, /proved exact/)
  assert.match(await owners(cluster, 'shop3'), /^app\|orders\|app\|app\|/)
  await cluster.psql('drop database shop3')
  await newer.psql('create role idle login createdb; grant app, stock to idle with inherit false')
  assert.match((await refused(...by('idle', newer))).told, /to roles 'app', 'stock'; .* inherits/)
})

test('a replaced database must be free of others, also of those whose work may not be seen', async () => {
  const { cluster } = source
  await cluster.psql('create database shop4 owner app')
  const busy = cluster.psql('select pg_sleep(60)', 'shop4').catch(() => undefined)
  const asked = [...by('member', cluster), '--to-database=shop4', '--replace=shop4']
  for (let tries = 0; tries < 50; tries += 1) {
    const { told } = await refused(...asked, '--plan')
    if (/others are connected to 'shop4': postgres/.test(told)) break
    assert(tries < 49, told)
  }
  await cluster.psql(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = 'shop4'`,
  )
  await busy
  await cluster.psql('drop database shop4')
})

test('what only superusers may make is told before, and what they alone may read is never proved', async () => {
  const { cluster } = source
  await cluster.psql('create database large owner app')
  await cluster.psql(`set role app; select lo_from_bytea(0, 'a large object')`, 'large')
  await cluster.psql('create database hard owner app')
  await cluster.psql(
    `create foreign data wrapper w; create server afar foreign data wrapper w; create user mapping for app server afar options (password 'x');
     create function e() returns event_trigger language plpgsql as 'begin end';
     create event trigger noticed on ddl_command_end execute function e()`,
    'hard',
  )
  label = (await source.dump('--db-include=large', '--db-include=hard')).label
  const asked = by('member', cluster)

  const large = await refused(...asked, '--database=large', '--to-database=large2')
  assert.match(large.told, /^\[121\] 'large2' is restored without errors, but not proved/)
  assert.match(large.output, /not-comparable large objects: only a superuser may read them all/)
  assert.doesNotMatch(large.output, /^ {2}(?:differs|missing|extra)/m)

  await cluster.psql('create database large3 owner member')
  await cluster.psql('create table precious ()', 'large3')
  const replacing = ['--database=large', '--to-database=large3', '--replace=large3']
  const kept = await refused(...asked, ...replacing)
  assert.match(
    kept.told,
    /^\[121\] 'large3\.pgsurety-.*' is restored without errors, but not proved/,
  )
  assert.match(kept.told, /'large3' was not replaced; --no-prove .*drop database "large3"; alter/s)
  assert.equal(await cluster.psql('select count(*) from precious', 'large3'), '0')

  const hard = await refused(...asked, '--database=hard', '--to-database=hard2', '--no-owner')
  assert.match(
    hard.output,
    /lets only superusers make this.*: foreign data wrapper 'w', event trigger 'noticed'/,
  )
  assert.match(hard.told, /^\[102\] restore of 'hard' had \d+ errors; it is kept as 'hard2\.pg/)

  const seen = await refused(...asked, '--database=hard', '--prove-only')
  assert.match(seen.told, /^\[121\] database 'hard' is not proved/)
  assert.match(seen.output, /^ {2}not-comparable user mapping app on afar: /m)
  assert.doesNotMatch(seen.output, /^ {2}(?:differs|missing|extra)/m)
})

test('options of user mappings that are not dumped are told, and what was restored without them is not proved', async () => {
  const { cluster } = source
  await cluster.psql('create role sees login; grant pg_read_all_data to sees')
  const dumping = source.context(['--pg1-user=sees', '--db-include=hard', 'dump'])
  assert.equal(await dump(dumping.context), 0)
  assert.match(
    dumping.logText(),
    /WARN: database 'hard': options of user mappings are not dumped, .*: app on afar\n.*HINT: dump as a superuser/,
  )

  const { told, output } = await refused('--to-database=hard3')
  assert.match(told, /^\[121\] 'hard3' is restored without errors, but not proved/)
  assert.match(output, /^ {2}not-comparable user mapping app on afar: /m)
})
