/** The dump set that a command was asked for, wherever it is. */
import { AppError, asAppError } from '../../base/error.ts'
import type { DumpManifest } from '../../format/dump-manifest.ts'
import { type DumpPlace, listDumpSets, loadDumpManifest, openDumps } from '../../repo/dump-sets.ts'
import { openRepos, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'

export interface DumpSet {
  readonly place: DumpPlace
  readonly manifest: DumpManifest
}

/**
 * In the first repository that has it; `label` undefined: its newest. A repository that cannot be read is a warning while
 * there are others. Throws `backup-set-invalid` when none has it.
 */
export async function openDumpSet(context: Context, label: string | undefined): Promise<DumpSet> {
  const stanza = stanzaOf(context)
  let failure: AppError | undefined
  const repos = openRepos(context.config, context.openStorage)
  for (const repo of repos) {
    try {
      const set = await dumpSetIn(repo, stanza, label)
      if (set !== undefined) return set
    } catch (error) {
      context.signal.throwIfAborted()
      const failed = asAppError(error)
      if (repos.length > 1) context.log.warn(`repo${repo.key}: ${failed.text}`)
      failure ??= failed
    }
  }
  if (failure !== undefined) throw failure
  throw new AppError(
    'backup-set-invalid',
    label === undefined
      ? `stanza '${stanza}' has no dump sets`
      : `dump set ${label} does not exist`,
    { hint: `'pgsurety --stanza=${stanza} info' prints those there are.` },
  )
}

async function dumpSetIn(
  repo: Repo,
  stanza: string,
  label: string | undefined,
): Promise<DumpSet | undefined> {
  const sets = await listDumpSets(repo, stanza)
  const whole = sets.filter(({ state }) => state === 'whole').map((set) => set.label)
  const chosen = label ?? whole.at(-1)
  const found = sets.find((set) => set.label === chosen && set.state !== 'left')
  if (chosen === undefined || found === undefined) return undefined
  const place = await openDumps(repo, stanza)
  return { place, manifest: await loadDumpManifest(place, chosen) }
}
