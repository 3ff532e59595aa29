/** Reading a block-incremental file: its map, then its blocks out of the backups that hold them. */
import { AppError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { MIB } from '../base/units.ts'
import { decodeBlockMap, type MapBlock, type SuperBlock } from '../format/block-map.ts'
import { backupPrefix, blocksKey, bundleKey } from '../format/repo-path.ts'
import { decryptor } from '../pipe/cipher.ts'
import { lendBuffer } from '../pipe/codecs.ts'
import { type ByteSource, collect, through } from '../pipe/pipe.ts'
import type { Storage } from '../storage/storage.ts'
import {
  contentFilters,
  contentInto,
  named,
  naming,
  type StoredBlocks,
  type StoredSet,
} from './stored-file.ts'

/** Super blocks have a megabyte or so. */
const AT_ONCE_BYTES_MAX = 16 * MIB

/** A map has some 10 bytes for each block of a file of at most some gigabytes. */
const MAP_BYTES_MAX = 256 * MIB

/** The file's blocks in file order. Throws `format` for a map that is damaged, or names a backup that is not listed. */
export async function loadBlockMap(
  storage: Storage,
  set: StoredSet,
  { key, mapRange, sizes }: StoredBlocks,
): Promise<readonly MapBlock[]> {
  const filters = set.cipherPass === undefined ? [] : [decryptor(new Secret(set.cipherPass), 'raw')]
  if (mapRange.sizeBytes > MAP_BYTES_MAX) {
    throw new AppError('format', `block map of '${key}' is ${mapRange.sizeBytes} bytes long`)
  }
  const content = through(storage.get(key, mapRange), ...filters)
  const where = `${storage.location}/${key}`
  const bytes = await collect(naming(where, content), MAP_BYTES_MAX)
  const map = decodeBlockMap(bytes, sizes)
  const lost = map.find(({ superBlock }) => set.references[superBlock.reference] === undefined)
  if (lost === undefined) return map
  throw new AppError(
    'format',
    `block map of '${where}' refers to backup ${lost.superBlock.reference} of ${set.references.length}`,
  )
}

/** A file whose blocks are to be read. */
export interface BlockReading {
  readonly set: StoredSet
  readonly file: StoredBlocks
  readonly map: readonly MapBlock[]
}

export interface BlockPiece {
  /** Where in the file it belongs. */
  readonly offsetBytes: number
  /** Valid until the next piece is asked for. */
  readonly bytes: Buffer
}

export interface BlockReader {
  /**
   * The blocks of these numbers, ascending, and none before those of an earlier call; those that follow each other in one super
   * block come as one piece.
   */
  read(numbers: readonly number[]): AsyncGenerator<BlockPiece, void, undefined>
}

/**
 * Reads blocks in file order. A super block is kept as long as blocks of it may be asked for, so that each is read once: at most
 * one of each backup, for they are in file order.
 */
export function openBlocks(storage: Storage, reading: BlockReading): BlockReader {
  const { map, file } = reading
  const { sizeBytes } = file.sizes
  const lastUses = new Map(map.map(({ superBlock }, number) => [superBlock, number]))
  const kept = new Map<SuperBlock, Buffer>()
  const dropBefore = (number: number): void => {
    for (const superBlock of kept.keys()) {
      if ((lastUses.get(superBlock) ?? 0) < number) kept.delete(superBlock)
    }
  }
  return {
    read: async function* (numbers) {
      dropBefore(numbers[0] ?? 0)
      const needed = new Set(numbers.map((number) => blockAt(map, number).superBlock))
      const missing = [...needed].filter((superBlock) => !kept.has(superBlock))
      const superBlocks = readSuperBlocks(storage, reading, missing)
      try {
        for (let at = 0; at < numbers.length; ) {
          const first = numbers[at] ?? 0
          const { superBlock, index } = blockAt(map, first)
          const content = kept.get(superBlock) ?? (await superBlocks.next()).value
          if (content === undefined) throw new AppError('assert', 'a super block was not read')
          let end = first + 1
          for (at += 1; numbers[at] === end && map[end]?.superBlock === superBlock; at += 1)
            end += 1
          if ((lastUses.get(superBlock) ?? 0) < end) kept.delete(superBlock)
          else if (!kept.has(superBlock)) kept.set(superBlock, Buffer.from(content))
          yield {
            offsetBytes: first * sizeBytes,
            bytes: content.subarray(index * sizeBytes, (index + end - first) * sizeBytes),
          }
        }
      } finally {
        await superBlocks.return()
      }
    },
  }
}

function blockAt(map: readonly MapBlock[], number: number): MapBlock {
  const block = map[number]
  if (block === undefined) throw new AppError('assert', `there is no block ${number}`)
  return block
}

/**
 * Contents of super blocks in the given order, each valid until the next one. What lies one after the other in one object is read
 * in one go.
 */
async function* readSuperBlocks(
  storage: Storage,
  { set, file }: BlockReading,
  superBlocks: readonly SuperBlock[],
): AsyncGenerator<Buffer, void, undefined> {
  const sizes = superBlocks.map(({ sizeBytes }) => Math.min(sizeBytes, AT_ONCE_BYTES_MAX))
  // A byte more than is expected, so that the end is seen.
  using lent = lendBuffer(sizes.reduce((left, right) => Math.max(left, right), 0) + 1)
  for (const row of adjacentRows(superBlocks)) {
    const [first, last] = [row[0], row.at(-1)]
    if (first === undefined || last === undefined) continue
    const key = containerKey(set, file, first)
    const { offsetBytes } = first
    const sizeBytes = last.offsetBytes + last.storedBytes - offsetBytes
    const stored = storage.get(key, { offsetBytes, sizeBytes })[Symbol.asyncIterator]()
    const chunks = { rest: Buffer.alloc(0), more: stored }
    try {
      for (const superBlock of row) {
        yield await whole(contentOf(set, superBlock, { chunks, into: lent.buffer }), superBlock, {
          key,
          where: `${storage.location}/${key}`,
        })
      }
    } finally {
      await stored.return?.()
    }
  }
}

function adjacentRows(superBlocks: readonly SuperBlock[]): readonly (readonly SuperBlock[])[] {
  const rows: SuperBlock[][] = []
  for (const superBlock of superBlocks) {
    const row = rows.at(-1)
    const before = row?.at(-1)
    const isNext =
      before?.reference === superBlock.reference &&
      before.offsetBytes + before.storedBytes === superBlock.offsetBytes
    if (isNext) row?.push(superBlock)
    else rows.push([superBlock])
  }
  return rows
}

/** The object that holds a super block: the file itself, or a bundle, of one of the backups. */
export function containerKey(
  { stanza, references }: StoredSet,
  { name }: StoredBlocks,
  { reference, bundleId }: SuperBlock,
): string {
  const owner = backupPrefix(stanza, references[reference])
  return bundleId === 0 ? blocksKey(owner, name) : bundleKey(owner, bundleId)
}

interface Chunks {
  /** What of the last chunk is not taken yet. */
  rest: Buffer
  readonly more: AsyncIterator<Buffer>
}

/** The next bytes of chunks that go on after them. */
async function* take(chunks: Chunks, sizeBytes: number): ByteSource {
  for (let leftBytes = sizeBytes; leftBytes > 0; ) {
    if (chunks.rest.length === 0) {
      const next = await chunks.more.next()
      // Storage has promised as many bytes as were asked for.
      if (next.done === true) throw new AppError('assert', 'stored bytes end too early')
      chunks.rest = next.value
    }
    const piece = chunks.rest.subarray(0, leftBytes)
    chunks.rest = chunks.rest.subarray(piece.length)
    leftBytes -= piece.length
    yield piece
  }
}

/** Stored bytes that are there already, else put together. */
async function takeAll(chunks: Chunks, sizeBytes: number): Promise<Buffer> {
  if (chunks.rest.length < sizeBytes) return await collect(take(chunks, sizeBytes), sizeBytes)
  // Valid until the next chunk is drawn.
  const bytes = chunks.rest.subarray(0, sizeBytes)
  chunks.rest = chunks.rest.subarray(sizeBytes)
  return bytes
}

interface Decoding {
  readonly chunks: Chunks
  readonly into: Buffer
}

/** Decoded at once, unless it is uncommonly large: a stream would copy every byte several times. RangeError: too much. */
async function contentOf(
  set: StoredSet,
  { sizeBytes, storedBytes }: SuperBlock,
  { chunks, into }: Decoding,
): Promise<Buffer> {
  if (Math.max(sizeBytes, storedBytes) > AT_ONCE_BYTES_MAX) {
    const content = through(take(chunks, storedBytes), ...contentFilters(set, 'raw'))
    return await collect(content, sizeBytes)
  }
  const bytes = await takeAll(chunks, storedBytes)
  const content = contentInto(set, 'raw', { bytes, into })
  if (content === undefined) throw new RangeError('more than it should be')
  return content
}

interface Origin {
  readonly key: string
  /** For messages. */
  readonly where: string
}

/** The content of a super block, which must have the size that the map says. */
async function whole(
  content: Promise<Buffer>,
  { sizeBytes, offsetBytes }: SuperBlock,
  { key, where }: Origin,
): Promise<Buffer> {
  const bytes = await content.catch((error: unknown) => {
    if (error instanceof RangeError) return undefined
    throw named(where, error)
  })
  if (bytes?.length === sizeBytes) return bytes
  const size =
    bytes === undefined || bytes.length > sizeBytes ? `more than ${sizeBytes}` : `${bytes.length}`
  throw new AppError(
    'format',
    `super block at byte ${offsetBytes} of '${key}' has ${size} bytes, its map says ${sizeBytes}`,
  )
}
