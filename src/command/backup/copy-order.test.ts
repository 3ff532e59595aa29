import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newFile } from '../../format/manifest.ts'
import { tasksInTime } from './copy-order.ts'

/** The listing was made at 100.4 s, so that everything may be read from 101 s on. */
const COPY_START_S = 101
const COPY_FROM_MS = 101_000

interface Given {
  /** Time stamp of each file; each inner list is a bundle. */
  readonly bundles: readonly (readonly number[])[]
  readonly nowMs: number
  readonly backupStandby?: boolean
}

/** When each task was given away, by its first file's time stamp. */
async function order({ bundles, nowMs, backupStandby = false }: Given): Promise<string[]> {
  let now = nowMs
  const clock = {
    nowMs: () => now,
    sleep: async (ms: number) => {
      now += ms
    },
  }
  const files = bundles.flatMap((stamps, bundle) =>
    stamps.map((timestampS, at) =>
      newFile({
        name: `${bundle}/${at}`,
        sizeBytes: 1,
        timestampS,
        user: 'u',
        group: 'g',
        mode: 0,
      }),
    ),
  )
  const plan = {
    tasks: bundles.map((stamps, bundle) => ({
      jobs: stamps.map((_, at) => ({ name: `${bundle}/${at}` })),
    })),
    draft: { copyStartS: COPY_START_S, options: { backupStandby } },
    work: new Map(files.map((file) => [file.name, { file }])),
  }
  const given: string[] = []
  const signal = new AbortController().signal
  for await (const { jobs } of tasksInTime(plan, { clock, signal, copyFromMs: COPY_FROM_MS })) {
    given.push(`${jobs[0]?.name.split('/')[0]} at ${now}`)
  }
  return given
}

test('a file is read at once when its second is over, else in the second after the listing', async () => {
  assert.deepEqual(await order({ bundles: [[100], [99], [50]], nowMs: 100_400 }), [
    '1 at 100400',
    '2 at 100400',
    '0 at 101000',
  ])
})

test('while the clock of time stamps may still be in the second before, that one is not over', async () => {
  assert.deepEqual(await order({ bundles: [[99], [98]], nowMs: 99_995 }), [
    '1 at 99995',
    '0 at 101000',
  ])
})

test('the newest file of a bundle decides, and a file from the future is read with the last', async () => {
  assert.deepEqual(await order({ bundles: [[1, 2, 100], [7_000], [3]], nowMs: 100_400 }), [
    '2 at 100400',
    '0 at 101000',
    '1 at 101000',
  ])
})

test('from the second after the listing on, and when so many wait, nothing is put back', async () => {
  assert.deepEqual(await order({ bundles: [[100], [99]], nowMs: 101_000 }), [
    '0 at 101000',
    '1 at 101000',
  ])
  const many = await order({ bundles: Array.from({ length: 1500 }, () => [100]), nowMs: 100_400 })
  assert.deepEqual(
    many,
    Array.from({ length: 1500 }, (_, at) => `${at} at 101000`),
  )
})

test('with a standby, whose files are others than those listed, everything waits', async () => {
  assert.deepEqual(await order({ bundles: [[5]], nowMs: 100_400, backupStandby: true }), [
    '0 at 101000',
  ])
})
