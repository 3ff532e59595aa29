/**
 * `global/pg_control`: which cluster this is and where its last checkpoint lies.
 *
 * Offsets are those of 64-bit little-endian builds (PostgreSQL `pg_control.h`, 9.6 to 19).
 */
import { AppError } from '../base/error.ts'
import { crc32c } from './crc32c.ts'
import { releaseOfControl } from './postgres.ts'

export interface ControlFile {
  readonly systemId: bigint
  readonly controlVersion: number
  readonly catalogVersion: number
  /** `15`, `9.6`. */
  readonly version: string
  readonly checkpointLsn: bigint
  /** Timeline of that checkpoint. */
  readonly timeline: number
  readonly blockSizeBytes: number
  readonly walSegmentSizeBytes: number
  /** 0: the cluster has no page checksums. */
  readonly dataChecksumVersion: number
}

/** Everything PostgreSQL writes is within one disk sector, so that a write of it is atomic. */
export const CONTROL_FILE_BYTES = 512
/** The size of the file on disk; the rest is zeros. */
export const CONTROL_FILE_PADDED_BYTES = 8192

const SYSTEM_ID_AT = 0
const CONTROL_VERSION_AT = 8
const CATALOG_VERSION_AT = 12
const CHECKPOINT_LSN_AT = 32

/** PostgreSQL cannot start from this checkpoint: it must have a backup_label, which names the right one. */
export const INVALID_CHECKPOINT_LSN = 0xdeadn

interface Layout {
  readonly timelineAt: number
  readonly blockSizeAt: number
  readonly walSegmentSizeAt: number
  readonly dataChecksumVersionAt: number
  readonly crcAt: number
}

/** By control version: the releases that share one share the layout. */
const LAYOUTS: ReadonlyMap<number, Layout> = new Map([
  [960, layout(56, 216, 256)],
  [1002, layout(56, 216, 288)],
  [1100, layout(48, 208, 280)],
  [1201, layout(48, 216, 288)],
  [1300, layout(48, 216, 288)],
  [1700, layout(48, 216, 288)],
  [1800, layout(48, 216, 292)],
  [1902, { ...layout(48, 224, 304), walSegmentSizeAt: 240, dataChecksumVersionAt: 264 }],
])

function layout(timelineAt: number, blockSizeAt: number, crcAt: number): Layout {
  return {
    timelineAt,
    blockSizeAt,
    walSegmentSizeAt: blockSizeAt + 12,
    dataChecksumVersionAt: blockSizeAt + 36,
    crcAt,
  }
}

/**
 * Reads the first `CONTROL_FILE_BYTES` of `bytes`. Throws `format` when there are fewer, `version-not-supported` for a
 * release not in the table, `checksum` when the file is damaged or was read while being written.
 */
export function parseControlFile(bytes: Buffer): ControlFile {
  const { version, at } = identify(bytes)
  return {
    systemId: bytes.readBigUInt64LE(SYSTEM_ID_AT),
    controlVersion: bytes.readUInt32LE(CONTROL_VERSION_AT),
    catalogVersion: bytes.readUInt32LE(CATALOG_VERSION_AT),
    version,
    checkpointLsn: bytes.readBigUInt64LE(CHECKPOINT_LSN_AT),
    timeline: bytes.readUInt32LE(at.timelineAt),
    blockSizeBytes: bytes.readUInt32LE(at.blockSizeAt),
    walSegmentSizeBytes: bytes.readUInt32LE(at.walSegmentSizeAt),
    dataChecksumVersion: bytes.readUInt32LE(at.dataChecksumVersionAt),
  }
}

/**
 * A copy of `bytes`, of the same length, whose checkpoint is 0xDEAD: a restored online backup whose backup_label is lost
 * then fails to start instead of starting with damaged data (pgBackRest 2.51). Throws as `parseControlFile`.
 */
export function withInvalidCheckpoint(bytes: Buffer): Buffer {
  const { at } = identify(bytes)
  const changed = Buffer.from(bytes)
  changed.writeBigUInt64LE(INVALID_CHECKPOINT_LSN, CHECKPOINT_LSN_AT)
  changed.writeUInt32LE(crc32c(changed.subarray(0, at.crcAt)), at.crcAt)
  return changed
}

function identify(bytes: Buffer): { readonly version: string; readonly at: Layout } {
  if (bytes.length < CONTROL_FILE_BYTES) {
    throw new AppError(
      'format',
      `pg_control has ${bytes.length} bytes but at least ${CONTROL_FILE_BYTES} are needed`,
    )
  }
  const controlVersion = bytes.readUInt32LE(CONTROL_VERSION_AT)
  const catalogVersion = bytes.readUInt32LE(CATALOG_VERSION_AT)
  const release = releaseOfControl(controlVersion, catalogVersion)
  const at = LAYOUTS.get(controlVersion)
  if (release === undefined || at === undefined) {
    throw new AppError(
      'version-not-supported',
      `pg_control has unknown control version '${controlVersion}' and catalog version '${catalogVersion}'`,
      { hint: 'Is this a PostgreSQL fork, a beta, or a newer release than this program knows?' },
    )
  }
  const expected = bytes.readUInt32LE(at.crcAt)
  const actual = crc32c(bytes.subarray(0, at.crcAt))
  if (actual !== expected) {
    throw new AppError(
      'checksum',
      `pg_control has CRC '${hex(actual)}' but says it should be '${hex(expected)}'`,
      { hint: 'Is the file damaged, or not from a 64-bit little-endian PostgreSQL?' },
    )
  }
  return { version: release.version, at }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
