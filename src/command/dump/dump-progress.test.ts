import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Progress } from '../command.ts'
import { DumpProgress } from './dump-progress.ts'

function started(databases: readonly (readonly [string, number])[]): {
  readonly progress: DumpProgress
  readonly last: () => Progress | undefined
} {
  const shown: Progress[] = []
  const progress = new DumpProgress({
    databases: new Map(databases),
    show: (state) => {
      shown.push(state)
    },
  })
  return { progress, last: () => shown.at(-1) }
}

const ORDERS = { schema: 'public', name: 'orders', sizeBytes: 800 }
const LINES = { schema: 'public', name: 'lines', sizeBytes: 200 }

test('the table that pg_dump is at is told with its share, of several the one with most left', () => {
  const { progress, last } = started([['shop', 5000]])
  const database = progress.begin('shop', [ORDERS, LINES])
  const [one, two] = [database.archive(), database.archive()]
  one.wrote(10)
  one.line('pg_dump: dumping contents of table "public.orders"')
  two.line('pg_dump: dumping contents of table "public.lines"')
  two.wrote(100)
  assert.deepEqual(last()?.part, {
    name: "'shop': public.orders",
    doneBytes: 0,
    totalBytes: 800,
  })
  one.wrote(700)
  one.ended()
  two.wrote(50)
  assert.deepEqual(last()?.part, {
    name: "'shop': public.lines",
    doneBytes: 150,
    totalBytes: 200,
  })
  assert.equal(last()?.doneBytes, 860)
  two.line('pg_dump: dumping contents of table "public.small"')
  two.wrote(1)
  assert.equal(last()?.part?.totalBytes, undefined)
})

test('of the whole, what is to come counts with its size, and what is done with what it had', () => {
  const { progress, last } = started([
    ['a', 5000],
    ['b', 3000],
  ])
  const one = progress.begin('a', [ORDERS]).archive()
  one.wrote(100)
  assert.deepEqual([last()?.doneBytes, last()?.totalBytes], [100, 3800])
  one.wrote(300)
  one.ended()
  const next = progress.begin('b', [LINES])
  next.archive().wrote(50)
  assert.deepEqual([last()?.doneBytes, last()?.totalBytes], [450, 600])
  next.archive().wrote(250)
  assert.deepEqual([last()?.doneBytes, last()?.totalBytes], [700, 700])
})

test('rows for the fingerprint are told once pg_dump has no table any more', () => {
  const { progress, last } = started([['a', 5000]])
  const database = progress.begin('a', [ORDERS])
  const archive = database.archive()
  archive.line('pg_dump: dumping contents of table "public.orders"')
  archive.wrote(100)
  database.fingerprinted(10)
  assert.equal(last()?.part?.name, "'a': public.orders")
  archive.ended()
  database.fingerprinted(10)
  assert.deepEqual(last()?.part, {
    name: "'a': rows read for the fingerprint",
    doneBytes: 20,
    totalBytes: 800,
  })
})
