import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { acquireLock, isLocked, type LockOptions, lockFile, readLock } from './lock.ts'

interface Directory extends Disposable {
  readonly lockPath: string
  options(changes?: Partial<LockOptions>): LockOptions
}

function directory(): Directory {
  const root = mkdtempSync(join(tmpdir(), 'pgsurety-lock-'))
  const lockPath = join(root, 'made/on/demand')
  return {
    lockPath,
    options: (changes) => ({
      lockPath,
      stanza: 'demo',
      type: 'backup',
      repoKey: 1,
      execId: '100-0a1b2c3d',
      ...changes,
    }),
    [Symbol.dispose]: () => {
      rmSync(root, { recursive: true })
    },
  }
}

/** What the kernel says about the lock, asked by a program that is not ours. */
function flockStatus(path: string): number | null {
  return spawnSync('flock', ['-n', path, 'true']).status
}

/** A process that takes the lock, says so, and stays. */
async function holder(options: LockOptions): Promise<ChildProcess> {
  const script = `
    const { acquireLock } = await import(process.argv[1])
    globalThis.lock = await acquireLock(JSON.parse(process.argv[2]))
    console.log('held')
    setInterval(() => undefined, 1000)`
  const module = new URL('./lock.ts', import.meta.url).href
  const args = ['--input-type=module', '-e', script, module, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  assert.ok(child.stdout !== null)
  await once(child.stdout, 'data')
  return child
}

function searchPath(path: string): Disposable {
  const before = process.env['PATH']
  process.env['PATH'] = path
  return {
    [Symbol.dispose]: () => {
      process.env['PATH'] = before
    },
  }
}

/** Puts a shell script before the real `flock`. */
function programInPath(directoryPath: string, script: string): Disposable {
  mkdirSync(directoryPath, { recursive: true })
  writeFileSync(join(directoryPath, 'flock'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return searchPath(`${directoryPath}:${process.env['PATH']}`)
}

test('lock files are named as pgBackRest names them', () => {
  const backup = { lockPath: '/tmp/pgbackrest', stanza: 'demo', type: 'backup' } as const

  assert.equal(lockFile({ ...backup, repoKey: 2 }), '/tmp/pgbackrest/demo-backup-2.lock')
  assert.equal(lockFile({ ...backup, repoKey: undefined }), '/tmp/pgbackrest/demo-backup.lock')
})

test('a lock is a flock that others see, and its file says who holds it', async () => {
  using at = directory()
  const path = lockFile(at.options())

  await using _lock = await acquireLock(at.options())

  assert.equal(flockStatus(path), 1)
  assert.equal(readFileSync(path, 'utf8'), `{"execId":"100-0a1b2c3d","pid":${process.pid}}`)
  assert.equal(statSync(path).mode & 0o777, 0o640)
  assert.equal(await isLocked(path), true)
})

test('a released lock leaves no file, and can be taken again', async () => {
  using at = directory()
  {
    await using _lock = await acquireLock(at.options())
  }
  assert.equal(existsSync(lockFile(at.options())), false)
  assert.equal(await isLocked(lockFile(at.options())), false)
  {
    await using _again = await acquireLock(at.options({ execId: '200-other' }))
  }
})

test('a lock somebody holds is refused, with the name of the holder', async () => {
  using at = directory()
  const path = lockFile(at.options())
  await using lock = await acquireLock(at.options())
  lock.progress({ sizeBytes: 10_000, completeBytes: 4217 })

  await assert.rejects(acquireLock(at.options({ execId: '200-other' })), {
    kind: 'lock-acquire',
    text:
      `unable to acquire lock on file '${path}': Resource temporarily unavailable\n` +
      `HINT: is another pgBackRest process running? Process ${process.pid} holds it ` +
      `(execution 100-0a1b2c3d, 42.17% complete).`,
  })
  assert.equal(flockStatus(path), 1, 'the refused attempt must not disturb the holder')
})

test('locks of other stanzas, types and repositories are independent', async () => {
  using at = directory()
  await using _lock = await acquireLock(at.options())

  await using _stanza = await acquireLock(at.options({ stanza: 'other', execId: '2' }))
  await using _type = await acquireLock(at.options({ type: 'archive', execId: '3' }))
  await using _repo = await acquireLock(at.options({ repoKey: 2, execId: '4' }))
  await using _older = await acquireLock(at.options({ repoKey: undefined, execId: '5' }))
})

test('a process of the same execution shares the lock and does not release it', async () => {
  using at = directory()
  await using _lock = await acquireLock(at.options())
  {
    await using shared = await acquireLock(at.options())
    shared.progress({ sizeBytes: 1, completeBytes: 1 })
  }
  assert.equal(flockStatus(lockFile(at.options())), 1)
  assert.equal((await readLock(lockFile(at.options())))?.percent, undefined)
})

test('of many at once exactly one gets the lock', async () => {
  using at = directory()
  const attempts = Array.from({ length: 6 }, async (_, index) => {
    return await acquireLock(at.options({ execId: `exec-${index}` }))
  })

  const settled = await Promise.allSettled(attempts)

  const won = settled.filter((result) => result.status === 'fulfilled')
  const lost = settled.filter((result) => result.status === 'rejected')
  assert.equal(won.length, 1)
  assert.ok(lost.every(({ reason }) => isErrorKind(reason, 'lock-acquire')))
  await won[0]?.value[Symbol.asyncDispose]()
})

test('a lock on a file that just lost its name is not taken for the lock', async () => {
  using at = directory()
  const path = lockFile(at.options())
  // The holder before us releases, and removes its file, between our open and our flock.
  using _shim = programInPath(
    at.lockPath,
    `[ -e "$0.done" ] || { : > "$0.done"; rm '${path}'; }\nexec /usr/bin/flock "$@"`,
  )

  await using _lock = await acquireLock(at.options())

  assert.equal(existsSync(path), true)
  assert.equal(flockStatus(path), 1)
})

test('the lock of a killed process is free, and its file is stale', async () => {
  using at = directory()
  const path = lockFile(at.options())
  const child = await holder(at.options())
  assert.equal(await isLocked(path), true)

  child.kill('SIGKILL')
  await once(child, 'exit')

  assert.equal(await isLocked(path), false)
  assert.equal((await readLock(path))?.pid, child.pid)
  await using _lock = await acquireLock(at.options({ execId: '200-other' }))
  assert.equal((await readLock(path))?.pid, process.pid)
})

test('a program started while the lock is held does not keep it', async () => {
  using at = directory()
  const lock = await acquireLock(at.options())
  const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' })

  await lock[Symbol.asyncDispose]()

  assert.equal(flockStatus(lockFile(at.options())), 0)
  sleeper.kill('SIGKILL')
})

test('progress is written in place, in hundredths of a percent, when it is news', async () => {
  using at = directory()
  const path = lockFile(at.options())
  await using lock = await acquireLock(at.options())

  lock.progress({ sizeBytes: 24_491_914, completeBytes: 10_330_000 })
  const first = readFileSync(path, 'utf8')
  lock.progress({ sizeBytes: 24_491_914, completeBytes: 10_340_000 })
  const soon = readFileSync(path, 'utf8')
  lock.progress({ sizeBytes: 9, completeBytes: 9 })

  const head = '{"execId":"100-0a1b2c3d","pctCplt"'
  const pid = `"pid":${process.pid}`
  assert.equal(first, `${head}:4217,${pid},"sz":24491914,"szCplt":10330000}`)
  assert.equal(soon, first)
  assert.deepEqual(await readLock(path), {
    pid: process.pid,
    execId: '100-0a1b2c3d',
    sizeBytes: 9,
    completeBytes: 9,
    percent: 100,
  })
})

test('a lock file that is missing or makes no sense says nothing', async () => {
  using at = directory()
  const path = lockFile(at.options())
  assert.equal(await readLock(path), undefined)

  await using _lock = await acquireLock(at.options())
  writeFileSync(path, '')
  assert.equal(await readLock(path), undefined)
  writeFileSync(path, '{"execId":"1-a","pid":"7"}')
  assert.equal(await readLock(path), undefined)

  await assert.rejects(acquireLock(at.options({ execId: '2' })), {
    hints: ['is another pgBackRest process running?'],
  })
})

test('without the flock program the error says what to install', async () => {
  using at = directory()
  using _path = searchPath('/nowhere')

  await assert.rejects(acquireLock(at.options()), {
    kind: 'execute',
    text: /^unable to run program 'flock'.*\nHINT: .*util-linux/,
  })
})
