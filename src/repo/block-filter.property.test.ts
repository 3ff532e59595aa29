import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { Secret } from '../base/secret.ts'
import { backupPrefix } from '../format/repo-path.ts'
import { COMPRESS_LEVELS, COMPRESS_TYPES } from '../pipe/compress-type.ts'
import { collect, single, through } from '../pipe/pipe.ts'
import { openPosixStorage } from '../storage/posix.ts'
import type { Storage } from '../storage/storage.ts'
import { type BlockStoring, blockFilter } from './block-filter.ts'
import { blocksInto } from './blocks-at-once.ts'
import { readStored } from './read-stored.ts'
import { loadBlockMap } from './stored-blocks.ts'
import { ownRange, type StoredBlocks, type StoredSet } from './stored-file.ts'

const SIZES = { sizeBytes: 64, checksumSizeBytes: 6 }
const MAX_BYTES = 1e6

let root = ''
let storage: Storage

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgsurety-block-filter-'))
  storage = openPosixStorage({ root })
})

after(async () => {
  await rm(root, { recursive: true })
})

/** Contents of one file over the time, block by block one of few, the last block perhaps short. */
const versions = fc.array(
  fc.record({
    blocks: fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 40 }),
    shortBytes: fc.integer({ min: 0, max: 63 }),
    bundleId: fc.integer({ min: 0, max: 2 }),
    chunkBytes: fc.integer({ min: 1, max: 700 }),
  }),
  { minLength: 1, maxLength: 6 },
)

type Version = typeof versions extends fc.Arbitrary<readonly (infer T)[]> ? T : never

function contentOf({ blocks, shortBytes }: Version): Buffer {
  const whole = blocks.map((letter, index) => Buffer.alloc(SIZES.sizeBytes, letter + (index % 7)))
  return Buffer.concat(whole).subarray(0, blocks.length * SIZES.sizeBytes - shortBytes)
}

async function* inChunks(content: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += chunkBytes) {
    yield content.subarray(at, at + chunkBytes)
  }
}

type Writing = Pick<BlockStoring, 'compressType' | 'cipherPass' | 'superBlockBytes'>

/** Stores one version after the other; what of each was stored, and where the newest is found. */
async function store(
  made: readonly Version[],
  writing: Writing,
): Promise<{ readonly stored: readonly Buffer[]; readonly files: readonly StoredBlocks[] }> {
  const stored: Buffer[] = []
  const files: StoredBlocks[] = []
  for (const [reference, version] of made.entries()) {
    const content = contentOf(version)
    const last = files.at(-1)
    const { bundleId } = version
    const offsetBytes = bundleId === 0 ? 0 : 11
    const filter = blockFilter({
      ...writing,
      sizes: SIZES,
      fileBytes: content.length,
      place: { reference, bundleId, offsetBytes },
      prior: last === undefined ? [] : await loadBlockMap(storage, setOf(made, writing), last),
      compressLevel: COMPRESS_LEVELS[writing.compressType].default,
    })
    const bytes = await collect(through(inChunks(content, version.chunkBytes), filter), MAX_BYTES)
    stored.push(bytes)
    if (bytes.length === 0 && last !== undefined) {
      files.push(last)
      continue
    }
    const owner = backupPrefix('demo', `label${reference}`)
    const key = bundleId === 0 ? `${owner}/name.pgbi` : `${owner}/bundle/${bundleId}`
    await storage.put(key, Buffer.concat([Buffer.alloc(offsetBytes), bytes]))
    const { mapSizeBytes } = filter
    const mapOffsetBytes = offsetBytes + bytes.length - mapSizeBytes
    const mapRange = { offsetBytes: mapOffsetBytes, sizeBytes: mapSizeBytes }
    files.push({
      kind: 'blocks',
      name: 'name',
      key,
      startBytes: offsetBytes,
      mapRange,
      sizes: SIZES,
    })
  }
  return { stored, files }
}

const setOf = (made: readonly Version[], { compressType, cipherPass }: Writing): StoredSet => ({
  stanza: 'demo',
  references: made.map((_, reference) => `label${reference}`),
  compressType,
  cipherPass: cipherPass?.reveal(),
})

test('S48: every version of a file is read back, whatever changed and however it is stored', async () => {
  const writing = fc.record({
    compressType: fc.constantFrom(...COMPRESS_TYPES),
    cipherPass: fc.constantFrom(undefined, new Secret('a phrase')),
    superBlockBytes: fc.constantFrom(1, 64, 200, 1e5),
  })
  await fc.assert(
    fc.asyncProperty(versions, writing, async (made, how) => {
      const { files } = await store(made, how)
      for (const [index, file] of files.entries()) {
        const version = made[index]
        assert(version !== undefined)
        const read = await collect(readStored(storage, setOf(made, how), file), MAX_BYTES)
        assert(read.equals(contentOf(version)))
        const stored = await collect(storage.get(file.key, ownRange(file)), MAX_BYTES)
        const atOnce = blocksInto(setOf(made, how), file, { stored, into: Buffer.alloc(MAX_BYTES) })
        // Later versions have blocks elsewhere, nearly always.
        if (index === 0 || atOnce !== undefined) assert(atOnce?.equals(contentOf(version)))
      }
    }),
    { numRuns: 60 },
  )
})

test('S48: what is stored is what changed: nothing, one block, or a map alone', async () => {
  const version = { blocks: Array(40).fill('a'), shortBytes: 0, bundleId: 0, chunkBytes: 500 }
  const changed = { ...version, blocks: version.blocks.with(7, 'b') }
  const cut = { ...changed, blocks: changed.blocks.slice(0, 20) }
  const writing = { compressType: 'none', cipherPass: undefined, superBlockBytes: 640 } as const

  const { stored, files } = await store([version, version, changed, cut], writing)

  const mapBytes = files.map(({ mapRange }) => mapRange.sizeBytes)
  assert.equal(stored[0]?.length, 40 * 64 + (mapBytes[0] ?? 0))
  assert.equal(stored[1]?.length, 0)
  assert.equal(stored[2]?.length, 64 + (mapBytes[2] ?? 0))
  assert.equal(stored[3]?.length, mapBytes[3])
})

test('a file without content stores nothing', async () => {
  const filter = blockFilter({
    sizes: SIZES,
    superBlockBytes: 640,
    fileBytes: 0,
    place: { reference: 0, bundleId: 0, offsetBytes: 0 },
    prior: [],
    compressType: 'zst',
    compressLevel: 3,
    cipherPass: undefined,
  })

  assert.equal((await collect(through(single(Buffer.alloc(0)), filter), 0)).length, 0)
})
