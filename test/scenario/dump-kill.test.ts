/**
 * Dumps and restores that are killed at any moment, of a server that wants a password and into an encrypted repository: what is
 * listed restores, nothing is left at work, and nobody else sees a secret or a row.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { globSync } from 'node:fs'
import { chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { pgsurety, pgsuretyCommand, spawnAs, unprivileged, writeAs } from '../harness/run.ts'
import { until } from './archived-cluster.ts'
import { type DumpedCluster, ENCRYPTED, PASSPHRASE, startDumpedCluster } from './dumped-cluster.ts'

const isFull = process.env['PGSURETY_TEST_FULL'] === '1'
const DUMP_ROUNDS = isFull ? 50 : 2
const RESTORE_ROUNDS = isFull ? 30 : 2
const PASSWORD = 'hunter2-4711'
const PLANTED = 'planted-row-4711'
const SECRETS = [PASSWORD, PASSPHRASE, PLANTED]
const SAMPLE_MS = 4

let source: DumpedCluster
/** Of the processes that are tried; nothing else writes there. */
let temporary: string
let env: Readonly<Record<string, string>>

before(async () => {
  source = await startDumpedCluster({ lines: ENCRYPTED })
  const { cluster, folder } = source
  await cluster.psql(`create role app superuser login password '${PASSWORD}'`)
  await cluster.psql('create database shop')
  await cluster.psql(
    `create table big as select n, '${PLANTED}' || md5(n::text) as t from generate_series(1, ${isFull ? 100_000 : 30_000}) n;
     create table other as select n, repeat('y', 100) as t from generate_series(1, ${isFull ? 100_000 : 30_000}) n;
     create table keyed (id serial primary key, t text unique);
     insert into keyed (t) select md5(n::text) from generate_series(1, 20000) n;
     select count(lo_from_bytea(0, '${PLANTED}')) from generate_series(1, 100)`,
    'shop',
  )
  const hba = join(cluster.dataDir, 'pg_hba.conf')
  await writeFile(hba, `local all app scram-sha-256\n${await readFile(hba, 'utf8')}`)
  await cluster.psql('select pg_reload_conf()')
  const passfile = join(folder, 'pass file')
  await writeAs(passfile, `*:*:*:app:${PASSWORD}\n`)
  temporary = join(folder, 'tmp')
  await mkdir(temporary)
  for (const path of [temporary, source.repoPath]) {
    await chown(path, unprivileged.uid, unprivileged.gid)
  }
  const server = `host=${cluster.socketDir} port=${cluster.port} user=app`
  await writeAs(
    source.config,
    (await readFile(source.config, 'utf8'))
      .replaceAll(/^pg1-(?:port|socket-path|user)=.*\n/gm, '')
      .replace('[demo]\n', `[demo]\npg1-conninfo=${server}\n`),
  )
  env = { PGPASSFILE: passfile, TMPDIR: temporary, NODE_V8_COVERAGE: '' }
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

function argvOf(...argv: readonly string[]): readonly string[] {
  return [`--config=${source.config}`, '--stanza=demo', ...argv]
}

async function runs(...argv: readonly string[]): Promise<string> {
  const ran = await pgsurety(argvOf(...argv), { env })
  return ran.stdout + ran.stderr
}

/** What was seen of secrets while it ran. */
interface Sampled {
  readonly code: number | null
  readonly samples: number
  readonly seen: ReadonlySet<string>
}

async function secretsNow(): Promise<readonly string[]> {
  const files = globSync('**/*', { cwd: temporary, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  const found: string[] = []
  for (const path of [...globSync('/proc/[0-9]*/cmdline'), ...files]) {
    const content = await readFile(path, 'latin1').catch(() => '')
    for (const secret of SECRETS) if (content.includes(secret)) found.push(`${secret} in ${path}`)
  }
  return found
}

/** Runs it, looks at all command lines and temporary files meanwhile, and kills it after a time. */
async function sampled(
  argv: readonly string[],
  { signal, afterMs }: { readonly signal: 'SIGKILL' | 'SIGTERM'; readonly afterMs: number },
): Promise<Sampled> {
  const child = spawnAs([...pgsuretyCommand(), ...argv], { env })
  child.stdout.resume()
  child.stderr.resume()
  const state: { over: boolean } = { over: false }
  const ended = once(child, 'close')
  child.once('close', () => {
    state.over = true
  })
  const kill = setTimeout(afterMs).then(() => child.kill(signal))
  const seen = new Set<string>()
  let samples = 0
  while (!state.over) {
    for (const secret of await secretsNow()) seen.add(secret)
    samples += 1
    await Promise.race([ended, setTimeout(SAMPLE_MS)])
  }
  await kill
  return { code: child.exitCode, samples, seen }
}

/** Programs that work on the server, whoever started them. */
async function programsLeft(): Promise<readonly string[]> {
  const left: string[] = []
  for (const path of globSync('/proc/[0-9]*/environ')) {
    const text = await readFile(path, 'latin1').catch(() => '')
    if (text.includes(`PGHOST=${source.cluster.socketDir}\0`)) left.push(path)
  }
  return left
}

async function assertNobodyAtWork(): Promise<void> {
  await until('no program and no session is left', async () => {
    const sessions = await source.cluster.psql(
      `select count(*) from pg_stat_activity where application_name like 'pgsurety%' or usename = 'app'`,
    )
    return sessions === '0' && (await programsLeft()).length === 0
  })
}

/** Whose names begin like this, sorted. */
async function databases(begin: string): Promise<readonly string[]> {
  const found = await source.cluster.psql(
    `select datname from pg_database where starts_with(datname, '${begin}') order by 1`,
  )
  return found.split('\n').filter(Boolean)
}

const signalOf = (round: number): 'SIGKILL' | 'SIGTERM' => (round % 2 === 0 ? 'SIGKILL' : 'SIGTERM')

test('of dumps that are killed at any moment only whole ones are listed, and nothing goes on', async (context) => {
  const argv = argvOf('--jobs=2', '--no-expire-auto', 'dump')
  await runs('--jobs=2', '--no-expire-auto', 'dump')
  const started = performance.now()
  await runs('--jobs=2', '--no-expire-auto', 'dump')
  const wholeMs = performance.now() - started
  let killed = 0
  for (let round = 0; round < DUMP_ROUNDS; round += 1) {
    const afterMs = (1.2 * wholeMs * (round + Math.random())) / DUMP_ROUNDS
    const { code, seen } = await sampled(argv, { signal: signalOf(round), afterMs })
    assert.deepEqual([...seen], [])
    if (code !== 0) killed += 1
    // Nothing waits for long: the next one takes the lock.
    if (round % 10 === 9) await assertNobodyAtWork()
  }
  await assertNobodyAtWork()
  const labels = await source.labels()
  const verified = await runs('dump-verify')
  assert.equal(verified.match(/: ok, /g)?.length, labels.length, verified)
  context.diagnostic(`${killed} of ${DUMP_ROUNDS} killed, ${labels.length} sets whole`)
  assert(killed > 0)
  // Newest first: these may have been made while another one was killed.
  for (const label of labels.toReversed().slice(0, isFull ? Infinity : 1)) {
    const asked = ['--database=shop', '--to-database=again', `--set=${label}`, 'dump-restore']
    assert.match(await runs(...asked), /proved exact/)
    await source.cluster.psql('drop database again')
  }

  await runs('--repo1-retention-dump=1', 'dump')
  assert.equal(globSync('dump/demo/*L', { cwd: source.repoPath }).length, 1)
})

test('of restores that are killed at any moment no database has the asked name unless it is whole', async (context) => {
  const { cluster } = source
  const argv = argvOf('--database=shop', '--to-database=shop2', '--jobs=2', 'dump-restore')
  const started = performance.now()
  assert.match(await runs(...argv.slice(2)), /proved exact/)
  const wholeMs = performance.now() - started
  await cluster.psql('drop database shop2')
  let killed = 0
  for (let round = 0; round < RESTORE_ROUNDS; round += 1) {
    const afterMs = (1.2 * wholeMs * (round + Math.random())) / RESTORE_ROUNDS
    // The server may still be making one for a restore that was killed.
    await assertNobodyAtWork()
    const earlier = await databases('shop2')
    const { code, seen } = await sampled(argv, { signal: signalOf(round), afterMs })
    assert.deepEqual([...seen], [])
    if (code !== 0) killed += 1
    const made = await databases('shop2')
    // One that is told to stop takes with it what it has made.
    if (signalOf(round) === 'SIGTERM' && code !== 0) {
      assert.deepEqual(
        made.filter((name) => !earlier.includes(name)),
        [],
      )
    }
    if (!made.includes('shop2')) continue
    assert.match(await runs(...argv.slice(2, -1), '--prove-only', 'dump-restore'), /proved exact/)
    await cluster.psql('drop database shop2')
  }
  context.diagnostic(`${killed} of ${RESTORE_ROUNDS} killed`)
  assert(killed > 0)
  await assertNobodyAtWork()
  assert.deepEqual(await readdir(temporary), [])

  assert.match(await runs(...argv.slice(2)), /proved exact/)
  assert.deepEqual(await databases('shop'), ['shop', 'shop2'])
})
