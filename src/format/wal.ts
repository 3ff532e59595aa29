/** WAL names and positions: segments, LSNs, archive ids, and the names of archived files. Source: pgBackRest 2.60. */
import { AppError, assertThat } from '../base/error.ts'
import { type CompressType, compressTypeOfName, extensionOf } from '../pipe/compress-type.ts'

declare const brand: unique symbol
/** 24 upper-case hex digits: timeline, high and low half of the segment number. */
export type SegmentName = string & { readonly [brand]: 'SegmentName' }

const LOW_HALF = 2n ** 32n

export function isSegmentName(text: string): text is SegmentName {
  return /^[0-9A-F]{24}$/.test(text)
}

/** Throws `format`. */
export function parseSegmentName(text: string): SegmentName {
  if (isSegmentName(text)) return text
  throw new AppError('format', `'${text}' is not a WAL segment name`)
}

export function timelineOf(segment: SegmentName): number {
  return Number.parseInt(segment.slice(0, 8), 16)
}

/** `0/5000028`, in hex of either case. Throws `format`. */
export function parseLsn(text: string): bigint {
  const [, high, low] = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text) ?? []
  if (high === undefined || low === undefined)
    throw new AppError('format', `'${text}' is not an LSN`)
  return BigInt(`0x${high}`) * LOW_HALF + BigInt(`0x${low}`)
}

export function formatLsn(lsn: bigint): string {
  return `${hex(lsn / LOW_HALF)}/${hex(lsn % LOW_HALF)}`
}

function hex(value: bigint | number): string {
  return value.toString(16).toUpperCase()
}

/**
 * The segment that holds the byte at `lsn`. (PostgreSQL's `pg_walfile_name` gives the one before when `lsn` is a
 * segment's first byte: it is meant for the end of a record.)
 */
export function segmentAt(lsn: bigint, timeline: number, segmentSizeBytes: number): SegmentName {
  const number = lsn / BigInt(segmentSizeBytes)
  const perHigh = LOW_HALF / BigInt(segmentSizeBytes)
  const parts = [BigInt(timeline), number / perHigh, number % perHigh]
  return parseSegmentName(parts.map((part) => hex(part).padStart(8, '0')).join(''))
}

/** The LSN of a segment's first byte. */
export function segmentStart(segment: SegmentName, segmentSizeBytes: number): bigint {
  const high = BigInt(`0x${segment.slice(8, 16)}`)
  const low = BigInt(`0x${segment.slice(16)}`)
  return high * LOW_HALF + low * BigInt(segmentSizeBytes)
}

/** The segment after `segment` on the same timeline. */
export function nextSegment(segment: SegmentName, segmentSizeBytes: number): SegmentName {
  const lsn = segmentStart(segment, segmentSizeBytes) + BigInt(segmentSizeBytes)
  return segmentAt(lsn, timelineOf(segment), segmentSizeBytes)
}

interface WalRange {
  readonly startLsn: bigint
  /** The end of the last record needed: the first byte that is not. */
  readonly stopLsn: bigint
  readonly timeline: number
  readonly segmentSizeBytes: number
}

/**
 * The segments needed to replay a range, in order; at least the one that holds `startLsn`. A stop LSN that is a
 * segment's first byte does not need that segment, which PostgreSQL may never fill on an idle server.
 */
export function segmentsBetween(range: WalRange): readonly SegmentName[] {
  const { startLsn, stopLsn, timeline, segmentSizeBytes } = range
  assertThat(startLsn <= stopLsn, 'a WAL range does not end before it starts')
  const size = BigInt(segmentSizeBytes)
  const first = startLsn / size
  const last = stopLsn > startLsn ? (stopLsn - 1n) / size : first
  return Array.from({ length: Number(last - first) + 1 }, (_, index) =>
    segmentAt((first + BigInt(index)) * size, timeline, segmentSizeBytes),
  )
}

export interface ArchiveId {
  /** PostgreSQL major version: `15`, `9.6`. */
  readonly version: string
  readonly historyId: number
}

/** `15-1`: the directory of one cluster's WAL. */
export function archiveId(version: string, historyId: number): string {
  return `${version}-${historyId}`
}

/** Undefined for what is no archive id. */
export function parseArchiveId(text: string): ArchiveId | undefined {
  const [, version, historyId] = /^(\d+(?:\.\d+)*)-(\d{1,10})$/.exec(text) ?? []
  if (version === undefined || historyId === undefined) return undefined
  return { version, historyId: Number(historyId) }
}

/**
 * Where a file that PostgreSQL archives is kept, below the archive id. Segments, partial ones too, are compressed and
 * carry the SHA-1 of their uncompressed bytes; for the other files `checksum` and `type` do not matter.
 */
export function archiveFileKeyName(
  file: string,
  checksum: string | undefined,
  type: CompressType,
): string {
  if (!/^[0-9A-F]{24}/.test(file)) return file
  const directory = file.slice(0, 16)
  if (!/^[0-9A-F]{24}(?:\.partial)?$/.test(file)) return `${directory}/${file}`
  assertThat(checksum !== undefined, 'a segment is stored under its checksum')
  return `${directory}/${file}-${checksum}${extensionOf(type)}`
}

export interface ArchivedSegment {
  readonly segment: SegmentName
  readonly partial: boolean
  /** Lower-case hex SHA-1 of the uncompressed segment. */
  readonly checksum: string
  readonly compressType: CompressType
}

/** What the name of a stored segment says; undefined for every other name. */
export function parseArchivedSegment(name: string): ArchivedSegment | undefined {
  const found = /^([0-9A-F]{24})(\.partial)?-([0-9a-f]{40})(?:\.(?:gz|lz4|zst|bz2))?$/.exec(name)
  const [, segment, partial, checksum] = found ?? []
  if (segment === undefined || checksum === undefined || !isSegmentName(segment)) return undefined
  return {
    segment,
    partial: partial !== undefined,
    checksum,
    compressType: compressTypeOfName(name),
  }
}
