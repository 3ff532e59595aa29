/**
 * Customers who keep ordering, and a ledger outside the database of every order the database promised to keep.
 *
 * A line of the ledger is written after COMMIT was acknowledged: whatever happens to the server, an order in the ledger
 * is one that a customer was told about.
 */
import { appendFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Client } from 'pg'
import { systemClock } from '../../src/base/clock.ts'
import type { Server } from './server.ts'

const CUSTOMERS_AT_ONCE = 3
/** Between two orders of one customer: about 25 orders a second each. */
const PAUSE_MS = 40

export interface Workload extends AsyncDisposable {
  /** Lets running orders finish. Throws when one of them failed. */
  stop(): Promise<void>
}

export interface LedgerEntry {
  readonly orderId: number
  /** Before BEGIN and after COMMIT, in milliseconds since the epoch by the clock of this host, which is the server's too. */
  readonly beginMs: number
  readonly acknowledgedMs: number
}

export async function startWorkload(
  server: Server,
  ledgerPath: string,
  signal: AbortSignal,
): Promise<Workload> {
  const closing = new AbortController()
  const over = AbortSignal.any([closing.signal, signal])
  const sessions = await Promise.all(
    Array.from({ length: CUSTOMERS_AT_ONCE }, async () => await server.connect()),
  )
  const customers = sessions.map(async (session) => {
    while (!over.aborted) {
      const entry = await order(session)
      appendFileSync(ledgerPath, `${entry.orderId} ${entry.beginMs} ${entry.acknowledgedMs}\n`)
      await systemClock.sleep(PAUSE_MS, over).catch(() => undefined)
    }
    await session.end()
  })
  const finished = Promise.all(customers)
  // A failure is reported by stop(); until then it must not end the program.
  finished.catch(() => undefined)
  const stop = async (): Promise<void> => {
    closing.abort()
    await finished
  }
  return {
    stop,
    [Symbol.asyncDispose]: async () => {
      closing.abort()
      await Promise.allSettled(customers)
    },
  }
}

async function order(session: Client): Promise<LedgerEntry> {
  const beginMs = systemClock.nowMs()
  await session.query('BEGIN')
  const { rows } = await session.query<{ id: string }>(
    `INSERT INTO orders (customer_id, status, channel, placed_at, total_cents, note)
     VALUES (1 + floor(random() * 1000)::int, 'new', 'live', now(), (random() * 50000)::int, gen_random_uuid()::text)
     RETURNING id::text`,
  )
  const id = rows[0]?.id ?? ''
  await session.query(
    `INSERT INTO order_items (order_id, line_no, sku, quantity, price_cents) VALUES ($1, 1, 'live', 1, 999)`,
    [id],
  )
  await session.query('COMMIT')
  return { orderId: Number(id), beginMs, acknowledgedMs: systemClock.nowMs() }
}

export async function readLedger(ledgerPath: string): Promise<readonly LedgerEntry[]> {
  const lines = (await readFile(ledgerPath, 'utf8')).trimEnd().split('\n')
  return lines.map((line) => {
    const [orderId = 0, beginMs = 0, acknowledgedMs = 0] = line.split(' ').map(Number)
    return { orderId, beginMs, acknowledgedMs }
  })
}
