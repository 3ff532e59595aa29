/** A block-incremental file that is there already: only the blocks that differ are fetched. */
import { createHash } from 'node:crypto'
import { ftruncateSync } from 'node:fs'
import { MIB } from '../../base/units.ts'
import type { MapBlock } from '../../format/block-map.ts'
import { blockDigests, lendBuffer } from '../../pipe/codecs.ts'
import { loadBlockMap, openBlocks } from '../../repo/stored-blocks.ts'
import type { StoredBlocks, StoredSet } from '../../repo/stored-file.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Did } from '../../worker/message.ts'
import { type Content, readFull, writeAll } from './target-file.ts'

export interface Patching {
  readonly set: StoredSet
  readonly file: StoredBlocks
  /** Open for reading and writing. */
  readonly descriptor: number
  /** What the file's size will be. */
  readonly sizeBytes: number
  readonly did: Did
}

export interface Patched {
  /** What the file is now: every byte of it was either read here or written here. */
  readonly content: Content
  readonly writtenBytes: number
}

/** How much of the file is looked at in one go; a whole number of blocks. */
const WINDOW_BYTES = 1 * MIB

/**
 * Makes the file what the backup has, as far as block checksums tell; the caller compares the whole. It is read once: what
 * its blocks and what the result are comes from the same bytes.
 */
export async function patchBlocks(
  storage: Storage,
  { set, file, descriptor, sizeBytes, did }: Patching,
): Promise<Patched> {
  ftruncateSync(descriptor, sizeBytes)
  const map = await loadBlockMap(storage, set, file)
  const blocks = openBlocks(storage, { set, file, map })
  const hash = createHash('sha1')
  const blockBytes = file.sizes.sizeBytes
  const windowBlocks = Math.min(map.length, Math.max(1, Math.floor(WINDOW_BYTES / blockBytes)))
  using window = lendBuffer(windowBlocks * blockBytes)
  let doneBytes = 0
  let writtenBytes = 0
  for (let first = 0; first < map.length; first += windowBlocks) {
    const startBytes = first * blockBytes
    const row = map.slice(first, first + windowBlocks)
    const here = window.buffer.subarray(0, row.length * blockBytes)
    let hereBytes = readFull(descriptor, here, startBytes)
    const different = differentBlocks(here.subarray(0, hereBytes), row, file)
    const wanted = different.map((index) => first + index)
    for await (const { offsetBytes, bytes } of blocks.read(wanted)) {
      writeAll(descriptor, bytes, offsetBytes)
      bytes.copy(here, offsetBytes - startBytes)
      hereBytes = Math.max(hereBytes, offsetBytes - startBytes + bytes.length)
      writtenBytes += bytes.length
    }
    hash.update(here.subarray(0, hereBytes))
    did(hereBytes)
    doneBytes += hereBytes
  }
  return { content: { sizeBytes: doneBytes, checksum: hash.digest('hex') }, writtenBytes }
}

/** Places in the row of the blocks that are not what the map says; one that is not there at all is different, too. */
function differentBlocks(
  bytes: Buffer,
  row: readonly MapBlock[],
  { sizes }: StoredBlocks,
): readonly number[] {
  const digests = blockDigests(bytes, sizes)
  return row.flatMap(({ checksum }, index) => (digests[index] === checksum ? [] : [index]))
}
