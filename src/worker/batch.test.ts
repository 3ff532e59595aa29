import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as check, nat, property } from 'fast-check'
import { MIB } from '../base/units.ts'
import { batchesOf, together } from './batch.ts'

const sizes = (jobs: readonly number[]): readonly (readonly number[])[] =>
  [...batchesOf(jobs.map((sizeBytes) => ({ sizeBytes })))].map((batch) =>
    batch.map(({ sizeBytes }) => sizeBytes),
  )

test('large jobs go alone, small ones together', () => {
  assert.deepEqual(sizes([9 * MIB, 5 * MIB, 3 * MIB, MIB, 1, 1]), [
    [9 * MIB],
    [5 * MIB],
    [3 * MIB, MIB],
    [1, 1],
  ])
})

test('a batch has at most 64 jobs', () => {
  assert.deepEqual(
    sizes(Array.from({ length: 130 }, () => 1)).map(({ length }) => length),
    [64, 64, 2],
  )
})

test('no job is lost and the order stays', () => {
  check(
    property(array(nat(6 * MIB)), (jobs) => {
      assert.deepEqual(sizes(jobs).flat(), jobs)
    }),
  )
})

test('results come in the order of the items, whatever the order of the work', async () => {
  const order: number[] = []
  const results = await together([30, 1, 15], async (ms) => {
    await new Promise((resolve) => {
      setTimeout(resolve, ms)
    })
    order.push(ms)
    return ms * 2
  })
  assert.deepEqual(results, [60, 2, 30])
  assert.deepEqual(order, [1, 15, 30])
})

test('at most 16 are under way at once', async () => {
  let underWay = 0
  let most = 0
  const items = Array.from({ length: 50 }, (_, index) => index)
  await together(items, async () => {
    underWay += 1
    most = Math.max(most, underWay)
    await new Promise(setImmediate)
    underWay -= 1
  })
  assert.equal(most, 16)
})

test('after a failure nothing more is begun, and it is thrown when nothing is under way', async () => {
  const items = Array.from({ length: 50 }, (_, index) => index)
  let begun = 0
  let ended = 0
  await assert.rejects(
    together(items, async (item) => {
      begun += 1
      await new Promise(setImmediate)
      if (item === 3) throw new Error('no')
      await new Promise(setImmediate)
      ended += 1
    }),
    /no/,
  )
  assert.equal(begun, 16)
  assert.equal(ended, 15)
})
