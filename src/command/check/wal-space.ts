/** When the disk of pg_wal is full, should archiving stop: from how fast WAL has been written and how much room is left. */
import { formatDuration, formatSize, HOUR_MS, SECOND_MS } from '../../base/units.ts'

/** A segment that has been filled. */
export interface WrittenSegment {
  /** The position of its first byte. */
  readonly startLsn: bigint
  /** When it was last written to. */
  readonly writtenMs: number
}

export interface WalSpace {
  readonly freeBytes: number
  /** Undefined until two segments tell. */
  readonly bytesPerSecond: number | undefined
  /** Undefined when no WAL is being written. */
  readonly fullInMs: number | undefined
}

/** Rates of a server that was idle for long say nothing about its busy hours: only the last hour counts. */
const WINDOW_MS = HOUR_MS

export function predictFull(
  freeBytes: number,
  segments: readonly WrittenSegment[],
  nowMs: number,
): WalSpace {
  const recent = segments
    .filter(({ writtenMs }) => writtenMs >= nowMs - WINDOW_MS)
    .toSorted((left, right) => (left.startLsn < right.startLsn ? -1 : 1))
  const [first, last] = [recent.at(0), recent.at(-1)]
  if (first === undefined || last === undefined || first === last) {
    return { freeBytes, bytesPerSecond: undefined, fullInMs: undefined }
  }
  const tookMs = Math.max(1, nowMs - first.writtenMs)
  const bytesPerSecond = Number(last.startLsn - first.startLsn) / (tookMs / SECOND_MS)
  return {
    freeBytes,
    bytesPerSecond,
    fullInMs: bytesPerSecond === 0 ? undefined : (freeBytes / bytesPerSecond) * SECOND_MS,
  }
}

export function describeSpace({ freeBytes, bytesPerSecond, fullInMs }: WalSpace): string {
  const free = `pg_wal has ${formatSize(freeBytes)} free`
  if (bytesPerSecond === undefined || fullInMs === undefined) return free
  return `${free} and grows by ${formatSize(Math.round(bytesPerSecond))} a second: without archiving it is full in ${formatDuration(fullInMs)}`
}
