/** Databases of odd shapes: names that break careless quoting, many tables, many and large objects, large values. */
import assert from 'node:assert/strict'
import { chown, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { PEAK_MIB_MAX, peakMib } from '../harness/peak-memory.ts'
import { postgresBin } from '../harness/peers.ts'
import { unprivileged } from '../harness/run.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

const isFull = process.env['PGSURETY_TEST_FULL'] === '1'
/** pg_dump writes a hole as zeros. */
const HOLE_BYTES = isFull ? 300_000_000 : 3_000_000
const LONGEST = `é${'x'.repeat(61)}`
const ALL_NAMES = [
  ' a "b\' ',
  '-x --file=y',
  'a\nb\tc',
  'ü€😀',
  'dbname=postgres host=nowhere',
  'postgresql://nowhere:1/x',
  '$(id) `id` %s \\ \\. ;',
  '*.?|[a]',
  LONGEST,
]
const NAMES = isFull ? ALL_NAMES : ALL_NAMES.filter((_name, index) => index % 2 === 0)

let source: DumpedCluster
let newest: Cluster

before(async () => {
  source = await startDumpedCluster({ lines: [`pg-client-path=${await postgresBin('18')}`] })
  newest = await startCluster({ version: '18' })
})

after(async () => {
  await newest[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

function toNewest(): string {
  return `--to-conninfo=host=${newest.socketDir} port=${newest.port} user=postgres`
}

async function restored(...argv: readonly string[]): Promise<string> {
  const ran = source.context([toNewest(), ...argv, 'dump-restore'])
  const code = await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )
  assert.equal(code, 0)
  return ran.output()
}

/** Runs as processes of their own, whose memory is measured: dump, and restore with its proof. */
async function throughProcesses(
  context: TestContext,
  database: string,
  ...argv: readonly string[]
): Promise<void> {
  await chown(source.repoPath, unprivileged.uid, unprivileged.gid)
  await rm(join(source.folder, 'lock'), { recursive: true, force: true })
  await rm(join(source.repoPath, 'dump'), { recursive: true, force: true })
  const common = [`--config=${source.config}`, '--stanza=demo', ...argv]
  for (const each of [
    [`--db-include=${database}`, 'dump'],
    [toNewest(), `--database=${database}`, 'dump-restore'],
  ]) {
    const started = performance.now()
    const mib = await peakMib([...common, ...each])
    const seconds = (performance.now() - started) / 1000
    context.diagnostic(`${each.at(-1)}: ${seconds.toFixed(1)} s, ${mib.toFixed(0)} MiB at most`)
    assert(mib < PEAK_MIB_MAX, `${mib.toFixed(0)} MiB`)
  }
  await rm(join(source.repoPath, 'dump'), { recursive: true })
  await rm(join(source.folder, 'lock'), { recursive: true, force: true })
}

/** What must not change the name of any object: the database, and all in it, are named `name`. */
async function makeNamed(name: string): Promise<void> {
  const { cluster } = source
  const id = `"${name.replaceAll('"', '""')}"`
  const text = `$named$${name}$named$`
  await cluster.psql(`create role ${id}`)
  await cluster.psql(`create database ${id} owner ${id}`)
  await cluster.psql(
    `create schema ${id} authorization ${id};
     create type ${id}.${id} as enum (${text});
     create sequence ${id}."seq ${NAMES.indexOf(name)}";
     set search_path = ${id};
     create table "t ${NAMES.indexOf(name)}" (${id} text primary key, e ${id}.${id} default ${text}, n serial, constraint c check (${id} <> 'x'));
     create table public.${id} (${id} text collate "C" references "t ${NAMES.indexOf(name)}", primary key (${id}));
     insert into "t ${NAMES.indexOf(name)}" values (${text}), ('y');
     insert into public.${id} values (${text});
     create function ${id}(${id} text) returns text language sql as $body$select ${id} || ${text}$body$;
     create view ${id}."view" as select ${id} from public.${id};
     create index "index ${NAMES.indexOf(name)}" on public.${id} (lower(${id}));
     create policy ${id} on public.${id} to ${id} using (${id} = ${text});
     alter table public.${id} enable row level security;
     grant select on public.${id} to ${id};
     comment on table public.${id} is ${text};
     alter database ${id} set search_path to ${id}, public`,
    name,
  )
}

test('objects of any name come back under it and are proved, whatever the name of their database', async () => {
  for (const name of NAMES) await makeNamed(name)
  await source.dump('--jobs=2')
  const output = await restored('--all', '--globals')

  assert.equal(output.match(/proved exact/g)?.length, NAMES.length)
  for (const name of NAMES) {
    const id = `"${name.replaceAll('"', '""')}"`
    assert.equal(await newest.psql(`select ${id} is not null from public.${id}`, name), 't')
    await source.cluster.psql(`drop database ${id}`)
    await newest.psql(`drop database ${id}`)
  }
})

test('a database of many tables is dumped, restored and proved in bounded memory', async (context) => {
  await source.cluster.psql('create database "many tables"')
  await source.cluster.psql('alter system set max_locks_per_transaction = 512')
  await newest.psql('alter system set max_locks_per_transaction = 512')
  for (const cluster of [source.cluster, newest]) {
    await cluster.stop()
    await cluster.start()
  }
  await source.cluster.psql(
    `do $$ begin
       for n in 1 .. ${isFull ? 5000 : 200} loop
         execute format('create table %I (id serial primary key, t text, other int, check (other > 0))', 'table ' || n);
         execute format('create index on %I (t)', 'table ' || n);
         execute format('insert into %I (t, other) select n, n from generate_series(1, 10) n', 'table ' || n);
       end loop;
     end $$`,
    'many tables',
  )
  await throughProcesses(context, 'many tables', '--jobs=2')
  assert.equal(
    await newest.psql(
      "select count(*) from pg_class where relname like 'table%' and relkind = 'r'",
      'many tables',
    ),
    isFull ? '5000' : '200',
  )
})

test('large objects, many, large and with holes, are dumped, restored and proved in bounded memory', async (context) => {
  const { cluster } = source
  await cluster.psql('create database objects')
  await cluster.psql(
    `create role lo_reader;
     select count(lo_from_bytea(0, convert_to('object ' || n, 'UTF8'))) from generate_series(1, ${isFull ? 10_000 : 500}) n;
     select lo_from_bytea(4711, '');
     select lo_put(4711, n * 1000000::bigint, decode(repeat(md5(n::text), 31250), 'hex')) from generate_series(0, ${isFull ? 199 : 5}) n;
     select lo_from_bytea(4712, 'begin');
     select lo_put(4712, ${HOLE_BYTES}, 'end');
     select lo_create(4713);
     grant select on large object 4712 to lo_reader;
     comment on large object 4711 is 'the large one'`,
    'objects',
  )
  await newest.psql('create role lo_reader')
  await throughProcesses(context, 'objects')
  assert.equal(
    await newest.psql(`select convert_from(lo_get(4712, ${HOLE_BYTES}, 3), 'UTF8')`, 'objects'),
    'end',
  )
})

test('large values are dumped, restored and proved in bounded memory', async (context) => {
  await source.cluster.psql('create database "large values"')
  // What does not compress, made from 1 MB that is not the same twice.
  await source.cluster.psql(
    `create table piece as select string_agg(sha512(n::text::bytea), '' order by n) as data from generate_series(1, 16000) n;
     create table many (n int, data bytea);
     alter table many alter data set storage external;
     insert into many select n, sha512(n::text::bytea) || data from piece, generate_series(1, ${isFull ? 500 : 8}) n;
     create table one (data bytea);
     alter table one alter data set storage external;
     insert into one select string_agg(data, '') from (select data from many limit ${isFull ? 490 : 8}) each;
     insert into one values (''), (null), ('\\x00')`,
    'large values',
  )
  const total = await source.cluster.psql(
    'select max(octet_length(data)), (select sum(octet_length(data)) from many) from one',
    'large values',
  )
  context.diagnostic(`largest value and all others: ${total} bytes`)
  await throughProcesses(context, 'large values')
})

test('databases of other locale providers keep them, and are proved', async () => {
  const places = { from: source.cluster, to: newest }
  await places.from.psql(
    `create database icu template template0 locale_provider icu icu_locale 'de-u-kn' locale 'C'`,
  )
  const words = `create table word (w text primary key, c text collate "und-x-icu", n int generated always as (length(w)) stored);
     create index on word (lower(w)); create extension hstore; create extension citext;
     insert into word (w, c) select x || n, x from unnest(array['a', 'Ä', 'z', 'ß', 'É']) x, generate_series(1, 20) n;`
  await places.from.psql(words, 'icu')
  await source.dump('--db-include=icu')
  await restored('--database=icu')
  assert.equal(
    await newest.psql("select datlocprovider, datlocale from pg_database where datname = 'icu'"),
    'i|de-u-kn',
  )

  await newest.psql(
    `create database builtin template template0 locale_provider builtin builtin_locale 'PG_UNICODE_FAST' locale 'C'`,
  )
  await newest.psql(words, 'builtin')
  await source.dump(
    `--pg1-conninfo=host=${newest.socketDir} port=${newest.port} user=postgres`,
    '--db-include=builtin',
  )
  await restored('--database=builtin', '--to-database=builtin 2')
  assert.equal(
    await newest.psql(
      "select datlocprovider, datlocale from pg_database where datname = 'builtin 2'",
    ),
    'b|PG_UNICODE_FAST',
  )
})
