import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS, HOUR_MS } from '../../base/units.ts'
import { rateOf } from './rate.ts'

test('a counter makes a rate once it has counted for an hour, and says since when', () => {
  const counter = { amount: 300, sinceMs: DAY_MS, source: 'pg_stat_wal' }
  const rate = rateOf(counter, 3 * DAY_MS)
  assert(rate.state === 'measured')
  assert.equal(rate.perDay, 150)
  assert.match(rate.source, /^pg_stat_wal since 1970-01-02 /)

  const young = rateOf(counter, DAY_MS + HOUR_MS - 1)
  assert(young.state === 'not measured')
  assert.match(young.why, /^pg_stat_wal since 1970-01-02 .*: less than an hour$/)
})
