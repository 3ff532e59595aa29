/**
 * The manifest: everything needed to restore one backup. manifest-read.ts and manifest-write.ts give it its text.
 *
 * Names of files, paths and links are those of the manifest: `pg_data/…` for the data directory, `pg_tblspc/<oid>/…` for
 * tablespaces. Source of the facts: pgBackRest 2.60.
 */
import { AppError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { toHumanText } from '../base/text.ts'
import type { CompressType } from '../pipe/compress-type.ts'
import type { BackupKind } from './label.ts'

/** Block sizes are written in units of this. */
export const BLOCK_UNIT_BYTES = 8192
/** The checksum size of blocks when nothing else is written. */
export const BLOCK_CHECKSUM_BYTES = 6
/** The SHA-1 of no bytes, the checksum of every empty file. */
const EMPTY_CHECKSUM = 'da39a3ee5e6b4b0d3255bfef95601890afd80709'
/** How many incomplete files an error names. */
const NAMED_FILES_MAX = 10

/** A user or group name; false when the number had no name at backup time. */
export type OwnerName = string | false

export interface ManifestFile {
  readonly name: string
  /** Original size of what was stored. */
  readonly sizeBytes: number
  /** Modification time. */
  readonly timestampS: number
  /** SHA-1 of the original bytes; undefined when not copied yet and, as the text has it, for empty files. */
  readonly checksum: string | undefined
  /** Whether all page checksums were right; undefined when they were not checked. */
  readonly checksumPage: boolean | undefined
  /** Blocks with wrong checksums, ranges inclusive; undefined with `checksumPage: false` means a torn size. */
  readonly checksumPageErrors: readonly (number | readonly [number, number])[] | undefined
  readonly user: OwnerName
  readonly group: OwnerName
  readonly mode: number
  /** Label of the backup that owns the stored bytes; undefined for this one. */
  readonly reference: string | undefined
  /** Stored size, block map included. */
  readonly repoSizeBytes: number
  /** SHA-1 of the stored bytes; undefined when they are the original bytes. */
  readonly repoChecksum: string | undefined
  /** The bundle that holds the stored bytes, from 1; undefined when they are an object of their own. */
  readonly bundleId: number | undefined
  /** 0 outside bundles. */
  readonly bundleOffsetBytes: number
  /** Set when the stored bytes are blocks and a map of them. */
  readonly block: ManifestBlock | undefined
  /** Size when the manifest was built, if the file had another one when it was copied. */
  readonly originalSizeBytes: number | undefined
}

export interface ManifestBlock {
  /** A multiple of 8 KiB. */
  readonly sizeBytes: number
  readonly checksumSizeBytes: number
  /** Stored size of the map, which is the tail of the stored bytes. */
  readonly mapSizeBytes: number
}

export interface ManifestPath {
  readonly name: string
  readonly user: OwnerName
  readonly group: OwnerName
  readonly mode: number
}

export interface ManifestLink {
  readonly name: string
  readonly destination: string
  readonly user: OwnerName
  readonly group: OwnerName
}

/** Where something outside the data directory, or the data directory itself, was. */
export type ManifestTarget =
  | { readonly name: string; readonly kind: 'path'; readonly path: string }
  | {
      readonly name: string
      readonly kind: 'link'
      /** May be relative to the directory that holds the link. */
      readonly path: string
      /** The file's name when the link is to a file; `path` is then its directory. */
      readonly file: string | undefined
      readonly tablespaceId: number | undefined
      readonly tablespaceName: string | undefined
    }

export interface ManifestDatabase {
  readonly name: string
  readonly oid: number
  readonly lastSystemOid: number
}

export interface ManifestDb {
  readonly historyId: number
  readonly systemId: bigint
  /** PostgreSQL major version: `15`, `9.6`. */
  readonly version: string
  readonly controlVersion: number
  readonly catalogVersion: number
}

/** `compressType` and `online` are needed to restore; the others inform, and are false or undefined when unknown. */
export interface ManifestOptions {
  readonly archiveCheck: boolean
  readonly archiveCopy: boolean
  readonly backupStandby: boolean
  readonly bufferSizeBytes: number | undefined
  readonly checksumPage: boolean
  readonly compressType: CompressType
  readonly compressLevel: number | undefined
  readonly compressLevelNetwork: number | undefined
  readonly delta: boolean
  readonly hardlink: boolean
  readonly online: boolean
  readonly processMax: number | undefined
}

export interface Manifest {
  readonly label: string
  readonly kind: BackupKind
  /** First and last WAL segment and LSN needed for consistency; undefined for a backup of a stopped cluster. */
  readonly archiveStart: string | undefined
  readonly archiveStop: string | undefined
  readonly lsnStart: string | undefined
  readonly lsnStop: string | undefined
  /** The backup this one builds on; undefined for a full backup. */
  readonly prior: string | undefined
  /** Labels whose files are used, oldest first, this one's last. Block maps name a backup by its place here. */
  readonly references: readonly string[]
  readonly bundle: boolean
  /** Bundled files are stored without containers. */
  readonly bundleRaw: boolean
  readonly blockIncr: boolean
  readonly startS: number
  /** Files changed before this second are told apart from the copied ones by their modification time. */
  readonly copyStartS: number
  /** 0 in a backup that has not ended. */
  readonly stopS: number
  readonly db: ManifestDb
  readonly options: ManifestOptions
  /** Sorted by name, as are all lists here. */
  readonly targets: readonly ManifestTarget[]
  /** Key of every file of the set; undefined in a repository without encryption. */
  readonly cipherPass: Secret | undefined
  readonly databases: readonly ManifestDatabase[]
  readonly annotations: ReadonlyMap<string, string>
  readonly files: readonly ManifestFile[]
  readonly links: readonly ManifestLink[]
  readonly paths: readonly ManifestPath[]
  /** `backrest-version` of the text this was read from; not written, for what is written is ours. */
  readonly writerVersion?: string | undefined
}

/** An entry of which nothing is stored yet. */
export function newFile(
  file: Pick<ManifestFile, 'name' | 'sizeBytes' | 'timestampS' | 'user' | 'group' | 'mode'>,
): ManifestFile {
  return {
    name: file.name,
    sizeBytes: file.sizeBytes,
    timestampS: file.timestampS,
    checksum: undefined,
    checksumPage: undefined,
    checksumPageErrors: undefined,
    user: file.user,
    group: file.group,
    mode: file.mode,
    reference: undefined,
    repoSizeBytes: file.sizeBytes,
    repoChecksum: undefined,
    bundleId: undefined,
    bundleOffsetBytes: 0,
    block: undefined,
    originalSizeBytes: undefined,
  }
}

/** Throws `format` unless every file can be restored and proved: what must hold before a backup is finished. */
export function assertComplete(manifest: Manifest): void {
  const problems = manifest.files.map(problemOf).filter((problem) => problem !== undefined)
  if (problems.length === 0) return
  const more = problems.length - NAMED_FILES_MAX
  throw new AppError(
    'format',
    [
      `manifest of backup '${manifest.label}' is incomplete`,
      ...problems.slice(0, NAMED_FILES_MAX),
      ...(more > 0 ? [`and ${more} more`] : []),
    ].join('\n'),
  )
}

function problemOf(file: ManifestFile): string | undefined {
  const name = toHumanText(file.name)
  if (file.sizeBytes === 0) {
    return (file.checksum ?? EMPTY_CHECKSUM) === EMPTY_CHECKSUM
      ? undefined
      : `invalid checksum '${file.checksum}' for zero size file '${name}'`
  }
  if (file.checksum === undefined) return `missing checksum for file '${name}'`
  return file.repoSizeBytes > 0 ? undefined : `repo size must be > 0 for file '${name}'`
}
