/**
 * backup.info checked against what is really on disk (pgBackRest 2.60, done by backup, expire and annotate).
 *
 * A backup exists if and only if its `backup.manifest` exists: entries without one go (with everything that depends on
 * them), directories with one that is not listed are added when they belong to this cluster.
 */
import { compareBytes } from '../base/text.ts'
import { type BackupEntry, type BackupInfo, entryOfManifest } from '../format/backup-info.ts'
import { isLabel } from '../format/label.ts'
import { backupPrefix, manifestKey } from '../format/repo-path.ts'
import { loadManifest, type Repo } from './repo.ts'

export interface Reconstructed {
  readonly info: BackupInfo
  /** One line per entry added, removed or skipped; empty when backup.info was right. */
  readonly warnings: readonly string[]
}

/** Labels of every backup directory of the stanza, finished or not, ascending. */
export async function listBackupLabels(repo: Repo, stanza: string): Promise<readonly string[]> {
  const entries = await repo.storage.list(backupPrefix(stanza))
  return entries
    .filter((entry) => entry.kind === 'prefix' && isLabel(entry.name))
    .map(({ name }) => name)
}

export async function reconstruct(
  repo: Repo,
  stanza: string,
  info: BackupInfo,
): Promise<Reconstructed> {
  const finished: string[] = []
  for (const label of await listBackupLabels(repo, stanza)) {
    if ((await repo.storage.stat(manifestKey(stanza, label))) !== undefined) finished.push(label)
  }
  const warnings: string[] = []
  const kept = keepExisting(info.backups, new Set(finished), warnings)
  const listed = new Set(kept.map(({ label }) => label))
  for (const label of finished) {
    if (listed.has(label)) continue
    const manifest = await loadManifest(repo, stanza, label, info.cipherPass)
    const entry = entryOfManifest(manifest)
    const reason = whyForeign(entry, manifest.db, info, listed)
    if (reason === undefined) {
      kept.push(entry)
      listed.add(label)
      warnings.push(`backup '${label}' found in repository added to backup.info`)
    } else {
      warnings.push(`invalid backup '${label}' cannot be added to current backups: ${reason}`)
    }
  }
  const backups = kept.toSorted((left, right) => compareBytes(left.label, right.label))
  return { info: { ...info, backups }, warnings }
}

function keepExisting(
  backups: readonly BackupEntry[],
  finished: ReadonlySet<string>,
  warnings: string[],
): BackupEntry[] {
  const kept: BackupEntry[] = []
  const gone = new Set<string>()
  for (const backup of backups) {
    const lost = [backup.label, backup.prior ?? '', ...backup.references].find(
      (label) => label !== '' && (gone.has(label) || !finished.has(label)),
    )
    if (lost === undefined) {
      kept.push(backup)
      continue
    }
    gone.add(backup.label)
    const because =
      lost === backup.label
        ? 'its backup.manifest is missing'
        : `it needs backup '${lost}', which is gone`
    warnings.push(`backup '${backup.label}' removed from backup.info: ${because}`)
  }
  return kept
}

function whyForeign(
  entry: BackupEntry,
  db: { readonly historyId: number; readonly systemId: bigint; readonly version: string },
  info: BackupInfo,
  listed: ReadonlySet<string>,
): string | undefined {
  const row = info.history.find(
    ({ id, systemId, version }) =>
      id === db.historyId && systemId === db.systemId && version === db.version,
  )
  if (row === undefined) return 'it was made from another cluster or version'
  if (entry.prior !== undefined && !listed.has(entry.prior)) {
    return `prior backup '${entry.prior}' does not exist`
  }
  return undefined
}
