/** The dump set that a command was asked for, wherever it is. */
import { AppError, asAppError } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import type { DumpManifest } from '../../format/dump-manifest.ts'
import { type DumpPlace, listDumpSets, loadDumpManifest, openDumps } from '../../repo/dump-sets.ts'
import { openRepos, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'

export interface DumpSet {
  readonly place: DumpPlace
  readonly manifest: DumpManifest
}

export interface WantedSet {
  /** Undefined: the newest. */
  readonly label: string | undefined
  /** That the newest shall have. */
  readonly database: string | undefined
}

/**
 * In the first repository that has it. The newest that lacks the database is given only when no other has it either. A repository
 * that cannot be read is a warning while there are others. Throws `backup-set-invalid` when none has it.
 */
export async function openDumpSet(context: Context, wanted: WantedSet): Promise<DumpSet> {
  const stanza = stanzaOf(context)
  const { label, database } = wanted
  let failure: AppError | undefined
  let newest: DumpSet | undefined
  const repos = openRepos(context.config, context.openStorage)
  for (const repo of repos) {
    try {
      for await (const set of dumpSetsIn(repo, stanza, label)) {
        newest ??= set
        if (label === undefined && !hasDatabase(set, database)) continue
        if (set !== newest) sayPassedOver(context, wanted, { newest, set })
        return set
      }
    } catch (error) {
      context.signal.throwIfAborted()
      const failed = asAppError(error)
      if (repos.length > 1) context.log.warn(`repo${repo.key}: ${failed.text}`)
      failure ??= failed
    }
  }
  if (failure !== undefined) throw failure
  if (newest !== undefined) return newest
  throw noSuchSet(stanza, label)
}

function noSuchSet(stanza: string, label: string | undefined): AppError {
  return new AppError(
    'backup-set-invalid',
    label === undefined
      ? `stanza '${stanza}' has no dump sets`
      : `dump set ${label} does not exist`,
    { hint: `'pgsurety --stanza=${stanza} info' prints those there are.` },
  )
}

function hasDatabase({ manifest }: DumpSet, database: string | undefined): boolean {
  return database === undefined || manifest.databases.some(({ name }) => name === database)
}

function sayPassedOver(
  { log }: Context,
  { database = '' }: WantedSet,
  { newest, set }: { readonly newest: DumpSet; readonly set: DumpSet },
): void {
  log.warn(
    `dump set ${newest.manifest.label} has no database '${toOneLine(database)}', ` +
      `the newest that has it is ${set.manifest.label}`,
  )
}

/** Newest first, or the one of that label. */
async function* dumpSetsIn(
  repo: Repo,
  stanza: string,
  label: string | undefined,
): AsyncGenerator<DumpSet> {
  const sets = await listDumpSets(repo, stanza)
  const chosen = sets.filter((set) =>
    label === undefined ? set.state === 'whole' : set.label === label && set.state !== 'left',
  )
  if (chosen.length === 0) return
  const place = await openDumps(repo, stanza)
  for (const set of chosen.toReversed()) {
    yield { place, manifest: await loadDumpManifest(place, set.label) }
  }
}
