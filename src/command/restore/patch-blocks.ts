/** A block-incremental file that is there already: only the blocks that differ are fetched. */
import { ftruncateSync, readSync, writeSync } from 'node:fs'
import { xxh128 } from '../../pipe/codecs.ts'
import { loadBlockMap, readBlocks } from '../../repo/stored-blocks.ts'
import type { StoredBlocks, StoredSet } from '../../repo/stored-file.ts'
import type { Storage } from '../../storage/storage.ts'

export interface Patching {
  readonly set: StoredSet
  readonly file: StoredBlocks
  /** Open for reading and writing. */
  readonly descriptor: number
  /** What the file's size will be. */
  readonly sizeBytes: number
}

/** Makes the file what the backup has, as far as block checksums tell; the caller compares the whole. Bytes written. */
export async function patchBlocks(
  storage: Storage,
  { set, file, descriptor, sizeBytes }: Patching,
): Promise<number> {
  ftruncateSync(descriptor, sizeBytes)
  const map = await loadBlockMap(storage, set, file)
  const different = new Set<number>()
  const block = Buffer.allocUnsafeSlow(file.sizes.sizeBytes)
  for (const [number, { checksum }] of map.entries()) {
    const got = readSync(descriptor, block, 0, block.length, number * block.length)
    const digest = xxh128(block.subarray(0, got))
    if (digest.toString('hex', 0, file.sizes.checksumSizeBytes) !== checksum) different.add(number)
  }
  let writtenBytes = 0
  const wanted = (number: number): boolean => different.has(number)
  for await (const { offsetBytes, bytes } of readBlocks(storage, { set, file, map, wanted })) {
    let written = 0
    while (written < bytes.length) {
      written += writeSync(descriptor, bytes, written, undefined, offsetBytes + written)
    }
    writtenBytes += bytes.length
  }
  return writtenBytes
}
