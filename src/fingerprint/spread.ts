/**
 * Partitions whose rows another server deals out otherwise: all of them together as one table, which can be compared. Digests are
 * sums, so the sum of theirs is that of all their rows. Pure.
 */
import type { DatabaseFingerprint, TableFingerprint } from '../format/fingerprint.ts'
import { packRowBuckets, unpackRowBuckets } from '../format/row-buckets.ts'
import { quoted } from './sql.ts'

interface Joined {
  readonly source: readonly TableFingerprint[]
  readonly restored: readonly TableFingerprint[]
}

type Above = NonNullable<TableFingerprint['spreadBelow']>

/** What one of the two says of a partition holds for both. */
export function withSpreadJoined(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): Joined {
  const above = new Map<string, Above>()
  for (const table of [...restored.tables, ...source.tables]) {
    if (table.spreadBelow !== undefined) above.set(keyOf(table), table.spreadBelow)
  }
  return { source: join(source.tables, above), restored: join(restored.tables, above) }
}

const keyOf = ({ schema, name }: Above): string => quoted(schema, name)

function join(
  tables: readonly TableFingerprint[],
  above: ReadonlyMap<string, Above>,
): readonly TableFingerprint[] {
  const joined = new Map<string, TableFingerprint>()
  for (const table of tables) {
    const { schema, name } = above.get(keyOf(table)) ?? table
    const one = { ...table, schema, name }
    const others = joined.get(keyOf(one))
    joined.set(keyOf(one), others === undefined ? one : sumOf(others, one))
  }
  return [...joined.values()]
}

function sumOf(one: TableFingerprint, other: TableFingerprint): TableFingerprint {
  const { digest, buckets, ...counted } = one
  const rows = String(BigInt(one.rows) + BigInt(other.rows))
  const isAlike = JSON.stringify(one.coverage) === JSON.stringify(other.coverage)
  if (!isAlike || digest === undefined || other.digest === undefined) {
    return { ...counted, coverage: { kind: 'counted' }, rows }
  }
  return {
    ...counted,
    rows,
    digest: addNumbers(Buffer.from(digest, 'hex'), Buffer.from(other.digest, 'hex')).toString(
      'hex',
    ),
    ...(buckets === undefined || other.buckets === undefined
      ? {}
      : { buckets: addBuckets(buckets, other.buckets) }),
  }
}

/** Little-endian, modulo their size. */
function addNumbers(left: Buffer, right: Buffer): Buffer {
  let carry = 0
  return Buffer.from(
    left.map((byte, index) => {
      const sum = byte + (right[index] ?? 0) + carry
      carry = sum >> 8
      return sum & 0xff
    }),
  )
}

function addBuckets(left: string, right: string): string {
  const dense = Buffer.alloc(BUCKETS * 2 * NUMBER_BYTES)
  for (const buckets of [unpackRowBuckets(left), unpackRowBuckets(right)]) {
    for (const [number, { count, sum }] of buckets) {
      const at = number * 2 * NUMBER_BYTES
      addAt(dense, at, count)
      addAt(dense, at + NUMBER_BYTES, sum)
    }
  }
  return packRowBuckets(dense)
}

const BUCKETS = 256
const NUMBER_BYTES = 8

function addAt(buffer: Buffer, at: number, value: bigint): void {
  buffer.writeBigUInt64LE(BigInt.asUintN(64, buffer.readBigUInt64LE(at) + value), at)
}
