/** Reads what windows.ts works on: the names of all segments, the timelines' histories, and one segment's size. */
import { asAppError } from '../../base/error.ts'
import { MIB } from '../../base/units.ts'
import { currentArchive } from '../../format/archive-info.ts'
import type { BackupEntry } from '../../format/backup-info.ts'
import { parseHistory } from '../../format/history.ts'
import { archivePrefix } from '../../format/repo-path.ts'
import { archiveId, parseArchivedSegment } from '../../format/wal.ts'
import { parseWalHeader, WAL_HEADER_BYTES } from '../../postgres/wal-header.ts'
import {
  type ArchivedFile,
  type ArchivePlace,
  loadHistories,
  readArchived,
} from '../../repo/archive.ts'
import { loadArchiveInfo, loadBackupInfo, type Repo } from '../../repo/repo.ts'
import { findWindows, type StoredSegment, type Windows } from './windows.ts'

/** What one repository says of one cluster, or why it cannot be told. */
export interface RepoWindows {
  readonly repoKey: number
  /** `15-1`. */
  readonly archiveId: string
  readonly found: Windows | { readonly failure: string }
}

/** One for each cluster of the stanza's history that has WAL, oldest first. */
export async function readWindows(repo: Repo, stanza: string): Promise<readonly RepoWindows[]> {
  const info = await loadArchiveInfo(repo, stanza)
  const { backups, history } = await loadBackupInfo(repo, stanza)
  const results: RepoWindows[] = []
  for (const row of info.history) {
    const id = archiveId(row.version, row.id)
    const place = { storage: repo.storage, stanza, archiveId: id, cipherPass: info.cipherPass }
    const listing = await listSegments(place)
    if (listing.segments.length === 0 && row.id !== currentArchive(info).id) continue
    const ids = new Set(
      history
        .filter(({ systemId, version }) => systemId === row.systemId && version === row.version)
        .map(({ id: historyId }) => historyId),
    )
    const own = backups.filter(({ historyId }) => ids.has(historyId))
    results.push({ repoKey: repo.key, archiveId: id, found: await windowsOf(place, listing, own) })
  }
  return results
}

async function windowsOf(
  place: ArchivePlace,
  { segments, newest }: Listing,
  backups: readonly BackupEntry[],
): Promise<RepoWindows['found']> {
  if (newest === undefined) {
    return findWindows({ segments, histories: new Map(), segmentSizeBytes: 16 * MIB, backups })
  }
  try {
    const segmentSizeBytes = await readSegmentSize(place, newest)
    const texts = await loadHistories(place)
    const histories = new Map(
      Array.from(texts, ([timeline, text]) => [timeline, parseHistory(text)]),
    )
    return findWindows({ segments, histories, segmentSizeBytes, backups })
  } catch (error) {
    return { failure: asAppError(error).message }
  }
}

interface Listing {
  readonly segments: readonly StoredSegment[]
  readonly newest: ArchivedFile | undefined
}

async function listSegments({ storage, stanza, archiveId: id }: ArchivePlace): Promise<Listing> {
  const root = archivePrefix(stanza, id)
  const segments = new Map<string, StoredSegment>()
  let newest: ArchivedFile | undefined
  for (const directory of await storage.list(root)) {
    if (directory.kind !== 'prefix' || !/^[0-9A-F]{16}$/.test(directory.name)) continue
    for (const entry of await storage.list(`${root}/${directory.name}`)) {
      const parsed = entry.kind === 'object' ? parseArchivedSegment(entry.name) : undefined
      if (entry.kind !== 'object' || parsed === undefined || parsed.partial) continue
      const { segment, checksum, compressType } = parsed
      segments.set(segment, { name: segment, storedMs: entry.modifiedMs })
      newest = { key: `${root}/${directory.name}/${entry.name}`, checksum, compressType }
    }
  }
  return { segments: [...segments.values()], newest }
}

/** Names do not tell it: the segment's own header does. */
async function readSegmentSize(place: ArchivePlace, file: ArchivedFile): Promise<number> {
  let head = Buffer.alloc(0)
  for await (const chunk of readArchived(place, file)) {
    head = Buffer.concat([head, chunk.subarray(0, WAL_HEADER_BYTES)])
    if (head.length >= WAL_HEADER_BYTES) break
  }
  return parseWalHeader(head).segmentSizeBytes
}
