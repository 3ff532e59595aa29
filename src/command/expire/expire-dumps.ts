/** Removes dump sets past their retention, and what interrupted dumps left. */
import { AppError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import {
  clearMark,
  type DumpSetEntry,
  listDumpSets,
  loadDumpManifest,
  openDumps,
  removeDumpSet,
} from '../../repo/dump-sets.ts'
import type { Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'
import { decideDumps, type DumpFate, type DumpRules, type ListedDump } from './dump-retention.ts'
import { type Say, sayFor } from './repo-work.ts'

export interface DumpExpiry {
  readonly kind: 'retention' | 'set'
  /** Of the only set that goes. */
  readonly label?: string
  readonly mode: 'do' | 'dry-run' | 'explain'
}

/** Decides and, in mode `do`, removes; the dump lock is held. What was decided, oldest first; [] without dumps. */
export async function expireDumps(
  context: Context,
  repo: Repo,
  request: DumpExpiry,
): Promise<readonly DumpFate[]> {
  const stanza = stanzaOf(context)
  const sets = await listDumpSets(repo, stanza)
  if (sets.length === 0) return []
  const labelled = (state: DumpSetEntry['state']): readonly string[] =>
    sets.filter((set) => set.state === state).map(({ label }) => label)
  const whole = labelled('whole')
  const lost = labelled('lost')
  const fates = [
    ...(request.kind === 'set'
      ? asked([...whole, ...lost], request.label)
      : await fatesOf(context, { repo, stanza, whole })),
    ...(request.kind === 'retention'
      ? [...lost.map(lostFate), ...labelled('left').map(leftFate)]
      : []),
  ].toSorted((one, other) => (one.label < other.label ? -1 : 1))
  if (request.mode === 'explain') return fates
  const say = sayFor(context, request.mode, repo.key)
  for (const fate of fates) {
    if (fate.action === 'remove') await remove({ repo, stanza, say }, fate, request.mode)
    else if (lost.includes(fate.label)) warnOfLost(say, fate.label)
    // Of a dump that was killed when all but this was done.
    else if (request.mode === 'do') await clearMark(repo.storage, stanza, fate.label)
  }
  return fates
}

interface Sets {
  readonly repo: Repo
  readonly stanza: string
  /** Labels. */
  readonly whole: readonly string[]
}

function asked(labels: readonly string[], wanted: string | undefined): readonly DumpFate[] {
  return labels.map((label) =>
    label === wanted
      ? { label, action: 'remove', reason: 'asked for by --set' }
      : { label, action: 'keep', reason: 'another one was asked for' },
  )
}

async function fatesOf(
  { config, clock }: Context,
  { repo, stanza, whole }: Sets,
): Promise<readonly DumpFate[]> {
  const rules = dumpRules(config, repo.key)
  if (rules.keep === undefined || (rules.type === 'count' && whole.length <= rules.keep)) {
    const unread = whole.map((label) => ({ label, endedMs: 0, databases: [], skipped: [] }))
    return decideDumps(unread, rules, clock.nowMs())
  }
  const place = await openDumps(repo, stanza)
  const dumps: ListedDump[] = []
  for (const label of whole) {
    const { endedMs, databases, skipped } = await loadDumpManifest(place, label)
    dumps.push({ label, endedMs, databases: namesOf(databases), skipped: namesOf(skipped) })
  }
  const nowMs = clock.nowMs()
  if (rules.type === 'time') assertClock(dumps, nowMs)
  return decideDumps(dumps, rules, nowMs)
}

function namesOf(databases: readonly { readonly name: string }[]): readonly string[] {
  return databases.map(({ name }) => name)
}

function dumpRules(config: Config, repoKey: number): DumpRules {
  return {
    keep: config.optionalInteger('repo-retention-dump', repoKey),
    type: config.text('repo-retention-dump-type', repoKey) === 'time' ? 'time' : 'count',
  }
}

/** By a clock that was set back or is far ahead nothing may be judged to be old. */
function assertClock(dumps: readonly ListedDump[], nowMs: number): void {
  const later = dumps.find(({ endedMs }) => endedMs > nowMs)
  if (later === undefined) return
  throw new AppError(
    'clock',
    `dump set ${later.label} ended in the future, so nothing is expired`,
    {
      hint: 'Has the clock been set back?',
    },
  )
}

function leftFate(label: string): DumpFate {
  return { label, action: 'remove', reason: 'left by a dump that did not end' }
}

/** pgBackRest removes what has no manifest. Nobody knows how this came, and what it holds may be all there is. */
function lostFate(label: string): DumpFate {
  return { label, action: 'keep', reason: 'its manifest is missing, and nobody began to remove it' }
}

function warnOfLost(say: Say, label: string): void {
  say.warn(
    `dump set ${label} has lost its manifest; it is not removed\n` +
      `HINT: is it being copied? Its dumps can be restored without pgsurety; --set=${label} removes it.`,
  )
}

interface Removing {
  readonly repo: Repo
  readonly stanza: string
  readonly say: Say
}

async function remove(
  { repo, stanza, say }: Removing,
  { label, reason }: DumpFate,
  mode: 'do' | 'dry-run',
): Promise<void> {
  say.info(`remove dump set ${label}: ${reason}`)
  if (mode === 'dry-run') return
  await removeDumpSet(repo.storage, stanza, label)
}
