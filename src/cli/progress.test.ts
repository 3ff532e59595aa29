import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { openProgress, progressText } from './progress.ts'

test('a line tells how much is done, how fast, and how long it will take', () => {
  const state = { step: 'backup', doneBytes: 256 * 1024 ** 2, totalBytes: 1024 ** 3 }

  assert.equal(progressText(state, 4000), 'backup 25% 256MB of 1GB, 64MB/s, 12.0s left')
})

test('what is being done is told with its own share, and the rate is that of this step', () => {
  const part = { name: "'shop': public.orders", doneBytes: 50, totalBytes: 200 }
  const state = { step: 'dump', doneBytes: 3000, totalBytes: 5000, part }

  assert.equal(
    progressText(state, 1000, 1000),
    "dump 60% 2.9KB of 4.9KB, 2KB/s, 1.0s left; 'shop': public.orders 25% 50B of 200B",
  )
  const small = { ...state, part: { ...part, totalBytes: undefined } }
  assert.equal(progressText(small, 0), "dump 60% 2.9KB of 4.9KB; 'shop': public.orders")
})

test('before anything is done there is no rate to tell', () => {
  assert.equal(
    progressText({ step: 'restore', doneBytes: 0, totalBytes: 0 }, 0),
    'restore 100% 0B of 0B',
  )
})

test('without a terminal there is a plain line every ten seconds, and none for a short step', () => {
  let nowMs = 0
  const clock: Clock = { nowMs: () => nowMs, sleep: async () => undefined }
  const written: string[] = []
  const program = {
    argv: [],
    env: {},
    writeOut: () => undefined,
    writeError: (text: string) => {
      written.push(text)
    },
  }
  const { show } = openProgress(program, clock)

  for (const second of [0, 5, 9, 12, 15, 21]) {
    nowMs = second * 1000
    show({ step: 'backup', doneBytes: second * 1024, totalBytes: 24 * 1024 })
  }
  show(undefined)

  // Due at 10 and at 20, however late the first one was.
  assert.deepEqual(written, [
    'backup 50% 12KB of 24KB, 1KB/s, 12.0s left\n',
    'backup 87% 21KB of 24KB, 1KB/s, 3.0s left\n',
  ])
})
