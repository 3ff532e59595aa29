/** Databases on their way through major versions, dumped while they are written to: each step proved, each damage found. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { postgresBin } from '../harness/peers.ts'
import { realDataSql } from '../harness/real-data.ts'
import { runAs, writeAs } from '../harness/run.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

const isFull = process.env['PGSURETY_TEST_FULL'] === '1'
const ROUNDS = isFull ? 20 : 2

let source: DumpedCluster
let middle: Cluster
let newest: Cluster

before(async () => {
  source = await startDumpedCluster({ lines: [`pg-client-path=${await postgresBin('18')}`] })
  middle = await startCluster({ version: '17' })
  newest = await startCluster({ version: '18' })
})

after(async () => {
  await newest[Symbol.asyncDispose]()
  await middle[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

function conninfo({ socketDir, port }: Cluster): string {
  return `host=${socketDir} port=${port} user=postgres`
}

/** Its label. */
async function dumped(from: Cluster, ...argv: readonly string[]): Promise<string> {
  const ran = source.context([`--pg1-conninfo=${conninfo(from)}`, ...argv, 'dump'])
  assert.equal(await dump(ran.context), 0, ran.output())
  return (await source.labels()).at(-1) ?? ''
}

/** What is printed; it must be proved. */
async function proved(to: Cluster, label: string, ...argv: readonly string[]): Promise<string> {
  const all = [`--to-conninfo=${conninfo(to)}`, `--set=${label}`, ...argv, 'dump-restore']
  const ran = source.context(all)
  const code = await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )
  assert.equal(code, 0)
  assert.match(ran.output(), /proved exact/)
  return ran.output()
}

/** Rows that change, that come by sequences, that vanish with their table's file, and large objects. */
const WRITES = [
  `\\set id random(1, 100000)
insert into orders (note) values ('order ' || :id);
delete from orders where id = (select min(id) from orders);
`,
  `begin;
truncate emptied;
insert into emptied select n, md5(random()::text) from generate_series(1, 200) n;
commit;
`,
  `select lo_from_bytea(0, convert_to('large ' || random(), 'UTF8'));
select nextval('apart') from generate_series(1, 10);
`,
]

/** Makes database `bench` and the scripts that write to it; pgbench's arguments. */
async function makeBench(): Promise<readonly string[]> {
  const { cluster, folder } = source
  await cluster.psql('create database bench')
  await cluster.pgbench(['-i', '-q', '-s', '1', 'bench'])
  await cluster.psql(
    `create table orders (id bigserial primary key, note text);
     insert into orders (note) select 'first' from generate_series(1, 1000);
     create table emptied (n int, t text);
     create sequence apart`,
    'bench',
  )
  const files: string[] = []
  for (const [index, script] of WRITES.entries()) {
    const file = join(folder, `write-${index}.sql`)
    await writeAs(file, script)
    files.push(`--file=${file}`)
  }
  return ['-n', '-c', '3', '--builtin=tpcb-like@3', ...files, 'bench']
}

test('what is written to is dumped as it was at one moment, and is proved on its way from 15 to 15, 17 and 18', async (context) => {
  const writes = await makeBench()
  for (let round = 0; round < ROUNDS; round += 1) {
    const writing = source.cluster.pgbench(['-T', '2', ...writes])
    await setTimeout(300)
    const label = await dumped(source.cluster, '--db-include=bench', `--jobs=${1 + (round % 2)}`)
    await proved(source.cluster, label, '--to-database=bench copy')
    await writing
    await proved(middle, label)
    const again = await dumped(middle, '--db-include=bench')
    await proved(newest, again)
    await source.cluster.psql('drop database "bench copy"')
    await middle.psql('drop database bench')
    await newest.psql('drop database bench')
    context.diagnostic(`round ${round + 1} done`)
  }
  await source.cluster.psql('drop database bench')
})

/** A change to the restored database, how to take it back, and all that must be said of it. */
const DAMAGES: readonly (readonly [
  change: string,
  back: string,
  ...findings: readonly string[],
])[] = [
  [
    `update deb.package set installed_kb = installed_kb + 1 where name = 'bash'`,
    `update deb.package set installed_kb = installed_kb - 1 where name = 'bash'`,
    'differs: table deb.package',
  ],
  [
    `create table gone as select * from tz.zone where name = 'Europe/Berlin'; delete from tz.zone where name = 'Europe/Berlin'`,
    'insert into tz.zone select * from gone; drop table gone',
    'differs: table tz.zone',
    'extra: table public.gone',
  ],
  [
    'insert into deb.file select * from deb.file_usr_share limit 1',
    'delete from deb.file_usr_share where ctid in (select max(ctid) from deb.file_usr_share group by path, package having count(*) > 1)',
    'differs: table deb.file_usr_share',
  ],
  [
    `select setval('deb.need_id_seq', last_value + 1) from deb.need_id_seq`,
    `select setval('deb.need_id_seq', last_value - 1) from deb.need_id_seq`,
    'differs: sequence deb.need_id_seq',
  ],
  [
    'drop index deb.words',
    'create index words on deb.package using gin (words)',
    'missing: index deb.words',
  ],
  [
    'drop policy licensed on npm.entry',
    'create policy licensed on npm.entry for select to data_reader using (license is not null)',
    'missing: policy npm.entry.licensed',
  ],
  [
    'revoke select on deb.package from data_reader',
    'grant select on deb.package to data_reader',
    'missing: grant table deb.package to data_reader: SELECT',
  ],
]

interface Found {
  readonly name: string
  readonly kind?: string
  readonly result: string
}

/** All that `--prove-only` says is not as it was dumped. */
async function findings(to: Cluster, label: string, database: string): Promise<readonly string[]> {
  const argv = [`--to-conninfo=${conninfo(to)}`, `--set=${label}`, `--database=${database}`]
  const ran = source.context([...argv, '--prove-only', '--output=json', 'dump-restore'])
  const ended = await dumpRestore(ran.context).then(String, String)
  const { databases } = JSON.parse(ran.output())
  const { tables, sequences, largeObjects, facts } = databases[0].proof.comparison
  const found = [
    ...tables.map((each: Found) => Object.assign(each, { kind: 'table' })),
    ...sequences.map((each: Found) => Object.assign(each, { kind: 'sequence' })),
    { ...largeObjects, kind: 'large', name: 'objects' },
    ...facts,
  ].filter(({ result }: Found) => result !== 'exact')
  assert.match(
    ended,
    found.length === 0 ? /^0$/ : /^AppError: database 'real' differs from what was dumped/,
  )
  return found.map(({ result, kind, name }: Found) => `${result}: ${kind} ${name}`)
}

test('real data and their schemas come from 15 to 18 and are proved; what then changes is found and named', async () => {
  const { cluster, bin } = source
  await cluster.psql('create database real')
  await cluster.psql('create role data_reader')
  await runAs([join(bin, 'psql'), '-qX', '-v', 'ON_ERROR_STOP=1', '-f', '-', 'real'], {
    env: { PGHOST: cluster.socketDir, PGPORT: String(cluster.port), PGUSER: cluster.user },
    input: realDataSql(isFull ? 'large' : 'small'),
  })
  const label = await dumped(cluster, '--db-include=real', '--jobs=2')
  await proved(newest, label, '--globals', '--jobs=2')

  for (const [change, back, ...expected] of DAMAGES) {
    await newest.psql(change, 'real')
    const found = await findings(newest, label, 'real')
    assert.deepEqual(
      expected.filter((finding) => !found.includes(finding)),
      [],
      `${change}: ${found.join('; ')}`,
    )
    await newest.psql(back, 'real')
    assert.deepEqual(await findings(newest, label, 'real'), [], back)
  }
})
