/** A dump that is stopped, killed or left by its server in the middle: nothing is listed, and nothing goes on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { appendFile, chown, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { Client } from 'pg'
import { AppError } from '../../src/base/error.ts'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { launcher, runAs, spawnAs, unprivileged } from '../harness/run.ts'
import { refusal, until } from './archived-cluster.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

const PASSWORD = 'hunter2-4711'

let source: DumpedCluster
/** Holds a catalog that pg_dump reads after it has locked all tables: so every dump is in its middle until this ends. */
let blocker: Client | undefined

before(async () => {
  source = await startDumpedCluster()
  await source.cluster.psql(
    `create table big as select n, repeat('x', 300) from generate_series(1, 20000) n`,
  )
})
after(async () => {
  await source[Symbol.asyncDispose]()
})
afterEach(async () => {
  await unblock()
})

async function block(): Promise<void> {
  const { socketDir: host, port, user } = source.cluster
  blocker = new Client({ host, port, user, database: 'postgres' })
  blocker.on('error', () => undefined)
  await blocker.connect()
  await blocker.query('begin; lock table pg_catalog.pg_publication_rel in access exclusive mode')
}

async function unblock(): Promise<void> {
  await blocker?.end().catch(() => undefined)
  blocker = undefined
}

async function ours(): Promise<string> {
  return await source.cluster.psql(
    `select count(*) from pg_stat_activity where application_name like 'pgsurety%'`,
  )
}

async function untilWaiting(): Promise<void> {
  await until('pg_dump waits for the lock', async () => {
    const waiting = await source.cluster.psql(
      `select count(*) from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and a.application_name like 'pgsurety%'`,
    )
    return waiting !== '0'
  })
}

/** After whatever happened: no set, no session, and the next dump is whole. */
async function assertRecovered(): Promise<void> {
  await unblock()
  assert.deepEqual(await source.labels(), [])
  await until('no session is left', async () => (await ours()) === '0')
  const { label } = await source.dump('--repo1-retention-dump=1')
  const verifying = source.context(['dump-verify'])
  assert.equal(await dumpVerify(verifying.context), 0, verifying.output())
  const sets = globSync('*L', { cwd: join(source.repoPath, 'dump/demo') })
  assert.deepEqual(sets, [label])
  await rm(join(source.repoPath, 'dump'), { recursive: true })
}

test('a dump that is told to stop ends its programs and leaves nothing', async () => {
  await block()
  const controller = new AbortController()
  const { context } = source.context(['dump'], { signal: controller.signal })
  const running = refusal(dump(context))
  await untilWaiting()
  controller.abort(new AppError('term', 'stopped by SIGTERM'))

  assert.match(await running, /^\[063\] stopped by SIGTERM/)
  assert.deepEqual(globSync('dump/demo/*L', { cwd: source.repoPath }), [])
  await assertRecovered()
})

test('a dump whose server goes away in the middle leaves nothing', async () => {
  await block()
  const running = refusal(dump(source.context(['dump']).context))
  await untilWaiting()
  await source.cluster.stop('immediate')

  assert.match(await running, /^\[(?:056|102)\] [^]*(?:server closed|terminat|connection|lost)/)
  assert.deepEqual(globSync('dump/demo/*L', { cwd: source.repoPath }), [])
  await source.cluster.start()
  await assertRecovered()
})

test('a dump that is killed is not listed, and the next one removes what it left', async () => {
  await block()
  const config = [`--config=${source.config}`, '--stanza=demo']
  await chown(source.repoPath, unprivileged.uid, unprivileged.gid)
  await rm(join(source.folder, 'lock'), { recursive: true, force: true })
  const child = spawnAs([launcher(), ...config, 'dump'])
  await untilWaiting()
  child.kill('SIGKILL')
  await once(child, 'close')

  assert.notDeepEqual(globSync('dump/demo/*L', { cwd: source.repoPath }), [])
  await assertRecovered()
})

test('a disk that is full ends a dump, which leaves nothing', async () => {
  await chown(source.repoPath, unprivileged.uid, unprivileged.gid)
  await rm(join(source.folder, 'lock'), { recursive: true, force: true })
  const options = [`--config=${source.config}`, '--stanza=demo', '--compress-type=none']
  const limited = ['bash', '-c', 'ulimit -f 1000; exec "$@"', 'bash', launcher()]
  const ran = await runAs([...limited, ...options, 'dump'], { allowFailure: 'allow' })

  assert.equal(ran.code, 64, ran.stderr)
  assert.deepEqual(globSync('dump/demo/*L', { cwd: source.repoPath }), [])
  await assertRecovered()
})

test('the password file is used, and no argument and no file of the repository shows a password', async () => {
  const { cluster, folder } = source
  await cluster.psql(`create role app superuser login password '${PASSWORD}'`)
  const hba = join(cluster.dataDir, 'pg_hba.conf')
  await writeFile(hba, `local all app scram-sha-256\n${await readFile(hba, 'utf8')}`)
  await cluster.psql('select pg_reload_conf()')
  const passfile = join(folder, 'pass file')
  await appendFile(passfile, `*:*:*:app:${PASSWORD}\n`, { mode: 0o600 })
  const conninfo = `host=${cluster.socketDir} port=${cluster.port} user=app passfile='${passfile}'`
  await block()
  const { context } = source.context([`--pg1-conninfo=${conninfo}`, 'dump'])
  const running = dump(context)
  await untilWaiting()
  const commands = globSync('/proc/[0-9]*/cmdline')
  const lines = await Promise.all(
    commands.map(async (path) => await readFile(path, 'utf8').catch(() => '')),
  )
  await unblock()
  assert.equal(await running, 0)
  assert(lines.some((line) => line.includes('--snapshot=')))
  assert.deepEqual(
    lines.filter((line) => line.includes(PASSWORD)),
    [],
  )
  const wrong = source.context([`--pg1-conninfo=${conninfo.replace('pass file', 'none')}`, 'dump'])
  assert.match(await refusal(dump(wrong.context)), /^\[056\] [^]*password/)
})
