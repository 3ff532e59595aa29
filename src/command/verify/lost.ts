/** What the problems of an archive and its backups cost: the WAL that no recovery can get to any more. Pure. */
import { SECOND_MS } from '../../base/units.ts'
import { segmentAt, type SegmentName, timelineOf } from '../../format/wal.ts'
import type { ArchiveReport } from './archive.ts'
import { type Interval, reachable, type ReachableBackup, without } from './reach.ts'
import { consecutive, type NeededWal, type SegmentRange, segmentNumber } from './wal-ranges.ts'

export interface Lost extends SegmentRange {
  readonly archiveId: string
  readonly timeline: number
  /** When the last thing before it was archived or, without any, complete; undefined when nothing is known. */
  readonly fromS: number | undefined
  /** From where on recovery is possible again; undefined when it is not. */
  readonly until: { readonly label: string; readonly stopS: number } | undefined
}

/** A backup as far as recovery is concerned. */
export interface Anchor extends NeededWal {
  readonly stopS: number
  readonly usable: 'yes' | 'no'
}

/** Compares what could be reached if nothing were wrong with what can. `holes` are the segments that should be there. */
export function lostRanges(
  archive: ArchiveReport,
  anchors: readonly Anchor[],
  holes: readonly SegmentRange[],
): readonly Lost[] {
  const { segments, segmentSizeBytes, histories } = archive
  const usable = [...segments].filter(([, { state }]) => state !== 'invalid').map(([name]) => name)
  const wal = { histories, segmentSizeBytes }
  const before = reachable(
    anchors.map((anchor) => toNumbers(anchor, segmentSizeBytes)),
    {
      ...wal,
      runs: joined([...archive.ranges, ...holes].map((range) => toRun(range, segmentSizeBytes))),
    },
  )
  const now = reachable(
    anchors
      .filter((anchor) => anchor.usable === 'yes')
      .map((anchor) => toNumbers(anchor, segmentSizeBytes)),
    {
      ...wal,
      runs: consecutive(usable.toSorted(), segmentSizeBytes).map((range) =>
        toRun(range, segmentSizeBytes),
      ),
    },
  )
  return without(before, now).map((interval) => describe(archive, anchors, interval))
}

function toRun({ first, last }: SegmentRange, segmentSizeBytes: number): Interval {
  return {
    timeline: timelineOf(first),
    first: segmentNumber(first, segmentSizeBytes),
    last: segmentNumber(last, segmentSizeBytes),
  }
}

function toNumbers({ first, last }: NeededWal, segmentSizeBytes: number): ReachableBackup {
  return {
    timeline: timelineOf(first),
    start: segmentNumber(first, segmentSizeBytes),
    stop: segmentNumber(last, segmentSizeBytes),
  }
}

/** Runs that touch become one. */
function joined(runs: readonly Interval[]): readonly Interval[] {
  const result: Interval[] = []
  const ascending = runs.toSorted(
    (left, right) => left.timeline - right.timeline || left.first - right.first,
  )
  for (const run of ascending) {
    const before = result.at(-1)
    if (before?.timeline === run.timeline && before.last === run.first - 1) {
      result.splice(-1, 1, { ...before, last: run.last })
    } else {
      result.push(run)
    }
  }
  return result
}

function describe(archive: ArchiveReport, anchors: readonly Anchor[], interval: Interval): Lost {
  const { segmentSizeBytes, segments } = archive
  const { timeline } = interval
  const nameOf = (number: number): SegmentName =>
    segmentAt(BigInt(number) * BigInt(segmentSizeBytes), timeline, segmentSizeBytes)
  const [first, last] = [nameOf(interval.first), nameOf(interval.last)]
  const before = interval.first === 0 ? undefined : segments.get(nameOf(interval.first - 1))
  const begins = anchors.find((anchor) => anchor.last === first)
  const next = anchors.find(
    (anchor) => anchor.usable === 'yes' && anchor.last === nameOf(interval.last + 1),
  )
  return {
    archiveId: archive.id,
    timeline,
    first,
    last,
    fromS: begins?.stopS ?? (before && Math.floor(before.modifiedMs / SECOND_MS)),
    until: next && { label: next.label, stopS: next.stopS },
  }
}
