import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FULL, INCR } from '../../../test/harness/info-facts.ts'
import { parseHistory } from '../../format/history.ts'
import { parseSegmentName } from '../../format/wal.ts'
import { findWindows, type StoredSegment, type WindowsQuestion } from './windows.ts'

const SIZE = 16 * 1024 * 1024

function segment(timeline: number, number: number): string {
  return `0000000${timeline}00000000000000${number.toString(16).toUpperCase().padStart(2, '0')}`
}

/** Stored at second `number` of their timeline's thousand. */
function stored(timeline: number, ...numbers: readonly number[]): readonly StoredSegment[] {
  return numbers.map((number) => ({
    name: parseSegmentName(segment(timeline, number)),
    storedMs: (timeline * 1000 + number) * 1000,
  }))
}

const FIRST = { ...FULL, archiveStart: segment(1, 2), archiveStop: segment(1, 3), stopS: 1003 }
const SECOND = { ...INCR, archiveStart: segment(1, 7), archiveStop: segment(1, 7), stopS: 1007 }

const QUESTION: WindowsQuestion = {
  segments: stored(1, 1, 2, 3, 4, 5, 6, 7, 8),
  histories: new Map(),
  segmentSizeBytes: SIZE,
  backups: [FIRST, SECOND],
}

test('without gaps everything from the end of the first backup on can be reached', () => {
  assert.deepEqual(findWindows(QUESTION), {
    reachable: [
      {
        timeline: 1,
        first: segment(1, 3),
        last: segment(1, 8),
        label: FIRST.label,
        fromMs: 1_003_000,
        untilMs: 1_008_000,
      },
    ],
    gaps: [],
    backups: [
      { label: FIRST.label, last: segment(1, 8), untilMs: 1_008_000 },
      { label: SECOND.label, last: segment(1, 8), untilMs: 1_008_000 },
    ],
  })
})

test('a gap ends a window, is named, and the next backup begins another one', () => {
  const { reachable, gaps, backups } = findWindows({
    ...QUESTION,
    segments: stored(1, 2, 3, 4, 7, 8),
  })

  assert.deepEqual(
    reachable.map(({ first, last }) => [first, last]),
    [
      [segment(1, 3), segment(1, 4)],
      [segment(1, 7), segment(1, 8)],
    ],
  )
  assert.deepEqual(gaps, [
    { first: segment(1, 5), last: segment(1, 6), count: 2, cause: 'missing' },
  ])
  assert.equal(backups[0]?.untilMs, 1_004_000)
})

test('what expire removed between two backups is no accident', () => {
  const { gaps } = findWindows({ ...QUESTION, segments: stored(1, 2, 3, 7, 8) })

  assert.deepEqual(
    gaps.map(({ cause, count }) => [cause, count]),
    [['expired', 3]],
  )
})

test('a backup without its own WAL is not usable, and makes nothing reachable', () => {
  const { reachable, backups } = findWindows({
    ...QUESTION,
    backups: [FIRST],
    segments: stored(1, 2, 4),
  })

  assert.deepEqual(reachable, [])
  assert.deepEqual(backups, [{ label: FIRST.label, last: undefined, untilMs: undefined }])
})

test('recovery goes on along a new timeline, where no backup begins', () => {
  const { reachable, gaps } = findWindows({
    ...QUESTION,
    backups: [FIRST],
    segments: [...stored(1, 2, 3, 4, 6), ...stored(2, 4, 5, 6)],
    histories: new Map([[2, parseHistory('1\t0/4800000\tno recovery target specified\n')]]),
  })

  assert.deepEqual(
    reachable.map(({ timeline, label, first, last }) => [timeline, label, first, last]),
    [
      [1, FIRST.label, segment(1, 3), segment(1, 4)],
      [2, undefined, segment(2, 4), segment(2, 6)],
    ],
  )
  assert.deepEqual(
    gaps.map(({ first, cause }) => [first, cause]),
    [[segment(1, 5), 'other-timeline']],
  )
})

test('a backup of a cluster that was shut down needs no WAL and opens no window', () => {
  const offline = { ...FIRST, archiveStart: undefined, archiveStop: undefined }

  assert.deepEqual(findWindows({ ...QUESTION, backups: [offline] }).backups, [])
})
