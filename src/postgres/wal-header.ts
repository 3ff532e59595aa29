import { AppError } from '../base/error.ts'
import { releaseOfWalMagic } from './postgres.ts'

export interface WalHeader {
  /** `15`, `9.6`. */
  readonly version: string
  readonly systemId: bigint
  readonly segmentSizeBytes: number
  /** Of the page. In the first segment of a timeline it may be the one before: that part was copied. */
  readonly timeline: number
  /** The LSN of the segment's first byte. */
  readonly startLsn: bigint
}

/** What `parseWalHeader` needs of a segment. */
export const WAL_HEADER_BYTES = 40

const MAGIC_AT = 0
const INFO_AT = 2
const TIMELINE_AT = 4
const START_LSN_AT = 8
const SYSTEM_ID_AT = 24
const SEGMENT_SIZE_AT = 32
const INFO_LONG_HEADER = 0x0002

/**
 * Which cluster a WAL segment belongs to, from its first page's long header (`XLogLongPageHeaderData`). Throws `format`
 * when the bytes are not the beginning of a segment of a known release.
 */
export function parseWalHeader(firstBytes: Buffer): WalHeader {
  if (firstBytes.length < WAL_HEADER_BYTES) {
    throw new AppError('format', `WAL header has only ${firstBytes.length} bytes`)
  }
  const magic = firstBytes.readUInt16LE(MAGIC_AT)
  const release = releaseOfWalMagic(magic)
  if (release === undefined) {
    throw new AppError('format', `unknown WAL magic '${magic.toString(16).padStart(4, '0')}'`, {
      hint: 'Is this a WAL segment, and of a PostgreSQL release this program knows?',
    })
  }
  if ((firstBytes.readUInt16LE(INFO_AT) & INFO_LONG_HEADER) === 0) {
    throw new AppError('format', 'first page of the WAL segment has no long header')
  }
  return {
    version: release.version,
    systemId: firstBytes.readBigUInt64LE(SYSTEM_ID_AT),
    segmentSizeBytes: firstBytes.readUInt32LE(SEGMENT_SIZE_AT),
    timeline: firstBytes.readUInt32LE(TIMELINE_AT),
    startLsn: firstBytes.readBigUInt64LE(START_LSN_AT),
  }
}
