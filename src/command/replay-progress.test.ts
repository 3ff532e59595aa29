import assert from 'node:assert/strict'
import { test } from 'node:test'
import { continued, type Replay } from './replay-progress.ts'

const replay: Replay = {
  firstLsn: '1000',
  endLsn: '5000',
  atLsn: '2000',
  startMs: 0,
  askedMs: 60_000,
  shownMs: 60_000,
}
const asked = { lsn: 3000n, segmentSizeBytes: 1000, nowMs: 61_000 }

test('the next segment, or the same again, goes on with the recovery', () => {
  assert.equal(continued(replay, asked), replay)
  assert.equal(continued(replay, { ...asked, lsn: 2000n }), replay)
})

test('an earlier segment, one past the known end, or a long silence begins anew', () => {
  assert.equal(continued(replay, { ...asked, lsn: 1000n }), undefined)
  assert.equal(continued(replay, { ...asked, lsn: 5000n }), undefined)
  assert.equal(continued(replay, { ...asked, nowMs: 60_000 + 601_000 }), undefined)
  assert.equal(continued(undefined, asked), undefined)
})
