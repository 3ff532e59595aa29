import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type OpenedStorage, storageContract } from '../../test/contract/storage.ts'
import { AppError, isErrorKind } from '../base/error.ts'
import { collect } from '../pipe/pipe.ts'
import { openPosixStorage } from './posix.ts'

function temporary(): AsyncDisposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'pgsurety-posix-'))
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true })
    },
  }
}

storageContract('posix', async (): Promise<OpenedStorage> => {
  const root = temporary()
  const storage = openPosixStorage({ root: join(root.path, 'repo') })
  mkdirSync(storage.location)
  const vanish = async (): Promise<void> => {
    await rm(storage.location, { recursive: true })
  }
  return {
    storage,
    vanish,
    obstruct: async () => {
      await vanish()
      writeFileSync(storage.location, 'a file where the repository was')
    },
    close: async () => {
      await root[Symbol.asyncDispose]()
    },
  }
})

test('put creates the root when its parent exists, and not more', async () => {
  await using directory = temporary()
  const near = openPosixStorage({ root: join(directory.path, 'repo') })
  const far = openPosixStorage({ root: join(directory.path, 'not/mounted') })

  await near.put('a/b', Buffer.from('x'))

  assert.equal(readFileSync(join(directory.path, 'repo/a/b'), 'latin1'), 'x')
  await assert.rejects(far.put('a/b', Buffer.from('x')), (error) =>
    isErrorKind(error, 'path-missing'),
  )
  assert.ok(!existsSync(join(directory.path, 'not')))
})

test('modes are those of pgBackRest unless others are asked for', async () => {
  await using directory = temporary()
  const standard = openPosixStorage({ root: join(directory.path, 'standard') })
  const modes = { fileMode: 0o600, pathMode: 0o700 }
  const strict = openPosixStorage({ root: join(directory.path, 'strict'), modes })

  await standard.put('dir/a', Buffer.from('x'))
  await strict.put('dir/a', Buffer.from('x'), { durable: 'on-sync' })

  const modeOf = (path: string): number => statSync(join(directory.path, path)).mode & 0o777
  assert.equal(modeOf('standard/dir'), 0o750)
  assert.equal(modeOf('standard/dir/a'), 0o640)
  assert.equal(modeOf('strict'), 0o700)
  assert.equal(modeOf('strict/dir'), 0o700)
  assert.equal(modeOf('strict/dir/a'), 0o600)
})

test('left-overs of interrupted puts are not listed, and go with their prefix', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('set/a', Buffer.from('x'))
  writeFileSync(join(directory.path, 'set/b.pgbackrest.tmp'), 'half')
  writeFileSync(join(directory.path, 'set/c.0a1b2c3d.pgbackrest.tmp'), 'half')

  const names = (await storage.listAll('')).map((entry) => entry.name)
  await storage.removeAll('set')

  assert.deepEqual(names, ['set/a'])
  assert.deepEqual(readdirSync(directory.path), [])
})

test('left-overs are removed when nobody has written to them since, and nothing else', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('set/a', Buffer.from('x'))
  mkdirSync(join(directory.path, 'set/below.pgbackrest.tmp'))
  symlinkSync('a', join(directory.path, 'set/link.pgbackrest.tmp'))
  for (const name of ['old', 'new']) {
    writeFileSync(join(directory.path, `set/${name}.pgbackrest.tmp`), 'half')
  }
  utimesSync(join(directory.path, 'set/old.pgbackrest.tmp'), 1000, 1000)
  utimesSync(join(directory.path, 'set/a'), 1000, 1000)

  const removed = await storage.removeLeftOvers('set', 2_000_000)

  assert.equal(removed, 1)
  assert.deepEqual(readdirSync(join(directory.path, 'set')).toSorted(), [
    'a',
    'below.pgbackrest.tmp',
    'link.pgbackrest.tmp',
    'new.pgbackrest.tmp',
  ])
  assert.equal(await storage.removeLeftOvers('missing', 2_000_000), 0)
})

test('while a body is written its file ends in .pgbackrest.tmp', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  const seen: string[] = []
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from('x')
    seen.push(...readdirSync(directory.path))
  }

  await storage.put('info', body())

  assert.equal(seen.length, 1)
  assert.match(seen[0] ?? '', /^info\.[0-9a-f]{8}\.pgbackrest\.tmp$/)
  assert.deepEqual(readdirSync(directory.path), ['info'])
})

test('removeAll never follows a link out of the repository', async () => {
  await using outside = temporary()
  await using directory = temporary()
  writeFileSync(join(outside.path, 'precious'), 'x')
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('set/a', Buffer.from('x'))
  symlinkSync(outside.path, join(directory.path, 'set/out'))
  symlinkSync(outside.path, join(directory.path, 'direct'))
  symlinkSync('nowhere', join(directory.path, 'dangling'))

  await storage.removeAll('set')
  await storage.removeAll('direct')
  await storage.removeAll('dangling')

  assert.deepEqual(readdirSync(directory.path), [])
  assert.ok(existsSync(join(outside.path, 'precious')))
})

test('a put onto a hard link leaves the other name alone', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('older/file', Buffer.from('old'))
  await storage.put('newer/keep', Buffer.from('x'))
  linkSync(join(directory.path, 'older/file'), join(directory.path, 'newer/file'))

  await storage.put('newer/file', Buffer.from('new'), { durable: 'on-sync' })

  assert.equal(readFileSync(join(directory.path, 'older/file'), 'latin1'), 'old')
  assert.equal(readFileSync(join(directory.path, 'newer/file'), 'latin1'), 'new')
})

test('link points a name at a target and replaces the link that was there', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })

  await storage.link('backup/demo/latest', '20260101-000000F')
  await storage.link('backup/demo/latest', '20260102-000000F')

  assert.equal(readlinkSync(join(directory.path, 'backup/demo/latest')), '20260102-000000F')
  assert.deepEqual(readdirSync(join(directory.path, 'backup/demo')), ['latest'])
})

test('errors name the full path and the reason', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('a', Buffer.from('x'))

  await assert.rejects(collect(storage.get('gr\xc3\xbcn'), 10), {
    kind: 'file-missing',
    message: `unable to open missing file '${directory.path}/grün': [2] no such file or directory`,
  })
  await assert.rejects(storage.stat('a/b'), {
    kind: 'file-open',
    message: `unable to get info for '${directory.path}/a/b': [20] not a directory`,
  })
  await assert.rejects(storage.put('a/b', Buffer.from('x')), {
    kind: 'file-open',
    message: /^unable to create '.*\/a\/b\.[0-9a-f]{8}\.pgbackrest\.tmp': \[20\] not a directory$/,
  })
})

test('a lost mount is named as such', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: join(directory.path, 'repo') })

  await assert.rejects(storage.list('archive'), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.kind, 'path-missing')
    assert.match(error.text, /repo' does not exist\nHINT: is the file system .* mounted\?$/)
    return true
  })
})

test('permission denied is never missing and never an empty list', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('closed/a', Buffer.from('x'))

  const kinds = questionsWithoutPermission(directory.path)

  assert.deepEqual(kinds, {
    get: 'file-open',
    stat: 'file-open',
    list: 'path-open',
    put: 'file-open',
    remove: 'file-remove',
    removeAll: 'path-open',
  })
})

/** The error kinds another user meets. Root ignores permissions, so the questions are asked by a child without them. */
function questionsWithoutPermission(root: string): unknown {
  const script = `
    const { openPosixStorage } = await import(process.argv[1])
    const storage = openPosixStorage({ root: process.argv[2] })
    const kindOf = async (call) => await call().then((value) => ({ value }), (error) => error.kind)
    console.log(JSON.stringify({
      get: await kindOf(async () => await storage.get('closed/a').next()),
      stat: await kindOf(async () => await storage.stat('closed/a')),
      list: await kindOf(async () => await storage.list('closed')),
      put: await kindOf(async () => await storage.put('closed/b', Buffer.from('x'))),
      remove: await kindOf(async () => await storage.remove('closed/a')),
      removeAll: await kindOf(async () => await storage.removeAll('closed')),
    }))`
  const node = [process.execPath, '--input-type=module', '-e', script]
  const module = new URL('./posix.ts', import.meta.url).href
  // env(1) does nothing here but make both commands one shape.
  const powerless = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--', ...node]
  const args = [...(process.getuid?.() === 0 ? powerless : node), module, root]
  const closed = join(root, 'closed')
  spawnSync('chmod', ['000', closed])
  const { stdout, stderr } = spawnSync('env', args, { encoding: 'utf8' })
  spawnSync('chmod', ['700', closed])
  assert.equal(stderr, '')
  return JSON.parse(stdout)
}

test('an interrupted put leaves no name to trip over', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('dir/a', Buffer.from('old'))
  // Another process tidies up between the open and the rename.
  async function* body(): AsyncGenerator<Buffer> {
    yield Buffer.from('new')
    renameSync(join(directory.path, 'dir'), join(directory.path, 'gone'))
  }

  await assert.rejects(storage.put('dir/a', body()), (error) => isErrorKind(error, 'file-move'))
  rmSync(join(directory.path, 'gone'), { recursive: true })
  await storage.put('dir/a', Buffer.from('again'))

  assert.equal((await collect(storage.get('dir/a'), 10)).toString(), 'again')
})

test('links are told by themselves, with what stands in them', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('dir/a', Buffer.from('a'))
  await storage.link('dir/z', 'a')
  await storage.link('dir/latest', 'nowhere')

  assert.deepEqual(await storage.links('dir'), [
    { name: 'latest', target: 'nowhere' },
    { name: 'z', target: 'a' },
  ])
  assert.deepEqual(await storage.links('none'), [])
})

test('a second name costs no second copy, and needs a first one', async () => {
  await using directory = temporary()
  const storage = openPosixStorage({ root: directory.path })
  await storage.put('1/file', Buffer.from('x'))

  await storage.linkFrom('2/file', '1/file')

  const inodeOf = (key: string): number => statSync(join(directory.path, key)).ino
  assert.equal(inodeOf('2/file'), inodeOf('1/file'))
  await assert.rejects(storage.linkFrom('3/file', '1/other'), (error) =>
    isErrorKind(error, 'file-missing'),
  )
})
