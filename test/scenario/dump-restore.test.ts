/** Databases restored from dump sets by real servers: what comes back, what is refused, and what a failure leaves. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { advise } from '../../src/command/advise/advise.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { info } from '../../src/command/info/info.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { loadDumpProofs } from '../../src/repo/dump-proofs.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { everyObjectSql } from '../harness/every-object.ts'
import { postgresBin } from '../harness/peers.ts'
import { runAs, writeAs } from '../harness/run.ts'
import { dump } from '../../src/command/dump/dump.ts'
import { refusal, until } from './archived-cluster.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

let source: DumpedCluster
let newer: Cluster
/** Of database `shop` alone. */
let label: string

before(async () => {
  source = await startDumpedCluster({
    lines: [`pg-client-path=${await postgresBin('18')}`],
    settings: { allow_in_place_tablespaces: 'on' },
  })
  newer = await startCluster({ version: '18' })
  const { cluster } = source
  await cluster.psql('create role app; create role reader')
  await cluster.psql('create database shop owner app')
  await cluster.psql(
    `create schema "S.*";
     create table "S.*"."T""?" (n int primary key, t text);
     insert into "S.*"."T""?" select n, md5(n::text) from generate_series(1, 20000) n;
     create table orders (id bigserial primary key, n int references "S.*"."T""?" (n));
     insert into orders (n) select n from generate_series(1, 5000) n;
     create index orders_n on orders (n);
     create materialized view sums as select sum(n) from orders;
     alter table orders owner to app;
     grant select on orders to reader;
     select lo_from_bytea(0, 'a large object');
     comment on database shop is 'the shop';
     alter database shop set search_path to 'S.*', public;
     alter role app in database shop set work_mem to '5MB';
     revoke connect on database shop from public;
     grant connect on database shop to reader`,
    'shop',
  )
  label = (await source.dump('--db-include=shop')).label
})

after(async () => {
  await newer[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

function toNewer(): string {
  return `--to-conninfo=host=${newer.socketDir} port=${newer.port} user=postgres`
}

function serverEnv({ socketDir, port }: Cluster): Readonly<Record<string, string>> {
  return { PGHOST: socketDir, PGPORT: String(port), PGUSER: 'postgres' }
}

/** What is printed; the command must succeed. */
async function restored(...argv: readonly string[]): Promise<string> {
  const ran = source.context([...argv, 'dump-restore'])
  const code = await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}
${ran.output()}`),
  )
  assert.equal(code, 0)
  return ran.output()
}

async function refused(...argv: readonly string[]): Promise<string> {
  return await refusal(dumpRestore(source.context([...argv, 'dump-restore']).context))
}

async function databases(cluster: Cluster): Promise<readonly string[]> {
  const found = await cluster.psql(
    "select datname from pg_database where datname ~ 'shop' order by 1",
  )
  return found.split('\n')
}

/** What pg_database and pg_db_role_setting say of a database. */
async function described(cluster: Cluster, name: string): Promise<string> {
  return await cluster.psql(
    `select datdba::regrole, encoding, datcollate, shobj_description(d.oid, 'pg_database'),
       (select string_agg(a::text, ',' order by a::text) from unnest(datacl) a),
       (select string_agg(concat(setrole::regrole, setconfig), ',' order by setrole) from pg_db_role_setting where setdatabase = d.oid)
     from pg_database d where datname = '${name}'`,
  )
}

test('a database comes back under another name with all that is said of it, and is proved', async () => {
  const output = await restored(`--set=${label}`, '--to-database=shop2')

  assert.match(output, /^ {2}proof +proved exact, .*: 2 of 2 tables exact, 1 sequences/m)
  assert.equal(await described(source.cluster, 'shop2'), await described(source.cluster, 'shop'))
  assert.deepEqual(await databases(source.cluster), ['shop', 'shop2'])
})

test('what is restored and then changes is found by --prove-only, and named', async () => {
  const { cluster } = source
  const damages = [
    [`update orders set n = 7 where id = 1`, /differs +table public\.orders/],
    [
      `update orders set n = 1 where id = 1; drop index orders_n`,
      /missing +index public\.orders_n/,
    ],
    [
      `create index orders_n on orders (n); select setval('orders_id_seq', 3)`,
      /sequence public\.orders_id_seq/,
    ],
    [`select setval('orders_id_seq', 5000); grant insert on orders to reader`, /extra +grant/],
    [
      `revoke insert on orders from reader; select lo_unlink(oid) from pg_largeobject_metadata`,
      /large objects/,
    ],
  ] as const
  for (const [damage, named] of damages) {
    await cluster.psql(damage, 'shop2')
    const ran = source.context([
      `--set=${label}`,
      '--to-database=shop2',
      '--prove-only',
      'dump-restore',
    ])
    assert.match(await refusal(dumpRestore(ran.context)), /^\[120\] database 'shop2' differs/)
    assert.match(ran.output(), named)
  }
  await cluster.psql('drop database shop2')
})

test('what stands against a restore is told at once, and nothing is made', async () => {
  const told = await refused(toNewer(), `--set=${label}`, `--to-database=${'x'.repeat(64)}`)

  assert.match(told, /^\[081\] .* nothing was made:/)
  assert.match(told, /role 'app' that own objects are not there; --globals/)
  assert.match(told, /role 'reader' named in grants/)
  assert.match(told, /more than 63 bytes/)
  assert.match(await refused(`--set=${label}`), /database 'shop' exists/)
  assert.match(await refused('--database=shopp'), /HINT: Did you mean 'shop'\?/)
  assert.match(
    await refused('--set=20200101-000000L'),
    /^\[075\] dump set 20200101-000000L does not exist/,
  )
  for (const option of [
    'globals',
    'plan',
    'no-prove',
    'role=app',
    'replace=shop',
    'table=public.orders',
  ]) {
    assert.match(
      await refused('--prove-only', `--${option}`),
      new RegExp(`^\\[031\\] option '${option.replace(/=.*/, '')}' is for a restore`),
    )
  }
  assert.deepEqual(await databases(newer), [''])
})

test('a plan makes nothing', async () => {
  const output = await restored(`--set=${label}`, '--to-database=shop2', '--plan')

  assert.match(output, /^ {2}database +'shop' as 'shop2'$/m)
  assert.match(output, /^ {2}jobs +1: only \d.*B to read$/m)
  assert.deepEqual(await databases(source.cluster), ['shop'])
})

test('a newer major version takes it, roles first, and it is proved; others are left alone there', async () => {
  await newer.psql("create role reader password 'x'")
  const password = await newer.psql("select rolpassword from pg_authid where rolname = 'reader'")
  const output = await restored(`--set=${label}`, toNewer(), '--globals', '--jobs=2')

  assert.match(output, /role 'reader' is there and stays as it is/)
  assert.match(output, /proved exact/)
  assert.equal(await described(newer, 'shop'), await described(source.cluster, 'shop'))
  assert.equal(
    await newer.psql("select rolpassword from pg_authid where rolname = 'reader'"),
    password,
  )
})

test('a database is replaced only when it is named, and nobody is in it', async () => {
  const { cluster } = source
  await cluster.psql('create database shop_old')
  await cluster.psql('create table precious ()', 'shop_old')
  const busy = cluster.psql('select pg_sleep(60)', 'shop_old').catch(() => undefined)
  await until('somebody is connected', async () => {
    return (
      (await cluster.psql("select count(*) from pg_stat_activity where datname = 'shop_old'")) ===
      '1'
    )
  })
  const asked = [`--set=${label}`, '--to-database=shop_old', '--replace=shop_old']
  assert.match(await refused(...asked), /others are connected to 'shop_old': postgres \(/)
  await cluster.psql(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'shop_old'",
  )
  await busy
  assert.match(
    await refused(`--set=${label}`, '--to-database=shop_old', '--replace=shop'),
    /--replace names 'shop'/,
  )
  assert.equal(await cluster.psql('select count(*) from precious', 'shop_old'), '0')

  assert.match(await restored(...asked), /proved exact/)
  assert.equal(await cluster.psql('select count(*) from orders', 'shop_old'), '5000')
  assert.deepEqual(await databases(cluster), ['shop', 'shop_old'])
  await cluster.psql('drop database shop_old')
})

test('without --set the newest dump set that has the database is taken, and newer ones are told', async () => {
  const other = (await source.dump('--db-include=postgres')).label
  const ran = source.context(['--database=shop', '--to-database=shop4', '--plan', 'dump-restore'])
  assert.equal(await dumpRestore(ran.context), 0)

  assert.match(ran.output(), new RegExp(`dump set +${label} in repo1`))
  assert.match(
    ran.logText(),
    new RegExp(
      `WARN: dump set ${other} has no database 'shop', the newest that has it is ${label}`,
    ),
  )
  assert.match(
    await refused('--database=shoq'),
    new RegExp(`^\\[080\\] dump set ${other} has no database 'shoq'`),
  )
})

test('a restore whose name is taken meanwhile is not thrown away', async () => {
  const { cluster } = source
  const ran = source.context([`--set=${label}`, '--to-database=shop6', 'dump-restore'])
  const restoring = refusal(dumpRestore(ran.context))
  await until('it is being restored', async () => (await databases(cluster)).length === 2)
  await cluster.psql('create database shop6')

  const told = await restoring
  assert.match(
    told,
    /^\[057\] 'shop' is restored, could not be named 'shop6', and is kept as 'shop6\.pgsurety-.*already exists/,
  )
  assert.match(told, /HINT: Use it as it is: alter database/)
  assert.match(ran.output(), /proved exact/)
  const [, , kept = ''] = await databases(cluster)
  assert.equal(await cluster.psql('select count(*) from orders', kept), '5000')
  assert.match(await described(cluster, kept), /could not get its name/)
  for (const name of ['shop6', kept]) await cluster.psql(`drop database "${name}"`)
})

test('one table comes with all that is its own, and is proved', async () => {
  const output = await restored(
    `--set=${label}`,
    '--to-database=shop_part',
    '--table=public.orders',
  )

  assert.match(
    output,
    /fk constraint .* needs table 'S\.\*\.T"\?', which is not selected: left out/,
  )
  assert.match(output, /proved exact, .*: 1 of 1 tables exact, 1 sequences/)
  assert.doesNotMatch(output, /outside/)
  assert.equal(
    await source.cluster.psql(
      "select indexname from pg_indexes where tablename = 'orders' order by 1",
      'shop_part',
    ),
    'orders_n\norders_pkey',
  )
  await source.cluster.psql('drop database shop_part')
  assert.match(
    await refused(`--set=${label}`, '--to-database=x', '--table=public.order'),
    /not in the dump/,
  )
})

test('a database that could not be restored without errors keeps its working name, and what to do is said', async () => {
  const { cluster } = source
  await cluster.psql('create database badshop')
  await cluster.psql(
    `create table fine as select 1 as n; create table refers (n int);
     create function there(int) returns boolean language sql as 'select exists (select from refers where n = $1)';
     create table bad (n int check (there(n)));
     insert into refers values (1); insert into bad values (1)`,
    'badshop',
  )
  const bad = (await source.dump('--db-include=badshop')).label
  const ran = source.context(['--to-database=badshop2', 'dump-restore'])
  const told = await refusal(dumpRestore(ran.context))

  assert.match(
    told,
    /^\[102\] restore of 'badshop' had 1 error; it is kept as 'badshop2\.pgsurety-/,
  )
  assert.match(
    told,
    /HINT: Use it as it is: alter database "badshop2\.pgsurety-\w+" rename to "badshop2"; .*; grant connect, temporary on database "badshop2" to public;/,
  )
  assert.match(ran.output(), /COPY failed for table "bad"/)
  const kept = (await databases(cluster)).find((name) => name.startsWith('badshop2'))
  assert.equal(await cluster.psql('select count(*) from fine', kept), '1')
  assert.match(
    await described(cluster, kept ?? ''),
    /pgsurety: restore of 'badshop2' .* had errors/,
  )
  const proofs = await loadDumpProofs(await source.place(), bad)
  assert.deepEqual(
    proofs.map(({ verdict }) => verdict),
    ['had errors'],
  )
  const listed = source.context(['info'])
  await info(listed.context)
  assert.match(listed.output(), /restores recorded: 1, the last at .*: badshop, had errors$/m)
  const advised = source.context(['advise'])
  await advise(advised.context)
  assert.match(advised.output(), /^database 'badshop': .*\n(?: .*\n)+? {2}restore {2}none$/m)
  await cluster.psql(`drop database "${kept}"`)
  await cluster.psql('drop database badshop')
})

test('neither what a restore sets off itself nor a tablespace that is not there makes it differ', async () => {
  const { cluster } = source
  await cluster.psql('create database "event shop"')
  await cluster.psql("create tablespace fast location ''")
  await cluster.psql(
    `create table seen (tag text);
     create function see() returns event_trigger language plpgsql as 'begin insert into public.seen values (tg_tag); end';
     create event trigger sees on ddl_command_end execute function see();
     create table away (n int) tablespace fast;
     create materialized view counted as select count(*) from away;
     create materialized view again as select * from counted;
     create materialized view above as select * from again`,
    'event shop',
  )
  await source.dump('--db-include=event shop')
  const output = await restored(toNewer(), '--to-database=event shop 2')

  assert.match(output, /proved exact/)
  assert.match(await restored('--to-database=event shop 2', '--jobs=2'), /proved exact/)
  assert.match(output, /remark +what is in which tablespace is not compared: .* no 'fast'$/m)
  assert.equal(
    await newer.psql('create table more (); select count(*) from seen', 'event shop 2'),
    '5',
  )
  for (const [server, name] of [
    [newer, 'event shop 2'],
    [cluster, 'event shop 2'],
    [cluster, 'event shop'],
  ] as const)
    await server.psql(`drop database "${name}"`)
  await cluster.psql('drop tablespace fast')
})

/** Makes tables large enough for archives of their own: a parent, its child, a partition, and one with an odd name. */
const LARGE = `
insert into app.parent select n, repeat(md5(n::text), 40) from generate_series(1000, 2000) n;
insert into app.child select n, repeat(md5(n::text), 40) from generate_series(1000, 2000) n;
insert into app.events select '2020-01-01', n, to_jsonb(repeat(md5(n::text), 40)) from generate_series(1000, 2000) n;
insert into "Sch ema ""x"""."tab""le'; -- \\ *?%" select n, repeat(md5(n::text), 40) from generate_series(1000, 2000) n;
`

test('every kind of object comes back in the same and in a newer version, and is proved', async () => {
  const { cluster } = source
  await cluster.psql('create database "object shop"')
  await runAs([join(cluster.bin, 'psql'), '-qX', '-v', 'ON_ERROR_STOP=1', '-f', '-'], {
    env: { ...serverEnv(cluster), PGDATABASE: 'object shop' },
    input: everyObjectSql('15') + LARGE,
  })
  const { databases: dumped } = await source.dump('--db-include=object shop', '--jobs=3')
  assert.deepEqual(
    dumped[0]?.archives.map(({ part }) => part),
    ['data', 'data', 'data', 'data', 'schema'],
  )

  const verifying = source.context(['dump-verify'])
  assert.equal(await dumpVerify(verifying.context), 0, verifying.output())

  const same = await restored('--to-database=object shop 2', '--jobs=3')
  assert.match(same, /proved exact/)
  const ran = source.context([toNewer(), '--globals', 'dump-restore'])
  assert.equal(await dumpRestore(ran.context), 0, ran.output())
  assert.match(ran.output(), /proved exact/)
  for (const name of ['object shop', 'object shop 2']) {
    await cluster.psql('alter subscription from_afar disable', name)
    await cluster.psql('alter subscription from_afar set (slot_name = none)', name)
    await cluster.psql('drop subscription from_afar', name)
    await cluster.psql(`drop database "${name}"`)
  }
})

test('all databases of an encrypted repository come back under their own names', async () => {
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: source.folder,
    PGSURETY_REPO1_PATH: `${source.folder}/sealed`,
    PGSURETY_REPO1_CIPHER_TYPE: 'aes-256-cbc',
    PGSURETY_REPO1_CIPHER_PASS: 'a passphrase',
  }
  const common = [`--config=${source.folder}/sealed.conf`, '--stanza=demo']
  await mkdir(`${source.folder}/sealed`)
  await writeAs(
    `${source.folder}/sealed.conf`,
    (await readFile(source.config, 'utf8')).replace(/^repo1-path=.*\n/m, ''),
  )
  await source.cluster.psql('create database "odd shop: \\ \' ;"')
  await source.cluster.psql('create table odd as select 1 as n', "odd shop: \\ ' ;")
  const made = testContext({ argv: [...common, '--db-include=*shop*', 'dump'], env })
  assert.equal(await dump(made.context), 0)
  await newer.psql('drop database if exists shop')
  const ran = testContext({
    argv: [...common, toNewer(), '--all', '--globals', '--output=json', 'dump-restore'],
    env,
  })
  await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )

  const verdicts = [...ran.output().matchAll(/"proof":\{"verdict":"([^"]+)"/g)].map(
    ([, verdict]) => verdict,
  )
  assert.deepEqual(
    verdicts,
    (await databases(source.cluster)).map(() => 'proved'),
  )
  assert.equal(await newer.psql('select n from odd', "odd shop: \\ ' ;"), '1')
})

test('each restore is noted beside the set: whether it was proved, and how long it took', async () => {
  const proofs = await loadDumpProofs(await source.place(), label)

  assert(proofs.some(({ verdict, extent }) => verdict === 'proved' && extent === 'whole'))
  assert(proofs.some(({ verdict, extent }) => verdict === 'proved' && extent === 'selection'))
  assert(proofs.some(({ verdict, extent }) => verdict === 'differs' && extent === 'comparison'))
})

test('advise says what was measured of each database, and what follows from it', async () => {
  const ran = source.context(['advise'])
  assert.equal(await advise(ran.context), 0)

  assert.match(
    ran.output(),
    /^database 'postgres': dumps\n(?: .*\n)+? {2}because {2}no restore was measured/m,
  )
  assert.match(
    ran.output(),
    new RegExp(
      `^database 'shop': dumps\\n(?: .*\\n)+? {2}because {2}a restore of dump set ${label} took `,
      'm',
    ),
  )
  assert.match(
    ran.output(),
    /^ {2}changes {2}not measured: pg_stat_database since \S.*: less than an hour\n {2}WAL {6}not measured: pg_stat_wal since/m,
  )
  assert.match(ran.output(), /^ {2}jobs {5}1 for a dump: \S/m)
  await source.cluster.psql('create role stranger login')
  const stranger = source.context(['--pg1-user=stranger', 'advise'])
  assert.equal(await advise(stranger.context), 0)
  assert.match(stranger.logText(), /WARN: no advice on 'shop'.*: this user may not ask/)
  const asked = source.context(['--rpo=1s', '--output=json', 'advise'])
  assert.equal(await advise(asked.context), 0)
  assert.match(asked.output(), /"name":"shop",.*"use":"(?:both|dump)"/)
})
