/** What the content of an archived file must be besides unchanged. Pure. */
import { asAppError } from '../../base/error.ts'
import { MIB } from '../../base/units.ts'
import { parseHistory } from '../../format/history.ts'
import { segmentStart, type SegmentName, timelineOf } from '../../format/wal.ts'
import { releaseOfVersion } from '../../postgres/postgres.ts'
import { parseWalHeader, WAL_HEADER_BYTES } from '../../postgres/wal-header.ts'

export type Nature =
  /** Any bytes. */
  | { readonly kind: 'any' }
  /** A timeline history. */
  | { readonly kind: 'history' }
  /** What PostgreSQL archives as `<segment>.<offset>.backup`. */
  | { readonly kind: 'backup-label' }
  | {
      readonly kind: 'segment'
      readonly segment: SegmentName
      /** PostgreSQL version of the archive id. */
      readonly version: string
      /** Undefined when archive.info does not know the archive id. */
      readonly systemId: bigint | undefined
    }

/** `size`: it cannot be a segment. `content`: it is something else. */
export interface Unnatural {
  readonly kind: 'size' | 'content'
  readonly detail: string
}

/** Texts of PostgreSQL have a few lines; longer ones are not read further. */
const TEXT_BYTES_MAX = MIB
/** What initdb allows. */
const SEGMENT_BYTES_MAX = 1024 * MIB

/** How many of the first bytes of the content `unnatural` wants to see. */
export function headBytes(nature: Nature): number {
  switch (nature.kind) {
    case 'any':
      return 0
    case 'history':
    case 'backup-label':
      return TEXT_BYTES_MAX
    case 'segment':
      return WAL_HEADER_BYTES
  }
}

/** Undefined when content of this size and beginning can be what it should be. */
export function unnatural(nature: Nature, sizeBytes: number, head: Buffer): Unnatural | undefined {
  switch (nature.kind) {
    case 'any':
      return undefined
    case 'history':
      return failing(() => parseHistory(head.toString('latin1')))
    case 'backup-label':
      return head.toString('latin1').startsWith('START WAL LOCATION: ')
        ? undefined
        : { kind: 'content', detail: 'it is not the label of a backup' }
    case 'segment':
      return wrongSegment(nature, sizeBytes, head)
  }
}

function failing(parse: () => unknown): Unnatural | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return { kind: 'content', detail: asAppError(error).message }
  }
}

function wrongSegment(
  { segment, version, systemId }: Extract<Nature, { kind: 'segment' }>,
  sizeBytes: number,
  head: Buffer,
): Unnatural | undefined {
  if (!isSegmentSize(sizeBytes)) {
    return { kind: 'size', detail: `no WAL segment has ${sizeBytes} bytes` }
  }
  // Of a version that is not known only the size can be told.
  if (releaseOfVersion(version) === undefined) return undefined
  return failing(() => parseWalHeader(head)) ?? wrongHeader(parseWalHeader(head))

  function wrongHeader(header: ReturnType<typeof parseWalHeader>): Unnatural | undefined {
    if (header.segmentSizeBytes !== sizeBytes) {
      const detail = `${sizeBytes} bytes of a segment of ${header.segmentSizeBytes} bytes`
      return { kind: 'size', detail }
    }
    if (header.version !== version) return content(`it is of PostgreSQL ${header.version}`)
    if (systemId !== undefined && header.systemId !== systemId) {
      return content(`it is of the cluster with system identifier ${header.systemId}`)
    }
    const isPlace = header.startLsn === segmentStart(segment, sizeBytes)
    // A new timeline begins with a copy of the one it left.
    return isPlace && header.timeline <= timelineOf(segment)
      ? undefined
      : content('it is another segment')
  }
}

function content(detail: string): Unnatural {
  return { kind: 'content', detail }
}

function isSegmentSize(sizeBytes: number): boolean {
  return (
    sizeBytes >= MIB && sizeBytes <= SEGMENT_BYTES_MAX && Number.isInteger(Math.log2(sizeBytes))
  )
}
