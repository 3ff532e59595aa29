/** Small pieces that are right, which are nearly all there are, found with few calls. */
import { hash } from 'node:crypto'
import { lendBuffer } from '../../pipe/codecs.ts'
import { blocksInto } from '../../repo/blocks-at-once.ts'
import { readTogether, SMALL_BYTES_MAX } from '../../repo/read-together.ts'
import { contentInto } from '../../repo/stored-file.ts'
import type { Storage } from '../../storage/storage.ts'
import type { CheckBatch, Piece } from './check-job.ts'

/** Of any other piece nothing is known yet: whatever is wrong with it, or with the storage, is for a closer look to tell. */
export async function findRight(
  storage: Storage,
  { pieces, cipherPass }: CheckBatch,
): Promise<ReadonlySet<Piece>> {
  const small = pieces.filter(isSmall)
  try {
    const stored = await readTogether(storage, small)
    return new Set(small.filter((piece, index) => isRight(piece, stored[index], cipherPass)))
  } catch {
    return new Set()
  }
}

function isSmall({ nature, contentBytes, storedBytes, contentChecksum }: Piece): boolean {
  if (nature.kind !== 'any' || contentChecksum === undefined) return false
  return Math.max(contentBytes ?? Infinity, storedBytes ?? Infinity) <= SMALL_BYTES_MAX
}

/** Throws what a decoder throws. */
function isRight(
  piece: Piece,
  stored: Buffer | undefined,
  cipherPass: string | undefined,
): boolean {
  const { compressType, container, contentBytes = 0, storedBytes, storedChecksum, blocks } = piece
  if (stored?.length !== storedBytes || stored === undefined) return false
  if (storedChecksum !== undefined && hash('sha1', stored) !== storedChecksum) return false
  // A byte more than is expected, so that the end is seen.
  using lent = lendBuffer(contentBytes + 1)
  const into = lent.buffer
  const content =
    blocks === undefined
      ? contentInto({ compressType, cipherPass }, container, { bytes: stored, into })
      : blocksInto(blocks.set, blocks.file, { stored, into })
  return content?.length === contentBytes && hash('sha1', content) === piece.contentChecksum
}
