/**
 * backup.info checked against what is really on disk (pgBackRest 2.60, done by backup, expire and annotate).
 *
 * A backup exists if and only if its `backup.manifest` exists: entries without one go (with everything that depends on
 * them), directories with one that is not listed are added when they belong to this cluster.
 */
import { isErrorKind } from '../base/error.ts'
import { compareBytes } from '../base/text.ts'
import { type BackupEntry, type BackupInfo, entryOfManifest } from '../format/backup-info.ts'
import { isLabel } from '../format/label.ts'
import { backupPrefix, manifestKey } from '../format/repo-path.ts'
import { loadManifest, type Repo } from './repo.ts'

export interface Reconstructed {
  readonly info: BackupInfo
  /** One line per entry added, removed or skipped; empty when backup.info was right. */
  readonly warnings: readonly string[]
  /** Labels with a `backup.manifest` that could not be added: foreign, without their prior, or unreadable. */
  readonly refused: readonly string[]
  /** Those of them whose manifest cannot be read: what they need is unknown. */
  readonly unreadable: readonly string[]
}

/** Labels of every backup directory of the stanza, finished or not, ascending. */
export async function listBackupLabels(repo: Repo, stanza: string): Promise<readonly string[]> {
  const entries = await repo.storage.names(backupPrefix(stanza))
  return entries
    .filter((entry) => entry.kind === 'prefix' && isLabel(entry.name))
    .map(({ name }) => name)
}

export async function reconstruct(
  repo: Repo,
  stanza: string,
  info: BackupInfo,
): Promise<Reconstructed> {
  const labels = await listBackupLabels(repo, stanza)
  const manifests = await Promise.all(
    labels.map(async (label) => await repo.storage.stat(manifestKey(stanza, label))),
  )
  const finished = labels.filter((_, index) => manifests[index] !== undefined)
  const warnings: string[] = []
  const refused: string[] = []
  const unreadable: string[] = []
  const kept = keepExisting(info.backups, new Set(finished), warnings)
  const listed = new Set(kept.map(({ label }) => label))
  for (const label of finished) {
    if (listed.has(label)) continue
    const found = await examine(repo, stanza, { label, info, listed })
    if ('why' in found) {
      warnings.push(`invalid backup '${label}' cannot be added to current backups: ${found.why}`)
      refused.push(label)
      if (found.manifest === 'unreadable') unreadable.push(label)
    } else {
      kept.push(found)
      listed.add(label)
      warnings.push(`backup '${label}' found in repository added to backup.info`)
    }
  }
  const backups = kept.toSorted((left, right) => compareBytes(left.label, right.label))
  return { info: { ...info, backups }, warnings, refused, unreadable }
}

interface Unlisted {
  readonly label: string
  readonly info: BackupInfo
  readonly listed: ReadonlySet<string>
}

interface Refusal {
  readonly why: string
  readonly manifest: 'readable' | 'unreadable'
}

/** The entry of a finished backup that backup.info lacks, or why it cannot have one. Unreachable is an error, not a why. */
async function examine(
  repo: Repo,
  stanza: string,
  { label, info, listed }: Unlisted,
): Promise<BackupEntry | Refusal> {
  try {
    const manifest = await loadManifest(repo, stanza, label, info.cipherPass)
    const entry = entryOfManifest(manifest)
    const why = whyForeign(entry, manifest.db, info, listed)
    return why === undefined ? entry : { why, manifest: 'readable' }
  } catch (error) {
    if (isErrorKind(error, 'format', 'checksum', 'crypto', 'json-format')) {
      return { why: `its manifest cannot be read: ${error.message}`, manifest: 'unreadable' }
    }
    throw error
  }
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
