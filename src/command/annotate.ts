/** annotate: changes the notes on a backup in backup.info, or on a dump set. Its manifest keeps those it was made with. */
import { AppError, asAppError } from '../base/error.ts'
import type { BackupInfo } from '../format/backup-info.ts'
import { hasDumpSet, loadDumpNotes, openDumps, saveDumpNotes } from '../repo/dump-sets.ts'
import { reconstruct } from '../repo/reconstruct.ts'
import { loadBackupInfo, openRepos, type Repo, saveBackupInfo } from '../repo/repo.ts'
import { annotationsOf } from './annotations.ts'
import { askedLabel, dumpLabelIn } from './asked-label.ts'
import { type Context, stanzaOf } from './command.ts'
import { lockStanza } from './stanza-lock.ts'

export async function annotate(context: Context): Promise<number> {
  const { config, log, signal } = context
  const dumpLabel = dumpLabelIn(config)
  const label = dumpLabel ?? askedLabel(config) ?? ''
  const annotateOne = dumpLabel === undefined ? annotateIn : annotateDump
  const repos = openRepos(config, context.openStorage)
  await using _lock = await lockStanza(
    context,
    [dumpLabel === undefined ? 'backup' : 'dump'],
    repos.map(({ key }) => key),
  )
  let annotated = 0
  let failed = 0
  for (const repo of repos) {
    try {
      if ((await annotateOne(context, repo, label)) === 'annotated') annotated += 1
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

/** In a file of its own: the manifest of a dump set stays as it was written. */
async function annotateDump(
  { config, log }: Context,
  repo: Repo,
  label: string,
): Promise<'annotated' | 'not-there'> {
  const stanza = config.text('stanza')
  if (!(await hasDumpSet(repo, stanza, label))) return 'not-there'
  const place = await openDumps(repo, stanza)
  log.info(`dump set '${label}' to annotate found in repo${repo.key}`)
  const before = await loadDumpNotes(place, label)
  await saveDumpNotes(place, label, changed(before, config.map('annotation')))
  return 'annotated'
}

/** An empty note removes the one of that name. */
function changed(
  before: ReadonlyMap<string, string>,
  notes: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  return new Map([...before, ...notes].filter(([name]) => notes.get(name) !== ''))
}

function withNotes(
  info: BackupInfo,
  label: string,
  notes: ReadonlyMap<string, string>,
): BackupInfo {
  return {
    ...info,
    backups: info.backups.map((entry) =>
      entry.label === label ? { ...entry, annotations: changed(entry.annotations, notes) } : entry,
    ),
  }
}
