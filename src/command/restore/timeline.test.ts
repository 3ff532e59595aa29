import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../../base/error.ts'
import { segmentOnPath, timelinePath, type TimelineQuestion } from './timeline.ts'

const SEGMENT_BYTES = 16 * 1024 * 1024

/** Timeline 2 left 1 at 0/5000000, timeline 3 left 2 at 0/7000000. */
const histories = new Map([
  [2, '1\t0/5000000\tno recovery target specified\n'],
  [3, '1\t0/5000000\tbefore 2026-01-01\n\n2\t0/7000000\tat restore point "x"\n'],
])

const question = (changed: Partial<TimelineQuestion> = {}): TimelineQuestion => ({
  label: '20260101-000000F',
  archiveStart: '000000010000000000000002',
  lsnStart: '0/2000028',
  wanted: 'latest',
  histories,
  ...changed,
})

test('the latest timeline is reached through every timeline before it', () => {
  assert.deepEqual(timelinePath(question()), [
    { timeline: 1, fromLsn: 0n },
    { timeline: 2, fromLsn: 0x5000000n },
    { timeline: 3, fromLsn: 0x7000000n },
  ])
})

test('current, and no history at all, stay on the timeline of the backup', () => {
  const own = [{ timeline: 1, fromLsn: 0n }]
  assert.deepEqual(timelinePath(question({ wanted: 'current' })), own)
  assert.deepEqual(timelinePath(question({ histories: new Map() })), own)
})

test('a timeline can be given in decimal and in hexadecimal', () => {
  assert.equal(timelinePath(question({ wanted: '2' })).at(-1)?.timeline, 2)
  assert.equal(timelinePath(question({ wanted: '0x3' })).at(-1)?.timeline, 3)
  assert.throws(
    () => timelinePath(question({ wanted: 'newest' })),
    (error) => isErrorKind(error, 'option-invalid-value'),
  )
})

test('a backup made after its timeline was left cannot reach the other timeline', () => {
  assert.throws(
    () => timelinePath(question({ lsnStart: '0/5000000' })),
    (error) => isErrorKind(error, 'db-mismatch') && /was left at 0\/5000000/.test(error.message),
  )
})

test('a timeline that did not come from the backup, or without history, is refused', () => {
  const unrelated = question({ archiveStart: '000000040000000000000002', wanted: '3' })
  assert.throws(() => timelinePath(unrelated), /timeline 3 did not come from timeline 4/)
  assert.throws(() => timelinePath(question({ wanted: '9' })), /timeline 9 has no history file/)
})

test('where timelines meet, the segment of the newer one is read', () => {
  const path = timelinePath(question({ wanted: '2' }))
  const at = (lsn: bigint): string => segmentOnPath(path, lsn, SEGMENT_BYTES)
  assert.equal(at(0x4ffffffn), '000000010000000000000004')
  assert.equal(at(0x5000000n), '000000020000000000000005')
  const middle = [
    { timeline: 1, fromLsn: 0n },
    { timeline: 2, fromLsn: 0x5800000n },
  ]
  assert.equal(segmentOnPath(middle, 0x5000000n, SEGMENT_BYTES), '000000020000000000000005')
})
