/** The only ways in which expire changes a repository; a dry run does none of them. */
import type { BackupInfo } from '../../format/backup-info.ts'
import { latestKey } from '../../format/repo-path.ts'
import { loadArchiveInfo, type Repo, saveArchiveInfo, saveBackupInfo } from '../../repo/repo.ts'
import type { NameEntry } from '../../storage/storage.ts'

export interface Changes {
  saveBackupInfo(info: BackupInfo): Promise<void>
  /** Writes archive.info as it is: object stores expire what is not written to (pgBackRest 2.60). */
  refreshArchiveInfo(): Promise<void>
  /** Points the link that people read to the newest backup. */
  linkLatest(label: string): Promise<void>
  /** Removes what lies directly below a prefix: one after the other, and made durable once. */
  removeEach(prefix: string, entries: readonly NameEntry[]): Promise<void>
  /** Removes everything below a prefix. */
  removeAll(prefix: string): Promise<void>
  /** Removes what interrupted writes left directly below a prefix before a time; how many. */
  removeLeftOvers(prefix: string, beforeMs: number): Promise<number>
}

export function realChanges(repo: Repo, stanza: string): Changes {
  return {
    saveBackupInfo: async (info) => {
      await saveBackupInfo(repo, stanza, info)
    },
    refreshArchiveInfo: async () => {
      await saveArchiveInfo(repo, stanza, await loadArchiveInfo(repo, stanza))
    },
    linkLatest: async (label) => {
      await repo.storage.link(latestKey(stanza), label)
    },
    removeEach: async (prefix, entries) => {
      await repo.storage.removeEach(prefix, entries)
    },
    removeAll: async (prefix) => {
      await repo.storage.removeAll(prefix)
    },
    removeLeftOvers: async (prefix, beforeMs) =>
      await repo.storage.removeLeftOvers(prefix, beforeMs),
  }
}

const nothing = async (): Promise<void> => {}

export const noChanges: Changes = {
  saveBackupInfo: nothing,
  refreshArchiveInfo: nothing,
  linkLatest: nothing,
  removeEach: nothing,
  removeAll: nothing,
  removeLeftOvers: async () => 0,
}
