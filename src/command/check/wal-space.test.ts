import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeSpace, predictFull } from './wal-space.ts'

const MIB = 1024 * 1024
const NOW_MS = 1_000_000_000

function segment(number: number, agoS: number): Parameters<typeof predictFull>[1][number] {
  return { startLsn: BigInt(number * 16 * MIB), writtenMs: NOW_MS - agoS * 1000 }
}

test('the rate of the last segments says when the room is used up', () => {
  const space = predictFull(1024 * MIB, [segment(3, 2), segment(1, 32), segment(2, 20)], NOW_MS)

  assert.deepEqual(space, {
    freeBytes: 1024 * MIB,
    bytesPerSecond: MIB,
    fullInMs: 1024 * 1000,
  })
  assert.equal(
    describeSpace(space),
    'pg_wal has 1GB free and grows by 1MB a second: without archiving it is full in 17m04s',
  )
})

test('what was written before the last hour does not count', () => {
  const space = predictFull(MIB, [segment(1, 7200), segment(2, 10)], NOW_MS)

  assert.equal(space.fullInMs, undefined)
  assert.equal(describeSpace(space), 'pg_wal has 1MB free')
})
