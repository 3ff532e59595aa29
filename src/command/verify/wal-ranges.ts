/** What is there of a stanza's WAL, segment by segment: ranges without a gap, and the holes between them. Pure. */
import {
  nextSegment,
  segmentAt,
  type SegmentName,
  segmentStart,
  timelineOf,
} from '../../format/wal.ts'

/** First and last of consecutive segments of one timeline. */
export interface SegmentRange {
  readonly first: SegmentName
  readonly last: SegmentName
}

/** Ranges of segments that follow one another; `segments` ascending, each once. */
export function consecutive(
  segments: readonly SegmentName[],
  segmentSizeBytes: number,
): readonly SegmentRange[] {
  const ranges: SegmentRange[] = []
  let first = segments[0]
  for (const [index, segment] of segments.entries()) {
    const following = segments[index + 1]
    if (first === undefined || following === nextSegment(segment, segmentSizeBytes)) continue
    ranges.push({ first, last: segment })
    first = following
  }
  return ranges
}

/** The WAL that a backup cannot do without. */
export interface NeededWal {
  readonly label: string
  readonly first: SegmentName
  readonly last: SegmentName
}

/**
 * The gaps that nobody made on purpose. `expire` leaves gaps, too: it removes all WAL from after what one backup needs to
 * before what the next one needs, and nothing but that.
 */
export function holes(
  ranges: readonly SegmentRange[],
  needed: readonly NeededWal[],
  segmentSizeBytes: number,
): readonly SegmentRange[] {
  const ends = new Set(needed.map(({ last }) => last))
  const starts = new Set(needed.map(({ first }) => first))
  return ranges.flatMap((range, index) => {
    const following = ranges[index + 1]
    if (following === undefined || timelineOf(following.first) !== timelineOf(range.last)) return []
    if (ends.has(range.last) && starts.has(following.first)) return []
    const last = previousSegment(following.first, segmentSizeBytes)
    return [{ first: nextSegment(range.last, segmentSizeBytes), last }]
  })
}

function previousSegment(segment: SegmentName, segmentSizeBytes: number): SegmentName {
  const lsn = segmentStart(segment, segmentSizeBytes) - BigInt(segmentSizeBytes)
  return segmentAt(lsn, timelineOf(segment), segmentSizeBytes)
}

/** How many segments a range has. */
export function lengthOf({ first, last }: SegmentRange, segmentSizeBytes: number): number {
  return segmentNumber(last, segmentSizeBytes) - segmentNumber(first, segmentSizeBytes) + 1
}

/** The place of a segment in the WAL, counted in segments. */
export function segmentNumber(segment: SegmentName, segmentSizeBytes: number): number {
  return Number(segmentStart(segment, segmentSizeBytes) / BigInt(segmentSizeBytes))
}
