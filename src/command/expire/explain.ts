/** `expire --explain`: for every backup and every range of WAL who keeps it, or why it goes. Reads only. */
import type { BackupEntry } from '../../format/backup-info.ts'
import type { BackupKind } from '../../format/label.ts'
import { archivePrefix } from '../../format/repo-path.ts'
import type { Context } from '../command.ts'
import type { DumpFate } from './dump-retention.ts'
import type { RepoWork } from './repo-work.ts'
import type { Reason, RetentionDecision } from './retention.ts'
import {
  type ArchivePlan,
  historyFate,
  keepersOf,
  type RangedPlan,
  type WalRange,
  within,
} from './wal-retention.ts'

type Action = 'keep' | 'remove'

/** The JSON output is an array of these: a documented shape, to which members may be added. */
export interface RepoExplanation {
  readonly repo: number
  readonly backups: readonly {
    readonly label: string
    readonly type: BackupKind
    readonly action: Action
    readonly rule: Reason['rule']
    readonly reason: string
  }[]
  readonly archives: readonly ArchiveExplanation[]
  /** Absent when there are none. */
  readonly dumps?: readonly DumpFate[]
}

interface ArchiveExplanation {
  readonly archiveId: string
  readonly reason: string
  readonly ranges: readonly WalExplanation[]
  readonly histories: readonly { readonly file: string; readonly action: Action }[]
}

interface WalExplanation {
  /** First and last segment of stored files that share a fate; what lies between may not be stored. */
  readonly start: string
  stop: string
  /** Partial segments and backup labels counted too. */
  files: number
  readonly action: Action
  readonly keepers: readonly { readonly backup: string; readonly why: WalRange['why'] }[]
}

interface Decided {
  readonly before: readonly BackupEntry[]
  readonly decision: RetentionDecision
  readonly archives: readonly ArchivePlan[]
}

export async function explain(work: RepoWork, decided: Decided): Promise<RepoExplanation> {
  const kept = new Set(decided.decision.kept.map(({ label }) => label))
  const archives: ArchiveExplanation[] = []
  for (const plan of decided.archives) archives.push(await explainArchive(work, plan))
  return {
    repo: work.repo.key,
    backups: decided.before.map(({ label, kind }) => {
      const reason = decided.decision.reasons.get(label)
      return {
        label,
        type: kind,
        action: kept.has(label) ? 'keep' : 'remove',
        rule: reason?.rule ?? 'no-limit',
        reason: reason?.text ?? '',
      }
    }),
    archives,
  }
}

async function explainArchive(
  { context, repo, stanza }: RepoWork,
  plan: ArchivePlan,
): Promise<ArchiveExplanation> {
  const prefix = archivePrefix(stanza, plan.archiveId)
  const ranges: WalExplanation[] = []
  const shown = plan.action === 'ranges' ? { ...plan, ranges: shownRanges(plan) } : plan
  const histories: { readonly file: string; readonly action: Action }[] = []
  for (const { kind, name } of await repo.storage.names(prefix)) {
    context.signal.throwIfAborted()
    if (kind === 'prefix' && /^[0-9A-F]{16}$/.test(name)) {
      const near = shown.action === 'ranges' ? within(shown, name) : shown
      for (const file of await repo.storage.names(`${prefix}/${name}`)) {
        const [segment] = /^[0-9A-F]{24}/.exec(file.name) ?? []
        if (segment !== undefined) addSegment(ranges, near, segment)
      }
    } else if (/^[0-9A-F]{8}\.history$/.test(name)) {
      histories.push({ file: name, action: historyAction(plan, name) })
    }
  }
  return { archiveId: plan.archiveId, reason: plan.because, ranges, histories }
}

function historyAction(plan: ArchivePlan, name: string): Action {
  if (plan.action !== 'ranges') return plan.action
  return historyFate(plan, Number.parseInt(name.slice(0, 8), 16))
}

/** Lengthens the last range, or begins one where the fate is another. */
function addSegment(ranges: WalExplanation[], plan: ArchivePlan, segment: string): void {
  const keepers = plan.action === 'ranges' ? keepersOf(plan, segment).map(keeperOf) : []
  const action = plan.action === 'ranges' ? (keepers.length > 0 ? 'keep' : 'remove') : plan.action
  const last = ranges.at(-1)
  const same =
    last?.action === action &&
    last.keepers.map(({ backup }) => backup).join() === keepers.map(({ backup }) => backup).join()
  if (last !== undefined && same) {
    last.stop = segment
    last.files += 1
  } else {
    ranges.push({ start: segment, stop: segment, files: 1, action, keepers })
  }
}

/** What makes backups consistent; of the ranges that go on for ever, only the one that begins first: it holds the others. */
function shownRanges({ ranges }: RangedPlan): readonly WalRange[] {
  const [open] = ranges
    .filter(({ stop }) => stop === undefined)
    .toSorted((left, right) => (left.start < right.start ? -1 : 1))
  const closed = ranges.filter(({ stop }) => stop !== undefined)
  return [...closed, ...(open === undefined ? [] : [open])]
}

function keeperOf({ backup, why }: WalRange): WalExplanation['keepers'][number] {
  return { backup: backup ?? '--archive-expire-before', why }
}

export function printExplanations(
  { config, print }: Context,
  explanations: readonly RepoExplanation[],
): void {
  if (config.text('output') === 'json') print(`${JSON.stringify(explanations)}\n`)
  else print(explanations.map(explanationText).join('\n'))
}

function explanationText({ repo, backups, archives, dumps = [] }: RepoExplanation): string {
  const lines = [
    `repo${repo}:`,
    ...backups.map(({ action, label, reason }) => `    ${action.padEnd(6)} ${label}: ${reason}`),
    ...dumps.map(({ action, label, reason }) => `    ${action.padEnd(6)} ${label}: ${reason}`),
  ]
  for (const { archiveId, reason, ranges, histories } of archives) {
    lines.push(`    archive ${archiveId}: ${reason}`)
    for (const range of ranges) lines.push(`        ${rangeText(range)}`)
    for (const { action, file } of histories) lines.push(`        ${action.padEnd(6)} ${file}`)
  }
  return `${lines.join('\n')}\n`
}

function rangeText({ action, start, stop, files, keepers }: WalExplanation): string {
  const because = keepers.map(({ backup, why }) => `${backup} (${why})`).join(', ')
  const text = action === 'remove' ? 'nobody needs it' : because
  const range = start === stop ? start : `${start}..${stop}`
  const end = text === '' ? '' : `: ${text}`
  return `${action.padEnd(6)} ${range}, ${files} ${files === 1 ? 'file' : 'files'}${end}`
}
