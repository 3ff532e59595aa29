import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bendOf,
  type Growth,
  median,
  merged,
  ratiosOf,
  type Row,
  type Sample,
  verdictOf,
} from './result.ts'

function sample(seconds: number, cpuSeconds?: number): Sample {
  return { seconds, cpuSeconds, peakBytes: 0, writtenBytes: 0 }
}

const ROW: Row = {
  name: 'full',
  what: 'full backup',
  settings: 'alike',
  goals: { wall: 0.9, cpu: 1, share: 0.5 },
  scale: 1,
  count: 1,
  samples: {
    pgsurety: [sample(4, 8), sample(99, 99), sample(4.5, 9)],
    pgbackrest: [sample(5, 9), sample(6, 10), sample(5, 9)],
    limit: [sample(3, 6)],
  },
}

function growth(...points: readonly (readonly [count: number, seconds: number])[]): Growth {
  return {
    name: 'files',
    what: '',
    points: points.map(([count, seconds]) => ({ count, sample: sample(seconds) })),
  }
}

test('one slow run does not move the median, and of an even number it is between the middle two', () => {
  assert.equal(median([5, 100, 4]), 5)
  assert.equal(median([4, 1, 2, 100]), 3)
})

test('a ratio is our median divided by theirs', () => {
  assert.deepEqual(ratiosOf(ROW), { wall: 4.5 / 5, cpu: 1, share: 3 / 4.5 })
})

test('a goal is met when every ratio that it names is', () => {
  assert.equal(verdictOf(ROW), 'met')
  assert.equal(verdictOf({ ...ROW, goals: { wall: 0.89 } }), 'missed')
  assert.equal(verdictOf({ ...ROW, goals: { wall: 0.9, cpu: 0.99 } }), 'missed')
  assert.equal(verdictOf({ ...ROW, goals: { wall: 0.9, share: 0.7 } }), 'missed')
})

test('without a peer nothing is said, and what is measured can still be missed', () => {
  const alone = { ...ROW, samples: { pgsurety: [sample(1, 1)] } }
  assert.equal(verdictOf(alone), 'unknown')
  const untold = { ...ROW, samples: { pgsurety: [sample(9)], pgbackrest: [sample(1)] } }
  assert.equal(verdictOf(untold), 'missed')
})

test('rows of an earlier run stay until there is a newer one of their name', () => {
  const rows = merged(
    [
      { name: 'b', from: 1 },
      { name: 'a', from: 1 },
    ],
    [{ name: 'b', from: 2 }],
    ['a', 'b', 'c'],
  )
  assert.deepEqual(rows, [
    { name: 'a', from: 1 },
    { name: 'b', from: 2 },
  ])
})

test('what grows in proportion, whatever it costs to begin with, has no bend', () => {
  assert.equal(bendOf(growth([1, 5], [4, 8], [16, 20])), 1)
  assert.equal(bendOf(growth([1, 1], [4, 16], [16, 256])), 4)
  assert.equal(bendOf(growth([1, 1], [4, 4])), undefined)
})
