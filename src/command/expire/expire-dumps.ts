/** Removes dump sets past their retention, and what interrupted dumps left. */
import { AppError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { listDumpSets, loadDumpManifest, openDumps, removeDumpSet } from '../../repo/dump-sets.ts'
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
  const left = sets.filter(({ state }) => state === 'left').map(({ label }) => label)
  const whole = sets.filter(({ state }) => state === 'whole').map(({ label }) => label)
  const fates = [
    ...(await fatesOf(context, { repo, stanza, whole }, request)),
    ...(request.kind === 'retention' ? left.map(leftFate) : []),
  ]
  if (request.mode === 'explain') return fates
  const say = sayFor(context, request.mode, repo.key)
  for (const fate of fates) {
    if (fate.action === 'remove') await remove({ repo, stanza, say }, fate, request.mode)
  }
  return fates
}

interface Sets {
  readonly repo: Repo
  readonly stanza: string
  /** Labels. */
  readonly whole: readonly string[]
}

async function fatesOf(
  { config, clock }: Context,
  { repo, stanza, whole }: Sets,
  { kind, label: asked }: DumpExpiry,
): Promise<readonly DumpFate[]> {
  if (kind === 'set') {
    return whole.map((label) =>
      label === asked
        ? { label, action: 'remove', reason: 'asked for by --set' }
        : { label, action: 'keep', reason: 'another one was asked for' },
    )
  }
  const rules = dumpRules(config, repo.key)
  if (rules.keep === undefined || rules.type === 'count') {
    return decideDumps(
      whole.map((label) => ({ label, endedMs: 0 })),
      rules,
      clock.nowMs(),
    )
  }
  const place = await openDumps(repo, stanza)
  const dumps: ListedDump[] = []
  for (const label of whole) {
    const { endedMs } = await loadDumpManifest(place, label)
    dumps.push({ label, endedMs })
  }
  const nowMs = clock.nowMs()
  assertClock(dumps, nowMs)
  return decideDumps(dumps, rules, nowMs)
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
