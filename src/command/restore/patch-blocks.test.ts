import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MemoryStorage } from '../../../test/harness/memory-storage.ts'
import { KIB, MIB } from '../../base/units.ts'
import { xxh128 } from '../../pipe/codecs.ts'
import { collect, single, through } from '../../pipe/pipe.ts'
import { blockFilter } from '../../repo/block-filter.ts'
import { loadBlockMap } from '../../repo/stored-blocks.ts'
import type { StoredBlocks, StoredSet } from '../../repo/stored-file.ts'
import type { GetRange } from '../../storage/storage.ts'
import type { PlaceJob, PlaceResult } from './copy-job.ts'
import { placeBatch } from './place-batch.ts'

const BLOCK_BYTES = 64 * KIB
/** More than one window, and a short block. */
const FILE_BYTES = 10 * MIB + 100
const SET: StoredSet = {
  stanza: 'demo',
  references: ['full', 'incr'],
  compressType: 'zst',
  cipherPass: undefined,
}

/** Notes what is asked of it. */
class WatchedStorage extends MemoryStorage {
  readonly asked: string[] = []

  override get(key: string, range?: GetRange): ReturnType<MemoryStorage['get']> {
    this.asked.push(`${key} ${range?.offsetBytes}+${range?.sizeBytes}`)
    return super.get(key, range)
  }
}

const objects = new Map<string, Buffer>()
const storage = new WatchedStorage(objects)
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patch-'))
})

after(async () => {
  await rm(folder, { recursive: true })
})

function contentOf(sizeBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += 512) content.writeUInt32LE(at, Math.min(at, sizeBytes - 4))
  return content
}

/** A copy in which every so many blocks are others. */
function changed(content: Buffer, everyBlocks: number, letter: string): Buffer {
  const copy = Buffer.from(content)
  for (let at = 0; at < copy.length; at += everyBlocks * BLOCK_BYTES) copy.write(letter, at + 1)
  return copy
}

/** Stores a version of the file as a backup would. */
async function store(
  content: Buffer,
  reference: number,
  {
    prior,
    checksumSizeBytes,
  }: { readonly prior?: StoredBlocks; readonly checksumSizeBytes: number },
): Promise<StoredBlocks> {
  const sizes = { sizeBytes: BLOCK_BYTES, checksumSizeBytes }
  const filter = blockFilter({
    sizes,
    superBlockBytes: MIB,
    fileBytes: content.length,
    place: { reference, bundleId: 0, offsetBytes: 0 },
    prior: prior === undefined ? [] : await loadBlockMap(storage, SET, prior),
    compressType: 'zst',
    compressLevel: 1,
    cipherPass: undefined,
  })
  const bytes = await collect(through(single(content), filter), 2 * FILE_BYTES)
  const key = `backup/demo/${SET.references[reference]}/name.pgbi`
  objects.set(key, bytes)
  const mapRange = {
    offsetBytes: bytes.length - filter.mapSizeBytes,
    sizeBytes: filter.mapSizeBytes,
  }
  return { kind: 'blocks', name: 'name', key, startBytes: 0, mapRange, sizes }
}

interface Placed {
  readonly result: PlaceResult | undefined
  readonly content: Buffer
}

/** Restores the file over what is there. */
async function place(present: Buffer, stored: StoredBlocks, content: Buffer): Promise<Placed> {
  const diskPath = join(folder, 'file')
  await writeFile(diskPath, present)
  storage.asked.length = 0
  const job: PlaceJob = {
    name: 'name',
    diskPath,
    stored,
    sizeBytes: content.length,
    checksum: createHash('sha1').update(content).digest('hex'),
    mode: 0o600,
    owner: undefined,
    timestampS: 1_700_000_000,
    existing: 'keep-if-identical',
  }
  const [result] = await placeBatch({ storage, set: SET, did: () => undefined }, [job])
  return { result, content: await readFile(diskPath) }
}

test('whatever is there, only blocks that differ are written, and each super block is read once', async () => {
  const old = contentOf(FILE_BYTES)
  const content = changed(old, 9, 'new')
  const prior = await store(old, 0, { checksumSizeBytes: 6 })
  const stored = await store(content, 1, { prior, checksumSizeBytes: 6 })
  const present = [
    [content, 0],
    [old, content.length],
    [changed(content, 20, 'other'), content.length / 4],
    [content.subarray(0, 3 * MIB), 8 * MIB],
    [Buffer.concat([content, Buffer.alloc(5000)]), 0],
    [Buffer.alloc(5), content.length],
  ] as const
  for (const [bytes, writtenBytesMax] of present) {
    const placed = await place(bytes, stored, content)

    assert(placed.content.equals(content))
    assert((placed.result?.writtenBytes ?? Infinity) <= writtenBytesMax)
    assert.equal(placed.result?.outcome, bytes === content ? 'kept' : 'copied')
    assert.equal(new Set(storage.asked).size, storage.asked.length)
  }
})

test('a block that differs although its checksum does not is written, too', async () => {
  const content = contentOf(20 * BLOCK_BYTES)
  const stored = await store(content, 0, { checksumSizeBytes: 1 })
  const other = Buffer.from(content)
  const firstByte = (bytes: Buffer): number => xxh128(bytes.subarray(0, BLOCK_BYTES)).readUInt8()
  do other.writeUInt32LE(other.readUInt32LE(8) + 1, 8)
  while (firstByte(other) !== firstByte(content))

  const placed = await place(other, stored, content)

  assert(placed.content.equals(content))
  assert.deepEqual(placed.result, { outcome: 'copied', writtenBytes: content.length })
})
