/** Asynchronous archive-push beside the real pgBackRest, on one spool: under load, in turn, killed, and refused. */
import assert from 'node:assert/strict'
import { chmod, copyFile, readdir, readFile, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../scenario/archived-cluster.ts'
import { chooseSeed, seededRandom } from '../scenario/killing.ts'
import { runAs, writeAs } from '../harness/run.ts'
import { type AsyncBed, startAsyncBed, TOOLS } from './async-bed.ts'
import { buildWhenStale } from './shared-stanza.ts'

const KILLS = process.env['PGSURETY_TEST_FULL'] === undefined ? 10 : 100

let bed: AsyncBed

before(async () => {
  await buildWhenStale()
  bed = await startAsyncBed()
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

test('each tool acknowledges what the background process of the other one has pushed', async () => {
  for (const [index, tool] of TOOLS.entries()) {
    await bed.archiveWith('nothing')
    const last = await bed.fill(8)
    const status = join(bed.cluster.dataDir, 'pg_wal/archive_status')
    const ready = (await readdir(status)).filter((name) => name.endsWith('.ready')).toSorted()
    const first = ready[0]?.slice(0, 24) ?? ''
    const pushed = await bed.run(tool, 'archive-push', `pg_wal/${first}`)
    assert.equal(pushed.code, 0, pushed.stderr)
    await untilAnswered(last)
    const other = TOOLS[1 - index] ?? tool
    const found = await bed.run(other, '--log-level-console=info', 'archive-push', `pg_wal/${last}`)
    assert.match(
      found.stdout,
      new RegExp(`pushed WAL file '${last}' to the archive asynchronously`),
    )
    await bed.archiveWith(other)
    await bed.untilArchived(last)
  }
  assert((await bed.assertComplete()) >= 16)
})

async function untilAnswered(segment: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await readdir(bed.out)).includes(`${segment}.ok`)) return
    await sleep(20)
  }
  assert.fail(`no answer for ${segment}`)
}

test('under load, with both tools in turn and their background processes killed, no segment is lost', async (t) => {
  const seed = chooseSeed()
  t.diagnostic(`KILL_SEED=${seed}`)
  const random = seededRandom(seed)
  let killed = 0
  for (let kill = 0; kill < KILLS; kill += 1) {
    const tool = random() < 0.7 ? 'pgsurety' : 'pgbackrest'
    await bed.archiveWith(tool)
    await bed.fill(3 + Math.floor(random() * 8))
    if (await killBackground(random() * 80)) killed += 1
  }
  t.diagnostic(`${killed} of ${KILLS} kills hit a running background process`)
  await bed.archiveWith('pgsurety')
  await bed.untilArchived(await bed.fill(1))
  assert(killed > 0)
  t.diagnostic(`${await bed.assertComplete()} segments`)
})

/** Waits until somebody pushes in the background, and kills that process a little later, as a power cut would. */
async function killBackground(delayMs: number): Promise<boolean> {
  for (let tries = 0; tries < 300; tries += 1) {
    const pid = await backgroundPid()
    if (pid !== undefined) {
      await sleep(delayMs)
      return (await backgroundPid()) === pid && process.kill(pid, 'SIGKILL')
    }
    await sleep(2)
  }
  return false
}

async function backgroundPid(): Promise<number | undefined> {
  try {
    const text = await readFile(join(bed.folder, 'lock/demo-archive-1.lock'), 'utf8')
    const { pid }: { readonly pid: number } = JSON.parse(text)
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    return command.includes('archive-push:async') ? pid : undefined
  } catch {
    return undefined
  }
}

test('an unreachable repository is told with its error, and archiving goes on by itself when it is back', async () => {
  const repo = join(bed.folder, 'repo1')
  await bed.archiveWith('nothing')
  const last = await bed.fill(1)
  await chmod(repo, 0o000)
  for (const tool of TOOLS) {
    const { code } = await bed.run(tool, '--archive-timeout=5', 'archive-push', `pg_wal/${last}`)
    assert.equal(code, tool === 'pgsurety' ? 41 : 103)
  }
  await chmod(repo, 0o750)
  // As a power cut leaves a file that was just renamed into its place.
  await writeAs(join(bed.out, `${last}.error`), '')
  await bed.archiveWith('pgsurety')
  await bed.untilArchived(last)
  await bed.assertComplete()
})

test('answers with something to say are said by both tools in the same words, and with the same exit code', async () => {
  const name = '0000000900000009000000AA'
  await bed.archiveWith('nothing')
  for (const text of ['', '0\nhello\nworld', '42\nbad\nHINT: thing', 'xx', '0', '0\n', 'x\ny']) {
    await writeAs(join(bed.out, `${name}.ok`), text)
    const [ours, theirs] = await Promise.all(
      TOOLS.map(async (tool) => {
        const options = ['--log-timestamp=n', '--log-level-console=warn', '--log-level-stderr=off']
        return await bed.run(tool, ...options, 'archive-push', `pg_wal/${name}`)
      }),
    )
    assert.equal(ours?.code, theirs?.code, JSON.stringify(text))
    if (theirs?.code === 0) assert.equal(ours?.stdout, theirs.stdout)
  }
  await rm(join(bed.out, `${name}.ok`))
})

test('a stop file, a missing pg1-path and a spool that cannot be made are refused', async () => {
  const last = await bed.fill(1)
  const push = ['archive-push', `pg_wal/${last}`]
  await writeAs(join(bed.folder, 'lock/demo.stop'), '')
  for (const tool of TOOLS) assert.equal((await bed.run(tool, ...push)).code, 62)
  await rm(join(bed.folder, 'lock/demo.stop'))
  const nowhere = await bed.run('pgsurety', '--spool-path=/proc/nowhere', ...push)
  assert.equal(nowhere.code, 82, nowhere.stderr)
  await bed.archiveWith('pgsurety')
  await bed.untilArchived(last)
})

/** What the launcher answers for a segment without any Node: 0, or 127 when it would have started one. */
async function pushWithoutNode(
  segment: string,
  env: Readonly<Record<string, string>> = {},
  cwd: string = bed.cluster.dataDir,
): Promise<number | null> {
  const argv = [...bed.commandOf('pgsurety'), 'archive-push', `pg_wal/${segment}`]
  const options = { cwd, env: { PGSURETY_NODE: '/nonexistent/node', ...env } }
  return (await runAs(argv, { ...options, allowFailure: 'allow' })).code
}

test('the launcher alone answers for a pushed segment, until anything is not as it was', async () => {
  await bed.archiveWith('nothing')
  const segment = await bed.fill(1)
  const conf = join(bed.folder, 'conf')
  const answer = join(bed.out, `${segment}.ok`)
  const wal = join(bed.cluster.dataDir, 'pg_wal', segment)
  const full = [...bed.commandOf('pgsurety'), 'archive-push', `pg_wal/${segment}`]
  assert.equal(await pushWithoutNode(segment), 127)
  const changes: readonly (readonly [string, () => Promise<unknown>, () => Promise<unknown>])[] = [
    ['a stop file', async () => await writeAs(stop, ''), async () => await rm(stop)],
    [
      'a warning',
      async () => await writeAs(answer, '0\nlook'),
      async () => await writeAs(answer, ''),
    ],
    ['a newer WAL file', async () => await touch(wal), async () => await touch(answer)],
    ['a changed configuration', async () => await touch(conf), async () => undefined],
    [
      'an old configuration in its place',
      async () => {
        await copyFile(conf, `${conf}.old`)
        await utimes(`${conf}.old`, 1, 1)
        await rename(`${conf}.old`, conf)
      },
      async () => undefined,
    ],
  ]
  const stop = join(bed.folder, 'lock/all.stop')
  for (const [what, change, undo] of changes) {
    await untilAnsweredWithoutNode(segment, full)
    await change()
    assert.equal(await pushWithoutNode(segment), 127, what)
    await undo()
  }
  await untilAnsweredWithoutNode(segment, full)
  assert.equal(await pushWithoutNode(segment, { PGBACKREST_SPOOL_PATH: '/x' }), 127)
  assert.equal(await pushWithoutNode(segment, {}, '/'), 127)
  assert.equal(await pushWithoutNode(segment), 0)
  await bed.archiveWith('pgsurety')
  await bed.untilArchived(segment)
})

test('the launcher waits for an answer while a background process works, and not for long', async () => {
  await bed.archiveWith('nothing')
  const segment = await bed.fill(1)
  const answer = join(bed.out, `${segment}.ok`)
  const lock = join(bed.folder, 'lock/demo-archive-1.lock')
  const full = [...bed.commandOf('pgsurety'), 'archive-push', `pg_wal/${segment}`]
  await untilAnsweredWithoutNode(segment, full)
  await rm(answer)
  assert.equal(await pushWithoutNode(segment), 127)
  await writeAs(lock, '')
  assert.equal(await pushWithoutNode(segment), 127)
  const waiting = pushWithoutNode(segment)
  await sleep(100)
  await writeAs(answer, '')
  assert.equal(await waiting, 0)
  await rm(lock)
  await bed.archiveWith('pgsurety')
  await bed.untilArchived(segment)
})

/** Other tests make folders beside ours, which outdates the note: so more than one try. */
async function untilAnsweredWithoutNode(segment: string, full: readonly string[]): Promise<void> {
  await until('the launcher answers', async () => {
    await runAs(full, { cwd: bed.cluster.dataDir })
    return (await pushWithoutNode(segment)) === 0
  })
}

async function touch(path: string): Promise<void> {
  const nowS = Date.now() / 1000
  await utimes(path, nowS, nowS)
}

test('a queue longer than archive-push-queue-max is dropped at once, and each drop is told', async () => {
  for (const tool of TOOLS) {
    await bed.archiveWith('nothing')
    const last = await bed.fill(4)
    const argv = ['--archive-push-queue-max=3MiB', '--log-level-stderr=off', 'archive-push']
    const status = join(bed.cluster.dataDir, 'pg_wal/archive_status')
    const ready = (await readdir(status)).filter((name) => name.endsWith('.ready')).toSorted()
    for (const name of ready.map((entry) => entry.slice(0, 24))) {
      const dropped = await bed.run(tool, ...argv, `pg_wal/${name}`)
      assert.equal(dropped.code, 0)
      assert.match(
        dropped.stdout,
        new RegExp(`WARN: dropped WAL file '${name}' because archive queue exceeded 3MB`),
      )
    }
    await bed.archiveWith('pgsurety')
    await bed.untilArchived(last)
  }
})
