/** `backup.info`: the index of a stanza's backups, which can be rebuilt from their manifests. Source: pgBackRest 2.60. */
import { isDeepStrictEqual } from 'node:util'
import { AppError, assertThat } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { compareBytes } from '../base/text.ts'
import {
  assertWritable,
  cipherSection,
  currentOf,
  readCipherPass,
  readCurrentId,
  readHistory,
} from './archive-info.ts'
import {
  asObject,
  count,
  identifier,
  optionalCount,
  optionalFlag,
  optionalText,
  optionalTexts,
  text,
  textMap,
} from './fields.ts'
import { type Format, FORMAT_NUMBER, WRITER_VERSION } from './format.ts'
import { parseInfoFile, reading, renderInfoFile } from './info-file.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { type BackupKind, kindOfLabel } from './label.ts'
import type { Manifest, ManifestFile } from './manifest.ts'

const WHAT = 'backup.info'

/** One cluster of the stanza's past or present. */
export interface BackupHistory {
  readonly id: number
  readonly systemId: bigint
  /** PostgreSQL major version: `15`, `9.6`. */
  readonly version: string
  readonly controlVersion: number
  readonly catalogVersion: number
}

/** What a backup was made with; false when an old entry does not say. */
export interface BackupEntryOptions {
  readonly archiveCheck: boolean
  readonly archiveCopy: boolean
  readonly backupStandby: boolean
  readonly checksumPage: boolean
  readonly compress: boolean
  readonly hardlink: boolean
  readonly online: boolean
}

export interface BackupEntry {
  readonly label: string
  readonly kind: BackupKind
  readonly format: number
  /** `backrest-version` of the program that made the backup. */
  readonly version: string
  /** First and last WAL segment and LSN needed; undefined for backups of stopped clusters. */
  readonly archiveStart: string | undefined
  readonly archiveStop: string | undefined
  /** Whether page checksum errors were found; undefined in entries from before 2.36. */
  readonly error: boolean | undefined
  readonly annotations: ReadonlyMap<string, string>
  readonly lsnStart: string | undefined
  readonly lsnStop: string | undefined
  /** The backup this one builds on; undefined for a full backup. */
  readonly prior: string | undefined
  /** The other backups whose files this one uses, oldest first. */
  readonly references: readonly string[]
  readonly startS: number
  readonly stopS: number
  readonly historyId: number
  /** Original size: of everything, and of what this backup copied (delta). */
  readonly sizeBytes: number
  readonly sizeDeltaBytes: number
  /** Stored size, likewise. Does not count blocks kept in other backups. */
  readonly repoSizeBytes: number | undefined
  readonly repoSizeDeltaBytes: number
  /** Stored size of block maps; undefined without block incremental. */
  readonly repoSizeMapBytes: number | undefined
  readonly repoSizeMapDeltaBytes: number | undefined
  readonly options: BackupEntryOptions
}

export interface BackupInfo {
  readonly format: Format
  /** Key of the manifests; undefined in a repository without encryption. */
  readonly cipherPass: Secret | undefined
  readonly currentId: number
  /** Ascending by id; holds `currentId`, which is the largest. */
  readonly history: readonly BackupHistory[]
  /** Sorted by label, and so by age within a set. */
  readonly backups: readonly BackupEntry[]
}

/** Throws `format` and `checksum`. */
export function parseBackupInfo(content: Buffer): BackupInfo {
  const { sections, format } = parseInfoFile(content, WHAT)
  const history = readHistory(sections, WHAT, (id, value) => {
    const members = asObject(value)
    return {
      id,
      systemId: identifier(members, 'db-system-id'),
      version: text(members, 'db-version'),
      controlVersion: count(members, 'db-control-version'),
      catalogVersion: count(members, 'db-catalog-version'),
    }
  })
  const backups = Array.from(sections.get('backup:current') ?? [], ([label, value]) =>
    reading(`[backup:current] '${label}' of '${WHAT}'`, () => readEntry(label, asObject(value))),
  )
  return {
    format,
    cipherPass: readCipherPass(sections, WHAT),
    currentId: readCurrentId(sections, WHAT, history),
    history,
    backups: backups.toSorted((left, right) => compareBytes(left.label, right.label)),
  }
}

function readEntry(label: string, members: JsonObject): BackupEntry {
  const kind = kindOfLabel(label)
  const type = text(members, 'backup-type')
  if (type !== kind) throw new AppError('format', `'backup-type' is '${type}'`)
  return {
    label,
    kind,
    format: count(members, 'backrest-format'),
    version: text(members, 'backrest-version'),
    archiveStart: optionalText(members, 'backup-archive-start'),
    archiveStop: optionalText(members, 'backup-archive-stop'),
    error: optionalFlag(members, 'backup-error'),
    annotations: textMap(members, 'backup-annotation'),
    lsnStart: optionalText(members, 'backup-lsn-start'),
    lsnStop: optionalText(members, 'backup-lsn-stop'),
    prior: optionalText(members, 'backup-prior'),
    references: optionalTexts(members, 'backup-reference') ?? [],
    startS: count(members, 'backup-timestamp-start'),
    stopS: count(members, 'backup-timestamp-stop'),
    historyId: count(members, 'db-id'),
    sizeBytes: count(members, 'backup-info-size'),
    sizeDeltaBytes: count(members, 'backup-info-size-delta'),
    repoSizeBytes: optionalCount(members, 'backup-info-repo-size'),
    repoSizeDeltaBytes: count(members, 'backup-info-repo-size-delta'),
    repoSizeMapBytes: optionalCount(members, 'backup-info-repo-size-map'),
    repoSizeMapDeltaBytes: optionalCount(members, 'backup-info-repo-size-map-delta'),
    options: {
      archiveCheck: optionalFlag(members, 'option-archive-check') ?? false,
      archiveCopy: optionalFlag(members, 'option-archive-copy') ?? false,
      backupStandby: optionalFlag(members, 'option-backup-standby') ?? false,
      checksumPage: optionalFlag(members, 'option-checksum-page') ?? false,
      compress: optionalFlag(members, 'option-compress') ?? false,
      hardlink: optionalFlag(members, 'option-hardlink') ?? false,
      online: optionalFlag(members, 'option-online') ?? false,
    },
  }
}

export function renderBackupInfo(info: BackupInfo): Buffer {
  assertWritable(info)
  const current = currentBackupHistory(info)
  const content = renderInfoFile(
    new Map([
      ['backup:current', new Map(info.backups.map((entry) => [entry.label, renderEntry(entry)]))],
      ['cipher', cipherSection(info.cipherPass)],
      ['db', new Map(Object.entries({ ...dbMembers(current), 'db-id': current.id }))],
      ['db:history', new Map(info.history.map((row) => [String(row.id), dbMembers(row)]))],
    ]),
  )
  const again = parseBackupInfo(content).history
  assertThat(isDeepStrictEqual(again, info.history), 'the history reads back as it was written')
  return content
}

export function currentBackupHistory(info: BackupInfo): BackupHistory {
  return currentOf(info)
}

function dbMembers(row: BackupHistory): JsonObject {
  return {
    'db-catalog-version': row.catalogVersion,
    'db-control-version': row.controlVersion,
    'db-system-id': row.systemId,
    'db-version': row.version,
  }
}

function renderEntry(entry: BackupEntry): JsonObject {
  const members: Readonly<Record<string, JsonValue | undefined>> = {
    'backrest-format': entry.format,
    'backrest-version': entry.version,
    'backup-annotation':
      entry.annotations.size === 0 ? undefined : Object.fromEntries(entry.annotations),
    'backup-archive-start': entry.archiveStart ?? null,
    'backup-archive-stop': entry.archiveStop ?? null,
    'backup-error': entry.error,
    'backup-info-repo-size': entry.repoSizeBytes,
    'backup-info-repo-size-delta': entry.repoSizeDeltaBytes,
    'backup-info-repo-size-map': entry.repoSizeMapBytes,
    'backup-info-repo-size-map-delta': entry.repoSizeMapDeltaBytes,
    'backup-info-size': entry.sizeBytes,
    'backup-info-size-delta': entry.sizeDeltaBytes,
    'backup-lsn-start': entry.lsnStart,
    'backup-lsn-stop': entry.lsnStop,
    'backup-prior': entry.prior,
    'backup-reference': entry.kind === 'full' ? undefined : entry.references,
    'backup-timestamp-start': entry.startS,
    'backup-timestamp-stop': entry.stopS,
    'backup-type': entry.kind,
    'db-id': entry.historyId,
    'option-archive-check': entry.options.archiveCheck,
    'option-archive-copy': entry.options.archiveCopy,
    'option-backup-standby': entry.options.backupStandby,
    'option-checksum-page': entry.options.checksumPage,
    'option-compress': entry.options.compress,
    'option-hardlink': entry.options.hardlink,
    'option-online': entry.options.online,
  }
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    ),
  )
}

/** The entry of a finished backup, as made when it ends and when the index is rebuilt. */
export function entryOfManifest(manifest: Manifest): BackupEntry {
  const { files, options } = manifest
  const own = files.filter((file) => file.reference === undefined)
  return {
    label: manifest.label,
    kind: manifest.kind,
    format: FORMAT_NUMBER,
    version: manifest.writerVersion ?? WRITER_VERSION,
    archiveStart: manifest.archiveStart,
    archiveStop: manifest.archiveStop,
    error: files.some((file) => file.checksumPage === false),
    annotations: manifest.annotations,
    lsnStart: manifest.lsnStart,
    lsnStop: manifest.lsnStop,
    prior: manifest.prior,
    references: manifest.references.filter((label) => label !== manifest.label),
    startS: manifest.startS,
    stopS: manifest.stopS,
    historyId: manifest.db.historyId,
    sizeBytes: sum(files, (file) => file.sizeBytes),
    sizeDeltaBytes: sum(own, (file) => file.sizeBytes),
    repoSizeBytes: sum(files, (file) => file.repoSizeBytes),
    repoSizeDeltaBytes: sum(own, (file) => file.repoSizeBytes),
    repoSizeMapBytes: manifest.blockIncr ? sum(files, mapSize) : undefined,
    repoSizeMapDeltaBytes: manifest.blockIncr ? sum(own, mapSize) : undefined,
    options: {
      archiveCheck: options.archiveCheck,
      archiveCopy: options.archiveCopy,
      backupStandby: options.backupStandby,
      checksumPage: options.checksumPage,
      compress: options.compressType !== 'none',
      hardlink: options.hardlink,
      online: options.online,
    },
  }
}

function mapSize(file: ManifestFile): number {
  return file.block?.mapSizeBytes ?? 0
}

function sum(files: readonly ManifestFile[], size: (file: ManifestFile) => number): number {
  return files.reduce((total, file) => total + size(file), 0)
}
