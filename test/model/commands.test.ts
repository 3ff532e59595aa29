/**
 * Random sequences of commands on one repository, some of them cut off as by a kill, against a model of what must be true
 * after each: every listed backup gives back the files as they were, no acknowledged segment is missing or changed, no
 * command ever needs a manual step to work again, and verify says the same of the repository.
 *
 * MODEL_SEED=<seed> repeats a sequence, MODEL_SEQUENCES=<count> says how many there are.
 */
import assert from 'node:assert/strict'
import { createHash, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { asAppError } from '../../src/base/error.ts'
import type { Clock } from '../../src/base/clock.ts'
import { archivePush } from '../../src/command/archive-push/archive-push.ts'
import { backup } from '../../src/command/backup/backup.ts'
import type { Command } from '../../src/command/command.ts'
import { expire } from '../../src/command/expire/expire.ts'
import { restore } from '../../src/command/restore/restore.ts'
import { stanzaCreate } from '../../src/command/stanza-create.ts'
import { verify } from '../../src/command/verify/verify.ts'
import { manifestKey } from '../../src/format/repo-path.ts'
import { findSegment, readArchived } from '../../src/repo/archive.ts'
import { readStored } from '../../src/repo/read-stored.ts'
import { listBackupLabels, reconstruct } from '../../src/repo/reconstruct.ts'
import { loadArchiveInfo, loadBackupInfo, loadManifest, type Repo } from '../../src/repo/repo.ts'
import { storedFile, storedSet } from '../../src/repo/stored-file.ts'
import { testContext } from '../harness/context.ts'
import { type FaultPlan, faultyStorage } from '../harness/faulty-storage.ts'
import { MemoryStorage } from '../harness/memory-storage.ts'
import { type Folder, temporaryFolder } from '../harness/run.ts'
import { seededRandom } from '../scenario/killing.ts'
import { poolHere } from '../scenario/pool-here.ts'
import { openRepo, provenBackups } from '../scenario/repo-truth.ts'
import { dropPrivileges } from '../scenario/unprivileged.ts'
import { sha1, type Snapshot, TinyCluster } from './tiny-cluster.ts'

const FULL = process.env['PGSURETY_TEST_FULL'] !== undefined
const SEQUENCES = Number(process.env['MODEL_SEQUENCES'] ?? (FULL ? 100 : 4))
const STEPS = 12
/** Where nothing waits for a disk: a kill is of the process, not of the machine. */
const MEMORY_DISK = '/dev/shm'
const FIRST_SEED = Number(process.env['MODEL_SEED'] ?? randomInt(2 ** 31))
const HOUR_MS = 3_600_000
const BEGIN_MS = 1_767_222_000_000
/** How files are stored; nothing said: as a new repository does it. */
const STORINGS = [
  [],
  ['repo1-bundle=n'],
  ['repo1-bundle=y', 'repo1-block=n'],
  ['repo1-bundle=y', 'repo1-block=y'],
] as const
const NO_FAULT: FaultPlan = { failAt: 0, mode: 'error-before' }

let folder: Folder

before(async () => {
  folder = await temporaryFolder('model', ...(existsSync(MEMORY_DISK) ? [MEMORY_DISK] : []))
  await TinyCluster.prepare(folder.path)
  dropPrivileges()
})

after(async () => {
  await folder[Symbol.asyncDispose]()
})

for (let sequence = 0; sequence < SEQUENCES; sequence += 1) {
  const seed = FIRST_SEED + sequence
  test(`${STEPS} commands at random keep every promise (MODEL_SEED=${seed})`, async (t) => {
    const world = openWorld(seed)
    await mustSucceed(world, stanzaCreate, ['--no-online', 'stanza-create'])
    const done = new Map<string, number>()
    for (let step = 0; step < STEPS; step += 1) {
      const [name, act] = chooseAction(world.random)
      await act(world).catch((error: unknown) => {
        throw new Error(`step ${step}, ${name}: ${asAppError(error).message}`, { cause: error })
      })
      world.clock.pass(HOUR_MS)
      done.set(name, (done.get(name) ?? 0) + 1)
      await assertTrue(world)
    }
    await assertAllReadable(world)
    await takeBackup(world)
    await verifyAll(world)
    t.diagnostic([...done].map(([name, count]) => `${count} ${name}`).join(', '))
  })
}

interface World {
  readonly random: () => number
  readonly clock: ModelClock
  readonly cluster: TinyCluster
  readonly root: string
  readonly common: readonly string[]
  readonly repo: Repo
  /** Label → the files as they were when that backup was taken. */
  readonly snapshots: Map<string, Snapshot>
  /** Name → checksum of segments whose push was acknowledged. */
  readonly acknowledged: Map<string, string>
  /** Something was killed since the last backup that ended well: what is stored may differ from what is listed. */
  state: 'orderly' | 'cut-off'
}

interface ModelClock extends Clock {
  pass(ms: number): void
}

/** Goes on only when somebody waits or an hour passes. */
function modelClock(): ModelClock {
  let nowMs = BEGIN_MS
  return {
    nowMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms
    },
    pass: (ms) => {
      nowMs += ms
    },
  }
}

function openWorld(seed: number): World {
  const random = seededRandom(seed)
  const root = join(folder.path, 'world')
  rmSync(root, { recursive: true, force: true })
  rmSync(join(folder.path, 'data'), { recursive: true, force: true })
  mkdirSync(root)
  const cluster = TinyCluster.open(folder.path, random)
  const config = join(root, 'pgsurety.conf')
  const cipher = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret']
  const storing = STORINGS[Math.floor(random() * STORINGS.length)] ?? []
  const lines = [...storing, ...(random() < 0.5 ? cipher : [])]
  writeFileSync(config, configText(root, cluster, lines))
  const common = [`--config=${config}`, '--stanza=demo']
  return {
    random,
    clock: modelClock(),
    cluster,
    root,
    common,
    repo: { ...openRepo(common), storage: new MemoryStorage(new Map()) },
    snapshots: new Map(),
    acknowledged: new Map(),
    state: 'orderly',
  }
}

function configText(root: string, { dataDir }: TinyCluster, lines: readonly string[]): string {
  return [
    '[global]',
    `repo1-path=${join(root, 'repo')}`,
    `lock-path=${join(root, 'lock')}`,
    'log-level-file=off',
    ...lines,
    '[demo]',
    `pg1-path=${dataDir}`,
    '',
  ].join('\n')
}

interface Ran {
  /** Undefined: it ended with success. */
  readonly error: Error | undefined
  readonly output: string
}

async function run(
  world: World,
  command: Command,
  argv: readonly string[],
  plan: FaultPlan = NO_FAULT,
): Promise<Ran> {
  const storage = faultyStorage(world.repo.storage, plan)
  const ran = testContext({
    argv: [...world.common, ...argv],
    clock: world.clock,
    openStorage: () => storage,
  })
  try {
    assert.equal(await command({ ...ran.context, openPool: poolHere(storage) }), 0)
    return { error: undefined, output: ran.output() }
  } catch (error) {
    return { error: asAppError(error), output: `${ran.output()}\n${ran.logText()}` }
  }
}

async function mustSucceed(
  world: World,
  command: Command,
  argv: readonly string[],
): Promise<string> {
  const { error, output } = await run(world, command, argv)
  assert.equal(error, undefined, `${error?.message}\n${output}`)
  return output
}

type Action = (world: World) => Promise<void>

const ACTIONS: readonly (readonly [weight: number, name: string, act: Action])[] = [
  [5, 'backups', takeBackup],
  [3, 'backups killed', killBackup],
  [2, 'expirations', expireByRule],
  [2, 'expirations killed', killExpire],
  [1, 'backups expired by name', expireByName],
  [3, 'segments pushed', pushSegment],
  [2, 'pushes killed', killPush],
  [1, 'restores', restoreOne],
  [2, 'verifications', verifyAll],
]

function chooseAction(random: () => number): readonly [name: string, act: Action] {
  let left = random() * ACTIONS.reduce((total, [weight]) => total + weight, 0)
  for (const [weight, name, act] of ACTIONS) {
    left -= weight
    if (left <= 0) return [name, act]
  }
  return ['backups', takeBackup]
}

function oneOf<T>({ random }: World, values: readonly T[]): T | undefined {
  return values[Math.floor(random() * values.length)]
}

function backupArgv(world: World): readonly string[] {
  const type = oneOf(world, ['full', 'diff', 'incr', 'incr'])
  const compress = oneOf(world, ['none', 'gz', 'zst', 'lz4'])
  return ['--no-online', `--type=${type}`, `--compress-type=${compress}`, '--output=json', 'backup']
}

async function takeBackup(world: World): Promise<void> {
  world.cluster.change(world.clock.nowMs())
  world.clock.pass(HOUR_MS)
  const output = await mustSucceed(world, backup, backupArgv(world))
  const label = /"label":"(.*?)"/.exec(output)?.[1] ?? ''
  world.snapshots.set(label, world.cluster.snapshot())
  world.state = 'orderly'
}

/** The call at which it dies; now and then later than the last one, and then it lives. */
function death({ random }: World, callsMax: number): FaultPlan {
  const failAt = 1 + Math.floor(random() * callsMax)
  const mode = random() < 0.5 ? 'partial' : 'error-after'
  return { failAt, mode, afterwards: 'dead' }
}

async function killBackup(world: World): Promise<void> {
  world.cluster.change(world.clock.nowMs())
  world.clock.pass(HOUR_MS)
  await run(world, backup, backupArgv(world), death(world, 60))
  world.state = 'cut-off'
  // It may have come as far as to exist.
  for (const label of await listBackupLabels(world.repo, 'demo')) {
    const isFinished = (await world.repo.storage.stat(manifestKey('demo', label))) !== undefined
    if (isFinished && !world.snapshots.has(label)) {
      world.snapshots.set(label, world.cluster.snapshot())
    }
  }
}

function expireArgv(world: World): readonly string[] {
  const full = 1 + Math.floor(world.random() * 3)
  const diff = world.random() < 0.5 ? [] : [`--repo1-retention-diff=${oneOf(world, [1, 2, 3])}`]
  return [`--repo1-retention-full=${full}`, ...diff, 'expire']
}

async function expireByRule(world: World): Promise<void> {
  const argv = expireArgv(world)
  const fulls = (await labelsNow(world)).filter((label) => label.endsWith('F'))
  await mustSucceed(world, expire, argv)
  const limit = Number(argv[0]?.split('=')[1])
  const left = (await labelsNow(world)).filter((label) => label.endsWith('F'))
  assert.deepEqual(left, fulls.slice(-limit))
}

async function killExpire(world: World): Promise<void> {
  await run(world, expire, expireArgv(world), death(world, 40))
  world.state = 'cut-off'
}

async function expireByName(world: World): Promise<void> {
  const labels = await labelsNow(world)
  const label = oneOf(world, labels)
  const fulls = labels.filter((one) => one.endsWith('F'))
  if (label === undefined || (fulls.length === 1 && label === fulls[0])) return
  await mustSucceed(world, expire, [`--set=${label}`, 'expire'])
  assert(!(await labelsNow(world)).includes(label))
}

async function pushSegment(world: World): Promise<void> {
  const { path, name, checksum } = world.cluster.nextSegment()
  await mustSucceed(world, archivePush, ['--compress-type=zst', 'archive-push', path])
  world.acknowledged.set(name, checksum)
  rmSync(path)
}

/** PostgreSQL tries again until it is told that the segment is safe. */
async function killPush(world: World): Promise<void> {
  const { path, name, checksum } = world.cluster.nextSegment()
  await run(world, archivePush, ['archive-push', path], death(world, 12))
  await mustSucceed(world, archivePush, ['archive-push', path])
  world.acknowledged.set(name, checksum)
  rmSync(path)
}

/** What is listed: a backup that was killed after it was whole is not, until the next command that writes. */
async function restoreOne(world: World): Promise<void> {
  const { backups } = await loadBackupInfo(world.repo, 'demo')
  const label = oneOf(world, backups)?.label
  if (label === undefined) return
  const target = join(world.root, 'restored')
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target, { mode: 0o700 })
  await mustSucceed(world, restore, [
    `--set=${label}`,
    `--pg1-path=${target}`,
    '--type=none',
    'restore',
  ])
  for (const [name, checksum] of world.snapshots.get(label) ?? []) {
    const content = readFileSync(join(target, name.slice('pg_data/'.length)))
    const same = sha1(content) === checksum
    assert(same || name === 'pg_data/global/pg_control', `${label}: ${name}`)
  }
}

/** Nothing is wrong, but for what a command that was cut off has not listed yet or no longer lists. */
async function verifyAll(world: World): Promise<void> {
  const { error, output } = await run(world, verify, ['--output=json', 'verify'])
  const [text = ''] = output.split('\n')
  const [report] = JSON.parse(text)
  const listed = new Set(
    (await loadBackupInfo(world.repo, 'demo')).backups.map(({ label }) => label),
  )
  for (const { label, status } of report.backup) {
    assert(!listed.has(label) || status === 'valid', `${label} is ${status}: ${output}`)
  }
  if (world.state === 'orderly') {
    assert.equal(error, undefined, output)
    assert.deepEqual([report.status, report.problem], ['ok', []], output)
  }
  for (const { kind, backup: labels } of report.problem) {
    const isUnlisted = kind === 'missing' && labels.every((label: string) => !listed.has(label))
    assert(kind === 'inconsistent' || isUnlisted, output)
  }
}

/** What backup and expire take the repository to hold. */
async function labelsNow({ repo }: World): Promise<readonly string[]> {
  const { info } = await reconstruct(repo, 'demo', await loadBackupInfo(repo, 'demo'))
  return info.backups.map(({ label }) => label)
}

/** Quick: everything is there with its size, and one backup and one segment are read. */
async function assertTrue(world: World): Promise<void> {
  const labels = await provenBackups(world.repo, 'demo')
  for (const label of labels) assert(world.snapshots.has(label), `nobody took backup ${label}`)
  const label = oneOf(world, labels)
  if (label !== undefined) await assertReadable(world, label)
  const segment = oneOf(world, [...world.acknowledged.keys()])
  if (segment !== undefined) await assertArchived(world, segment)
}

async function assertAllReadable(world: World): Promise<void> {
  for (const label of await labelsNow(world)) await assertReadable(world, label)
  for (const name of world.acknowledged.keys()) await assertArchived(world, name)
}

/** Every file is in the backup as it was in the cluster. */
async function assertReadable({ repo, snapshots }: World, label: string): Promise<void> {
  const info = await loadBackupInfo(repo, 'demo')
  const manifest = await loadManifest(repo, 'demo', label, info.cipherPass)
  const found = new Map<string, string>()
  const set = storedSet('demo', manifest)
  for (const file of manifest.files) {
    const stored = storedFile('demo', manifest, file)
    found.set(file.name, await checksumOf(readStored(repo.storage, set, stored)))
  }
  const expected = snapshots.get(label)
  assert(expected !== undefined, label)
  const control = 'pg_data/global/pg_control'
  for (const files of [found, expected]) assert(files.has(control), label)
  // Of pg_control, only what counts is stored.
  assert.deepEqual(without(found, control), without(expected, control), label)
}

function without(files: Snapshot, name: string): Snapshot {
  return new Map([...files].filter(([one]) => one !== name))
}

async function assertArchived({ repo, acknowledged }: World, name: string): Promise<void> {
  const { cipherPass } = await loadArchiveInfo(repo, 'demo')
  const place = { storage: repo.storage, stanza: 'demo', archiveId: '15-1', cipherPass }
  const [file] = await findSegment(place, name)
  assert(file !== undefined, `segment ${name} is missing`)
  assert.equal(await checksumOf(readArchived(place, file)), acknowledged.get(name), name)
}

async function checksumOf(source: AsyncIterable<Buffer>): Promise<string> {
  const hash = createHash('sha1')
  for await (const chunk of source) hash.update(chunk)
  return hash.digest('hex')
}
