import assert from 'node:assert/strict'
import { test } from 'node:test'
import { walRange, type WalQuestion } from './wal-range.ts'

const segment = (number: number): string =>
  `0000000100000000000000${number.toString(16).toUpperCase().padStart(2, '0')}`

/** A backup from 0/2000028 to 0/3000100: it needs segments 2 and 3. */
const question = (
  archived: readonly number[],
  changed: Partial<WalQuestion> = {},
): WalQuestion => ({
  path: [{ timeline: 1, fromLsn: 0n }],
  segmentSizeBytes: 16 * 1024 * 1024,
  lsnStart: '0/2000028',
  lsnStop: '0/3000100',
  archived: new Set(archived.map(segment)),
  inBackup: new Set(),
  targetLsn: undefined,
  ...changed,
})

test('WAL without a gap reaches to its last segment', () => {
  const range = walRange(question([1, 2, 3, 4, 5]))
  assert.equal(range.first, segment(2))
  assert.equal(range.consistent, segment(3))
  assert.equal(range.reach, segment(5))
  assert.equal(range.missing, segment(6))
  assert.deepEqual([range.count, range.usable, range.hole], [4, 'yes', 'no'])
})

test('a segment that the backup needs and nobody has makes it unusable (S124)', () => {
  const range = walRange(question([2, 4]))
  assert.deepEqual([range.missing, range.usable, range.hole], [segment(3), 'no', 'yes'])
  assert.equal(walRange(question([])).reach, undefined)
})

test('segments inside the backup count (archive-copy)', () => {
  const range = walRange(question([], { inBackup: new Set([segment(2), segment(3)]) }))
  assert.deepEqual([range.usable, range.reach], ['yes', segment(3)])
})

test('a gap after the consistent point is a hole, not the end of the archive', () => {
  const range = walRange(question([2, 3, 5, 6]))
  assert.deepEqual([range.usable, range.hole, range.missing], ['yes', 'yes', segment(4)])
})

test('a stop exactly on a border needs only the segment before it', () => {
  assert.equal(walRange(question([2], { lsnStop: '0/3000000' })).usable, 'yes')
  assert.equal(walRange(question([2], { lsnStop: '0/3000001' })).usable, 'no')
})

test('a target position is reached, or beyond what is archived', () => {
  assert.equal(walRange(question([2, 3], { targetLsn: 0x4000000n })).target, 'reached')
  assert.equal(walRange(question([2, 3], { targetLsn: 0x4000001n })).target, 'beyond')
  assert.equal(walRange(question([2, 3])).target, 'unknown')
})

test('the way goes on with the next timeline after its switch', () => {
  const path = [
    { timeline: 1, fromLsn: 0n },
    { timeline: 2, fromLsn: 0x4800000n },
  ]
  const archived = new Set([
    segment(2),
    segment(3),
    '000000020000000000000004',
    '000000020000000000000005',
  ])
  const range = walRange(question([], { path, archived }))
  assert.deepEqual(
    [range.reach, range.missing],
    ['000000020000000000000005', '000000020000000000000006'],
  )
})
