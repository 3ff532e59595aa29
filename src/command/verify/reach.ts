/**
 * Which WAL positions a recovery can get to: from a backup, along WAL without a gap, through the timelines. Pure.
 *
 * Positions are counted in segments; a range is of one timeline.
 */
import type { HistoryEntry } from '../../format/history.ts'

export interface ReachableBackup {
  readonly timeline: number
  /** Numbers of the first and last segment that it needs. */
  readonly start: number
  readonly stop: number
}

export interface Wal {
  /** Segments without a gap; ascending by timeline and number. */
  readonly runs: readonly Interval[]
  readonly histories: ReadonlyMap<number, readonly HistoryEntry[]>
  readonly segmentSizeBytes: number
}

export interface Interval {
  readonly timeline: number
  /** Numbers, both included. */
  readonly first: number
  readonly last: number
}

/** Ascending by timeline and number. */
export function reachable(backups: readonly ReachableBackup[], wal: Wal): readonly Interval[] {
  const intervals = new Map<number, readonly Interval[]>()
  // A timeline's number is greater than that of the one it left.
  for (const timeline of new Set(wal.runs.map((run) => run.timeline))) {
    intervals.set(timeline, reachableOn(timeline, { backups, wal, before: intervals }))
  }
  return [...intervals.values()].flat()
}

interface Surroundings {
  readonly backups: readonly ReachableBackup[]
  readonly wal: Wal
  readonly before: ReadonlyMap<number, readonly Interval[]>
}

function reachableOn(timeline: number, around: Surroundings): readonly Interval[] {
  const { backups, wal } = around
  const entry = entryNumber(timeline, around)
  const own = backups.filter((backup) => backup.timeline === timeline)
  const runs = wal.runs.filter((run) => run.timeline === timeline)
  return runs.flatMap(({ first, last }) => {
    const stops = own
      .filter(({ start, stop }) => start >= first && stop <= last)
      .map(({ stop }) => stop)
    if (entry !== undefined && entry >= first && entry <= last) stops.push(entry)
    // Not Math.min(...): there may be a hundred thousand.
    const from = stops.reduce((least, stop) => Math.min(least, stop), Infinity)
    return from === Infinity ? [] : [{ timeline, first: from, last }]
  })
}

/** Where a recovery that comes along the timeline before this one goes on; undefined when none can. */
function entryNumber(timeline: number, { wal, before }: Surroundings): number | undefined {
  const left = wal.histories.get(timeline)?.at(-1)
  if (left === undefined) return undefined
  const number = Number(left.switchLsn / BigInt(wal.segmentSizeBytes))
  // The segment of the switch itself is read from the new timeline.
  const arrives = (before.get(left.timeline) ?? []).some(
    ({ first, last }) => first <= number && last >= number - 1,
  )
  return arrives ? number : undefined
}

/** What is in `all` and not in `some`; both as `reachable` gives them. */
export function without(all: readonly Interval[], some: readonly Interval[]): readonly Interval[] {
  return all.flatMap((interval) => {
    const { timeline } = interval
    const rest: Interval[] = []
    let { first } = interval
    for (const cut of some) {
      if (cut.timeline !== timeline || cut.last < first || cut.first > interval.last) continue
      if (cut.first > first) rest.push({ timeline, first, last: cut.first - 1 })
      first = cut.last + 1
    }
    return first <= interval.last ? [...rest, { timeline, first, last: interval.last }] : rest
  })
}
