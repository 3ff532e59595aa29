/** Removes temporary files that killed writers left: those of a day ago, which no writer is still at. */
import { DAY_MS } from '../../base/units.ts'
import { archivePrefix, backupHistoryPrefix, backupPrefix } from '../../format/repo-path.ts'
import type { RepoWork } from './repo-work.ts'

export async function expireLeftOvers({
  context,
  repo,
  stanza,
  changes,
  say,
}: RepoWork): Promise<void> {
  const beforeMs = context.clock.nowMs() - DAY_MS
  let removed = 0
  // Where atomic writes go: beside info files, manifests, their history, and WAL.
  const clean = async (prefix: string): Promise<readonly string[]> => {
    context.signal.throwIfAborted()
    removed += await changes.removeLeftOvers(prefix, beforeMs)
    const entries = await repo.storage.names(prefix)
    return entries.filter(({ kind }) => kind === 'prefix').map(({ name }) => `${prefix}/${name}`)
  }
  for (const archive of await clean(archivePrefix(stanza))) {
    for (const folder of await clean(archive)) {
      removed += await changes.removeLeftOvers(folder, beforeMs)
    }
  }
  for (const backup of await clean(backupPrefix(stanza))) {
    if (backup === backupHistoryPrefix(stanza)) continue
    removed += await changes.removeLeftOvers(backup, beforeMs)
  }
  for (const year of await clean(backupHistoryPrefix(stanza))) {
    removed += await changes.removeLeftOvers(year, beforeMs)
  }
  if (removed > 0) say.info(`removed ${removed} files that interrupted writes left`)
}
