/**
 * Takes backups away so that after every single step what backup.info lists can be restored.
 *
 * First backup.info stops listing them. Then the manifests go, always those that build on others before what they build on:
 * a run that is cut off leaves backups that are whole, and the next one finds and removes them, or
 * directories without a manifest, which nothing refers to.
 */
import type { BackupInfo } from '../../format/backup-info.ts'
import { fullLabelOf } from '../../format/label.ts'
import { backupPrefix, copyKeyOf, manifestKey } from '../../format/repo-path.ts'
import { listBackupLabels, type Reconstructed } from '../../repo/reconstruct.ts'
import { together } from '../../worker/batch.ts'
import type { RepoWork } from './repo-work.ts'
import type { Removal, RetentionDecision } from './retention.ts'

export async function expireBackups(
  work: RepoWork,
  found: Reconstructed,
  decision: RetentionDecision,
): Promise<void> {
  const { changes, say, context, repo, stanza } = work
  for (const removal of decision.removals) say.info(removalText(removal))
  const info: BackupInfo = { ...found.info, backups: decision.kept }
  if (decision.removals.length > 0 || found.warnings.length > 0) await changes.saveBackupInfo(info)
  await repointLatest(work, found.info, decision)
  // Side by side: no removal holds what an earlier one of them builds on.
  await together(decision.removals.toReversed(), async (removal) => {
    for (const label of removal.labels.toReversed()) {
      context.signal.throwIfAborted()
      await changes.removeEach(backupPrefix(stanza, label), MANIFESTS)
    }
  })
  const labels = await listBackupLabels(repo, stanza)
  const going = decision.removals.flatMap((removal) => removal.labels)
  const leftOver = new Set([...going, ...(await unfinished(work, labels, found, decision))])
  const folders = labels.filter((label) => leftOver.has(label))
  await together(folders.toReversed(), async (label) => {
    context.signal.throwIfAborted()
    say.info(`remove expired backup ${label}`)
    await changes.removeAll(backupPrefix(stanza, label))
  })
}

/** The copy last: what has only the other one would be listed again, and lack its copy from then on. */
const MANIFESTS = [
  { kind: 'object', name: 'backup.manifest' },
  { kind: 'object', name: 'backup.manifest.copy' },
] as const

function removalText({ what, labels }: Removal): string {
  const set = labels.length > 1 ? ' set' : ''
  return `expire ${what} backup${set} ${labels.join(', ')}`
}

/** Only what was asked for by name can be the newest backup. */
async function repointLatest(
  { changes, say, context, repo }: RepoWork,
  before: BackupInfo,
  { kept }: RetentionDecision,
): Promise<void> {
  const was = before.backups.at(-1)?.label
  const now = kept.at(-1)?.label
  if (now === undefined || was === now) return
  const archive = `repo${repo.key}-retention-archive`
  say.warn(
    `expiring latest backup ${was} - the ability to perform point-in-time-recovery (PITR) may be affected\n` +
      `HINT: non-default settings for '${archive}'/'${archive}-type' (even in prior expires) can cause gaps in the WAL.`,
  )
  if (context.config.flag('repo-symlink', repo.key)) await changes.linkLatest(now)
}

/**
 * Directories that an interrupted backup or expire left: they have no `backup.manifest`. The newest directory of all stays
 * when it has a `backup.manifest.copy` and its full backup stays: the next backup can resume it.
 */
async function unfinished(
  { repo, stanza }: RepoWork,
  labels: readonly string[],
  found: Reconstructed,
  { kept }: RetentionDecision,
): Promise<readonly string[]> {
  const listed = new Set([...found.info.backups.map(({ label }) => label), ...found.refused])
  const keptLabels = new Set(kept.map(({ label }) => label))
  const left: string[] = []
  for (const label of labels) {
    if (listed.has(label)) continue
    const key = manifestKey(stanza, label)
    if ((await repo.storage.stat(key)) !== undefined) continue
    const full = fullLabelOf(label)
    const resumable =
      label === labels.at(-1) &&
      (full === label || keptLabels.has(full)) &&
      (await repo.storage.stat(copyKeyOf(key))) !== undefined
    if (!resumable) left.push(label)
  }
  return left
}
