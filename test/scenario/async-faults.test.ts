/** The background of archive-push with each call to a storage failing: an answer is given only for what is stored. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { archiveGet } from '../../src/command/archive-get/archive-get.ts'
import { fetchAhead } from '../../src/command/archive-get/background.ts'
import { archivePush } from '../../src/command/archive-push/archive-push.ts'
import { pushReady } from '../../src/command/archive-push/background.ts'
import { info } from '../../src/command/info/info.ts'
import {
  loadArchiveInfo,
  openConfiguredStorage,
  type OpenStorage,
  saveArchiveInfo,
} from '../../src/repo/repo.ts'
import { readDrops, readMissingNote } from '../../src/repo/archive-notes.ts'
import { testContext } from '../harness/context.ts'
import { type FaultPlan, type FaultyStorage, faultyStorage } from '../harness/faulty-storage.ts'
import { runAs } from '../harness/run.ts'
import { type ArchivedCluster, startArchivedCluster } from './archived-cluster.ts'
import { openRepo } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

const SEGMENTS = [
  '000000010000000000000AA1',
  '000000010000000000000AA2',
  '000000010000000000000AA3',
]
const MISSING = '000000010000000000000AA4'
const MODES: readonly FaultPlan['mode'][] = ['error-before', 'error-after', 'partial']

/** One way to fail for each call, all of them with PGSURETY_TEST_FULL. */
function modesOf(failAt: number): readonly FaultPlan['mode'][] {
  if (process.env['PGSURETY_TEST_FULL'] !== undefined) return MODES
  return MODES.filter((_, index) => index === failAt % MODES.length)
}

let bed: ArchivedCluster
const stack = new AsyncDisposableStack()

before(async () => {
  bed = stack.use(
    await startArchivedCluster({
      version: '15',
      walSegmentSizeMib: 1,
      settings: { archive_mode: 'off' },
    }),
  )
  await bed.run(`--repo2-path=${join(bed.folder, 'repo2')}`, 'stanza-create')
  await runAs(['mkdir', '-p', join(bed.folder, 'wal/archive_status'), join(bed.folder, 'kept')])
  await runAs(['mkdir', '-p', join(bed.folder, 'lock'), join(bed.folder, 'spool')])
  await bed.cluster.psql("select pg_create_restore_point('end')")
  const name = await bed.cluster.psql('select pg_walfile_name(pg_switch_wal())')
  const content = await readFile(join(bed.cluster.dataDir, 'pg_wal', name))
  dropPrivileges()
  for (const [index, segment] of SEGMENTS.entries()) {
    content.writeUInt32BE(index, 60_000)
    await writeFile(join(bed.folder, 'wal', segment), content)
  }
})

after(async () => {
  await stack.disposeAsync()
})

function argvOf(...options: readonly string[]): readonly string[] {
  const spool = `--spool-path=${bed.folder}/spool`
  return [`--config=${bed.config}`, '--stanza=demo', '--archive-async', spool, ...options]
}

/** A clean archive and spool, with every segment ready. */
async function reset(): Promise<void> {
  for (const repo of ['repo', 'repo2']) {
    await rm(join(bed.folder, repo, 'archive/demo/15-1'), { recursive: true, force: true })
    for (const note of await readdir(join(bed.folder, repo, 'archive/demo'))) {
      if (note.startsWith('pgsurety-')) await rm(join(bed.folder, repo, 'archive/demo', note))
    }
  }
  await rm(join(bed.folder, 'spool/archive'), { recursive: true, force: true })
  for (const segment of SEGMENTS) await writeReady(segment)
}

async function writeReady(segment: string): Promise<void> {
  await writeFile(join(bed.folder, 'wal/archive_status', `${segment}.ready`), '')
}

interface Push {
  readonly options?: readonly string[]
  readonly openStorage?: OpenStorage
}

/** Runs the background in here; the error it ended with, if any. */
async function push({ options = [], openStorage = openConfiguredStorage }: Push): Promise<unknown> {
  const argv = [...argvOf(...options), 'archive-push:async', join(bed.folder, 'wal')]
  const { context } = testContext({ argv, openStorage })
  return await pushReady(context).then(
    () => undefined,
    (error: unknown) => error,
  )
}

/** Segments with an answer that says they are pushed. */
async function answered(): Promise<readonly string[]> {
  const names = await readdir(join(bed.folder, 'spool/archive/demo/out')).catch(() => [])
  return names
    .filter((name) => name.endsWith('.ok'))
    .map((name) => name.slice(0, -3))
    .toSorted()
}

/** Segments that a repository has, each with the right content. */
async function stored(repo: string): Promise<readonly string[]> {
  const place = join(bed.folder, repo, 'archive/demo/15-1/0000000100000000')
  const names = (await readdir(place).catch(() => [])).filter((name) => !name.endsWith('.tmp'))
  for (const name of names) {
    const content = await readFile(join(bed.folder, 'wal', name.slice(0, 24)))
    assert.equal(
      name,
      `${name.slice(0, 24)}-${createHash('sha1').update(content).digest('hex')}.zst`,
    )
  }
  return names.map((name) => name.slice(0, 24)).toSorted()
}

function failing(plan: FaultPlan, repoKey: number): { open: OpenStorage; opened: FaultyStorage[] } {
  const opened: FaultyStorage[] = []
  const open: OpenStorage = (config, key) => {
    const storage = openConfiguredStorage(config, key)
    if (key !== repoKey) return storage
    // One count over every time it is opened.
    const failAt = Math.max(0, plan.failAt - callsOf(opened))
    const faulty = faultyStorage(storage, { ...plan, failAt })
    opened.push(faulty)
    return faulty
  }
  return { open, opened }
}

function callsOf(opened: readonly FaultyStorage[]): number {
  return opened.reduce((sum, { calls }) => sum + calls, 0)
}

test('whichever call fails, what has an answer is stored, and the next run pushes the rest', async (t) => {
  let calls = 1
  for (let failAt = 0; failAt <= calls; failAt += 1) {
    for (const mode of modesOf(failAt)) {
      await reset()
      const { open, opened } = failing({ failAt, mode }, 1)
      await push({ openStorage: open, options: ['--process-max=1'] })
      calls = Math.max(calls, callsOf(opened))
      const there = await stored('repo')
      for (const segment of await answered()) assert(there.includes(segment), `${failAt} ${mode}`)
      assert.equal(await push({}), undefined)
      assert.deepEqual(await answered(), SEGMENTS)
      assert.deepEqual(await stored('repo'), SEGMENTS)
    }
  }
  t.diagnostic(`${calls} calls failed`)
})

function twoRepos(): readonly string[] {
  return [`--repo2-path=${join(bed.folder, 'repo2')}`, '--no-repo2-archive-required']
}

test('whichever call fails on a repository that is not required, the other has all, and it catches up by itself', async (t) => {
  let calls = 1
  for (let failAt = 0; failAt <= calls; failAt += 1) {
    for (const mode of modesOf(failAt)) {
      await reset()
      const { open, opened } = failing({ failAt, mode }, 2)
      const error = await push({ openStorage: open, options: twoRepos() })
      assert.equal(error, undefined, `${failAt} ${mode}: ${String(error)}`)
      calls = Math.max(calls, callsOf(opened))
      assert.deepEqual(await stored('repo'), SEGMENTS)
      assert.deepEqual(await answered(), SEGMENTS)
      await writeReady(SEGMENTS[0] ?? '')
      await rm(join(bed.folder, 'spool/archive/demo/out'), { recursive: true })
      assert.equal(await push({ options: twoRepos() }), undefined)
      assert.deepEqual(await stored('repo2'), SEGMENTS, `${failAt} ${mode}`)
      assert.equal(await readMissingNote(openRepo(argvOf().slice(0, 2)), 'demo', 2), undefined)
    }
  }
  t.diagnostic(`${calls} calls failed`)
})

test('while a required repository is gone the other gets all that is ready, and no segment has an answer', async () => {
  await reset()
  await rename(join(bed.folder, 'repo2'), join(bed.folder, 'away'))
  await push({ options: [`--repo2-path=${join(bed.folder, 'repo2')}`, '--process-max=1'] })
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo2'))
  assert.deepEqual(await stored('repo'), SEGMENTS)
  assert.deepEqual(await answered(), [])
})

test('what a repository misses is on record in the other before the server may forget it', async () => {
  await reset()
  await rename(join(bed.folder, 'repo2'), join(bed.folder, 'away'))
  assert.equal(await push({ options: twoRepos() }), undefined)
  assert.deepEqual(await answered(), SEGMENTS)
  const note = await readMissingNote(openRepo(argvOf().slice(0, 2)), 'demo', 2)
  assert.equal(note?.from, SEGMENTS[0])
  assert.match(note?.reason ?? '', /^\[055\]|^\[55\]|^\[73\]/)
  const text = await readFile(join(bed.folder, `spool/archive/demo/out/${SEGMENTS[1]}.ok`), 'utf8')
  assert.match(
    text,
    /^0\nWAL file '.*' is not in every repository, it will be copied later:\nrepo2: /,
  )
  assert.match(
    await told(),
    /^    archive incomplete\n        repo2 misses 3 WAL file\(s\) from 000000010000000000000AA1 on, since 2.*Z; they will be copied from repo1: \[/m,
  )
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo2'))
  assert.match(await told(), /repo2 misses 3 WAL file\(s\)/)
  assert.match(
    await told('--output=json'),
    /"missing":\[\{"count":3,"from":"000000010000000000000AA1","held-by":1,/,
  )
})

/** What `info` says. */
async function told(...options: readonly string[]): Promise<string> {
  const repo2 = `--repo2-path=${join(bed.folder, 'repo2')}`
  const ran = testContext({
    argv: [`--config=${bed.config}`, '--stanza=demo', repo2, ...options, 'info'],
  })
  assert.equal(await info(ran.context), 0)
  return ran.output()
}

test('one push after another closes the gap in synchronous mode, too', async () => {
  await reset()
  await rename(join(bed.folder, 'repo2'), join(bed.folder, 'away'))
  const sync = (segment: string): ReturnType<typeof testContext> =>
    testContext({
      argv: [
        `--config=${bed.config}`,
        '--stanza=demo',
        ...twoRepos(),
        'archive-push',
        join(bed.folder, 'wal', segment),
      ],
    })
  const [first = '', second = ''] = SEGMENTS
  const ran = sync(first)
  assert.equal(await archivePush(ran.context), 0)
  assert.match(ran.logText(), /WARN: WAL file '.*' is not in every repository/)
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo2'))
  const then = sync(second)
  assert.equal(await archivePush(then.context), 0)
  assert.match(then.logText(), /INFO: repo2 has caught up: 1 WAL file\(s\) copied from repo1/)
  assert.deepEqual(await stored('repo2'), [first, second])
})

test('with no repository that has the file there is no success, whether any is required or not', async () => {
  await reset()
  const { open } = failing({ failAt: 1, mode: 'error-before' }, 1)
  await rename(join(bed.folder, 'repo2'), join(bed.folder, 'away'))
  const options = [...twoRepos(), '--no-repo1-archive-required', '--process-max=1']
  await push({ options, openStorage: open })
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo2'))
  const there = await stored('repo')
  for (const segment of await answered()) assert(there.includes(segment))
})

test('what is dropped is noted at once, and told to the repositories with the next push', async () => {
  await reset()
  const options = ['--archive-push-queue-max=2MiB']
  assert.equal(await push({ options }), undefined)
  assert.deepEqual(await answered(), SEGMENTS)
  assert.deepEqual(await stored('repo'), [])
  const repo = openRepo(argvOf().slice(0, 2))
  assert.deepEqual(await readDrops(repo, 'demo'), [])
  for (const segment of SEGMENTS.slice(1)) {
    await rm(join(bed.folder, 'wal/archive_status', `${segment}.ready`))
  }
  await rm(join(bed.folder, 'spool/archive/demo/out'), { recursive: true })
  assert.equal(await push({ options }), undefined)
  const drops = await readDrops(repo, 'demo')
  assert.deepEqual(
    drops.map(({ first, last, count }) => [first, last, count]),
    [[SEGMENTS[0], SEGMENTS[2], 3]],
  )
  assert.match(
    await told(),
    / {8}WAL .*AA1 to .*AA3 \(3 file\(s\)\) dropped at 2.*Z because of archive-push-queue-max\n$/,
  )
  const archive = join(bed.folder, 'repo/archive/demo/15-1/0000000100000000')
  for (const name of await readdir(archive)) await rm(join(archive, name))
  await writeFile(join(archive, `${MISSING}-${'a'.repeat(40)}.zst`), '')
  assert(!(await told()).includes('dropped'), 'expire went past it')
  await reset()
  assert(!(await told()).includes('incomplete'))
})

test('what was missed before a stanza-upgrade is copied after it, each to the archive it belongs to', async () => {
  await reset()
  const repos = ['repo', 'repo2'].map((name) =>
    openRepo([...argvOf().slice(0, 2), `--repo1-path=${join(bed.folder, name)}`]),
  )
  const plain = await loadArchiveInfo(repos[0] ?? assert.fail(), 'demo')
  await rename(join(bed.folder, 'repo2'), join(bed.folder, 'away'))
  await rm(join(bed.folder, 'wal/archive_status', `${SEGMENTS[2]}.ready`))
  assert.equal(await push({ options: twoRepos() }), undefined)
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo2'))
  const [row = assert.fail()] = plain.history
  const history = [row, { ...row, id: 2 }]
  for (const repo of repos) await saveArchiveInfo(repo, 'demo', { ...plain, currentId: 2, history })
  assert.match(await told(), /repo2 misses 2 WAL file\(s\)/)

  for (const segment of SEGMENTS.slice(0, 2)) {
    await rm(join(bed.folder, 'wal/archive_status', `${segment}.ready`))
  }
  await writeReady(SEGMENTS[2] ?? '')
  assert.equal(await push({ options: twoRepos() }), undefined)

  assert.deepEqual(await stored('repo2'), SEGMENTS.slice(0, 2))
  const upgraded = await readdir(join(bed.folder, 'repo2/archive/demo/15-2/0000000100000000'))
  assert.deepEqual(
    upgraded.map((name) => name.slice(0, 24)),
    SEGMENTS.slice(2),
  )
  for (const repo of repos) await saveArchiveInfo(repo, 'demo', plain)
  for (const name of ['repo', 'repo2']) {
    await rm(join(bed.folder, name, 'archive/demo/15-2'), { recursive: true })
  }
})

test('WAL that was expired before a repository could catch up is named', async () => {
  await reset()
  await rename(join(bed.folder, 'repo2'), join(bed.folder, 'away'))
  assert.equal(await push({ options: twoRepos() }), undefined)
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo2'))
  const archive = join(bed.folder, 'repo/archive/demo/15-1/0000000100000000')
  const [oldest = ''] = (await readdir(archive)).toSorted()
  await rm(join(archive, oldest))
  const argv = [...argvOf(...twoRepos()), 'archive-push:async', join(bed.folder, 'wal')]
  const ran = testContext({ argv })

  assert.equal(await pushReady(ran.context), 0)

  assert.match(
    ran.logText(),
    new RegExp(`WARN: repo2 misses WAL from ${SEGMENTS[0]} on, which repo1 no longer has`),
  )
  assert.deepEqual(await stored('repo2'), SEGMENTS.slice(1))
})

test('whichever call fails while WAL is fetched in advance, only whole segments are delivered, and none is called missing', async (t) => {
  await reset()
  assert.equal(await push({}), undefined)
  const wanted = [...SEGMENTS, MISSING]
  let calls = 1
  for (let failAt = 0; failAt <= calls; failAt += 1) {
    for (const mode of modesOf(failAt)) {
      await rm(join(bed.folder, 'spool/archive'), { recursive: true, force: true })
      const { open, opened } = failing({ failAt, mode }, 1)
      await fetch(wanted, open)
      calls = Math.max(calls, callsOf(opened))
      const fetched = await readdir(join(bed.folder, 'spool/archive/demo/in'))
      for (const name of fetched.filter((one) => /^[0-9A-F]{24}$/.test(one))) {
        await assertWhole(join(bed.folder, 'spool/archive/demo/in', name), name)
      }
      for (const segment of SEGMENTS)
        assert(!fetched.includes(`${segment}.ok`), `${failAt} ${mode}`)
      await fetch(wanted, openConfiguredStorage)
      assert(existsSync(join(bed.folder, `spool/archive/demo/in/${MISSING}.ok`)))
      for (const segment of SEGMENTS) {
        assert.equal(await get(segment, failing({ failAt: 1, mode }, 1).open), 0)
      }
      for (const listing of [2, 3]) {
        const { open: doubtful } = failing({ failAt: listing, mode: 'error-before' }, 1)
        await assert.rejects(get(MISSING, doubtful))
      }
      assert.equal(await get(MISSING, openConfiguredStorage), 1)
    }
  }
  t.diagnostic(`${calls} calls failed`)
})

/** Fetches in advance, whatever comes of it. */
async function fetch(wanted: readonly string[], openStorage: OpenStorage): Promise<void> {
  const argv = [...argvOf(), 'archive-get:async', ...wanted]
  await fetchAhead(testContext({ argv, openStorage }).context).catch(() => undefined)
}

/** Gets as PostgreSQL would, but starts nothing; the exit code. What is delivered must be right. */
async function get(name: string, openStorage: OpenStorage): Promise<number> {
  const target = join(bed.folder, 'got')
  await rm(target, { force: true })
  const ran = testContext({ argv: [...argvOf(), 'archive-get', name, target], openStorage })
  const code = await archiveGet({ ...ran.context, startProcess: startNothing })
  if (code === 0) await assertWhole(target, name)
  return code
}

function startNothing(): { readonly hasEnded: () => boolean } {
  return { hasEnded: () => true }
}

async function assertWhole(path: string, name: string): Promise<void> {
  assert((await readFile(path)).equals(await readFile(join(bed.folder, 'wal', name))), path)
}
