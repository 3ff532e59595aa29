import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { AppError } from '../base/error.ts'
import { openPool, type Pool, type PoolOptions, workerUrl } from './worker.ts'

/** What the threads of these tests do with a job; see `openJobs` below, which runs in them. */
type Job =
  | { readonly do: 'add'; readonly value: number }
  | { readonly do: 'tell'; readonly value: number }
  | { readonly do: 'wait'; readonly ms: number; readonly value: number }
  | {
      readonly do:
        | 'hurry'
        | 'spin'
        | 'fail'
        | 'fail-foreign'
        | 'exit'
        | 'throw-later'
        | 'answer-nonsense'
    }

const options: PoolOptions<number> = {
  jobModule: new URL('./worker.fixture.ts', import.meta.url),
  threads: 2,
  setup: { base: 100 },
  parse: (value) => {
    if (typeof value === 'number') return value
    throw new AppError('protocol', 'not a number')
  },
}

const open = async (changes: Partial<PoolOptions<number>> = {}): Promise<Pool<Job, number>> =>
  await openPool<Job, number>({ ...options, ...changes })

async function results(pool: Pool<Job, number>, jobs: Iterable<Job>): Promise<number[]> {
  const all: number[] = []
  for await (const { result } of pool.run(jobs)) all.push(result)
  return all
}

const adding = (count: number): Job[] =>
  Array.from({ length: count }, (_, value) => ({ do: 'add', value }))

async function* broken(): AsyncGenerator<Job> {
  yield { do: 'add', value: 1 }
  throw new AppError('file-read', 'unable to read the list')
}

async function* stuck(): AsyncGenerator<Job> {
  yield { do: 'add', value: 1 }
  await new Promise<never>(() => undefined)
}

test('every job is done once and its result comes with it', async () => {
  await using pool = await open({ threads: 3 })
  const seen: [Job, number][] = []

  for await (const { job, result } of pool.run(adding(50))) seen.push([job, result])

  const values = seen.map(([, result]) => result).toSorted((left, right) => left - right)
  assert.deepEqual(
    values,
    Array.from({ length: 50 }, (_, value) => 100 + value),
  )
  assert.ok(seen.every(([job, result]) => job.do === 'add' && job.value === result - 100))
})

test('one thread is enough, and a pool can be used again and for nothing', async () => {
  await using pool = await open({ threads: 1 })

  assert.deepEqual(await results(pool, adding(3)), [100, 101, 102])
  assert.deepEqual(await results(pool, []), [])
  assert.deepEqual(await results(pool, adding(1)), [100])
})

test('results come as they are ready, not in the order of the jobs', async () => {
  await using pool = await open()

  const slowFirst: Job[] = [
    { do: 'wait', ms: 200, value: 1 },
    { do: 'wait', ms: 0, value: 2 },
  ]
  assert.deepEqual(await results(pool, slowFirst), [2, 1])
})

test('what long jobs tell of themselves can be shown before they are done, and counts no more afterwards', async () => {
  await using pool = await open()
  const shown: number[] = []
  const jobs: Job[] = [
    { do: 'tell', value: 100 * 1024 * 1024 },
    { do: 'tell', value: 1000 },
  ]
  const run = pool.run(jobs, undefined, () => {
    shown.push(pool.underWayBytes)
  })

  for await (const { result } of run) shown.push(result)

  const quarter = 25 * 1024 * 1024
  assert.deepEqual(
    shown.filter((bytes) => bytes !== 1000),
    [quarter, 2 * quarter, 3 * quarter, 4 * quarter, 4 * quarter],
  )
  assert.equal(pool.underWayBytes, 0)
})

test('results do not wait for a source that is slow to give the next job', async () => {
  await using pool = await open()
  const order: string[] = []
  async function* slowly(): AsyncGenerator<Job> {
    yield { do: 'add', value: 1 }
    await setTimeout(200)
    order.push('source goes on')
    yield { do: 'add', value: 2 }
  }

  for await (const { result } of pool.run(slowly())) order.push(`result ${result}`)

  assert.deepEqual(order, ['result 101', 'source goes on', 'result 102'])
})

test('a job waits for whichever thread is free first, not at one that has a long job', async () => {
  await using pool = await open()

  const longFirst: Job[] = [
    { do: 'wait', ms: 300, value: 1 },
    { do: 'wait', ms: 1, value: 2 },
    { do: 'wait', ms: 1, value: 3 },
    { do: 'wait', ms: 1, value: 4 },
  ]
  assert.deepEqual(await results(pool, longFirst), [2, 3, 4, 1])
})

test('no more jobs are drawn than threads are at, and one', async () => {
  await using pool = await open()
  let drawn = 0
  function* counted(): Generator<Job> {
    for (const job of adding(20)) {
      drawn += 1
      yield job
    }
  }

  const run = pool.run(counted())
  await run.next()

  assert.ok(drawn <= 4, `${drawn} jobs drawn for 1 result, 2 threads and 1 that waits`)
  await run.return()
})

test('an error keeps its kind, message and hints on the way out of the thread', async () => {
  await using pool = await open()

  await assert.rejects(results(pool, [...adding(5), { do: 'fail' }, ...adding(5)]), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.kind, 'checksum')
    assert.equal(error.text, "page of 'base/1/2' is wrong\nHINT: first\nHINT: second")
    return true
  })
})

test('a foreign error comes out unhandled, with where it came from', async () => {
  await using pool = await open()

  await assert.rejects(results(pool, [{ do: 'fail-foreign' }]), (error) => {
    assert.ok(error instanceof AppError)
    assert.equal(error.kind, 'unhandled')
    assert.equal(error.message, 'not on purpose')
    assert.match(String(error.cause), /worker\.fixture\.ts/)
    return true
  })
})

test('a thread that ends is a runtime error, not a wait for ever', async () => {
  await using exits = await open()
  await assert.rejects(results(exits, [{ do: 'exit' }, ...adding(5)]), {
    kind: 'runtime',
    message: 'worker thread ended unexpectedly with code 0',
  })

  await using throws = await open()
  await assert.rejects(results(throws, [{ do: 'throw-later' }, ...adding(5)]), {
    kind: 'runtime',
    message: 'worker thread failed: outside of any job',
  })
})

test('an answer that is no result ends the run', async () => {
  await using pool = await open()

  await assert.rejects(results(pool, [{ do: 'answer-nonsense' }]), { kind: 'protocol' })
})

test('a source that throws ends the run with its error', async () => {
  await using pool = await open()

  await assert.rejects(
    async () => {
      for await (const { result } of pool.run(broken())) assert.equal(result, 101)
    },
    { kind: 'file-read' },
  )
})

test('an abort ends a busy thread and the run with the reason', async () => {
  await using pool = await open()
  const controller = new AbortController()
  const reason = new AppError('term', 'terminated on signal')
  const run = pool.run([{ do: 'spin' }, { do: 'spin' }], controller.signal)

  const first = run.next()
  await setTimeout(50)
  controller.abort(reason)

  await assert.rejects(first, { kind: 'term' })
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
})

test('a job that never waits, but tells how far it is, ends at once', async () => {
  await using pool = await open({ threads: 1 })
  const controller = new AbortController()
  const reason = new AppError('term', 'terminated on signal')
  let abortedMs = 0
  const run = pool.run([{ do: 'hurry' }], controller.signal, () => {
    abortedMs = performance.now()
    controller.abort(reason)
  })

  await assert.rejects(run.next(), reason)

  // Threads that do not end by themselves are given more time than that.
  assert(performance.now() - abortedMs < 1500)
})

test('an abort before the start does no job and draws none', async () => {
  await using pool = await open()
  const signal = AbortSignal.abort(new AppError('term', 'terminated on signal'))
  let drawn = 0
  function* counted(): Generator<Job> {
    drawn += 1
    yield { do: 'add', value: 1 }
  }

  await assert.rejects(pool.run(counted(), signal).next(), { kind: 'term' })

  assert.equal(drawn, 0)
})

test('an abort does not wait for a source that never gives another job', async () => {
  await using pool = await open()
  const controller = new AbortController()
  const run = pool.run(stuck(), controller.signal)
  await run.next()

  const second = run.next()
  controller.abort(new AppError('term', 'terminated on signal'))

  await assert.rejects(second, { kind: 'term' })
})

test('an early return ends the source and the pool, busy threads included', async () => {
  const pool = await open()
  let sourceEnded = false
  function* jobs(): Generator<Job> {
    try {
      yield { do: 'add', value: 1 }
      yield { do: 'spin' }
      yield { do: 'spin' }
      yield* adding(100)
    } finally {
      sourceEnded = true
    }
  }

  for await (const { result } of pool.run(jobs())) {
    assert.equal(result, 101)
    break
  }

  assert.ok(sourceEnded)
  await assert.rejects(pool.run(adding(1)).next(), { kind: 'assert' })
})

test('what openJobs throws comes out of openPool', async () => {
  await assert.rejects(open({ setup: { base: 'not a number' } }), {
    kind: 'option-invalid',
    message: 'base is not a number',
  })
})

test('a module that is missing or exports no openJobs is an error of openPool', async () => {
  const missing = new URL('./no-such-module.ts', import.meta.url)
  const wrong = new URL('../base/units.ts', import.meta.url)

  await assert.rejects(open({ jobModule: missing }), { kind: 'unhandled' })
  await assert.rejects(open({ jobModule: wrong }), {
    kind: 'assert',
    message: /exports no openJobs/,
  })
})

test('in the sources a worker is its source file', () => {
  const source = new URL('./thread.ts', import.meta.url)

  assert.equal(workerUrl('thread', source), source)
})
