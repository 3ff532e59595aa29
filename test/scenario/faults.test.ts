/**
 * Every call to the storage fails once, in every way: the command says so, nothing that was there is lost, and the next
 * run puts everything right.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AppError, type ErrorKind } from '../../src/base/error.ts'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { archiveGet } from '../../src/command/archive-get/archive-get.ts'
import { archivePush } from '../../src/command/archive-push/archive-push.ts'
import { backup } from '../../src/command/backup/backup.ts'
import type { Command } from '../../src/command/command.ts'
import { formatLabelTime } from '../../src/format/label.ts'
import type { Repo } from '../../src/repo/repo.ts'
import { openPosixStorage } from '../../src/storage/posix.ts'
import { testContext } from '../harness/context.ts'
import { type FaultPlan, faultyStorage } from '../harness/faulty-storage.ts'
import { pgBackRest } from '../harness/peers.ts'
import { runAs, temporaryFolder } from '../harness/run.ts'
import { treeDigest } from '../harness/tree.ts'
import { archiveAll, type ArchivedCluster, startArchivedCluster } from './archived-cluster.ts'
import { poolHere } from './pool-here.ts'
import { backupFolder, labelsOnDisk, openRepo, provenBackups } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

const MODES = ['error-before', 'error-after', 'partial'] as const

/** The first word of a call → what its failure is called. */
const KINDS: Readonly<Record<string, ErrorKind>> = {
  put: 'file-write',
  get: 'file-read',
  stat: 'file-open',
  list: 'path-open',
  names: 'path-open',
  listAll: 'path-open',
  remove: 'file-remove',
  removeAll: 'path-remove',
  removeEach: 'file-remove',
  removeLeftOvers: 'file-remove',
  sync: 'path-sync',
  makePrefix: 'path-create',
  link: 'file-write',
}

/** Waits are for other processes here, and those are fast. */
const hastyClock: Clock = {
  nowMs: () => systemClock.nowMs(),
  sleep: async (ms, signal) => {
    await systemClock.sleep(Math.min(ms, 5), signal)
  },
}

let bed: ArchivedCluster
let common: readonly string[]
let repo: Repo
/** A segment as PostgreSQL wrote it, outside of the server's data directory. */
let segment: Buffer

before(async () => {
  const lines = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret']
  bed = await startArchivedCluster({ version: '15', walSegmentSizeMib: 1, lines })
  common = [`--config=${bed.config}`, '--stanza=demo']
  // Each run waits for two segments: the real one starts faster.
  const push = [await pgBackRest('2.60'), ...common, 'archive-push', '"%p"'].join(' ')
  await bed.cluster.psql(`alter system set archive_command = '${push}'`)
  await bed.cluster.psql('select pg_reload_conf()')
  const name = await bed.cluster.psql('select pg_walfile_name(pg_switch_wal())')
  segment = await readFile(join(bed.cluster.dataDir, 'pg_wal', name))
  await archiveAll(bed.cluster)
  dropPrivileges()
  repo = openRepo(common)
  // The folder of the segments that the tests push is there from now on.
  const neighbour = join(bed.folder, '0000000100000AAA00000000')
  await writeFile(neighbour, segment)
  await runUndisturbed(archivePush, ['archive-push', neighbour])
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

interface Ran {
  readonly error: AppError | undefined
  /** Storage calls, the failed one included. */
  readonly calls: readonly string[]
}

/** Runs a command in here, with the planned failure. */
async function run(command: Command, argv: readonly string[], plan: FaultPlan): Promise<Ran> {
  const storage = faultyStorage(openPosixStorage({ root: repo.storage.location }), plan)
  await untilLabelFree()
  const { context } = testContext({
    argv: [...common, ...argv],
    clock: hastyClock,
    openStorage: () => storage,
  })
  try {
    assert.equal(await command({ ...context, openPool: poolHere(storage) }), 0)
    return { error: undefined, calls: storage.log }
  } catch (error) {
    assert(error instanceof AppError, String(error))
    return { error, calls: storage.log }
  }
}

/** Waits for a second that no finished backup is named after: real backups are never three in a second. */
async function untilLabelFree(): Promise<void> {
  const folder = backupFolder(repo, 'demo')
  const finished = (await labelsOnDisk(repo, 'demo')).filter((label) =>
    existsSync(join(folder, label, 'backup.manifest')),
  )
  const newest = finished.at(-1)?.slice(0, -1).slice(-'20261122-182058'.length) ?? ''
  while (formatLabelTime(systemClock.nowMs()) <= newest) await systemClock.sleep(20)
}

async function runUndisturbed(command: Command, argv: readonly string[]): Promise<void> {
  const { error } = await run(command, argv, { failAt: 0, mode: 'error-before' })
  assert.equal(error, undefined, error?.text)
}

interface Failing {
  readonly command: Command
  readonly argv: readonly string[]
  readonly mode: FaultPlan['mode']
  /** Done before each run. */
  readonly prepare?: () => Promise<void>
  /** Not every call fails, but every so many, from `from` on. */
  readonly step?: number
  readonly from?: number
}

/**
 * Runs a command with its first, second, third … call failing, until one makes fewer calls; `then` looks at what each run
 * left behind. The calls that failed, in order.
 */
async function failEachCall(
  { command, argv, mode, prepare, step = 1, from = 1 }: Failing,
  then: (ran: Ran) => Promise<void>,
): Promise<readonly string[]> {
  const failed: string[] = []
  for (let failAt = from; ; failAt += step) {
    await prepare?.()
    const ran = await run(command, argv, { failAt, mode })
    const call = ran.calls[failAt - 1]
    if (call === undefined) return failed
    assertHonest(ran, call)
    await then(ran)
    failed.push(call)
  }
}

/** A failure is told, as what it is. Only a read of an info file or manifest may fail unnoticed: there is a second one. */
function assertHonest({ error, calls }: Ran, call: string): void {
  const [verb = '', key = ''] = call.split(' ')
  if (error === undefined) {
    assert(verb === 'get' && /\.(?:info|manifest)$/.test(key), `success though '${call}' failed`)
    assert(calls.includes(`get ${key}.copy`), `'${key}.copy' was not read`)
    return
  }
  assert.equal(error.kind, KINDS[verb], error.text)
  assert(error.text.includes(`planned failure`) && error.text.includes(`'${call}'`), error.text)
}

interface Pushed {
  readonly name: string
  readonly content: Buffer
  /** Whether it is in the archive before, with the same content. */
  readonly archived: 'yes' | 'no'
}

const PUSHED: Readonly<Record<string, (content: Buffer) => Pushed>> = {
  'a new segment': (content) => ({ name: '0000000100000AAA00000001', content, archived: 'no' }),
  'an archived segment': (content) => ({
    name: '0000000100000AAA00000002',
    content,
    archived: 'yes',
  }),
  'a new history file': () => ({
    name: '0000000A.history',
    content: Buffer.from('1\t0/3000000\tno recovery target specified\n'),
    archived: 'no',
  }),
  'an archived history file': () => ({
    name: '0000000B.history',
    content: Buffer.from('1\t0/3000000\tno recovery target specified\n'),
    archived: 'yes',
  }),
}

for (const mode of MODES) {
  for (const [what, made] of Object.entries(PUSHED)) {
    test(`archive-push of ${what}, each call failing (${mode}): told, harmless, and good at the next try`, async (t) => {
      const { name, content, archived } = made(segment)
      const path = join(bed.folder, name)
      await writeFile(path, content)
      const argv = ['archive-push', path]
      const archive = join(repo.storage.location, 'archive')
      const itself = [new RegExp(`/${name}`)]
      if (archived === 'yes') await runUndisturbed(archivePush, argv)
      const others = await treeDigest(archive, itself)

      const failed = await failEachCall({ command: archivePush, argv, mode }, async (ran) => {
        assert.equal(await treeDigest(archive, itself), others)
        const stored = await storedVersions(name)
        if (archived === 'yes' || ran.error === undefined) assert.equal(stored.length, 1)
        await runUndisturbed(archivePush, argv)
        assert.equal((await storedVersions(name)).length, 1)
        assert.deepEqual(await getFromArchive(name), content)
        if (archived === 'no') await removeStored(name)
      })

      t.diagnostic(failed.join(', '))
      assert(failed.length >= 2)
      await removeStored(name)
    })
  }
}

async function storedVersions(name: string): Promise<readonly string[]> {
  const objects = await repo.storage.listAll('archive/demo')
  return objects.map((object) => object.name).filter((key) => key.includes(name))
}

async function removeStored(name: string): Promise<void> {
  for (const key of await storedVersions(name)) await repo.storage.remove(`archive/demo/${key}`)
}

async function getFromArchive(name: string): Promise<Buffer> {
  const path = join(bed.folder, 'got')
  await runUndisturbed(archiveGet, ['archive-get', name, path])
  return await readFile(path)
}

/** In the normal run each call of a backup fails in one of the ways. */
const FULL = process.env['PGSURETY_TEST_FULL'] !== undefined
const STEP = FULL ? 1 : MODES.length

for (const [index, mode] of MODES.entries()) {
  test(`backup, calls failing one at a time (${mode}): told, older backups untouched, and good at the next try`, async (t) => {
    const argv = [...(await leanExcludes()), '--type=full', '--no-expire-auto', 'backup']
    const folder = backupFolder(repo, 'demo')
    await using start = await snapshotOf(join(repo.storage.location, 'backup'))
    await runUndisturbed(backup, argv)
    const [old = ''] = await provenBackups(repo, 'demo')
    const oldDigest = await treeDigest(join(folder, old))
    await using snapshot = await snapshotOf(join(repo.storage.location, 'backup'))

    const prepare = snapshot.putBack
    const failing = { command: backup, argv, mode, prepare, step: STEP, from: FULL ? 1 : 1 + index }
    const failed = await failEachCall(failing, async () => {
      assert.equal(await treeDigest(join(folder, old)), oldDigest)
      const listed = await provenBackups(repo, 'demo')
      assert.equal(listed[0], old)
      await runUndisturbed(backup, argv)
      const finished = await provenBackups(repo, 'demo')
      assert(finished.length > 1 && listed.every((label) => finished.includes(label)))
      assert.deepEqual(await labelsOnDisk(repo, 'demo'), finished)
      assert.equal(await treeDigest(join(folder, old)), oldDigest)
    })

    t.diagnostic(`${failed.length} calls failed`)
    assert(failed.length * STEP > 30)
    assert.equal(await openSessions(), '0')
    await start.putBack()
  })
}

/** In the normal run each call fails in one way only, and not all of them do. */
const SOME = FULL ? 1 : 5

for (const [index, mode] of MODES.entries()) {
  test(`an incremental backup that goes on with an interrupted one, calls failing (${mode}): told, harmless, and good at the next try`, async (t) => {
    const excludes = await leanExcludes()
    const options = [...excludes, '--manifest-save-threshold=1', '--no-expire-auto']
    const argv = [...options, '--type=incr', 'backup']
    const folder = backupFolder(repo, 'demo')
    await using start = await snapshotOf(join(repo.storage.location, 'backup'))
    await runUndisturbed(backup, [...options, '--type=full', 'backup'])
    await runUndisturbed(backup, argv)
    const older = await provenBackups(repo, 'demo')
    const digests = async (): Promise<readonly string[]> =>
      await Promise.all(older.map(async (label) => await treeDigest(join(folder, label))))
    const oldDigests = await digests()
    await writeFile(join(bed.cluster.dataDir, 'changed'), Buffer.alloc(5_000_000, mode))
    await interrupt(argv)
    await using snapshot = await snapshotOf(join(repo.storage.location, 'backup'))

    const prepare = snapshot.putBack
    const failing = { command: backup, argv, mode, prepare, step: SOME, from: FULL ? 1 : 1 + index }
    const failed = await failEachCall(failing, async () => {
      assert.deepEqual(await digests(), oldDigests)
      const listed = await provenBackups(repo, 'demo')
      assert.deepEqual(listed.slice(0, older.length), older)
      await runUndisturbed(backup, argv)
      const finished = await provenBackups(repo, 'demo')
      assert(finished.length > older.length)
      assert(listed.every((label) => finished.includes(label)))
      assert.deepEqual(await labelsOnDisk(repo, 'demo'), finished)
      assert.deepEqual(await digests(), oldDigests)
    })

    t.diagnostic(`${failed.length} calls failed`)
    assert(failed.length * SOME > 30)
    await start.putBack()
  })
}

/** Leaves a backup that ended at a file it may not read, after it had copied the largest. */
async function interrupt(argv: readonly string[]): Promise<void> {
  const unreadable = join(bed.cluster.dataDir, 'unreadable')
  await writeFile(unreadable, 'x', { mode: 0 })
  const { error } = await run(backup, argv, { failAt: 0, mode: 'partial' })
  assert.equal(error?.kind, 'file-open', error?.text)
  await rm(unreadable)
}

/** Leaves out what is not needed to show each kind of call: nearly all relations. */
async function leanExcludes(): Promise<readonly string[]> {
  const names = (await readdir(join(bed.cluster.dataDir, 'global')))
    .filter((name) => name !== 'pg_control')
    .toSorted()
  const shared = names.slice(3).map((name) => `global/${name}`)
  return ['base/1/', 'base/4/', 'base/5/', ...shared].map((path) => `--exclude=${path}`)
}

interface Snapshot extends AsyncDisposable {
  readonly putBack: () => Promise<void>
}

async function snapshotOf(folder: string): Promise<Snapshot> {
  const copy = await temporaryFolder('snapshot')
  await runAs(['cp', '-a', `${folder}/.`, copy.path])
  return {
    putBack: async () => {
      await rm(folder, { recursive: true })
      await runAs(['cp', '-a', copy.path, folder])
    },
    [Symbol.asyncDispose]: copy[Symbol.asyncDispose],
  }
}

async function openSessions(): Promise<string> {
  return await bed.cluster.psql(
    "select count(*) from pg_stat_activity where application_name like 'pgsurety%'",
  )
}

test('a backup restores and starts after later ones have failed at all stages', async () => {
  const argv = ['--exclude=base/1/', '--exclude=base/4/', '--type=full', 'backup']
  await bed.cluster.psql('create table kept as select generate_series(1, 1000) as id')
  const { calls } = await run(backup, argv, { failAt: 0, mode: 'partial' })
  const [label = ''] = (await provenBackups(repo, 'demo')).slice(-1)
  await run(backup, argv, { failAt: Math.floor(calls.length / 2), mode: 'partial' })
  await run(backup, argv, { failAt: calls.length - 5, mode: 'error-after' })

  await using restored = await bed.restore('restored', `--set=${label}`, '--type=immediate')
  await restored.start()

  assert.equal(await restored.psql('select count(*) from kept'), '1000')
})
