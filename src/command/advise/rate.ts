/** How fast something changes, by counters of the server. Pure. */
import { DAY_MS, formatLocalTime, HOUR_MS, SECOND_MS } from '../../base/units.ts'

/** A counter that the server began to count at some moment. */
export interface Counter {
  readonly amount: number
  readonly sinceMs: number
  /** The view it stands in. */
  readonly source: string
}

export type Rate =
  | {
      readonly state: 'measured'
      readonly perDay: number
      /** `pg_stat_wal since 2026-11-22 18:20:58+00`. */
      readonly source: string
    }
  | { readonly state: 'not measured'; readonly why: string }

/** Less says more about the hour than about the server. */
const MEASURED_MS_MIN = HOUR_MS

export function rateOf(counter: Counter, nowMs: number): Rate {
  const { amount, sinceMs, source } = counter
  const shown = `${source} since ${formatLocalTime(Math.floor(sinceMs / SECOND_MS))}`
  const elapsedMs = nowMs - sinceMs
  if (elapsedMs < MEASURED_MS_MIN) return notMeasured(`${shown}: less than an hour`)
  return { state: 'measured', perDay: Math.round((amount * DAY_MS) / elapsedMs), source: shown }
}

export function notMeasured(why: string): Rate {
  return { state: 'not measured', why }
}
