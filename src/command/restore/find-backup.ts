/** Which repository, and which of its backups: the first one that has what is asked for. */
import { AppError, asAppError } from '../../base/error.ts'
import type { BackupEntry, BackupInfo } from '../../format/backup-info.ts'
import { loadBackupInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'
import { chooseBackup, type Choice, type ChoiceTarget, noBackup } from './choose.ts'

export interface Found {
  readonly repo: Repo
  readonly info: BackupInfo
  readonly choice: Choice
}

/**
 * The first repository, in key order, with a backup that fits; unusable ones are skipped with a warning. `--set` names a
 * backup, else `wanted` chooses.
 */
export async function findBackup(context: Context, wanted: ChoiceTarget): Promise<Found> {
  const { config, log } = context
  const set = config.source('set') === 'default' ? undefined : config.text('set')
  const target =
    set === undefined || set === 'latest' ? wanted : { kind: 'set' as const, label: set }
  const repos = openRepos(config, context.openStorage)
  const seen: BackupEntry[] = []
  const failures: AppError[] = []
  for (const repo of repos) {
    try {
      const info = await loadBackupInfo(repo, stanzaOf(context))
      seen.push(...info.backups)
      const choice = chooseBackup(info, target)
      if (choice !== undefined) {
        assertCurrentCluster(info, choice, target.kind)
        return { repo, info, choice }
      }
    } catch (error) {
      const failure = asAppError(error)
      if (repos.length === 1) throw failure
      failures.push(failure)
      log.warn(`repo${repo.key}: [${failure.exitCode}] ${failure.text}`)
    }
  }
  // Not "there is no backup" while a repository could not be asked; one that was never used has none.
  const failure =
    failures.find(({ kind }) => kind !== 'file-missing') ??
    (seen.length === 0 ? failures[0] : undefined)
  throw failure ?? noBackup(target, seen)
}

/** The newest backup must be of the cluster the stanza is for now, unless another was asked for. */
function assertCurrentCluster(info: BackupInfo, { backup }: Choice, kind: string): void {
  if (kind === 'set' || backup.historyId === info.currentId) return
  throw new AppError(
    'backup-set-invalid',
    `the latest backup set found '${backup.label}' is from a prior version of PostgreSQL`,
    {
      hint: [
        'was a backup created after the stanza-upgrade?',
        `use '--set=${backup.label}' to restore it nevertheless.`,
      ],
    },
  )
}
