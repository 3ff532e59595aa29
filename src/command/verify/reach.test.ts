import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB } from '../../base/units.ts'
import { type Interval, reachable, without } from './reach.ts'

const SIZE = 16 * MIB

function run(first: number, last: number, timeline = 1): Interval {
  return { timeline, first, last }
}

/** Timeline 2 left timeline 1 within segment 5. */
const HISTORIES = new Map([[2, [{ timeline: 1, switchLsn: BigInt(5 * SIZE + 40), reason: '' }]]])

function reach(
  runs: readonly Interval[],
  backups: readonly { readonly timeline: number; readonly start: number; readonly stop: number }[],
): readonly Interval[] {
  return reachable(backups, { runs, histories: HISTORIES, segmentSizeBytes: SIZE })
}

test('from a backup on, recovery gets to the first gap', () => {
  assert.deepEqual(reach([run(1, 6), run(8, 9)], [{ timeline: 1, start: 2, stop: 3 }]), [run(3, 6)])
})

test('a backup whose own WAL has a gap leads nowhere', () => {
  assert.deepEqual(reach([run(1, 2), run(4, 9)], [{ timeline: 1, start: 2, stop: 4 }]), [])
})

test('of several backups the first one counts for a stretch without a gap', () => {
  const backups = [
    { timeline: 1, start: 5, stop: 5 },
    { timeline: 1, start: 2, stop: 3 },
    { timeline: 1, start: 8, stop: 8 },
  ]

  assert.deepEqual(reach([run(1, 6), run(8, 9)], backups), [run(3, 6), run(8, 9)])
})

test('recovery goes on along the next timeline', () => {
  const backups = [{ timeline: 1, start: 2, stop: 2 }]

  assert.deepEqual(reach([run(1, 5), run(5, 9, 2)], backups), [run(2, 5), run(5, 9, 2)])
})

test('the segment of the switch may be missing on the old timeline, the one before it may not', () => {
  const backups = [{ timeline: 1, start: 2, stop: 2 }]

  assert.deepEqual(reach([run(1, 4), run(5, 9, 2)], backups).at(-1), run(5, 9, 2))
  assert.deepEqual(reach([run(1, 3), run(5, 9, 2)], backups), [run(2, 3)])
})

test('a timeline without a history stands for itself', () => {
  const backups = [{ timeline: 1, start: 2, stop: 2 }]

  assert.deepEqual(reach([run(1, 5), run(5, 9, 3)], backups), [run(2, 5)])
})

test('what is lost is what could be reached and cannot', () => {
  const all = [run(1, 9), run(5, 9, 2)]

  assert.deepEqual(without(all, [run(3, 4), run(8, 9), run(5, 9, 2)]), [run(1, 2), run(5, 7)])
  assert.deepEqual(without(all, []), all)
  assert.deepEqual(without(all, all), [])
})
