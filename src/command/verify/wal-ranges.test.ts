import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB } from '../../base/units.ts'
import { parseSegmentName, type SegmentName } from '../../format/wal.ts'
import { consecutive, holes, lengthOf, segmentNumber } from './wal-ranges.ts'

const SIZE = 16 * MIB

function seg(low: number, timeline = 1): SegmentName {
  return parseSegmentName(`${hex(timeline)}${hex(Math.floor(low / 256))}${hex(low % 256)}`)
}

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0')
}

test('segments that follow one another are one range, also past the 256th', () => {
  const ranges = consecutive([seg(1), seg(2), seg(5), seg(255), seg(256)], SIZE)

  assert.deepEqual(ranges, [
    { first: seg(1), last: seg(2) },
    { first: seg(5), last: seg(5) },
    { first: seg(255), last: seg(256) },
  ])
})

test('no segments are no range', () => {
  assert.deepEqual(consecutive([], SIZE), [])
})

test('segments missing between others are a hole', () => {
  const ranges = consecutive([seg(1), seg(2), seg(5)], SIZE)

  assert.deepEqual(holes(ranges, [], SIZE), [{ first: seg(3), last: seg(4) }])
})

test('what expire leaves between the WAL of two backups is no hole', () => {
  const ranges = consecutive([seg(1), seg(2), seg(5), seg(6)], SIZE)
  const needed = [
    { label: 'A', first: seg(1), last: seg(2) },
    { label: 'B', first: seg(5), last: seg(5) },
  ]

  assert.deepEqual(holes(ranges, needed, SIZE), [])
  assert.equal(holes(ranges, needed.slice(1), SIZE).length, 1)
})

test('the end of a timeline and the beginning of the next are no hole', () => {
  const ranges = consecutive([seg(1), seg(5, 2)], SIZE)

  assert.deepEqual(holes(ranges, [], SIZE), [])
})

test('ranges are counted in segments', () => {
  assert.equal(lengthOf({ first: seg(255), last: seg(257) }, SIZE), 3)
  assert.equal(segmentNumber(seg(257), SIZE), 257)
})
