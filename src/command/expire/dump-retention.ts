/** Which dump sets stay, and why. */
import { toOneLine } from '../../base/text.ts'
import { DAY_MS } from '../../base/units.ts'

export interface DumpRules {
  /** `repoN-retention-dump`; undefined: all stay. */
  readonly keep: number | undefined
  readonly type: 'count' | 'time'
}

export interface ListedDump {
  readonly label: string
  readonly endedMs: number
  readonly databases: readonly string[]
  /** Databases that were there, and were not dumped. */
  readonly skipped: readonly string[]
}

export interface DumpFate {
  readonly label: string
  readonly action: 'keep' | 'remove'
  readonly reason: string
}

/**
 * `dumps`: oldest first. By time all of the last days stay, and one that is older, so that what it shows can be gone back to; so
 * the newest never goes by time alone. The same holds of each database by itself: dumps of some databases never push out those of
 * the others. A dump without a database that it did not skip counts for it, too: it was not there any more.
 */
export function decideDumps(
  dumps: readonly ListedDump[],
  rules: DumpRules,
  nowMs: number,
): readonly DumpFate[] {
  const newer = new NewerDumps()
  const fates = dumps.toReversed().map((dump): DumpFate => {
    const fate = fateOf(dump, newer, { rules, nowMs })
    newer.add(dump)
    return fate
  })
  return fates.toReversed()
}

/** A database, or `EVERYTHING`. */
type Subject = string | undefined
const EVERYTHING = undefined

function fateOf(
  { label, databases }: ListedDump,
  newer: NewerDumps,
  { rules, nowMs }: { readonly rules: DumpRules; readonly nowMs: number },
): DumpFate {
  const { keep, type } = rules
  if (keep === undefined) return { label, action: 'keep', reason: 'no retention is set for dumps' }
  const reasonFor = (subject: Subject): string | undefined => {
    if (type === 'count')
      return newer.countOf(subject) < keep ? `one of the newest ${keep}` : undefined
    const nextEndedMs = newer.nextEndedMs(subject)
    if (nextEndedMs === undefined) return 'the newest'
    return nextEndedMs > nowMs - keep * DAY_MS ? `needed for the last ${keep} days` : undefined
  }
  for (const subject of [EVERYTHING, ...databases]) {
    const reason = reasonFor(subject)
    if (reason === undefined) continue
    const of = subject === EVERYTHING ? '' : ` of database '${toOneLine(subject)}'`
    return { label, action: 'keep', reason: `${reason}${of}` }
  }
  return {
    label,
    action: 'remove',
    reason:
      type === 'count'
        ? `${keep} newer ones are kept`
        : `a newer one is older than ${keep} days, too`,
  }
}

/** Those that were looked at already, newest first. */
class NewerDumps {
  #count = 0
  readonly #skips = new Map<string, number>()
  #lastEndedMs: number | undefined
  /** Of databases that the last one added has skipped. */
  #nextEndedMs: ReadonlyMap<string, number | undefined> = new Map()

  countOf(subject: Subject): number {
    return this.#count - (subject === EVERYTHING ? 0 : (this.#skips.get(subject) ?? 0))
  }

  /** When the oldest of those that count for it ended. */
  nextEndedMs(subject: Subject): number | undefined {
    return subject !== EVERYTHING && this.#nextEndedMs.has(subject)
      ? this.#nextEndedMs.get(subject)
      : this.#lastEndedMs
  }

  add({ endedMs, skipped }: ListedDump): void {
    this.#nextEndedMs = new Map(skipped.map((name) => [name, this.nextEndedMs(name)] as const))
    this.#lastEndedMs = endedMs
    this.#count += 1
    for (const name of skipped) this.#skips.set(name, (this.#skips.get(name) ?? 0) + 1)
  }
}
