/** annotate: changes the notes on a backup in backup.info. Its manifest keeps those it was made with. */
import { AppError, asAppError } from '../base/error.ts'
import type { BackupInfo } from '../format/backup-info.ts'
import { reconstruct } from '../repo/reconstruct.ts'
import { loadBackupInfo, openRepos, type Repo, saveBackupInfo } from '../repo/repo.ts'
import { annotationsOf } from './annotations.ts'
import { askedLabel } from './asked-label.ts'
import { type Context, stanzaOf } from './command.ts'
import { lockStanza } from './stanza-lock.ts'

export async function annotate(context: Context): Promise<number> {
  const { config, log, signal } = context
  const label = askedLabel(config) ?? ''
  const repos = openRepos(config, context.openStorage)
  await using _lock = await lockStanza(
    context,
    ['backup'],
    repos.map(({ key }) => key),
  )
  let annotated = 0
  let failed = 0
  for (const repo of repos) {
    try {
      if ((await annotateIn(context, repo, label)) === 'annotated') annotated += 1
    } catch (error) {
      signal.throwIfAborted()
      // One repository that is away must not keep the others from being annotated.
      const { exitCode, text } = asAppError(error)
      log.error(exitCode, `repo${repo.key}: ${text}`)
      failed += 1
    }
  }
  if (failed > 0) {
    throw new AppError(
      'command',
      `annotate command encountered ${failed} error(s), check the log file for details`,
    )
  }
  if (annotated === 0) {
    throw new AppError('backup-set-invalid', 'no backup set to annotate found', {
      hint: `run 'pgsurety --stanza=${stanzaOf(context)} info' for the labels there are.`,
    })
  }
  return 0
}

async function annotateIn(
  { config, log }: Context,
  repo: Repo,
  label: string,
): Promise<'annotated' | 'not-there'> {
  const stanza = config.text('stanza')
  const stored = await loadBackupInfo(repo, stanza)
  const { info, warnings } = await reconstruct(repo, stanza, stored)
  for (const warning of warnings) log.warn(warning)
  if (info.backups.every((entry) => entry.label !== label)) return 'not-there'
  log.info(`backup set '${label}' to annotate found in repo${repo.key}`)
  await saveBackupInfo(repo, stanza, withNotes(info, label, annotationsOf(config)))
  return 'annotated'
}

/** An empty note removes the one of that name. */
function withNotes(
  info: BackupInfo,
  label: string,
  notes: ReadonlyMap<string, string>,
): BackupInfo {
  return {
    ...info,
    backups: info.backups.map((entry) =>
      entry.label === label
        ? {
            ...entry,
            annotations: new Map(
              [...entry.annotations, ...notes].filter(([name]) => notes.get(name) !== ''),
            ),
          }
        : entry,
    ),
  }
}
