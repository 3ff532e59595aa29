import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS } from '../../base/units.ts'
import { decideDumps, type DumpRules } from './dump-retention.ts'

const NOW_MS = 100 * DAY_MS

/** Labels of what stays; dumps ended so many days ago. */
function kept(daysAgo: readonly number[], rules: DumpRules): readonly string[] {
  const dumps = daysAgo.map((days) => ({ label: String(days), endedMs: NOW_MS - days * DAY_MS }))
  return decideDumps(dumps, rules, NOW_MS)
    .filter(({ action }) => action === 'keep')
    .map(({ label }) => label)
}

test('by count the newest stay, and without a rule all', () => {
  assert.deepEqual(kept([9, 8, 7], { keep: 2, type: 'count' }), ['8', '7'])
  assert.deepEqual(kept([9], { keep: 2, type: 'count' }), ['9'])
  assert.deepEqual(kept([9, 8, 7], { keep: undefined, type: 'count' }), ['9', '8', '7'])
})

test('by time the last days can be gone back to, and the newest never goes', () => {
  assert.deepEqual(kept([30, 20, 10, 5, 1], { keep: 7, type: 'time' }), ['10', '5', '1'])
  assert.deepEqual(kept([30, 20], { keep: 7, type: 'time' }), ['20'])
})
