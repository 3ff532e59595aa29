/** The WAL a restore needs and what of it the archive has. Pure. */
import { parseLsn, type SegmentName } from '../../format/wal.ts'
import { segmentOnPath, type TimelineStretch } from './timeline.ts'

export interface WalQuestion {
  readonly path: readonly TimelineStretch[]
  readonly segmentSizeBytes: number
  readonly lsnStart: string
  readonly lsnStop: string
  /** Every segment in the archive. */
  readonly archived: ReadonlySet<string>
  /** Segments that the backup itself carries (archive-copy). */
  readonly inBackup: ReadonlySet<string>
  /** Where recovery must get to, when that is known as a WAL position. */
  readonly targetLsn: bigint | undefined
}

export interface WalRange {
  /** First segment recovery reads. */
  readonly first: SegmentName
  /** Last segment without which the backup is not consistent. */
  readonly consistent: SegmentName
  /** Last segment reachable without a gap; undefined when even the first is missing. */
  readonly reach: SegmentName | undefined
  /** First segment that is not there. After `consistent` this is simply the archive's end, or a gap. */
  readonly missing: SegmentName
  /** Segments from `first` to `reach`. */
  readonly count: number
  /** The backup can become consistent. */
  readonly usable: 'yes' | 'no'
  /** There is WAL after the first missing segment on the same way: a hole, not the end. */
  readonly hole: 'yes' | 'no'
  /** Whether the target position is within reach; `unknown` when the target is not a position. */
  readonly target: 'reached' | 'beyond' | 'unknown'
}

export function walRange(question: WalQuestion): WalRange {
  const { path, segmentSizeBytes, archived, inBackup, targetLsn } = question
  const size = BigInt(segmentSizeBytes)
  const startLsn = parseLsn(question.lsnStart)
  const stopLsn = parseLsn(question.lsnStop)
  // An end exactly on a border belongs to the segment before it.
  const stopNumber = (stopLsn - 1n) / size
  const has = (segment: string): boolean => archived.has(segment) || inBackup.has(segment)
  const nameAt = (number: bigint): SegmentName =>
    segmentOnPath(path, number * size, segmentSizeBytes)
  let number = startLsn / size
  while (has(nameAt(number))) number += 1n
  const count = Number(number - startLsn / size)
  const missing = nameAt(number)
  return {
    first: nameAt(startLsn / size),
    consistent: nameAt(stopNumber),
    reach: count === 0 ? undefined : nameAt(number - 1n),
    missing,
    count,
    usable: number > stopNumber ? 'yes' : 'no',
    hole: [...archived].some(
      (segment) => segment.slice(0, 8) === missing.slice(0, 8) && segment > missing,
    )
      ? 'yes'
      : 'no',
    target:
      targetLsn === undefined ? 'unknown' : (targetLsn - 1n) / size < number ? 'reached' : 'beyond',
  }
}
