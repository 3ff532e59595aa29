/** Which WAL is missing, and which backups cannot be restored for want of WAL. Pure. */
import { nextSegment, type SegmentName } from '../../format/wal.ts'
import type { ArchiveReport } from './archive.ts'
import { holes, type NeededWal, type SegmentRange } from './wal-ranges.ts'

/** What a backup needs, but for the segments that it holds itself. */
export interface Need extends NeededWal {
  readonly ownSegments: ReadonlySet<string>
}

/** WAL that should be there. */
export interface MissingWal extends SegmentRange {
  /** Backups that are not consistent without it. */
  readonly labels: readonly string[]
}

type Archive = Pick<ArchiveReport, 'ranges' | 'segments' | 'segmentSizeBytes'>

/** Holes between segments, and what backups need before the first of them or after the last. */
export function missingWal(archive: Archive, needs: readonly Need[]): readonly MissingWal[] {
  const inside = holes(archive.ranges, needs, archive.segmentSizeBytes).map((hole) => ({
    first: hole.first,
    last: hole.last,
    labels: needs
      .filter((need) => firstUseful(need, hole, archive) !== undefined)
      .map(({ label }) => label),
  }))
  const known = new Set(inside.flatMap(({ labels }) => labels))
  const outside = needs.flatMap((need): readonly MissingWal[] => {
    const missing = firstWithout(need, archive)
    if (missing === undefined || known.has(need.label)) return []
    return [{ first: missing, last: missing, labels: [need.label] }]
  })
  return [...inside, ...outside]
}

/** The first segment of the hole that the backup lacks. */
function firstUseful(
  { first, last, ownSegments }: Need,
  hole: SegmentRange,
  { segmentSizeBytes }: Archive,
): SegmentName | undefined {
  if (last < hole.first || hole.last < first) return undefined
  const end = last < hole.last ? last : hole.last
  let segment = first < hole.first ? hole.first : first
  while (segment <= end && ownSegments.has(segment))
    segment = nextSegment(segment, segmentSizeBytes)
  return segment <= end ? segment : undefined
}

function firstWithout(
  { first, last, ownSegments }: Need,
  { segments, segmentSizeBytes }: Archive,
): SegmentName | undefined {
  for (let segment = first; segment <= last; segment = nextSegment(segment, segmentSizeBytes)) {
    if (!segments.has(segment) && !ownSegments.has(segment)) return segment
  }
  return undefined
}

/** The state of all WAL that a backup needs; what is missing makes it invalid. */
export function walState(
  { first, last, ownSegments }: Need,
  { segments, segmentSizeBytes }: Archive,
): 'valid' | 'invalid' | 'unreadable' {
  let state: 'valid' | 'unreadable' = 'valid'
  for (let segment = first; segment <= last; segment = nextSegment(segment, segmentSizeBytes)) {
    if (ownSegments.has(segment)) continue
    const found = segments.get(segment)?.state ?? 'invalid'
    if (found === 'invalid') return 'invalid'
    if (found === 'unreadable') state = 'unreadable'
  }
  return state
}
