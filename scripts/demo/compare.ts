/** Judges a restored database against the ledger and against what was counted before the accident. Pure. */
import type { LedgerEntry } from './workload.ts'

export interface TableState {
  readonly name: string
  readonly rows: number
  /** Order-independent digest of every row. */
  readonly content: string
}

export interface Evidence {
  readonly targetMs: number
  readonly before: readonly TableState[]
  readonly after: readonly TableState[]
  readonly ledger: readonly LedgerEntry[]
  /** Ids of the workload's orders that the restored database has. */
  readonly restoredIds: ReadonlySet<number>
}

export interface Finding {
  readonly text: string
  readonly verdict: 'ok' | 'WRONG'
}

export function compare({
  targetMs,
  before,
  after,
  ledger,
  restoredIds,
}: Evidence): readonly Finding[] {
  const promised = ledger.filter(({ acknowledgedMs }) => acknowledgedMs < targetMs)
  const later = ledger.filter(({ beginMs }) => beginMs > targetMs)
  const known = new Set(ledger.map(({ orderId }) => orderId))
  const missing = promised.filter(({ orderId }) => !restoredIds.has(orderId)).length
  const tooNew = later.filter(({ orderId }) => restoredIds.has(orderId)).length
  const unknown = [...restoredIds].filter((id) => !known.has(id)).length
  const underWay = ledger.length - promised.length - later.length
  return [
    ...before.map((table) => compareTable(table, after)),
    {
      text: `${promised.length} orders acknowledged before the target: ${missing} missing`,
      verdict: promised.length > 0 && missing === 0 ? 'ok' : 'WRONG',
    },
    {
      text: `${later.length} orders begun after the target: ${tooNew} present`,
      verdict: later.length > 0 && tooNew === 0 ? 'ok' : 'WRONG',
    },
    {
      text: `${underWay} orders under way at the target (either way is right); ${unknown} that nobody ordered`,
      verdict: unknown === 0 ? 'ok' : 'WRONG',
    },
  ]
}

function compareTable(table: TableState, after: readonly TableState[]): Finding {
  const now = after.find(({ name }) => name === table.name)
  const same = now?.rows === table.rows && now.content === table.content
  return {
    text: `${table.name}: ${table.rows} rows before the accident, ${now?.rows ?? 0} now, content ${same ? 'identical' : 'different'}`,
    verdict: same ? 'ok' : 'WRONG',
  }
}
