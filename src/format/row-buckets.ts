/**
 * Rows of a table by the first byte of their hash, as a fingerprint has them: of most tables few of the 256 are there, and only
 * those are written. Pure.
 */
import { AppError } from '../base/error.ts'

export interface RowBucket {
  /** How many rows. */
  readonly count: bigint
  /** The low 64 bits of the sum of their hashes. */
  readonly sum: bigint
}

/** Of each: number, count, sum; little-endian. */
const PACKED_BYTES = 1 + 8 + 8
const DENSE_BYTES = 8 + 8

/** `dense`: count and sum of all 256, as the digester has them. */
export function packRowBuckets(dense: Buffer): string {
  const packed: Buffer[] = []
  for (let at = 0; at < dense.length; at += DENSE_BYTES) {
    if (dense.readBigUInt64LE(at) === 0n) continue
    packed.push(Buffer.of(at / DENSE_BYTES), dense.subarray(at, at + DENSE_BYTES))
  }
  return Buffer.concat(packed).toString('base64')
}

/** Throws `format`. */
export function unpackRowBuckets(text: string): ReadonlyMap<number, RowBucket> {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length % PACKED_BYTES !== 0) {
    throw new AppError('format', 'the buckets of a table end in the middle of one')
  }
  const buckets = new Map<number, RowBucket>()
  for (let at = 0; at < bytes.length; at += PACKED_BYTES) {
    buckets.set(bytes.readUInt8(at), {
      count: bytes.readBigUInt64LE(at + 1),
      sum: bytes.readBigUInt64LE(at + 9),
    })
  }
  return buckets
}
