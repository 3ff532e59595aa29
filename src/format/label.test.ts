import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatLabelTime, fullLabelOf, isLabel, kindOfLabel, planLabel } from './label.ts'

// Built from local parts, so that the labels below hold in every time zone.
const START_MS = new Date(2026, 10, 22, 18, 20, 58, 250).getTime()
const NEXT_SECOND_MS = new Date(2026, 10, 22, 18, 20, 59).getTime()
const FULL = '20261120-000000F'

test('label times are local, to the second', () => {
  assert.equal(formatLabelTime(START_MS), '20261122-182058')
})

test('a label says its kind and its full backup', () => {
  assert.equal(kindOfLabel('20261122-182058F'), 'full')
  assert.equal(kindOfLabel('20261122-182058F_20261122-190000D'), 'diff')
  assert.equal(kindOfLabel('20261122-182058F_20261122-193000I'), 'incr')
  assert.equal(fullLabelOf('20261122-182058F_20261122-193000I'), '20261122-182058F')
})

test('other directory names are no labels', () => {
  assert.equal(isLabel('backup.history'), false)
  assert.equal(isLabel('20261122-182058D'), false)
  assert.equal(isLabel('20261122-182058F\n'), false)
  assert.throws(() => kindOfLabel('latest'), { kind: 'format' })
})

test('a backup is named for the second it starts in', () => {
  assert.deepEqual(planLabel({ kind: 'full', startMs: START_MS, existing: [FULL] }), {
    label: '20261122-182058F',
    notBeforeMs: START_MS,
  })
  assert.equal(
    planLabel({ kind: 'diff', startMs: START_MS, fullLabel: FULL, existing: [FULL] }).label,
    `${FULL}_20261122-182058D`,
  )
})

test('a label that is taken becomes the one of the next second, to be waited for', () => {
  const existing = ['20261122-182058F', FULL]

  assert.deepEqual(planLabel({ kind: 'full', startMs: START_MS, existing }), {
    label: '20261122-182059F',
    notBeforeMs: NEXT_SECOND_MS,
  })
})

test('a clock that went back is an error, not a label that sorts before others', () => {
  const existing = ['20261122-182059F']

  assert.throws(() => planLabel({ kind: 'full', startMs: START_MS, existing }), { kind: 'clock' })
})

test('a diff or incr is compared with its own set only', () => {
  const existing = [FULL, '20261123-000000F']

  assert.equal(
    planLabel({ kind: 'incr', startMs: START_MS, fullLabel: FULL, existing }).label,
    `${FULL}_20261122-182058I`,
  )
  assert.throws(
    () =>
      planLabel({
        kind: 'incr',
        startMs: START_MS,
        fullLabel: FULL,
        existing: [`${FULL}_20261122-182100D`],
      }),
    { kind: 'clock' },
  )
})
