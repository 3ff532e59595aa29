import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DAY_MS } from '../../base/units.ts'
import { decideDumps, type DumpRules, type ListedDump } from './dump-retention.ts'

const NOW_MS = 100 * DAY_MS

function dumpOf(
  daysAgo: number,
  databases: readonly string[],
  skipped: readonly string[] = [],
): ListedDump {
  return { label: String(daysAgo), endedMs: NOW_MS - daysAgo * DAY_MS, databases, skipped }
}

/** Labels of what stays; dumps ended so many days ago. */
function kept(daysAgo: readonly number[], rules: DumpRules): readonly string[] {
  const dumps = daysAgo.map((days) => dumpOf(days, ['shop']))
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

test('dumps of some databases do not push out those of the others', () => {
  const dumps = [
    dumpOf(40, ['a', 'b']),
    dumpOf(30, ['a', 'b']),
    dumpOf(20, ['a'], ['b']),
    dumpOf(10, ['a'], ['b']),
    dumpOf(9, [], ['a', 'b']),
  ]
  const stay = (rules: DumpRules): readonly string[] =>
    decideDumps(dumps, rules, NOW_MS).map(({ label, action, reason }) =>
      action === 'keep' ? `${label}: ${reason}` : `${label} goes`,
    )

  assert.deepEqual(stay({ keep: 1, type: 'count' }), [
    '40 goes',
    "30: one of the newest 1 of database 'b'",
    '20 goes',
    "10: one of the newest 1 of database 'a'",
    '9: one of the newest 1',
  ])
  assert.deepEqual(stay({ keep: 7, type: 'time' }), [
    '40 goes',
    "30: the newest of database 'b'",
    '20 goes',
    "10: the newest of database 'a'",
    '9: the newest',
  ])
})

test('a database that is gone is not kept for ever', () => {
  const dumps = [dumpOf(30, ['a', 'gone']), dumpOf(20, ['a']), dumpOf(10, ['a'])]
  for (const type of ['count', 'time'] as const) {
    const fates = decideDumps(dumps, { keep: 1, type }, NOW_MS)
    assert.deepEqual(
      fates.map(({ action }) => action),
      ['remove', 'remove', 'keep'],
    )
  }
})
