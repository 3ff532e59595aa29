import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { encodeBlockMap, type MapBlock, type SuperBlock } from '../format/block-map.ts'
import { xxh128 } from '../pipe/codecs.ts'
import { compressor } from '../pipe/compress.ts'
import { collect, single, through } from '../pipe/pipe.ts'
import { openPosixStorage } from '../storage/posix.ts'
import type { GetRange, Storage } from '../storage/storage.ts'
import { readStored } from './read-stored.ts'
import type { StoredFile, StoredSet } from './stored-file.ts'

const FULL = '20260102-030405F'
const INCR = `${FULL}_20260103-030405I`
const SET: StoredSet = {
  stanza: 'demo',
  references: [FULL, INCR],
  compressType: 'zst',
  cipherPass: undefined,
}
const SIZES = { sizeBytes: 8192, checksumSizeBytes: 6 }

let root = ''
let storage: Storage

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgsurety-read-stored-'))
  storage = openPosixStorage({ root })
})

after(async () => {
  await rm(root, { recursive: true })
})

const packed = async (content: Buffer): Promise<Buffer> =>
  await collect(through(single(content), compressor('zst', 3, 'raw')), 1e6)

const readAll = async (file: StoredFile, from: Storage = storage, set = SET): Promise<Buffer> =>
  await collect(readStored(from, set, file), 1e6)

/** The storage, and every part of an object that is asked of it. */
function watched(ranges: string[]): Storage {
  const get = (key: string, range?: GetRange): AsyncIterable<Buffer> => {
    ranges.push(`${key.split('/').slice(2).join('/')} ${range?.offsetBytes}+${range?.sizeBytes}`)
    return storage.get(key, range)
  }
  return Object.assign(Object.create(storage), { get })
}

const block = (letter: string): Buffer => Buffer.alloc(SIZES.sizeBytes, letter)

const mapOf = (blocks: readonly (readonly [SuperBlock, number, string])[]): readonly MapBlock[] =>
  blocks.map(([superBlock, index, letter]) => ({
    superBlock,
    index,
    checksum: xxh128(block(letter)).toString('hex', 0, 6),
  }))

/** A file of blocks `aBcd`: `acd` of two super blocks in a bundle of the full backup, `B` stored by the incremental one. */
async function storeBlocks(): Promise<StoredFile> {
  const first = await packed(Buffer.concat([block('a'), block('b')]))
  const second = await packed(Buffer.concat([block('c'), block('d')]))
  const changed = await packed(block('B'))
  await storage.put(`backup/demo/${FULL}/bundle/7`, Buffer.concat([Buffer.alloc(5), first, second]))
  const old = { reference: 0, bundleId: 7, offsetBytes: 5, sizeBytes: 2 * SIZES.sizeBytes }
  const oldFirst = { ...old, storedBytes: first.length }
  const oldSecond = { ...old, offsetBytes: 5 + first.length, storedBytes: second.length }
  const fresh = {
    reference: 1,
    bundleId: 0,
    offsetBytes: 0,
    storedBytes: changed.length,
    sizeBytes: SIZES.sizeBytes,
  }
  const map = encodeBlockMap(
    mapOf([
      [oldFirst, 0, 'a'],
      [fresh, 0, 'B'],
      [oldSecond, 0, 'c'],
      [oldSecond, 1, 'd'],
    ]),
    SIZES,
  )
  const key = `backup/demo/${INCR}/pg_data/base/1/2.pgbi`
  await storage.put(key, Buffer.concat([changed, map]))
  return {
    kind: 'blocks',
    name: 'pg_data/base/1/2',
    key,
    startBytes: 0,
    mapRange: { offsetBytes: changed.length, sizeBytes: map.length },
    sizes: SIZES,
  }
}

test('S48: a file is read whole, out of a bundle, or not at all when it is empty', async () => {
  const content = Buffer.from('some settings')
  const stored = await packed(content)
  await storage.put('whole', stored)
  await storage.put('bundle', Buffer.concat([Buffer.from('before'), stored, Buffer.from('after')]))
  const range = { offsetBytes: 6, sizeBytes: stored.length }

  assert.deepEqual(
    await readAll({ kind: 'whole', key: 'whole', range: undefined, container: 'normal' }),
    content,
  )
  assert.deepEqual(
    await readAll({ kind: 'whole', key: 'bundle', range, container: 'raw' }),
    content,
  )
  assert.deepEqual(await readAll({ kind: 'empty' }), Buffer.alloc(0))
})

test('S48: blocks are gathered from the backups that hold them', async () => {
  const file = await storeBlocks()
  const ranges: string[] = []

  const content = await readAll(file, watched(ranges))

  assert.deepEqual(content, Buffer.concat([block('a'), block('B'), block('c'), block('d')]))
  // The map, then each super block once.
  assert.equal(ranges.length, 4)
  assert.equal(new Set(ranges).size, 4)
})

test('what cannot be decoded is named', async () => {
  const file = await storeBlocks()
  await storage.put('noise', Buffer.from('this was never compressed'))

  await assert.rejects(
    readAll({ kind: 'whole', key: 'noise', range: undefined, container: 'normal' }),
    { kind: 'format', message: new RegExp(`unable to read '${root}/noise': zst data is corrupt`) },
  )
  await storage.put(`backup/demo/${FULL}/bundle/7`, Buffer.alloc(60_000))
  await assert.rejects(readAll(file), {
    kind: 'format',
    message: new RegExp(`'${root}/backup/demo/${FULL}/bundle/7'`),
  })
})

test('a map that names a backup which the manifest does not list is refused', async () => {
  const file = await storeBlocks()

  await assert.rejects(readAll(file, storage, { ...SET, references: [FULL] }), {
    kind: 'format',
    message: /refers to backup 1 of 1/,
  })
})
