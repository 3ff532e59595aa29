/** stanza-upgrade: after a major upgrade, gives the new cluster a row of its own in the history of the stanza. */
import { isErrorKind } from '../base/error.ts'
import { type ArchiveInfo, currentArchive } from '../format/archive-info.ts'
import { type BackupInfo, currentBackupHistory } from '../format/backup-info.ts'
import { archiveInfoKey, backupInfoKey, copyKeyOf } from '../format/repo-path.ts'
import { collect } from '../pipe/pipe.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import {
  loadArchiveInfo,
  loadBackupInfo,
  type Repo,
  saveArchiveInfo,
  saveBackupInfo,
} from '../repo/repo.ts'
import type { Context } from './command.ts'
import { type ClusterIdentity, matchInfoFiles } from './preflight.ts'
import { inEachRepo } from './stanza-repos.ts'

export async function stanzaUpgrade(context: Context): Promise<number> {
  await inEachRepo(context, 'stanza-upgrade', async (repo, stanza, control) => {
    const outcome = await upgradeIn(repo, stanza, control)
    if (outcome === 'up-to-date') {
      context.log.info(`stanza '${stanza}' on repo${repo.key} is already up to date`)
    }
    return outcome
  })
  return 0
}

type Outcome = 'upgraded' | 'up-to-date'

/**
 * Each file is upgraded by what it says itself, so that a run that was cut off between the two is finished by the next.
 * Nothing is written unless they will agree.
 */
async function upgradeIn(repo: Repo, stanza: string, control: ControlFile): Promise<Outcome> {
  const archive = await loadArchiveInfo(repo, stanza)
  const backup = await loadBackupInfo(repo, stanza)
  const newArchive = withClusterInArchive(archive, control)
  const newBackup = withClusterInBackup(backup, control)
  matchInfoFiles(newArchive, newBackup, control)
  if (newArchive !== archive || !(await isPairEqual(repo, archiveInfoKey(stanza)))) {
    await saveArchiveInfo(repo, stanza, newArchive)
  }
  if (newBackup !== backup || !(await isPairEqual(repo, backupInfoKey(stanza)))) {
    await saveBackupInfo(repo, stanza, newBackup)
  }
  return newArchive === archive && newBackup === backup ? 'up-to-date' : 'upgraded'
}

/** `info` itself when its current row is this cluster's. */
function withClusterInArchive(info: ArchiveInfo, control: ControlFile): ArchiveInfo {
  if (isSameCluster(currentArchive(info), control)) return info
  const { systemId, version } = control
  const id = info.currentId + 1
  return { ...info, currentId: id, history: [...info.history, { id, systemId, version }] }
}

/** `info` itself when its current row is this cluster's. */
function withClusterInBackup(info: BackupInfo, control: ControlFile): BackupInfo {
  if (isSameCluster(currentBackupHistory(info), control)) return info
  const { systemId, version, controlVersion, catalogVersion } = control
  const id = info.currentId + 1
  const row = { id, systemId, version, controlVersion, catalogVersion }
  return { ...info, currentId: id, history: [...info.history, row] }
}

function isSameCluster(row: ClusterIdentity, control: ClusterIdentity): boolean {
  return row.version === control.version && row.systemId === control.systemId
}

/** An info file is a few KiB, and one of a thousand backups one MiB. */
const COMPARED_BYTES_MAX = 64 * 1024 * 1024

/** False when one of them is missing, or was left behind by a run that was cut off. */
async function isPairEqual(repo: Repo, key: string): Promise<boolean> {
  const [main, copy] = [await bytesIfAny(repo, key), await bytesIfAny(repo, copyKeyOf(key))]
  return main !== undefined && copy !== undefined && main.equals(copy)
}

async function bytesIfAny(repo: Repo, key: string): Promise<Buffer | undefined> {
  try {
    return await collect(repo.storage.get(key), COMPARED_BYTES_MAX)
  } catch (error) {
    if (isErrorKind(error, 'file-missing')) return undefined
    throw error
  }
}
