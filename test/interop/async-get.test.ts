/** Asynchronous archive-get beside the real pgBackRest, on one spool: in turn, killed, and for a whole recovery. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { copyFile, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { isLocked } from '../../src/repo/lock.ts'
import { openCluster } from '../harness/cluster.ts'
import { runAs, writeAs } from '../harness/run.ts'
import { chooseSeed, seededRandom } from '../scenario/killing.ts'
import { until, untilPromoted } from '../scenario/archived-cluster.ts'
import { type AsyncBed, type AsyncTool, startAsyncBed, TOOLS } from './async-bed.ts'
import { buildWhenStale } from './shared-stanza.ts'

const SEGMENTS = 30

let bed: AsyncBed
let names: readonly string[]
let target: string

before(async () => {
  await buildWhenStale()
  bed = await startAsyncBed(['archive-get-queue-max=8MiB'])
  target = join(bed.cluster.dataDir, 'pg_wal/RECOVERYXLOG')
  await bed.archiveWith('pgsurety')
  const backup = await bed.run('pgsurety', '--type=full', 'backup')
  assert.equal(backup.code, 0, backup.stderr)
  await bed.cluster.psql('create table kept as select generate_series(1, 1000) as id')
  await bed.untilArchived(await bed.fill(SEGMENTS))
  await bed.archiveWith('nothing')
  const truth = (await readdir(join(bed.folder, 'truth'))).toSorted()
  names = truth.filter((name) => /^[0-9A-F]{24}$/.test(name)).slice(-SEGMENTS)
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

const inFolder = (): string => join(bed.folder, 'spool/archive/demo/in')

/** Forgets what was fetched, when nobody fetches any more. */
async function emptySpool(): Promise<void> {
  const lock = join(bed.folder, 'lock/demo-archive-1.lock')
  await until('nobody fetches', async () => !(await isLocked(lock)))
  await rm(inFolder(), { recursive: true, force: true })
}

/** Gets a segment as PostgreSQL would; the exit code. What is delivered must be what the server wrote. */
async function get(tool: AsyncTool, name: string): Promise<number | null> {
  await rm(target, { force: true })
  const { code } = await bed.run(tool, 'archive-get', name, 'pg_wal/RECOVERYXLOG')
  if (code === 0) {
    const truth = await readFile(join(bed.folder, 'truth', name))
    assert((await readFile(target)).equals(truth), `${tool} ${name}`)
  }
  return code
}

test('each tool delivers what the other one has fetched in advance', async () => {
  await emptySpool()
  for (const [index, name] of names.entries()) {
    const tool = TOOLS[Math.floor(index / 3) % 2] ?? 'pgsurety'
    assert.equal(await get(tool, name), 0, `${tool} ${name}`)
    if (index % 4 === 0) await sleep(150)
  }
  for (const tool of TOOLS) assert.equal(await get(tool, '0000000100000000000000F0'), 1)
  await rm(target, { force: true })
})

test('a background process killed at any moment leaves nothing that is taken for a segment', async (t) => {
  const seed = chooseSeed()
  t.diagnostic(`KILL_SEED=${seed}`)
  const random = seededRandom(seed)
  let killed = 0
  for (const name of names) {
    assert.equal(await get('pgsurety', name), 0, name)
    await sleep(random() * 120)
    if (random() < 0.6 && (await killBackground())) {
      killed += 1
      for (const fetched of await readdir(inFolder())) {
        if (!/^[0-9A-F]{24}$/.test(fetched)) continue
        const content = await readFile(join(inFolder(), fetched))
        assert(content.equals(await readFile(join(bed.folder, 'truth', fetched))), fetched)
      }
    }
  }
  t.diagnostic(`${killed} kills hit a running background process`)
})

async function killBackground(): Promise<boolean> {
  try {
    const text = await readFile(join(bed.folder, 'lock/demo-archive-1.lock'), 'utf8')
    const { pid }: { readonly pid: number } = JSON.parse(text)
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    return command.includes('archive-get:async') && process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

test('with the repository unreachable a segment is not missing, and what was fetched before is delivered', async () => {
  const [first = '', second = ''] = names
  await emptySpool()
  assert.equal(await get('pgsurety', first), 0)
  await untilFetched(second)
  await rename(join(bed.folder, 'repo1'), join(bed.folder, 'away'))
  assert.equal(await get('pgsurety', second), 0)
  await emptySpool()
  assert.equal(await get('pgsurety', second), 103)
  await rename(join(bed.folder, 'away'), join(bed.folder, 'repo1'))
  await rm(target, { force: true })
})

async function untilFetched(name: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    if (existsSync(join(inFolder(), name))) return
    await sleep(20)
  }
  assert.fail(`${name} was not fetched`)
}

test('the answer "not in the archive" of a background process counts only when asked to', async () => {
  const name = names[0] ?? ''
  for (const tool of TOOLS) {
    for (const [option, code] of [
      ['--archive-missing-retry', 0],
      ['--no-archive-missing-retry', 1],
    ] as const) {
      await emptySpool()
      assert.equal(await get(tool, name), 0)
      await untilFetched(names[1] ?? '')
      await rm(join(inFolder(), names[1] ?? ''))
      await writeFile(join(inFolder(), `${names[1]}.ok`), '')
      const argv = [option, 'archive-get', names[1] ?? '', 'pg_wal/RECOVERYXLOG']
      assert.equal((await bed.run(tool, ...argv)).code, code, `${tool} ${option}`)
    }
  }
  await rm(target, { force: true })
})

/** Like `get` with pgsurety, but without any Node: only the launcher can answer. */
async function getWithoutNode(name: string): Promise<number | null> {
  const argv = [...bed.commandOf('pgsurety'), 'archive-get', name, 'pg_wal/RECOVERYXLOG']
  const env = { PGSURETY_NODE: '/nonexistent/node' }
  return (await runAs(argv, { cwd: bed.cluster.dataDir, env, allowFailure: 'allow' })).code
}

test('the launcher alone delivers what was fetched, as long as enough of the next is there', async () => {
  const [first = '', second = '', third = ''] = names
  await emptySpool()
  const argv = [...bed.commandOf('pgsurety'), 'archive-get', first, 'pg_wal/RECOVERYXLOG']
  await runAs(argv, { cwd: bed.cluster.dataDir })
  await untilFetched(names[8] ?? '')
  assert.equal(await getWithoutNode(second), 0)
  assert((await readFile(target)).equals(await readFile(join(bed.folder, 'truth', second))))
  await writeFile(join(inFolder(), `${third}.ok`), '0\nsomething')
  assert.equal(await getWithoutNode(third), 127)
  await rm(join(inFolder(), `${third}.ok`))
  await rm(join(inFolder(), names[6] ?? ''))
  assert.equal(await getWithoutNode(third), 127)
  const lock = join(bed.folder, 'lock/demo-archive-1.lock')
  await writeAs(lock, '')
  assert.equal(await getWithoutNode(third), 0, 'somebody is fetching more')
  assert.equal(await getWithoutNode(third), 127, 'nobody is fetching this one')
  const temp = join(inFolder(), `${third}.pgbackrest.tmp`)
  await copyFile(join(bed.folder, 'truth', third), temp)
  const waiting = getWithoutNode(third)
  await sleep(100)
  await rename(temp, join(inFolder(), third))
  assert.equal(await waiting, 0, 'it was just being fetched')
  await rm(lock)
  await rm(target, { force: true })
})

test('a restore empties the spool, and the recovery that follows gets all it needs through it', async () => {
  const dataDir = join(bed.folder, 'restored')
  await writeFile(join(inFolder(), names[0] ?? ''), 'of another life')
  const argv = [`--pg1-path=${dataDir}`, '--archive-mode=off', '--type=default', 'restore']
  const restored = await bed.run('pgsurety', ...argv)
  assert.equal(restored.code, 0, restored.stderr)
  await assert.rejects(stat(inFolder()))
  await using cluster = await openCluster({ version: '15', dataDir })
  await cluster.start()
  await untilPromoted(cluster)
  assert.equal(await cluster.psql('select count(*) from kept'), '1000')
  assert.match(await cluster.logText(), new RegExp(`restored log file "${names.at(-1)}"`))
})
