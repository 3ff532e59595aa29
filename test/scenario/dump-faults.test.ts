/**
 * A dump that is stopped, killed, left by its server in the middle or has no room: it is not listed, nothing goes on, and each set
 * that is listed restores.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { AppError } from '../../src/base/error.ts'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { launcher, runAs, spawnAs, unprivileged } from '../harness/run.ts'
import { refusal, until } from './archived-cluster.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

const PASSWORD = 'hunter2-4711'
const runFile = promisify(execFile)
const NO_MOUNT = process.getuid?.() === 0 ? false : 'only root can mount a small file system'

let source: DumpedCluster
/** Labels of the sets that exist, oldest first. */
const whole: string[] = []
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

/** To processes of the unprivileged user what this one has made. */
async function handOver(): Promise<void> {
  await runFile('chown', ['-R', `${unprivileged.uid}:${unprivileged.gid}`, source.repoPath])
  await rm(join(source.folder, 'lock'), { recursive: true, force: true })
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
  assert.deepEqual(await source.labels(), whole)
  await until('no session is left', async () => (await ours()) === '0')
  whole.push((await source.dump('--repo1-retention-dump=100')).label)
  const verifying = source.context(['dump-verify'])
  assert.equal(await dumpVerify(verifying.context), 0, verifying.output())
  assert.deepEqual(folders(), whole)
}

/** Of sets, also of those that are not whole. */
function folders(): readonly string[] {
  return globSync('*L', { cwd: join(source.repoPath, 'dump/demo') }).toSorted()
}

/** Each set that is listed, proved. */
async function assertRestores(
  labels: readonly string[],
  ...argv: readonly string[]
): Promise<void> {
  for (const label of labels) {
    const asked = [...argv, `--set=${label}`, '--to-database=again', 'dump-restore']
    const ran = source.context(asked)
    await dumpRestore(ran.context).catch((error: unknown) =>
      assert.fail(`${String(error)}\n${ran.output()}`),
    )
    assert.match(ran.output(), /proved exact/)
    await source.cluster.psql('drop database again')
  }
}

test('a dump that is told to stop ends its programs and leaves nothing', async () => {
  await block()
  const controller = new AbortController()
  const { context } = source.context(['dump'], { signal: controller.signal })
  const running = refusal(dump(context))
  await untilWaiting()
  controller.abort(new AppError('term', 'stopped by SIGTERM'))

  assert.match(await running, /^\[063\] stopped by SIGTERM/)
  assert.deepEqual(folders(), whole)
  await assertRecovered()
})

test('a dump whose server goes away or is killed in the middle leaves nothing', async () => {
  const { cluster } = source
  const kill = async (): Promise<void> => {
    const [pid] = (await readFile(join(cluster.dataDir, 'postmaster.pid'), 'utf8')).split('\n')
    process.kill(Number(pid), 'SIGKILL')
  }
  for (const end of [async () => await cluster.stop('immediate'), kill]) {
    await block()
    const running = refusal(dump(source.context(['dump']).context))
    await untilWaiting()
    await end()

    assert.match(await running, /^\[(?:056|102)\] [^]*(?:server closed|terminat|connection|lost)/)
    assert.deepEqual(folders(), whole)
    // Not before the last process of the one that was killed has seen it.
    await until('it starts again', async () => {
      return await cluster.start().then(
        () => true,
        () => false,
      )
    })
    await assertRecovered()
  }
})

test('a dump that is killed is not listed, and the next one removes what it left', async () => {
  await block()
  const config = [`--config=${source.config}`, '--stanza=demo']
  await handOver()
  const child = spawnAs([launcher(), ...config, 'dump'])
  await untilWaiting()
  child.kill('SIGKILL')
  await once(child, 'close')

  assert.equal(folders().length, whole.length + 1)
  await assertRecovered()
})

test('a file that may not grow ends a dump, which leaves nothing', async () => {
  await handOver()
  const options = [`--config=${source.config}`, '--stanza=demo', '--compress-type=none']
  const limited = ['bash', '-c', 'ulimit -f 1000; exec "$@"', 'bash', launcher()]
  const ran = await runAs([...limited, ...options, 'dump'], { allowFailure: 'allow' })

  assert.equal(ran.code, 64, ran.stderr)
  assert.deepEqual(folders(), whole)
  await assertRecovered()
})

test('a disk that is full ends a dump, which leaves nothing; what was there restores', {
  skip: NO_MOUNT,
}, async () => {
  const small = join(source.folder, 'small')
  await mkdir(small)
  await runFile('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small])
  try {
    const inSmall = `--repo1-path=${small}`
    assert.equal(await dump(source.context([inSmall, 'dump']).context), 0)
    const made = globSync('dump/demo/*L', { cwd: small })
    const more = source.context([inSmall, '--compress-type=none', 'dump'])

    assert.match(await refusal(dump(more.context)), /^\[064\] [^]*no space left on device/)
    assert.deepEqual(globSync('dump/demo/*L', { cwd: small }), made)
    await assertRestores(
      made.map((path) => basename(path)),
      inSmall,
    )
  } finally {
    await runFile('umount', [small])
  }
})

test('each set that is listed after all that restores', async () => {
  assert.deepEqual(await source.labels(), whole)
  await assertRestores(whole)
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
