import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { atOnce } from './at-once.ts'

const { signal: never } = new AbortController()

test('no more than the limit are at work, and results keep their order', async () => {
  let atWork = 0
  let most = 0
  const results = await atOnce(never, [30, 1, 20, 2], {
    limit: 2,
    act: async (ms) => {
      atWork += 1
      most = Math.max(most, atWork)
      await setTimeout(ms)
      atWork -= 1
      return ms
    },
  })

  assert.deepEqual(results, [30, 1, 20, 2])
  assert.equal(most, 2)
})

test('the first failure ends the others, begins no more, and is thrown when they have ended', async () => {
  const ended: string[] = []
  const running = atOnce(never, ['slow', 'bad', 'never begun'], {
    limit: 2,
    act: async (name, signal) => {
      if (name === 'bad') throw new Error('no')
      await setTimeout(60_000, undefined, { signal }).catch(() => undefined)
      ended.push(name)
    },
  })

  await assert.rejects(running, /no/)
  assert.deepEqual(ended, ['slow'])
})
