/**
 * What every storage driver must do, whatever it stands on.
 *
 * `open` gives an empty storage each time. Parts that only some drivers can show are declared by giving the means to
 * provoke them: no `vanish`, no test of a vanished root.
 */
import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { describe, test } from 'node:test'
import { AppError, type ErrorKind } from '../../src/base/error.ts'
import { collect } from '../../src/pipe/pipe.ts'
import type { GetRange, Storage } from '../../src/storage/storage.ts'

export interface OpenedStorage {
  readonly storage: Storage
  close(): Promise<void>
  /** Takes the root away: the repository's disk is not mounted, the bucket is gone. */
  vanish?(): Promise<void>
  /** Makes the root useless in another way than missing: a file in its place, a server that refuses. */
  obstruct?(): Promise<void>
}

type Open = () => Promise<OpenedStorage>

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

async function read(storage: Storage, key: string, range?: GetRange): Promise<string> {
  return (await collect(storage.get(key, range), 64 * 1024 * 1024)).toString('latin1')
}

/** Three chunks in one reused buffer, as the contract of sources allows. */
async function* reusing(...chunks: readonly string[]): AsyncGenerator<Buffer> {
  const buffer = Buffer.alloc(64)
  for (const chunk of chunks) {
    yield buffer.subarray(0, buffer.write(chunk, 'latin1'))
    await setImmediate()
    buffer.fill('#')
  }
}

async function* failing(): AsyncGenerator<Buffer> {
  yield bytes('half of the n')
  await setImmediate()
  throw new AppError('protocol', 'source unplugged')
}

const ofKind =
  (kind: ErrorKind) =>
  (error: unknown): boolean =>
    error instanceof AppError && error.kind === kind

/** Every call that asks whether something is there. None may answer when the storage cannot be reached. */
function questions(storage: Storage): Record<string, () => Promise<unknown>> {
  return {
    get: async () => await read(storage, 'a/b'),
    stat: async () => await storage.stat('a/b'),
    list: async () => await storage.list('a'),
    names: async () => await storage.names('a'),
    'list of the root': async () => await storage.list(''),
    listAll: async () => await storage.listAll('a'),
    remove: async () => {
      await storage.remove('a/b')
    },
    removeAll: async () => {
      await storage.removeAll('a')
    },
    removeEach: async () => {
      await storage.removeEach('a', [{ kind: 'object', name: 'b' }])
    },
    sync: async () => {
      await storage.sync('a')
    },
  }
}

export function storageContract(name: string, open: Open): void {
  const on = (title: string, body: (storage: Storage) => Promise<void>): void => {
    test(title, async () => {
      const opened = await open()
      try {
        await body(opened.storage)
      } finally {
        await opened.close()
      }
    })
  }
  describe(`storage contract: ${name}`, () => {
    writing(on)
    failedWriting(on)
    reading(on)
    listing(on)
    removing(on)
    naming(on)
    emptyPrefixes(on)
    together(on)
    unreachable(open)
  })
}

type On = (title: string, body: (storage: Storage) => Promise<void>) => void

function writing(on: On): void {
  on('what was put can be got', async (storage) => {
    const stored = await storage.put('a/b/c', bytes('one'))

    assert.equal(stored, 3)
    assert.equal(await read(storage, 'a/b/c'), 'one')
  })

  on('a source that reuses its buffer is stored as it was given', async (storage) => {
    const stored = await storage.put('a', reusing('one ', 'two ', 'three'))

    assert.equal(stored, 13)
    assert.equal(await read(storage, 'a'), 'one two three')
  })

  on('an empty object is an object', async (storage) => {
    assert.equal(await storage.put('buffer', Buffer.alloc(0)), 0)
    assert.equal(await storage.put('source', reusing()), 0)
    assert.equal(await storage.put('later', reusing(), { durable: 'on-sync' }), 0)

    assert.equal(await read(storage, 'buffer'), '')
    assert.equal((await storage.stat('source'))?.sizeBytes, 0)
    assert.equal((await storage.stat('later'))?.sizeBytes, 0)
  })

  on('an object larger than any buffer comes back whole', async (storage) => {
    const large = Buffer.alloc(3 * 1024 * 1024 + 17, 'no period of two')

    await storage.put('large', large)

    assert.ok((await collect(storage.get('large'), large.length)).equals(large))
  })

  on('a put replaces the object, shorter or longer', async (storage) => {
    await storage.put('a', bytes('first'))
    await storage.put('a', bytes('2'))
    assert.equal(await read(storage, 'a'), '2')

    await storage.put('a', bytes('the third'), { durable: 'on-sync' })
    await storage.put('a', bytes('4'), { durable: 'on-sync' })
    assert.equal(await read(storage, 'a'), '4')
  })

  on('objects put with on-sync can be read, listed and made durable', async (storage) => {
    await storage.put('set/x/1', bytes('one'), { durable: 'on-sync' })
    await storage.put('set/y', bytes('two'), { durable: 'on-sync' })

    await storage.sync('set')
    await storage.sync('')
    await storage.sync('nothing/here')

    assert.equal(await read(storage, 'set/x/1'), 'one')
    assert.equal((await storage.listAll('set')).length, 2)
  })

  on('keys are bytes: no byte but NUL and the separator is special', async (storage) => {
    const everyByte = Array.from({ length: 255 }, (_, index) => String.fromCharCode(index + 1))
      .join('')
      .replace('/', '')
    const key = `dir\xff\xfe/${everyByte.slice(0, 127)}`
    const other = `dir\xff\xfe/${everyByte.slice(127)}`

    await storage.put(key, bytes('low'))
    await storage.put(other, bytes('high'), { durable: 'on-sync' })

    assert.equal(await read(storage, key), 'low')
    assert.equal(await read(storage, other), 'high')
    const names = (await storage.list('dir\xff\xfe')).map((entry) => entry.name)
    assert.deepEqual(names, [everyByte.slice(0, 127), everyByte.slice(127)])
  })

  on('a key that could lead out of the repository is refused by every call', async (storage) => {
    const bad = ['', '/a', 'a/', 'a//b', '.', '..', '../a', 'a/../b', 'a/./b', 'a\0', 'a\u0100']

    for (const key of bad) {
      await assert.rejects(storage.put(key, bytes('x')), ofKind('param-invalid'), key)
      await assert.rejects(read(storage, key), ofKind('param-invalid'), key)
      await assert.rejects(storage.stat(key), ofKind('param-invalid'), key)
      await assert.rejects(storage.remove(key), ofKind('param-invalid'), key)
      const kept = { kind: 'object', name: 'kept' } as const
      const each = storage.removeEach('there', [kept, { kind: 'prefix', name: key }])
      await assert.rejects(each, ofKind('param-invalid'), key)
      await assert.rejects(storage.link(key, 'x'), ofKind('param-invalid'), key)
      await assert.rejects(storage.linkFrom(key, 'x'), ofKind('param-invalid'), key)
      await assert.rejects(storage.linkFrom('x', key), ofKind('param-invalid'), key)
    }
    for (const prefix of bad.slice(1)) {
      await assert.rejects(storage.list(prefix), ofKind('param-invalid'), prefix)
      await assert.rejects(storage.names(prefix), ofKind('param-invalid'), prefix)
      await assert.rejects(storage.listAll(prefix), ofKind('param-invalid'), prefix)
      await assert.rejects(storage.removeAll(prefix), ofKind('param-invalid'), prefix)
      await assert.rejects(storage.sync(prefix), ofKind('param-invalid'), prefix)
      await assert.rejects(storage.makePrefix(prefix), ofKind('param-invalid'), prefix)
    }
    await storage.put('..a/...', bytes('these are names'))
  })
}

function failedWriting(on: On): void {
  on('a source that throws leaves the old object and its own error', async (storage) => {
    await storage.put('a', bytes('old'))

    await assert.rejects(storage.put('a', failing()), ofKind('protocol'))

    assert.equal(await read(storage, 'a'), 'old')
    assert.deepEqual(
      (await storage.list('')).map((entry) => entry.name),
      ['a'],
    )
  })

  on('a source that throws leaves nothing where nothing was', async (storage) => {
    await assert.rejects(storage.put('dir/a', failing()), ofKind('protocol'))
    await assert.rejects(
      storage.put('dir/b', failing(), { durable: 'on-sync' }),
      ofKind('protocol'),
    )

    assert.equal(await storage.stat('dir/a'), undefined)
    assert.equal(await storage.stat('dir/b'), undefined)
    assert.deepEqual(await storage.listAll(''), [])
  })
}

function reading(on: On): void {
  on('a range is the bytes asked for, and only those', async (storage) => {
    await storage.put('a', bytes('0123456789'))

    assert.equal(await read(storage, 'a', { offsetBytes: 0, sizeBytes: 10 }), '0123456789')
    assert.equal(await read(storage, 'a', { offsetBytes: 3, sizeBytes: 4 }), '3456')
    assert.equal(await read(storage, 'a', { offsetBytes: 9, sizeBytes: 1 }), '9')
    assert.equal(await read(storage, 'a', { offsetBytes: 4, sizeBytes: 0 }), '')
    assert.equal(await read(storage, 'a', { offsetBytes: 10, sizeBytes: 0 }), '')
  })

  on('a range over the end is a read error, not a short answer', async (storage) => {
    await storage.put('a', bytes('0123456789'))

    const over = { offsetBytes: 8, sizeBytes: 3 }
    const beyond = { offsetBytes: 11, sizeBytes: 1 }
    await assert.rejects(read(storage, 'a', over), ofKind('format'))
    await assert.rejects(read(storage, 'a', beyond), ofKind('format'))
  })

  on('a range of a large object may cross chunks', async (storage) => {
    const large = Buffer.alloc(3 * 1024 * 1024, 'seventeen letters')
    await storage.put('large', large)

    const range = { offsetBytes: 1024 * 1024 - 5, sizeBytes: 1024 * 1024 + 10 }
    const part = await collect(storage.get('large', range), large.length)

    assert.ok(part.equals(large.subarray(range.offsetBytes, range.offsetBytes + range.sizeBytes)))
  })

  on('a reader that stops early does not hurt', async (storage) => {
    await storage.put('large', Buffer.alloc(3 * 1024 * 1024))

    for await (const chunk of storage.get('large')) {
      assert.ok(chunk.length <= 1024 * 1024)
      break
    }

    await storage.put('large', bytes('small now'))
    assert.equal(await read(storage, 'large'), 'small now')
  })

  on('what is not there is missing: to get, to stat, to list', async (storage) => {
    await storage.put('there/object', bytes('x'))

    await assert.rejects(read(storage, 'there/other'), ofKind('file-missing'))
    await assert.rejects(read(storage, 'no/such/thing'), ofKind('file-missing'))
    await assert.rejects(
      read(storage, 'no', { offsetBytes: 0, sizeBytes: 0 }),
      ofKind('file-missing'),
    )
    assert.equal(await storage.stat('there/other'), undefined)
    assert.equal(await storage.stat('no/such/thing'), undefined)
    assert.deepEqual(await storage.list('no/such'), [])
    assert.deepEqual(await storage.listAll('no/such'), [])
  })

  on('a prefix is no object', async (storage) => {
    await storage.put('a/b', bytes('x'))

    assert.equal(await storage.stat('a'), undefined)
    await assert.rejects(read(storage, 'a'), ofKind('file-missing'))
  })

  on('stat gives size and time of the last put', async (storage) => {
    const beforeMs = Date.now() - 60_000
    await storage.put('dir/a', bytes('12345'))

    const entry = await storage.stat('dir/a')

    assert.equal(entry?.kind, 'object')
    assert.equal(entry.name, 'a')
    assert.equal(entry.sizeBytes, 5)
    assert.ok(Number.isInteger(entry.modifiedMs))
    assert.ok(entry.modifiedMs > beforeMs && entry.modifiedMs < beforeMs + 120_000)
  })
}

function listing(on: On): void {
  on('a new storage is empty', async (storage) => {
    assert.deepEqual(await storage.list(''), [])
    assert.deepEqual(await storage.listAll(''), [])
  })

  on('list shows one level in byte order, with sizes', async (storage) => {
    await storage.put('p/\xe4', bytes('1'))
    await storage.put('p/b/deep/object', bytes('22'))
    await storage.put('p/B', bytes('333'))
    await storage.put('p/a.x', bytes('4444'))
    await storage.put('p/a/y', bytes('55555'))

    const entries = await storage.list('p')

    assert.deepEqual(
      entries.map((entry) => [
        entry.kind,
        entry.name,
        entry.kind === 'object' ? entry.sizeBytes : '',
      ]),
      [
        ['object', 'B', 3],
        ['prefix', 'a', ''],
        ['object', 'a.x', 4],
        ['prefix', 'b', ''],
        ['object', '\xe4', 1],
      ],
    )
    assert.deepEqual(
      await storage.names('p'),
      entries.map(({ kind, name }) => ({ kind, name })),
    )
  })

  on('listAll shows every object below, in byte order of the whole name', async (storage) => {
    await storage.put('p/a/y', bytes('1'))
    await storage.put('p/a.x', bytes('22'))
    await storage.put('p/a-x', bytes('333'))
    await storage.put('p/b/c/d/e', bytes('4444'))
    await storage.put('other', bytes('5'))

    const below = await storage.listAll('p')
    const everything = await storage.listAll('')

    assert.deepEqual(
      below.map((entry) => [entry.name, entry.sizeBytes]),
      [
        ['a-x', 3],
        ['a.x', 2],
        ['a/y', 1],
        ['b/c/d/e', 4],
      ],
    )
    assert.deepEqual(
      everything.map((entry) => entry.name),
      ['other', 'p/a-x', 'p/a.x', 'p/a/y', 'p/b/c/d/e'],
    )
  })

  on('a prefix is whole parts: a does not match ab', async (storage) => {
    await storage.put('a/1', bytes('x'))
    await storage.put('ab/2', bytes('x'))
    await storage.put('a.b', bytes('x'))

    assert.deepEqual(
      (await storage.list('a')).map((entry) => entry.name),
      ['1'],
    )
    assert.deepEqual(
      (await storage.listAll('a')).map((entry) => entry.name),
      ['1'],
    )
    await storage.removeAll('a')
    assert.deepEqual(
      (await storage.listAll('')).map((entry) => entry.name),
      ['a.b', 'ab/2'],
    )
  })

  on('a listing of more than a page is complete', async (storage) => {
    const names = Array.from({ length: 1100 }, (_, index) => `n${String(index).padStart(4, '0')}`)
    const putEach = names.map(async (name) => {
      await storage.put(`many/${name}`, bytes(name), { durable: 'on-sync' })
    })
    await Promise.all(putEach)

    assert.deepEqual(
      (await storage.list('many')).map((entry) => entry.name),
      names,
    )
  })
}

function removing(on: On): void {
  on('a removed object is missing; removing it again is no error', async (storage) => {
    await storage.put('a/b', bytes('x'))
    await storage.put('a/c', bytes('kept'))

    await storage.remove('a/b')
    await storage.remove('a/b')
    await storage.remove('no/such/thing')

    assert.equal(await storage.stat('a/b'), undefined)
    assert.equal(await read(storage, 'a/c'), 'kept')
  })

  on('removeAll takes everything below, and the prefix can be used again', async (storage) => {
    await storage.put('set/a/b', bytes('x'))
    await storage.put('set/c', bytes('x'))
    await storage.put('kept', bytes('x'))

    await storage.removeAll('set')
    await storage.removeAll('set')
    await storage.removeAll('no/such/thing')

    assert.deepEqual(
      (await storage.list('')).map((entry) => entry.name),
      ['kept'],
    )
    await storage.put('set/a/b', bytes('again'))
    assert.equal(await read(storage, 'set/a/b'), 'again')
  })

  on(
    'removeEach takes what it is told, objects and prefixes, and nothing else',
    async (storage) => {
      for (const key of ['set/a', 'set/b', 'set/c/d', 'set/c/e/f', 'set/g/h', 'a']) {
        await storage.put(key, bytes('x'))
      }

      const entries = [
        { kind: 'object', name: 'b' },
        { kind: 'prefix', name: 'c' },
        { kind: 'object', name: 'gone' },
        { kind: 'prefix', name: 'gone' },
      ] as const
      await storage.removeEach('set', entries)
      await storage.removeEach('set', entries)
      await storage.removeEach('no/such', entries)
      await storage.removeEach('', [{ kind: 'object', name: 'a' }])

      assert.deepEqual(
        (await storage.listAll('')).map(({ name }) => name),
        ['set/a', 'set/g/h'],
      )
    },
  )

  on('removeAll of the root empties the storage and leaves it usable', async (storage) => {
    await storage.put('a', bytes('x'))
    await storage.put('b/c', bytes('x'))

    await storage.removeAll('')

    assert.deepEqual(await storage.list(''), [])
    await storage.put('a', bytes('again'))
  })

  on('removeAll spares an object of the same name', async (storage) => {
    await storage.put('a', bytes('x'))

    await storage.removeAll('a')

    assert.equal(await read(storage, 'a'), 'x')
  })

  on('links are no objects, and what they point to survives them', async (storage) => {
    await storage.put('sets/1/file', bytes('one'))
    await storage.put('sets/2/file', bytes('two'))

    await storage.link('sets/latest', '1')
    await storage.link('sets/latest', '2')

    assert.deepEqual(
      (await storage.listAll('sets')).map((entry) => entry.name),
      ['1/file', '2/file'],
    )
    await storage.removeAll('sets/latest')
    assert.equal((await storage.listAll('sets')).length, 2)
  })
}

function naming(on: On): void {
  on(
    'a second name is the same object or none, and each lives on without the other',
    async (storage) => {
      await storage.put('sets/1/file', bytes('one'))
      await storage.put('sets/2/file', bytes('two'))

      await storage.linkFrom('sets/3/dir/file', 'sets/2/file')
      await storage.linkFrom('sets/3/dir/file', 'sets/1/file')
      await storage.sync('sets/3')

      const named = (await storage.stat('sets/3/dir/file')) !== undefined
      if (named) assert.equal(await read(storage, 'sets/3/dir/file'), 'one')
      await storage.put('sets/3/dir/file', bytes('three'), { durable: 'on-sync' })
      assert.equal(await read(storage, 'sets/1/file'), 'one')
      await storage.linkFrom('sets/4/file', 'sets/2/file')
      await storage.removeAll('sets/2')
      if (named) assert.equal(await read(storage, 'sets/4/file'), 'two')
    },
  )
}

function emptyPrefixes(on: On): void {
  on('a prefix may be made before anything has it, or after, and is no object', async (storage) => {
    await storage.makePrefix('sets/1/empty/deep')
    await storage.put('sets/1/file', bytes('one'))
    await storage.makePrefix('sets/1')
    await storage.sync('sets')

    assert.deepEqual(
      (await storage.listAll('sets')).map((entry) => entry.name),
      ['1/file'],
    )
    await storage.removeAll('sets')
    assert.deepEqual(await storage.list(''), [])
  })
}

function together(on: On): void {
  on('a reader sees the old object or the new one, never a part', async (storage) => {
    const versions = Array.from({ length: 12 }, (_, index) =>
      String.fromCharCode(97 + index).repeat(300_000 + index),
    )
    await storage.put('info', bytes(versions[0] ?? ''))
    const done = new AbortController()
    const write = async (): Promise<void> => {
      for (const version of versions) await storage.put('info', bytes(version))
      done.abort()
    }
    const readOn = async (): Promise<void> => {
      while (!done.signal.aborted) assert.ok(versions.includes(await read(storage, 'info')))
    }

    await Promise.all([write(), readOn(), readOn()])

    assert.equal(await read(storage, 'info'), versions.at(-1))
  })

  on('of many writers of one key one wins, whole', async (storage) => {
    const versions = Array.from({ length: 8 }, (_, index) => String(index).repeat(100_000 + index))

    await Promise.all(
      versions.map(async (version) => await storage.put('dir/info', bytes(version))),
    )

    assert.ok(versions.includes(await read(storage, 'dir/info')))
    assert.deepEqual(
      (await storage.list('dir')).map((entry) => entry.name),
      ['info'],
    )
  })

  on('many writers may make the same new prefixes at once', async (storage) => {
    const keys = Array.from({ length: 30 }, (_, index) => `new/deep/${index % 3}/${index}`)

    await Promise.all(
      keys.map(
        async (key, index) =>
          await storage.put(key, bytes(key), { durable: index % 2 === 0 ? 'now' : 'on-sync' }),
      ),
    )

    assert.equal((await storage.listAll('new')).length, 30)
  })
}

function unreachable(open: Open): void {
  const broken = (
    title: string,
    breakIt: (opened: OpenedStorage) => Promise<void> | undefined,
    check: (storage: Storage) => Promise<void>,
  ): void => {
    test(title, async (context) => {
      const opened = await open()
      try {
        await opened.storage.put('a/b', bytes('x'))
        const done = breakIt(opened)
        if (done === undefined) {
          context.skip('this driver gives no means')
          return
        }
        await done
        await check(opened.storage)
      } finally {
        await opened.close()
      }
    })
  }

  broken(
    'when the root is gone every question is an error, and not file-missing',
    (opened) => opened.vanish?.(),
    async (storage) => {
      for (const [name, ask] of Object.entries(questions(storage))) {
        await assert.rejects(ask(), ofKind('path-missing'), name)
      }
    },
  )

  broken(
    'when the root cannot be used every call is an error, and nothing is called missing',
    (opened) => opened.obstruct?.(),
    async (storage) => {
      const calls = {
        ...questions(storage),
        put: async () => await storage.put('a/c', bytes('x')),
        'put on-sync': async () => await storage.put('a/c', bytes('x'), { durable: 'on-sync' }),
      }
      for (const [name, call] of Object.entries(calls)) {
        await assert.rejects(call(), (error) => {
          assert.ok(error instanceof AppError, name)
          assert.ok(!['file-missing', 'path-missing', 'unhandled'].includes(error.kind), name)
          return true
        })
      }
    },
  )
}
