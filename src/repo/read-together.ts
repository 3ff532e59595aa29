/** Small stored pieces, read together: those that lie side by side in one object cost one call. */
import { compareBytes } from '../base/text.ts'
import { MIB } from '../base/units.ts'
import type { ManifestFile } from '../format/manifest.ts'
import { collect } from '../pipe/pipe.ts'
import type { GetRange, Storage } from '../storage/storage.ts'

/** What is stored whole and has no more content than this is read at once, and decoded in memory. */
export const SMALL_BYTES_MAX = 1 * MIB

/**
 * Large files first, the largest at once, so that the last worker is not left alone with one; small files as they lie in
 * bundles, so that they can be read together.
 */
export function inReadingOrder(left: ManifestFile, right: ManifestFile): number {
  if (Math.max(left.sizeBytes, right.sizeBytes) > SMALL_BYTES_MAX) {
    return right.sizeBytes - left.sizeBytes
  }
  if (left.reference !== right.reference) {
    return compareBytes(left.reference ?? '', right.reference ?? '')
  }
  return (
    (left.bundleId ?? 0) - (right.bundleId ?? 0) || left.bundleOffsetBytes - right.bundleOffsetBytes
  )
}

export interface StoredPiece {
  readonly key: string
  /** Its bytes in a bundle; undefined when the object is the piece. */
  readonly range: GetRange | undefined
}

/** An object of a small file that is longer than this is not what it should be. */
const OBJECT_BYTES_MAX = 16 * MIB

/** The bytes of each, in their order; undefined for an object that is far too long. The callers say how many fit in memory. */
export async function readTogether(
  storage: Storage,
  pieces: readonly StoredPiece[],
): Promise<readonly (Buffer | undefined)[]> {
  const rows = await Promise.all(rowsOf(pieces).map(async (row) => await readRow(storage, row)))
  return rows.flat()
}

interface Row {
  readonly key: string
  readonly ranges: readonly GetRange[]
}

/** Pieces in a row, without a gap. No ranges: all of the object. */
function rowsOf(pieces: readonly StoredPiece[]): readonly Row[] {
  const rows: { readonly key: string; readonly ranges: GetRange[] }[] = []
  for (const { key, range } of pieces) {
    const row = rows.at(-1)
    const before = row?.ranges.at(-1)
    const isNext =
      row?.key === key &&
      range !== undefined &&
      before !== undefined &&
      before.offsetBytes + before.sizeBytes === range.offsetBytes
    if (isNext) row?.ranges.push(range)
    else rows.push({ key, ranges: range === undefined ? [] : [range] })
  }
  return rows
}

async function readRow(
  storage: Storage,
  { key, ranges }: Row,
): Promise<readonly (Buffer | undefined)[]> {
  const [first] = ranges
  if (first === undefined) return [await readObject(storage, key)]
  const { offsetBytes } = first
  const sizeBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0)
  const bytes = await collect(storage.get(key, { offsetBytes, sizeBytes }), sizeBytes)
  return ranges.map((range) => {
    const from = range.offsetBytes - offsetBytes
    return bytes.subarray(from, from + range.sizeBytes)
  })
}

async function readObject(storage: Storage, key: string): Promise<Buffer | undefined> {
  try {
    return await collect(storage.get(key), OBJECT_BYTES_MAX)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}
