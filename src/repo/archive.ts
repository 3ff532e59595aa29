/** Finding, storing and reading WAL in a repository: the part under `archive/<stanza>/<archive id>`. */
import { AppError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { archivePrefix } from '../format/repo-path.ts'
import {
  archiveFileKeyName,
  archiveId,
  isSegmentName,
  parseArchivedSegment,
  type SegmentName,
} from '../format/wal.ts'
import { decryptor } from '../pipe/cipher.ts'
import { decompressor } from '../pipe/compress.ts'
import type { CompressType } from '../pipe/compress-type.ts'
import { type ByteSource, type Filter, through } from '../pipe/pipe.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import type { Storage } from '../storage/storage.ts'
import { loadArchiveInfo, type Repo } from './repo.ts'

/** One WAL file as it lies in a repository. */
export interface ArchivedFile {
  readonly key: string
  /** Lower-case hex SHA-1 of the segment before compression; undefined for `.history` and `.backup` files. */
  readonly checksum: string | undefined
  readonly compressType: CompressType
}

/** Where one stanza's WAL of one history row lies. */
export interface ArchivePlace {
  readonly storage: Storage
  readonly stanza: string
  readonly archiveId: string
  /** The archive key of archive.info; undefined when not encrypted. */
  readonly cipherPass: Secret | undefined
}

/** What WAL belongs to. */
export type ArchivedCluster = Pick<ControlFile, 'version' | 'systemId'>

/**
 * Where one repository has a cluster's WAL: the places that are there, the newest history row first: each repository counts its rows by itself. Throws
 * `archive-mismatch` when the stanza has never been this cluster's.
 */
export async function archivePlaces(
  repo: Repo,
  stanza: string,
  { version, systemId }: ArchivedCluster,
): Promise<readonly ArchivePlace[]> {
  const info = await loadArchiveInfo(repo, stanza)
  const rows = info.history
    .filter((row) => row.version === version && row.systemId === systemId)
    .toSorted((left, right) => right.id - left.id)
  if (rows.length === 0) {
    throw new AppError(
      'archive-mismatch',
      `unable to retrieve the archive id for database version '${version}' and system-id '${systemId}'`,
      { hint: 'does the stanza belong to this cluster?' },
    )
  }
  const present = new Set(
    (await repo.storage.names(archivePrefix(stanza))).map((entry) => entry.name),
  )
  return rows
    .map((row) => ({
      storage: repo.storage,
      stanza,
      archiveId: archiveId(row.version, row.id),
      cipherPass: info.cipherPass,
    }))
    .filter((place) => present.has(place.archiveId))
}

/** Every stored version of a segment (or of `<segment>.partial`); more than one with different checksums is damage. */
export async function findSegment(
  place: ArchivePlace,
  file: string,
): Promise<readonly ArchivedFile[]> {
  const prefix = `${archivePrefix(place.stanza, place.archiveId)}/${file.slice(0, 16)}`
  const partial = file.endsWith('.partial')
  const segment = file.slice(0, 24)
  const found: ArchivedFile[] = []
  for (const entry of await place.storage.names(prefix)) {
    if (entry.kind !== 'object' || !entry.name.startsWith(segment)) continue
    const parsed = parseArchivedSegment(entry.name)
    if (parsed === undefined || parsed.partial !== partial) continue
    found.push({
      key: `${prefix}/${entry.name}`,
      checksum: parsed.checksum,
      compressType: parsed.compressType,
    })
  }
  return found
}

/** A `.history` or `.backup` file by its exact name, or undefined. */
export async function findPlainFile(
  place: ArchivePlace,
  file: string,
): Promise<ArchivedFile | undefined> {
  const key = archiveKey(place, file, undefined, 'none')
  const entry = await place.storage.stat(key)
  return entry === undefined ? undefined : { key, checksum: undefined, compressType: 'none' }
}

/** The key under which a pushed file is stored. */
export function archiveKey(
  place: ArchivePlace,
  file: string,
  checksum: string | undefined,
  compressType: CompressType,
): string {
  const name = archiveFileKeyName(file, checksum, compressType)
  return `${archivePrefix(place.stanza, place.archiveId)}/${name}`
}

/** The content of a WAL file as PostgreSQL wrote it. */
export function readArchived(place: ArchivePlace, file: ArchivedFile): ByteSource {
  const filters: Filter[] = []
  if (place.cipherPass !== undefined) filters.push(decryptor(place.cipherPass, 'normal'))
  if (file.compressType !== 'none') filters.push(decompressor(file.compressType, 'normal'))
  return through(place.storage.get(file.key), ...filters)
}

/** True when `file` is a segment or a partial segment: stored compressed, with its checksum in the name. */
export function isSegmentFile(file: string): boolean {
  return isSegmentName(file) || (file.endsWith('.partial') && isSegmentName(file.slice(0, -8)))
}

/** The one stored version of a segment, undefined when there is none; `archive-duplicate` when versions differ. */
export function theOnly(file: string, found: readonly ArchivedFile[]): ArchivedFile | undefined {
  if (new Set(found.map((version) => version.checksum)).size > 1) {
    throw new AppError(
      'archive-duplicate',
      `duplicates found in archive for WAL segment ${file}: ${found.map(({ key }) => key.split('/').at(-1)).join(', ')}`,
      {
        hint: 'are multiple primaries archiving to this stanza?',
      },
    )
  }
  return found[0]
}

/** Names of every complete segment stored for one archive id, ascending. */
export async function listSegments(
  place: ArchivePlace,
  fromSegment: string,
): Promise<readonly SegmentName[]> {
  const root = archivePrefix(place.stanza, place.archiveId)
  const segments: SegmentName[] = []
  for (const directory of await place.storage.names(root)) {
    if (directory.kind !== 'prefix' || !/^[0-9A-F]{16}$/.test(directory.name)) continue
    // The timeline (first 8 digits) may be newer while the position is what counts.
    if (directory.name.slice(8) < fromSegment.slice(8, 16)) continue
    for (const entry of await place.storage.names(`${root}/${directory.name}`)) {
      const parsed = entry.kind === 'object' ? parseArchivedSegment(entry.name) : undefined
      if (parsed !== undefined && !parsed.partial) segments.push(parsed.segment)
    }
  }
  return segments.toSorted()
}

/** Timeline history files (`XXXXXXXX.history`) of one archive id: timeline number → text. */
export async function loadHistories(place: ArchivePlace): Promise<ReadonlyMap<number, string>> {
  const root = archivePrefix(place.stanza, place.archiveId)
  const histories = new Map<number, string>()
  for (const entry of await place.storage.names(root)) {
    if (entry.kind !== 'object' || !/^[0-9A-F]{8}\.history$/.test(entry.name)) continue
    const file: ArchivedFile = {
      key: `${root}/${entry.name}`,
      checksum: undefined,
      compressType: 'none',
    }
    let text = ''
    for await (const chunk of readArchived(place, file)) text += chunk.toString('latin1')
    histories.set(Number.parseInt(entry.name.slice(0, 8), 16), text)
  }
  return histories
}
