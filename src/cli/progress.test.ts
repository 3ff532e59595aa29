import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { single } from '../pipe/pipe.ts'
import type { Program } from './cli.ts'
import { openProgress, type ProgressDisplay, progressText } from './progress.ts'

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

function display(columns: number): {
  readonly shown: ProgressDisplay
  readonly program: Program
  readonly written: readonly string[]
  readonly at: (second: number) => void
} {
  let nowMs = 0
  const clock: Clock = { nowMs: () => nowMs, sleep: async () => undefined }
  const written: string[] = []
  const program: Program = {
    argv: [],
    env: {},
    writeOut: (text) => {
      written.push(text)
    },
    writeError: (text) => {
      written.push(text)
    },
    writeBytes: async () => undefined,
    input: () => single(Buffer.alloc(0)),
  }
  const shown = openProgress(program, clock, () => columns)
  return {
    shown,
    program,
    written,
    at: (second) => {
      nowMs = second * 1000
      shown.show({ step: 'backup', doneBytes: second * 1024, totalBytes: 24 * 1024 })
    },
  }
}

test('without a terminal there is a plain line every ten seconds, and none for a short step', () => {
  const { shown, written, at } = display(0)
  for (const second of [0, 5, 9, 12, 15, 21]) at(second)
  shown.show(undefined)

  // Due at 10 and at 20, however late the first one was.
  assert.deepEqual(written, [
    'backup 50% 12KB of 24KB, 1KB/s, 12.0s left\n',
    'backup 87% 21KB of 24KB, 1KB/s, 3.0s left\n',
  ])
})

test('on a terminal a line is drawn over and never wraps, and what else is written takes its place', () => {
  const { shown, program, written, at } = display(50)
  const log = shown.beside(program)
  for (const second of [0, 12]) at(second)
  log.writeOut('a line of the log\n')
  log.writeError('another\n')
  at(13)
  shown.show(undefined)

  const erased = '\r\u001B[K'
  assert.deepEqual(written, [
    `${erased}[############            ] backup 50% 12KB of 24K`,
    erased,
    'a line of the log\n',
    'another\n',
    `${erased}[############            ] backup 54% 13KB of 24K`,
    erased,
  ])
})
