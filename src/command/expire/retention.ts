/** Which backups stay, which go, and why. Pure. The rules are pgBackRest's (2.60); where it takes a chance, this does not. */
import { AppError, assertThat } from '../../base/error.ts'
import { compareBytes } from '../../base/text.ts'
import type { BackupEntry } from '../../format/backup-info.ts'
import { type BackupKind, fullLabelOf } from '../../format/label.ts'

/** `retention`: apply the rules. `oldest`: let the oldest full backup go. `set`: let this backup go. */
export type Wanted =
  | { readonly kind: 'retention' }
  | { readonly kind: 'oldest' }
  | { readonly kind: 'set'; readonly label: string }

export interface RetentionRules {
  /** For naming the options in reasons. */
  readonly repoKey: number
  /** How many full backups, or the full backups of how many days; undefined: all. */
  readonly full: number | undefined
  readonly fullType: 'count' | 'time'
  /** How many differential backups, full ones counted too; undefined: all. */
  readonly diff: number | undefined
  /** For how many backups to keep all WAL that follows; undefined: for all. */
  readonly archive: number | undefined
  /** Which backups count for that: these and those that need less to restore. */
  readonly archiveType: BackupKind
  /** For how many days to keep manifests of expired backups; undefined: for ever. */
  readonly historyDays: number | undefined
}

export interface RetentionFacts {
  /** Ascending by label. */
  readonly backups: readonly BackupEntry[]
  readonly rules: RetentionRules
  readonly wanted: Wanted
  readonly nowS: number
}

/** Why a backup stays or goes. `rule` is for programs, `text` for people. */
export interface Reason {
  readonly rule:
    | 'retention-full'
    | 'retention-diff'
    | 'no-limit'
    | 'builds-on-kept'
    | 'builds-on-removed'
    | 'asked'
    | 'not-asked'
  readonly text: string
}

/** A backup that goes, and with it all that build on it. */
export interface Removal {
  readonly what: 'full' | 'time-based' | 'diff' | 'adhoc'
  /** Ascending; the first is the one the others build on. */
  readonly labels: readonly string[]
}

export interface RetentionDecision {
  /** Ascending by label. */
  readonly kept: readonly BackupEntry[]
  readonly removals: readonly Removal[]
  /** Of every backup, by label. */
  readonly reasons: ReadonlyMap<string, Reason>
  /** The rules with what follows from this decision: for the WAL. */
  readonly rules: RetentionRules
  readonly notes: readonly Note[]
}

/** For the log. */
export interface Note {
  readonly level: 'warn' | 'info' | 'detail'
  readonly text: string
}

const DAY_S = 86_400
const HOUR_S = 3600

/**
 * Throws `backup-set-invalid` when what was asked for is the last full backup, and `clock` when the clock may have
 * jumped and backups would go because of it.
 */
export function decideBackups(facts: RetentionFacts): RetentionDecision {
  const state: State = { left: facts.backups, removals: [], reasons: new Map() }
  if (facts.wanted.kind === 'set') {
    removeAsked(state, facts.wanted.label)
    return decisionOf(state, facts.rules, [])
  }
  const { rules, notes } = effectiveRules(facts)
  applyFull(state, { ...facts, rules })
  applyDiff(state, rules)
  const archive = archiveRules(rules, fullsOf(state), facts.nowS)
  return decisionOf(state, archive, [...notes, ...futureNotes(facts)])
}

/** `--oldest` is one full backup fewer, for this run; a last one stays. */
function effectiveRules({ backups, rules, wanted }: RetentionFacts): {
  readonly rules: RetentionRules
  readonly notes: readonly Note[]
} {
  if (wanted.kind !== 'oldest') return { rules, notes: [] }
  const full = backups.filter(({ kind }) => kind === 'full').length - 1
  if (full < 1) {
    throw new AppError(
      'backup-set-invalid',
      'expire oldest requested but no eligible full backup to expire',
      { hint: 'the last full backup stays: make another one first.' },
    )
  }
  const repo = `repo${rules.repoKey}-retention`
  const overridden: Note = {
    level: 'info',
    text: 'expire oldest overrides configured time-based retention with count-based retention for this execution',
  }
  const enforced: Note = {
    level: 'detail',
    text:
      `expire oldest enforcing ${repo}-full-type=count, ${repo}-full=${full}, ` +
      `${repo}-archive-type=full, and ${repo}-archive=${full} for this execution`,
  }
  return {
    rules: { ...rules, full, fullType: 'count', archive: full, archiveType: 'full' },
    notes: rules.fullType === 'time' ? [overridden, enforced] : [enforced],
  }
}

/** Full backups by time: WAL stays for those that remain, unless it has a number of its own, once the period is full. */
function archiveRules(
  rules: RetentionRules,
  fulls: readonly BackupEntry[],
  nowS: number,
): RetentionRules {
  if (rules.archive !== undefined || rules.archiveType !== 'full') return rules
  if (rules.fullType !== 'time' || rules.full === undefined) return rules
  const oldestS = nowS - rules.full * DAY_S
  return fulls.some(({ stopS }) => stopS < oldestS) ? { ...rules, archive: fulls.length } : rules
}

/** Backups as they are taken away, and why; those without a reason stay because of what they build on. */
interface State {
  left: readonly BackupEntry[]
  readonly removals: Removal[]
  readonly reasons: Map<string, Reason>
}

function fullsOf(state: State): readonly BackupEntry[] {
  return state.left.filter(({ kind }) => kind === 'full')
}

function remove(
  state: State,
  root: BackupEntry,
  { what, reason }: { readonly what: Removal['what']; readonly reason: Reason },
): void {
  const labels = dependants(state.left, root)
  state.removals.push({ what, labels })
  const text = `it builds on backup ${root.label}, which goes`
  for (const label of labels) {
    state.reasons.set(label, label === root.label ? reason : { rule: 'builds-on-removed', text })
  }
  const gone = new Set(labels)
  state.left = state.left.filter(({ label }) => !gone.has(label))
}

function decisionOf(
  { left, removals, reasons }: State,
  rules: RetentionRules,
  notes: readonly Note[],
): RetentionDecision {
  const gone = new Set(removals.flatMap(({ labels }) => labels))
  for (const { label, prior, references } of left) {
    const missing = [prior ?? '', ...references].find((one) => gone.has(one))
    assertThat(missing === undefined, `backup '${label}' stays and needs '${missing}', which goes`)
    if (!reasons.has(label)) reasons.set(label, buildsOnKept(prior))
  }
  return { kept: left, removals, reasons, rules, notes }
}

function buildsOnKept(prior: string | undefined): Reason {
  return { rule: 'builds-on-kept', text: `backup ${prior}, which it builds on, stays` }
}

/** The backup and everything that cannot be restored without it, ascending: by prior, by reference, and by set. */
function dependants(backups: readonly BackupEntry[], root: BackupEntry): readonly string[] {
  const gone = new Set([root.label])
  // A backup sorts after what it builds on.
  for (const { label, prior, references } of backups) {
    const inSet = root.kind === 'full' && fullLabelOf(label) === root.label
    if (
      inSet ||
      (prior !== undefined && gone.has(prior)) ||
      references.some((one) => gone.has(one))
    )
      gone.add(label)
  }
  return [...gone].toSorted(compareBytes)
}

function removeAsked(state: State, label: string): void {
  const asked = state.left.find((backup) => backup.label === label)
  assertThat(asked !== undefined, 'the backup that was asked for is there')
  const [newest, previous] = fullsOf(state).toReversed()
  if (asked === newest && newest.historyId !== previous?.historyId) {
    throw new AppError(
      'backup-set-invalid',
      `full backup ${label} cannot be expired until another full backup has been created on this repo`,
    )
  }
  remove(state, asked, {
    what: 'adhoc',
    reason: { rule: 'asked', text: `--set=${label} asks for it` },
  })
  const reason: Reason = { rule: 'not-asked', text: `--set=${label} asks for another one` }
  for (const left of state.left) state.reasons.set(left.label, reason)
}

function applyFull(state: State, facts: RetentionFacts): void {
  const { rules } = facts
  const fulls = fullsOf(state)
  const option = `repo${rules.repoKey}-retention-full=${rules.full}`
  if (rules.full === undefined) {
    const text = `repo${rules.repoKey}-retention-full is not set`
    for (const { label } of fulls) state.reasons.set(label, { rule: 'no-limit', text })
    return
  }
  const byTime = rules.fullType === 'time'
  const first = byTime ? firstByTime(fulls, facts) : Math.max(0, fulls.length - rules.full)
  if (byTime && first > 0) assertClockPlausible(facts, fulls[first])
  for (const [index, full] of fulls.entries()) {
    const text = byTime ? timeText(index - first, option) : countText(index - first, option)
    const reason: Reason = { rule: 'retention-full', text }
    if (index < first) remove(state, full, { what: byTime ? 'time-based' : 'full', reason })
    else state.reasons.set(full.label, reason)
  }
}

function countText(place: number, option: string): string {
  return place < 0
    ? `there are enough newer full backups (${option})`
    : `it is one of the newest full backups (${option})`
}

function timeText(place: number, option: string): string {
  if (place < 0) return `a newer full backup is older than the days to keep (${option}, by time)`
  return place === 0
    ? `it is the full backup from which the days to keep can be reached (${option}, by time)`
    : `it ended within the days to keep (${option}, by time)`
}

/** The newest full backup that is older than the period is needed to go back that far; the oldest when none is. */
function firstByTime(fulls: readonly BackupEntry[], { rules, nowS }: RetentionFacts): number {
  const oldestS = nowS - (rules.full ?? 0) * DAY_S
  return Math.max(
    0,
    fulls.findLastIndex(({ stopS }) => stopS < oldestS),
  )
}

/**
 * A clock that jumps ahead makes everything old at once. Seen from here that is a pause without any backup, longer than
 * all the days to keep and far longer than any pause before; then nothing goes by time.
 */
function assertClockPlausible(
  { backups, rules, nowS }: RetentionFacts,
  first: BackupEntry | undefined,
): void {
  const periodS = (rules.full ?? 0) * DAY_S
  const stops = new Map(backups.map(({ label, stopS }) => [label, stopS]))
  // A backup that ended before the full one it builds on was made by a wrong clock: its pause is none.
  const believed = backups.filter(
    ({ label, stopS }) => stopS >= (stops.get(fullLabelOf(label)) ?? 0),
  )
  const ends = believed.map(({ stopS }) => stopS).toSorted((left, right) => left - right)
  const times = [...ends, nowS]
  let longestS = 0
  for (const [index, timeS] of times.entries()) {
    const beforeS = times[index - 1] ?? timeS
    const pauseS = timeS - beforeS
    const decides = first !== undefined && beforeS >= first.stopS
    if (decides && pauseS > periodS && pauseS > 2 * longestS) {
      throw new AppError(
        'clock',
        `time-based retention of ${rules.full} days would remove backups because of ` +
          `${Math.floor(pauseS / DAY_S)} days without any backup`,
        {
          hint: [
            'did the clock jump ahead? Nothing was removed.',
            'when the pause is real, remove old backups with --oldest or --set, or keep by count ' +
              `for one run: --repo${rules.repoKey}-retention-full-type=count.`,
          ],
        },
      )
    }
    longestS = Math.max(longestS, pauseS)
  }
}

/** A clock that is behind makes nothing old: harmless, but retention does not work. */
function futureNotes({ backups, rules, nowS }: RetentionFacts): readonly Note[] {
  if (rules.fullType !== 'time' || rules.full === undefined) return []
  const ahead = backups.findLast(({ stopS }) => stopS > nowS + HOUR_S)
  if (ahead === undefined) return []
  const text = `backup ${ahead.label} ended in the future, time-based retention keeps more than it should`
  return [{ level: 'warn', text: `${text}\nHINT: is the clock right?` }]
}

/** Full backups count as differential ones, and are not removed here. */
function applyDiff(state: State, rules: RetentionRules): void {
  if (rules.diff === undefined) return
  const option = `repo${rules.repoKey}-retention-diff=${rules.diff}`
  const counted = state.left.filter(({ kind }) => kind !== 'incr')
  const first = Math.max(0, counted.length - rules.diff)
  for (const [index, backup] of counted.entries()) {
    if (backup.kind === 'full') continue
    const goes = index < first
    const text = goes
      ? `there are enough newer full and differential backups (${option})`
      : `it is one of the newest full and differential backups (${option})`
    const reason: Reason = { rule: 'retention-diff', text }
    // A differential backup of another tool may build on one that just went.
    if (goes && state.left.includes(backup)) remove(state, backup, { what: 'diff', reason })
    else if (!goes) state.reasons.set(backup.label, reason)
  }
}
