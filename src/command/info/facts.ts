/**
 * What `info` knows before it says anything: per stanza and repository, what was found and what went wrong.
 *
 * Codes, their messages and the rules that combine them are pgBackRest 2.60's.
 */
import type { ArchiveStory } from '../archive-story.ts'
import type { BackupEntry, BackupHistory } from '../../format/backup-info.ts'
import type { DumpManifest } from '../../format/dump-manifest.ts'
import type { DumpProof } from '../../format/dump-proof.ts'
import type { BackupKind } from '../../format/label.ts'
import type { Manifest } from '../../format/manifest.ts'
import type { RepoWindows } from './read-windows.ts'

export interface InfoFacts {
  /** In byte order of their names. */
  readonly stanzas: readonly StanzaFacts[]
  readonly question: Question
}

/** What was asked for. */
export interface Question {
  /** `told`: also where recovery can get to, and the gaps in the WAL. */
  readonly gaps: 'told' | 'not-told'
  readonly detail: 'full' | 'progress'
  /** Only this backup, with what its manifest tells. */
  readonly label: string | undefined
  /** Only backups of this kind. */
  readonly kind: BackupKind | undefined
}

export interface StanzaFacts {
  readonly name: string
  /** In key order; every configured repository is here, whether or not it has the stanza. */
  readonly repos: readonly RepoFacts[]
  readonly restoreLock: LockFacts
  /** Empty unless asked for. */
  readonly windows: readonly RepoWindows[]
  /** Dump sets, which pgBackRest does not know either; oldest first in each repository. */
  readonly dumps: readonly ListedDump[]
  /** What the archives lack; pgBackRest knows nothing of that, and nothing is said when there is nothing. */
  readonly story: ArchiveStory
}

export interface ListedDump {
  readonly repoKey: number
  readonly label: string
  /** Undefined when its manifest could not be read. */
  readonly content: DumpContent | undefined
  /** Why not. */
  readonly problem: string | undefined
}

export interface DumpContent {
  readonly manifest: DumpManifest
  readonly annotations: ReadonlyMap<string, string>
  /** Oldest first. */
  readonly proofs: readonly DumpProof[]
}

export interface RepoFacts {
  /** The N of `repoN-…`. */
  readonly key: number
  /** repo-cipher-type. */
  readonly cipher: string
  readonly backupLock: LockFacts
  readonly found: RepoFinding
}

/** Somebody on this host holds the lock; sizes are 0 until the work is planned. */
export interface LockFacts {
  readonly held: boolean
  readonly sizeBytes: number
  readonly completeBytes: number
}

export const NOT_HELD: LockFacts = { held: false, sizeBytes: 0, completeBytes: 0 }

export type RepoFinding =
  /** The info files were read. */
  | { readonly kind: 'read'; readonly content: StanzaContent }
  /** Nothing was read because only progress was asked for. */
  | { readonly kind: 'not-read' }
  /** There is nothing but dump sets, in whatever repository. */
  | { readonly kind: 'dumps-only' }
  /** There is no directory for the stanza. */
  | { readonly kind: 'no-path' }
  /** There is a directory without backup.info. */
  | { readonly kind: 'no-data' }
  /** The backup asked for is in no repository. */
  | { readonly kind: 'no-such-backup' }
  /** Unreachable, unreadable or wrong; `message` is `[FileOpenError] …`, lines separated by LF. */
  | { readonly kind: 'failed'; readonly message: string }

export interface StanzaContent {
  readonly currentHistory: BackupHistory
  /** Oldest first. */
  readonly databases: readonly DatabaseFacts[]
  /** Oldest first. */
  readonly backups: readonly BackupEntry[]
  /** Of the backup asked for, when this repository has it. */
  readonly manifest: Manifest | undefined
}

export interface DatabaseFacts {
  readonly id: number
  readonly systemId: bigint
  readonly version: string
  /** Undefined for a prior database of which no WAL is left. */
  readonly archive: ArchiveFacts | undefined
}

export interface ArchiveFacts {
  /** `15-1`. */
  readonly id: string
  /** Lowest and highest segment stored; both or none. */
  readonly range: { readonly min: string; readonly max: string } | undefined
}

export interface Status {
  readonly code: 0 | 1 | 2 | 3 | 4 | 5 | 6 | 99
  readonly message: string
}

export const STATUS_OK: Status = { code: 0, message: 'ok' }
export const STATUS_NO_PATH: Status = { code: 1, message: 'missing stanza path' }
const STATUS_NO_BACKUP: Status = { code: 2, message: 'no valid backups' }
const STATUS_NO_DATA: Status = { code: 3, message: 'missing stanza data' }
export const STATUS_MIXED: Status = { code: 4, message: 'different across repos' }
export const STATUS_PG_MISMATCH: Status = { code: 5, message: 'database mismatch across repos' }
const STATUS_NO_SUCH_BACKUP: Status = { code: 6, message: 'requested backup not found' }
/** The stanza's message; a repository's has the error itself. */
export const STATUS_OTHER: Status = { code: 99, message: 'other' }

/** The status of one repository of a stanza. */
export function statusOfRepo({ found }: RepoFacts): Status {
  switch (found.kind) {
    case 'read':
      return found.content.backups.length === 0 ? STATUS_NO_BACKUP : STATUS_OK
    case 'not-read':
    case 'dumps-only':
      return STATUS_OK
    case 'no-path':
      return STATUS_NO_PATH
    case 'no-data':
      return STATUS_NO_DATA
    case 'no-such-backup':
      return STATUS_NO_SUCH_BACKUP
    case 'failed':
      return { ...STATUS_OTHER, message: found.message }
  }
}

/** The status of the stanza: that of its repositories when they agree. */
export function statusOfStanza(stanza: StanzaFacts): Status {
  const current = currentDatabase(stanza)
  const clash = contents(stanza).some(
    ({ currentHistory }) =>
      currentHistory.systemId !== current?.systemId || currentHistory.version !== current.version,
  )
  if (clash) return STATUS_PG_MISMATCH
  const [first, ...others] = stanza.repos.map(statusOfRepo)
  if (first === undefined || others.some(({ code }) => code !== first.code)) return STATUS_MIXED
  return first.code === STATUS_OTHER.code ? STATUS_OTHER : first
}

/** The cluster the stanza belongs to now, as the first readable repository says. */
export function currentDatabase(stanza: StanzaFacts): BackupHistory | undefined {
  return contents(stanza)[0]?.currentHistory
}

function contents(stanza: StanzaFacts): readonly StanzaContent[] {
  return stanza.repos.flatMap(({ found }) => (found.kind === 'read' ? [found.content] : []))
}

/** `mixed` when repositories differ. */
export function cipherOfStanza(stanza: StanzaFacts): string {
  const ciphers = new Set(stanza.repos.map(({ cipher }) => cipher))
  const [first] = ciphers
  return first === undefined || ciphers.size > 1 ? 'mixed' : first
}

/** The backup locks of a stanza, added up; sizes only of those that know theirs. */
export function backupLockOf(stanza: StanzaFacts): LockFacts {
  const held = stanza.repos.map(({ backupLock }) => backupLock).filter((lock) => lock.held)
  return {
    held: held.length > 0,
    sizeBytes: held.reduce((sum, lock) => sum + lock.sizeBytes, 0),
    completeBytes: held.reduce((sum, lock) => sum + lock.completeBytes, 0),
  }
}

/** One backup that is to be shown. */
export interface ListedBackup {
  readonly repoKey: number
  readonly entry: BackupEntry
  /** Set when this very backup was asked for. */
  readonly manifest: Manifest | undefined
}

/** The backups that were asked for, of all repositories: each repository's order, merged by the time they ended. */
export function listBackups(stanza: StanzaFacts, question: Question): readonly ListedBackup[] {
  const queues = stanza.repos.map(({ key, found }) =>
    found.kind === 'read'
      ? found.content.backups.map((entry) => ({
          repoKey: key,
          entry,
          manifest: found.content.manifest,
        }))
      : [],
  )
  return mergeByStop(queues).filter(
    ({ entry }) =>
      (question.label === undefined || entry.label === question.label) &&
      (question.kind === undefined || entry.kind === question.kind),
  )
}

function mergeByStop(queues: readonly (readonly ListedBackup[])[]): readonly ListedBackup[] {
  return queues.reduce((merged, queue) => {
    const result: ListedBackup[] = []
    let taken = 0
    for (const backup of queue) {
      let next = merged[taken]
      while (next !== undefined && next.entry.stopS <= backup.entry.stopS) {
        result.push(next)
        taken += 1
        next = merged[taken]
      }
      result.push(backup)
    }
    return [...result, ...merged.slice(taken)]
  }, [])
}

/** What `--set` adds to a backup. */
export interface BackupDetails {
  readonly databases: readonly { readonly name: string; readonly oid: number }[]
  readonly links: readonly { readonly name: string; readonly destination: string }[]
  readonly tablespaces: readonly {
    readonly name: string
    readonly destination: string
    readonly oid: number
  }[]
  /** Files with pages whose checksum was wrong. */
  readonly damagedFiles: readonly string[]
}

export function detailsOf(manifest: Manifest): BackupDetails {
  const links: { name: string; destination: string }[] = []
  const tablespaces: { name: string; destination: string; oid: number }[] = []
  for (const target of manifest.targets) {
    if (target.kind === 'path') continue
    if (target.tablespaceName !== undefined) {
      const oid = target.tablespaceId ?? 0
      tablespaces.push({ name: target.tablespaceName, destination: target.path, oid })
    } else if (target.file === undefined) {
      links.push({ name: nameInCluster(target.name), destination: target.path })
    } else {
      links.push({ name: target.file, destination: `${target.path}/${target.file}` })
    }
  }
  return {
    databases: manifest.databases
      .filter(({ name }) => name !== 'template0' && name !== 'template1')
      .map(({ name, oid }) => ({ name, oid })),
    links,
    tablespaces,
    damagedFiles: manifest.files
      .filter((file) => file.checksumPage === false)
      .map(({ name }) => nameInCluster(name)),
  }
}

/** Without the manifest's prefix for the data directory. */
function nameInCluster(name: string): string {
  return name.startsWith('pg_data/') ? name.slice('pg_data/'.length) : name
}
