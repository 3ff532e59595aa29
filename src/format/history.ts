/** Timeline history files, as PostgreSQL writes them (9.6 to 18). */
import { AppError } from '../base/error.ts'
import { toHumanText } from '../base/text.ts'
import { formatLsn, parseLsn } from './wal.ts'

/** Where the history of one timeline left another. */
export interface HistoryEntry {
  /** The timeline that was left. */
  readonly timeline: number
  /** Where it was left: WAL from here on belongs to the next timeline. */
  readonly switchLsn: bigint
  /** PostgreSQL's words, such as `no recovery target specified`. */
  readonly reason: string
}

const LINE = /^\s*(\d{1,10})\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(?:\s(.*))?$/s

/** Ascending by timeline. Empty lines and `#` comments are left out. Throws `format`. */
export function parseHistory(text: string): readonly HistoryEntry[] {
  const entries: HistoryEntry[] = []
  for (const line of text.split('\n')) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const [, timeline, switchLsn, reason = ''] = LINE.exec(line) ?? []
    if (timeline === undefined || switchLsn === undefined) {
      throw new AppError('format', `invalid line '${toHumanText(line)}' in timeline history`)
    }
    const entry = { timeline: Number(timeline), switchLsn: parseLsn(switchLsn), reason }
    if (entry.timeline <= (entries.at(-1)?.timeline ?? 0) || entry.timeline > 0xffff_ffff) {
      throw new AppError('format', `timeline '${timeline}' is out of order in timeline history`)
    }
    entries.push(entry)
  }
  return entries
}

/** A history file of the entries, ascending by timeline. */
export function renderHistory(entries: readonly HistoryEntry[]): string {
  return entries
    .map(({ timeline, switchLsn, reason }) => `${timeline}\t${formatLsn(switchLsn)}\t${reason}\n`)
    .join('')
}
