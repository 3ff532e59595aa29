/** Removes the manifests that are kept of expired backups, when they are old enough. */
import { DAY_MS } from '../../base/units.ts'
import { formatLabelTime, fullLabelOf, isLabel } from '../../format/label.ts'
import { backupHistoryPrefix } from '../../format/repo-path.ts'
import type { NameEntry } from '../../storage/storage.ts'
import type { RepoWork } from './repo-work.ts'
import type { RetentionDecision } from './retention.ts'

const SUFFIX = '.manifest.gz'

export async function expireHistory(
  { context, repo, stanza, changes, say }: RepoWork,
  { kept, rules }: RetentionDecision,
): Promise<void> {
  if (rules.historyDays === undefined) return
  const current = new Set(kept.map(({ label }) => label))
  const oldest = `${formatLabelTime(context.clock.nowMs() - rules.historyDays * DAY_MS)}F`
  const goes = ({ kind, name }: NameEntry): boolean => {
    const label = name.slice(0, -SUFFIX.length)
    if (kind !== 'object' || !name.endsWith(SUFFIX) || !isLabel(label) || current.has(label))
      return false
    return rules.historyDays === 0 || fullLabelOf(label) < oldest
  }
  const root = backupHistoryPrefix(stanza)
  for (const year of await repo.storage.names(root)) {
    if (year.kind !== 'prefix' || !/^\d{4}$/.test(year.name)) continue
    context.signal.throwIfAborted()
    const entries = await repo.storage.names(`${root}/${year.name}`)
    const going = entries.filter(goes).toReversed()
    if (year.name < oldest.slice(0, 4) && going.length === entries.length) {
      say.info(`remove expired backup history path ${year.name}`)
      await changes.removeAll(`${root}/${year.name}`)
    } else if (going.length > 0) {
      for (const { name } of going) say.info(`remove expired backup history manifest ${name}`)
      await changes.removeEach(`${root}/${year.name}`, going)
    }
  }
}
