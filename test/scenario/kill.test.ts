/**
 * kill -9 at random moments of archive-push, backup and restore: what was promised holds, nothing half-done is taken for
 * whole, and the same command again, with no manual step, puts everything right.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import { archiveGet } from '../../src/command/archive-get/archive-get.ts'
import { archivePush } from '../../src/command/archive-push/archive-push.ts'
import type { Command } from '../../src/command/command.ts'
import { info } from '../../src/command/info/info.ts'
import { restore } from '../../src/command/restore/restore.ts'
import type { BackupKind } from '../../src/format/label.ts'
import { parseArchivedSegment } from '../../src/format/wal.ts'
import { loadArchiveInfo, type Repo } from '../../src/repo/repo.ts'
import { openCluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest } from '../harness/peers.ts'
import { runAs } from '../harness/run.ts'
import { compareTrees, treeDigest } from '../harness/tree.ts'
import {
  archiveAll,
  type ArchivedCluster,
  startArchivedCluster,
  until,
} from './archived-cluster.ts'
import { chooseSeed, inLanes, KillMoments, type Outcome, runAndKill } from './killing.ts'
import { labelsOnDisk, openRepo, provenBackups } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

/** With PGSURETY_TEST_FULL as many as are promised. */
const FULL = process.env['PGSURETY_TEST_FULL'] !== undefined
const PUSH_KILLS = FULL ? 200 : 50
const BACKUP_KILLS = FULL ? 200 : 16
const RESTORE_KILLS = FULL ? 50 : 16
const LANES = 2
/** Segments whose push is killed begin with this: far from those of the running server. */
const PUSHED_FOLDER = '0000000100000AAA'
const NEVER_MS = 600_000

/** A cluster with its repository for each lane, so that lanes do not meet at a lock. */
interface Lane {
  readonly bed: ArchivedCluster
  readonly common: readonly string[]
  readonly repo: Repo
}

const lanes: Lane[] = []
const stack = new AsyncDisposableStack()

before(async () => {
  for (let count = 0; count < LANES; count += 1) {
    const bed = stack.use(await startArchivedCluster({ version: '15' }))
    const common = [`--config=${bed.config}`, '--stanza=demo']
    // Each backup waits for two segments: the real one starts faster.
    const push = [await pgBackRest('2.60'), ...common, 'archive-push', '"%p"'].join(' ')
    await bed.cluster.psql(`alter system set archive_command = '${push}'`)
    await bed.cluster.psql('select pg_reload_conf()')
    await bed.cluster.psql('create table kept as select generate_series(1, 1000) as id')
    lanes.push({ bed, common, repo: openRepo(common) })
  }
  dropPrivileges()
})

after(async () => {
  await stack.disposeAsync()
})

function laneOf(number: number): Lane {
  const lane = lanes[number]
  assert(lane !== undefined)
  return lane
}

/** Runs a command in here; its exit code and output. */
async function run(
  command: Command,
  argv: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  const ran = testContext({ argv })
  return { code: await command(ran.context), output: ran.output() }
}

/** Runs to its end the program that is killed elsewhere. */
async function runToEnd(argv: readonly string[]): Promise<Outcome> {
  const outcome = await runAndKill(argv, NEVER_MS)
  assert.equal(outcome.code, 0, outcome.output)
  return outcome
}

interface Kills {
  readonly seed: number
  readonly outcomes: readonly Outcome[]
  /** What runs that were killed in the middle of writing left: how many of it. */
  readonly leftOvers: Readonly<Record<string, number>>
}

/** Tells what happened, and that it was a test at all. */
function reportKills(t: TestContext, { seed, outcomes, leftOvers }: Kills): void {
  const killed = outcomes.filter(({ code }) => code === null).length
  const left = Object.entries(leftOvers).map(([what, count]) => `, ${count} left ${what}`)
  t.diagnostic(`seed ${seed}: ${killed} of ${outcomes.length} runs were killed${left.join('')}`)
  assert(killed > outcomes.length / 2)
}

test(`archive-push killed at ${PUSH_KILLS} moments keeps every promise, and pushes again`, async (t) => {
  const { bed, common, repo } = laneOf(0)
  const seed = chooseSeed()
  await bed.cluster.pgbench(['--initialize', '--quiet', '--scale=2'])
  await archiveAll(bed.cluster)
  const real = await fullSegment(bed)
  const pushed = new Map<string, string>()
  const prepare = async (index: number): Promise<string> => {
    const { name, content } = segmentLike(real, index)
    pushed.set(name, createHash('sha1').update(content).digest('hex'))
    const path = join(bed.folder, name)
    await writeFile(path, content)
    return path
  }
  const moments = new KillMoments(seed)
  const outcomes: Outcome[] = []
  await inLanes({ count: 2 * LANES, lanes: LANES }, async (index) => {
    const path = await prepare(PUSH_KILLS + index)
    moments.learn(await runToEnd([...common, 'archive-push', path]))
  })

  await inLanes({ count: PUSH_KILLS, lanes: LANES }, async (index) => {
    const path = await prepare(index)
    const name = path.slice(-24)
    const argv = [...common, 'archive-push', path]
    const outcome = await runAndKill(argv, moments.nextMs())
    moments.learn(outcome)
    outcomes.push(outcome)
    assert(outcome.code === null || outcome.code === 0, outcome.output)
    const stored = await storedChecksums(repo, name)
    if (outcome.code === 0) assert.equal(stored.length, 1)
    assert(stored.every((checksum) => checksum === pushed.get(name)))
    if (outcome.code === null) assert.equal((await run(archivePush, argv)).code, 0)
    assert.deepEqual(await storedChecksums(repo, name), [pushed.get(name)])
    await rm(path)
  })

  const names = await readdir(join(bed.folder, 'repo/archive/demo/15-1', PUSHED_FOLDER))
  const temporary = names.filter((name) => name.endsWith('.tmp')).length
  reportKills(t, { seed, outcomes, leftOvers: { 'a temporary file': temporary } })
  await loadArchiveInfo(repo, 'demo')
  await inLanes({ count: PUSH_KILLS, lanes: LANES }, async (index, lane) => {
    const { name } = segmentLike(real, index)
    const path = join(bed.folder, `got-${lane}`)
    assert.equal((await run(archiveGet, [...common, 'archive-get', name, path])).code, 0)
    const content = await readFile(path)
    assert.equal(createHash('sha1').update(content).digest('hex'), pushed.get(name))
  })
})

/** A segment that is all WAL, as PostgreSQL wrote it. */
async function fullSegment(bed: ArchivedCluster): Promise<Buffer> {
  const folder = join(bed.cluster.dataDir, 'pg_wal')
  const names = (await readdir(folder)).filter((name) => /^[0-9A-F]{24}$/.test(name)).toSorted()
  const [, name = ''] = names
  return await readFile(join(folder, name))
}

/** The same WAL as a segment of its own: name and page address differ. */
function segmentLike(
  real: Buffer,
  index: number,
): { readonly name: string; readonly content: Buffer } {
  const content = Buffer.from(real)
  content.writeBigUInt64LE((0xaaan << 32n) + BigInt(index) * BigInt(real.length), 8)
  const name = `${PUSHED_FOLDER}${index.toString(16).toUpperCase().padStart(8, '0')}`
  return { name, content }
}

/** Checksums in the names under which a segment is stored. */
async function storedChecksums(repo: Repo, segment: string): Promise<readonly string[]> {
  const entries = await repo.storage.list(`archive/demo/15-1/${segment.slice(0, 16)}`)
  return entries
    .filter(({ name }) => name.startsWith(segment))
    .map(({ name }) => parseArchivedSegment(name)?.checksum ?? name)
}

test(`backup, full and incremental, killed at ${BACKUP_KILLS} moments lists nothing that does not restore, and runs again`, async (t) => {
  const seed = chooseSeed()
  const moments = new KillMoments(seed)
  const outcomes: Outcome[] = []
  let unfinished = 0
  await inLanes({ count: LANES, lanes: LANES }, async (index) => {
    moments.learn(await runToEnd(backupArgv(laneOf(index), 'full')))
  })

  await inLanes({ count: BACKUP_KILLS, lanes: LANES }, async (index, number) => {
    const lane = laneOf(number)
    const kind = index % 4 < 2 ? 'full' : 'incr'
    const earlier = await listedBackups(lane)
    const outcome = await runAndKill(backupArgv(lane, kind), moments.nextMs())
    moments.learn(outcome)
    outcomes.push(outcome)
    assert(outcome.code === null || outcome.code === 0, outcome.output)
    await untilNoSession(lane)
    const listed = await listedBackups(lane)
    assert.deepEqual(listed.slice(0, earlier.length), earlier)
    assert.deepEqual(await provenBackups(lane.repo, 'demo', earlier), listed)
    if ((await labelsOnDisk(lane.repo, 'demo')).length > listed.length) unfinished += 1
    if (outcome.code === null) {
      for (const label of listed.slice(earlier.length)) await assertRestores(lane, label)
    }

    await runToEnd(backupArgv(lane, kind))

    const finished = await listedBackups(lane)
    assert(finished.length > listed.length && listed.every((label) => finished.includes(label)))
    assert.deepEqual(await provenBackups(lane.repo, 'demo', listed), finished)
    assert.deepEqual(await labelsOnDisk(lane.repo, 'demo'), finished)
    const left = await readdir(join(lane.bed.folder, 'lock'))
    // Recovery's progress lies there too.
    assert.deepEqual(
      left.filter((name) => !/^demo-replay-\w+\.json$/.test(name)),
      [],
    )
  })

  reportKills(t, { seed, outcomes, leftOvers: { 'an unfinished backup': unfinished } })
  assert(unfinished > 0)
  for (const lane of lanes) await assertStarts(lane)
})

/** Without the template databases, which a cluster can live without: half the files, half the time. */
function backupArgv({ common }: Lane, kind: BackupKind): readonly string[] {
  const options = ['--exclude=base/1/', '--exclude=base/4/', '--manifest-save-threshold=1']
  return [...common, ...options, `--type=${kind}`, '--no-expire-auto', 'backup']
}

/** Labels that `info` lists, in its order: ascending. */
async function listedBackups({ common }: Lane): Promise<readonly string[]> {
  const { output } = await run(info, [...common, '--output=json', 'info'])
  return [...output.matchAll(/"label":"(\d{8}-\d{6}F(?:_\d{8}-\d{6}I)?)"/g)].map(
    ([, label = '']) => label,
  )
}

/** A server ends a backup when its session ends; nothing else is left of it. */
async function untilNoSession({ bed }: Lane): Promise<void> {
  await until('the server has no session of pgsurety', async () => {
    const sessions = await bed.cluster.psql(
      "select count(*) from pg_stat_activity where application_name like 'pgsurety%'",
    )
    return sessions === '0'
  })
}

/** Every file of the backup is there with the right content. */
async function assertRestores({ bed, common }: Lane, label: string): Promise<void> {
  const target = join(bed.folder, 'check')
  const argv = [...common, `--pg1-path=${target}`, `--set=${label}`, 'restore']
  assert.equal((await run(restore, argv)).code, 0)
  await rm(target, { recursive: true })
}

async function assertStarts({ bed }: Lane): Promise<void> {
  await using restored = await bed.restore('started', '--type=immediate')
  await restored.start()
  assert.equal(await restored.psql('select count(*) from kept'), '1000')
}

/** How a restore was begun: into nothing, or over a cluster that has been running since. */
type Destination = 'fresh' | 'delta'

test(`restore killed at ${RESTORE_KILLS} moments leaves nothing that starts half-done, and goes on`, async (t) => {
  const seed = chooseSeed()
  const moments = new KillMoments(seed)
  const outcomes: Outcome[] = []
  let unfinished = 0
  await inLanes({ count: LANES, lanes: LANES }, async (index) => {
    moments.learn(await makeReference(laneOf(index)))
  })

  await inLanes({ count: RESTORE_KILLS, lanes: LANES }, async (index, number) => {
    const lane = laneOf(number)
    const kind: Destination = index % 4 < 2 ? 'fresh' : 'delta'
    const target = await makeDestination(lane, kind)
    const untouched = await treeDigest(target, [MARKER])
    const argv = restoreArgv(lane, kind)
    const outcome = await runAndKill(argv, moments.nextMs())
    moments.learn(outcome)
    outcomes.push(outcome)
    assert(outcome.code === null || outcome.code === 0, outcome.output)
    if (outcome.code === 0) assert.deepEqual(await differences(lane), [])
    const whole = existsSync(join(target, 'global/pg_control'))
    if (!whole) {
      unfinished += 1
      await assertCannotStart(lane)
    } else if ((await treeDigest(target, [MARKER])) !== untouched) {
      assert.deepEqual(await differences(lane), [])
    }

    // A restore into nothing that was killed after its very last step is done: then there is nothing to run again.
    const done = kind === 'fresh' && whole && !existsSync(join(target, 'backup.manifest'))
    if (!done) await runToEnd(argv)

    assert.deepEqual(await differences(lane), [])
    assert(!existsSync(join(target, 'backup.manifest')))
  })

  reportKills(t, { seed, outcomes, leftOvers: { 'a cluster without pg_control': unfinished } })
  assert(unfinished > 0)
  await using restored = await openCluster({ version: '15', dataDir: targetOf(laneOf(0)) })
  await restored.start()
  assert.equal(await restored.psql('select count(*) from kept'), '1000')
})

/** Lies in the data directory while a restore is unfinished. */
const MARKER = /^backup\.manifest/

function targetOf({ bed }: Lane): string {
  return join(bed.folder, 'target')
}

function restoreArgv(lane: Lane, kind: Destination): readonly string[] {
  const delta = kind === 'delta' ? ['--delta'] : []
  const options = [`--pg1-path=${targetOf(lane)}`, '--archive-mode=off', '--type=immediate']
  return [...lane.common, ...options, ...delta, 'restore']
}

/** Keeps an undisturbed restore as `reference`, and the stopped cluster as `outdated`. */
async function makeReference(lane: Lane): Promise<Outcome> {
  const { cluster, folder } = lane.bed
  await runToEnd(backupArgv(lane, 'full'))
  const outcome = await runToEnd(restoreArgv(lane, 'fresh'))
  await runAs(['mv', targetOf(lane), join(folder, 'reference')])
  await cluster.psql('create table later as select 1; drop table kept')
  await cluster.stop()
  await runAs(['cp', '-a', cluster.dataDir, join(folder, 'outdated')])
  return outcome
}

async function makeDestination(lane: Lane, kind: Destination): Promise<string> {
  const target = targetOf(lane)
  await rm(target, { recursive: true, force: true })
  if (kind === 'delta') await runAs(['cp', '-a', join(lane.bed.folder, 'outdated'), target])
  else await mkdir(target, { mode: 0o700 })
  return target
}

async function assertCannotStart(lane: Lane): Promise<void> {
  const server = join(lane.bed.cluster.bin, 'postgres')
  const { code, stderr } = await runAs([server, '-D', targetOf(lane)], {
    timeoutMs: 10_000,
    allowFailure: 'allow',
  })
  assert.notEqual(code, 0)
  assert.match(stderr, /FATAL|could not (?:find|access)/)
}

/** A file's content without the time at which restore wrote it. */
async function timeless(path: string): Promise<string> {
  return (await readFile(path, 'latin1')).replaceAll(/restore on [\d :-]+/g, 'restore')
}

/** What is not as in the undisturbed restore; the files that restore makes itself are as old as they are. */
async function differences(lane: Lane): Promise<readonly string[]> {
  const [reference, target] = [join(lane.bed.folder, 'reference'), targetOf(lane)]
  const made = ['postgresql.auto.conf', 'recovery.signal', 'global/pg_control']
  const ignore = [MARKER, ...made.map((name) => new RegExp(`^${name.replaceAll('.', '\\.')}$`))]
  const found = await compareTrees(reference, target, { ignore, modifiedTimes: 'compare' })
  const differing: string[] = []
  for (const name of made) {
    const same = (await timeless(join(reference, name))) === (await timeless(join(target, name)))
    if (!same) differing.push(name)
  }
  return [...found, ...differing]
}
