/** Tables that are emptied, made or wanted by somebody else while a dump takes its snapshot and its locks. */
import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import { Client } from 'pg'
import { AppError } from '../../src/base/error.ts'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { until } from './archived-cluster.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

let source: DumpedCluster
let clients: Client[] = []

before(async () => {
  source = await startDumpedCluster()
  await source.cluster.psql('create database busy')
  await source.cluster.psql(
    `create table first (n int); insert into first values (1);
     create table last (n int); insert into last values (1);
     create table emptied (n int); insert into emptied select generate_series(1, 1000);
     create table moved (n int)`,
    'busy',
  )
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

afterEach(async () => {
  for (const client of clients) await client.end()
  clients = []
})

/** A session in a transaction. */
async function transaction(sql: string): Promise<Client> {
  const { socketDir: host, port, user } = source.cluster
  const client = new Client({ host, port, user, database: 'busy' })
  clients.push(client)
  await client.connect()
  await client.query(`begin; ${sql}`)
  return client
}

async function untilWaitingFor(table: string, who: string): Promise<void> {
  await until(`'${who}' waits for ${table}`, async () => {
    const waiting = await source.cluster.psql(
      `select count(*) from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and l.relation = '${table}'::regclass and a.application_name ~ '${who}'`,
      'busy',
    )
    return waiting !== '0'
  })
}

interface Dumping {
  readonly done: Promise<unknown>
  readonly log: () => string
}

function dumping(...argv: readonly string[]): Dumping {
  const ran = source.context(['--db-include=busy', ...argv, 'dump'])
  return { done: dump(ran.context), log: () => ran.logText() }
}

/** What the newest set gives back, which must be proved. */
async function restored(query: string): Promise<string> {
  const ran = source.context(['--to-database=busy2', 'dump-restore'])
  await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )
  assert.match(ran.output(), /proved exact/)
  const found = await source.cluster.psql(query, 'busy2')
  await source.cluster.psql('drop database busy2')
  return found
}

/** Rows move from one table to the other in one transaction: a dump has them in either. */
const MOVED = 'select (select count(*) from emptied), (select count(*) from moved)'

test('of a table that is being emptied the dump has what was before or what came after, and never less', async () => {
  const mover = await transaction('insert into moved select * from emptied; truncate emptied')
  const { done, log } = dumping()
  await untilWaitingFor('emptied', 'pgsurety')
  await mover.query('commit')
  await done

  assert.equal(await restored(MOVED), '0|1000')
  assert.doesNotMatch(log(), /begun again/)
})

test('a table that is made and emptied before it can be locked makes the dump begin again', async () => {
  const holder = await transaction('lock table first in access exclusive mode')
  const { done, log } = dumping('--jobs=2')
  await untilWaitingFor('first', 'pgsurety')
  await source.cluster.psql('create table late as select generate_series(1, 1000) as n', 'busy')
  const mover = await transaction('insert into moved select * from late; truncate late')
  await holder.query('commit')
  await untilWaitingFor('late', 'pgsurety')
  await mover.query('commit')
  await done

  assert.match(log(), /WARN: database 'busy' is begun again: public\.late was emptied or rewritten/)
  assert.equal(await restored('select (select count(*) from late), count(*) from moved'), '0|2000')
})

test('a table that is dropped before it can be locked makes the dump begin again', async () => {
  await source.cluster.psql('create table dropped ()', 'busy')
  const dropper = await transaction('drop table dropped')
  const { done, log } = dumping()
  await untilWaitingFor('dropped', 'pgsurety')
  await dropper.query('commit')
  await done

  assert.match(log(), /begun again: a table was dropped/)
})

test('who waits for a table of the dump, and would be waited for by pg_dump, gets it first', {
  skip: process.env['PGSURETY_TEST_FULL'] !== '1' && 'takes the time that pg_dump waits',
}, async () => {
  // Has an archive of its own at the first try, and none at the second.
  await source.cluster.psql('create table large as select generate_series(1, 100000)', 'busy')
  const holder = await transaction('lock table last in access exclusive mode')
  const { done, log } = dumping('--jobs=2')
  await untilWaitingFor('last', 'pgsurety')
  const wanting = await transaction("set application_name = 'wanting'")
  const wanted = wanting.query(
    'lock table first in access exclusive mode; truncate first, large; commit',
  )
  await untilWaitingFor('first', 'wanting')
  await holder.query('commit')
  await wanted
  await done

  assert.match(log(), /begun again: somebody waits for a table/)
  const verifying = source.context(['dump-verify'])
  assert.equal(await dumpVerify(verifying.context), 0, verifying.output())
  assert.equal(await restored('select count(*) from first'), '0')
})

test('a restore that is told to stop while the server makes its database takes it away again', async () => {
  const holder = await transaction('lock table pg_database in share mode')
  const controller = new AbortController()
  const asked = ['--to-database=stopped', 'dump-restore']
  const ran = source.context(asked, { signal: controller.signal })
  const restoring = dumpRestore(ran.context).catch((error: unknown) => String(error))
  await untilWaitingFor('pg_database', 'pgsurety')
  controller.abort(new AppError('term', 'stopped by SIGTERM'))
  await until('the restore waits until its database is there', async () => {
    const waiting = await source.cluster.psql(
      `select count(*) from pg_locks where not granted and locktype = 'advisory'`,
    )
    return waiting !== '0'
  })
  await holder.query('commit')

  assert.match(String(await restoring), /stopped by SIGTERM/)
  assert.equal(
    await source.cluster.psql(`select count(*) from pg_database where datname ~ '^stopped'`),
    '0',
  )
})
