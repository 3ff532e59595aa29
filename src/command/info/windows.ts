/** Where recovery can get to, and what keeps it from getting further: gaps in the WAL of one cluster in one repository. Pure. */
import type { BackupEntry } from '../../format/backup-info.ts'
import type { HistoryEntry } from '../../format/history.ts'
import { isSegmentName, type SegmentName, segmentAt, timelineOf } from '../../format/wal.ts'
import { type Interval, reachable } from '../verify/reach.ts'
import {
  consecutive,
  holes,
  lengthOf,
  type NeededWal,
  segmentNumber,
  type SegmentRange,
} from '../verify/wal-ranges.ts'

/** A segment in the archive and when it came there. */
export interface StoredSegment {
  readonly name: SegmentName
  readonly storedMs: number
}

export interface WindowsQuestion {
  /** Complete segments, ascending, each once. */
  readonly segments: readonly StoredSegment[]
  readonly histories: ReadonlyMap<number, readonly HistoryEntry[]>
  readonly segmentSizeBytes: number
  /** Of this cluster, oldest first. */
  readonly backups: readonly BackupEntry[]
}

export interface Windows {
  readonly reachable: readonly Window[]
  readonly gaps: readonly Gap[]
  readonly backups: readonly BackupReach[]
}

/** Every moment between the two can be recovered to. */
export interface Window {
  readonly timeline: number
  readonly first: SegmentName
  readonly last: SegmentName
  /** The backup with whose end it begins; undefined when recovery comes from the timeline before. */
  readonly label: string | undefined
  readonly fromMs: number
  /** When the last segment was archived: what it holds is not later. */
  readonly untilMs: number
}

export interface Gap extends SegmentRange {
  readonly count: number
  /**
   * - `expired`: between backups that keep only the WAL that makes them consistent.
   * - `other-timeline`: that stretch was archived, but of another timeline.
   * - `missing`: never archived, or lost.
   */
  readonly cause: 'expired' | 'missing' | 'other-timeline'
}

/** How far recovery gets from one backup, on its own timeline. */
export interface BackupReach {
  readonly label: string
  /** Undefined: WAL that the backup itself needs is not in the archive. */
  readonly last: SegmentName | undefined
  readonly untilMs: number | undefined
}

export function findWindows(question: WindowsQuestion): Windows {
  const { segments, histories, segmentSizeBytes, backups } = question
  const ranges = consecutive(
    segments.map(({ name }) => name),
    segmentSizeBytes,
  )
  const storedMs = new Map(segments.map(({ name, storedMs: ms }) => [name, ms]))
  const needs = backups.flatMap(neededWal)
  const at = (timeline: number, number: number): SegmentName =>
    segmentAt(BigInt(number) * BigInt(segmentSizeBytes), timeline, segmentSizeBytes)
  const intervals = reachable(
    needs.map(({ first, last }) => ({
      timeline: timelineOf(first),
      start: segmentNumber(first, segmentSizeBytes),
      stop: segmentNumber(last, segmentSizeBytes),
    })),
    {
      runs: ranges.map((range) => toInterval(range, segmentSizeBytes)),
      histories,
      segmentSizeBytes,
    },
  )
  return {
    reachable: intervals.map(({ timeline, first, last }) => {
      const [from, to] = [at(timeline, first), at(timeline, last)]
      const backup = backups.find(({ archiveStop }) => archiveStop === from)
      return {
        timeline,
        first: from,
        last: to,
        label: backup?.label,
        fromMs: backup === undefined ? (storedMs.get(from) ?? 0) : backup.stopS * 1000,
        untilMs: storedMs.get(to) ?? 0,
      }
    }),
    gaps: findGaps(ranges, needs, segmentSizeBytes),
    backups: needs.map(({ label, first, last }) => {
      const range = ranges.find((one) => one.first <= first && one.last >= last)
      return { label, last: range?.last, untilMs: range && storedMs.get(range.last) }
    }),
  }
}

/** Nothing for a backup of a cluster that was shut down: it needs no WAL. */
function neededWal({ label, archiveStart, archiveStop }: BackupEntry): readonly NeededWal[] {
  if (archiveStart === undefined || archiveStop === undefined) return []
  if (!isSegmentName(archiveStart) || !isSegmentName(archiveStop)) return []
  return [{ label, first: archiveStart, last: archiveStop }]
}

function toInterval({ first, last }: SegmentRange, segmentSizeBytes: number): Interval {
  return {
    timeline: timelineOf(first),
    first: segmentNumber(first, segmentSizeBytes),
    last: segmentNumber(last, segmentSizeBytes),
  }
}

function findGaps(
  ranges: readonly SegmentRange[],
  needs: readonly NeededWal[],
  segmentSizeBytes: number,
): readonly Gap[] {
  const unplanned = new Set(holes(ranges, needs, segmentSizeBytes).map(({ first }) => first))
  const intervals = ranges.map((range) => toInterval(range, segmentSizeBytes))
  return holes(ranges, [], segmentSizeBytes).map((gap) => {
    const { timeline, first, last } = toInterval(gap, segmentSizeBytes)
    const isElsewhere = intervals.some(
      (other) => other.timeline !== timeline && other.first <= first && other.last >= last,
    )
    return {
      first: gap.first,
      last: gap.last,
      count: lengthOf(gap, segmentSizeBytes),
      cause: !unplanned.has(gap.first) ? 'expired' : isElsewhere ? 'other-timeline' : 'missing',
    }
  })
}
