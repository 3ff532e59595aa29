/** Which dump sets stay, and why. */
import { DAY_MS } from '../../base/units.ts'

export interface DumpRules {
  /** `repoN-retention-dump`; undefined: all stay. */
  readonly keep: number | undefined
  readonly type: 'count' | 'time'
}

export interface ListedDump {
  readonly label: string
  readonly endedMs: number
}

export interface DumpFate {
  readonly label: string
  readonly action: 'keep' | 'remove'
  readonly reason: string
}

/**
 * `dumps`: oldest first. By time all of the last days stay, and one that is older, so that what it shows can be gone back to; so
 * the newest never goes by time alone.
 */
export function decideDumps(
  dumps: readonly ListedDump[],
  { keep, type }: DumpRules,
  nowMs: number,
): readonly DumpFate[] {
  return dumps.map(({ label }, index): DumpFate => {
    if (keep === undefined)
      return { label, action: 'keep', reason: 'no retention is set for dumps' }
    if (type === 'count') {
      return index >= dumps.length - keep
        ? { label, action: 'keep', reason: `one of the newest ${keep}` }
        : { label, action: 'remove', reason: `${keep} newer ones are kept` }
    }
    const next = dumps[index + 1]
    if (next === undefined) return { label, action: 'keep', reason: 'the newest' }
    return next.endedMs > nowMs - keep * DAY_MS
      ? { label, action: 'keep', reason: `needed for the last ${keep} days` }
      : { label, action: 'remove', reason: `a newer one is older than ${keep} days, too` }
  })
}
