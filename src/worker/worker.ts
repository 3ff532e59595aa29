/**
 * A pool of worker threads for the work that costs processor time: hash, compress, encrypt, copy.
 *
 * A thread loads a job module, opens what it needs once, and does one job at a time. Jobs and results are plain data. Not
 * for: the session with PostgreSQL, locks, or anything else there is only one of.
 */
import { Worker } from 'node:worker_threads'
import { systemClock } from '../base/clock.ts'
import { assertThat, AppError, asAppError } from '../base/error.ts'
import {
  END_MESSAGE,
  type JobMessage,
  parseThreadMessage,
  rebuildError,
  type ThreadMessage,
  type ThreadSetup,
} from './message.ts'

export interface PoolOptions<Result> {
  /** From `workerUrl`. Exports `openJobs` (worker/message.ts). */
  readonly jobModule: URL
  readonly threads: number
  /** Given once to each thread; structured-cloneable. */
  readonly setup: unknown
  /** Proves that what a thread answered is a result. */
  readonly parse: (value: unknown) => Result
}

/** Disposing ends the threads, in the middle of a job if need be. */
export interface Pool<Job, Result> extends AsyncDisposable {
  /** How much of the jobs that have no result yet is done, as far as they tell. */
  readonly underWayBytes: number
  /**
   * Does the jobs, structured-cloneable, in any order; results come as they are ready. Of `jobs` one more is drawn than threads
   * are at. A job that throws ends the run with its AppError, a thread that dies with `runtime`, an abort with the signal's
   * reason. A run that ends before its last result, however, also ends the pool. One run at a time. `onProgress` is called
   * when a job that takes long has told that it is further: see `underWayBytes`.
   */
  run(
    jobs: Iterable<Job> | AsyncIterable<Job>,
    signal?: AbortSignal,
    onProgress?: () => void,
  ): AsyncGenerator<{ job: Job; result: Result }, void, undefined>
}

/** More than this gain little, and take the processors from the database. */
const THREADS_MAX = 4

/** How many threads copy files when nobody says. Pure. */
export function threadsFor(processors: number): number {
  return Math.max(1, Math.min(processors, THREADS_MAX))
}

/** Threads work in buffers, which are not on the heap; a heap that outgrows this is a leak. */
const THREAD_HEAP_MIB_MAX = 64

/**
 * Where a thread's code is: in the sources at `source`, in the built program at `<name>.js` beside every other file, as
 * scripts/build.ts puts it.
 */
export function workerUrl(name: string, source: URL): URL {
  return import.meta.url.endsWith('.ts') ? source : new URL(`./${name}.js`, import.meta.url)
}

/** Resolves when every thread is ready; throws what `openJobs` threw in one of them. */
export async function openPool<Job, Result>(
  options: PoolOptions<Result>,
): Promise<Pool<Job, Result>> {
  assertThat(options.threads >= 1, 'a pool has at least one thread')
  const pool = new ThreadPool<Job, Result>(options)
  try {
    await pool.ready()
  } catch (error) {
    await pool[Symbol.asyncDispose]()
    throw error
  }
  return pool
}

/** How long a thread may take to end by itself. */
const END_PATIENCE_MS = 2000

interface Thread {
  readonly worker: Worker
  readonly ended: Promise<void>
  state: 'free' | 'at work'
}

/**
 * Lets a thread end by itself, between two steps of its work. When it is ended from here in the middle of one, it may take
 * the whole program with it: Node 24 aborts when a zlib stream has been made but not set up yet.
 */
async function endThread({ worker, ended }: Thread): Promise<void> {
  worker.postMessage(END_MESSAGE, [])
  const inTime = new AbortController()
  const terminate = async (): Promise<void> => {
    await systemClock.sleep(END_PATIENCE_MS, inTime.signal)
    await worker.terminate()
  }
  // Stopping the wait is what rejects it.
  terminate().catch(() => undefined)
  await ended
  inTime.abort()
}

type PoolEvent<Job> =
  | { readonly kind: 'ready' }
  | { readonly kind: 'drawn'; readonly next: IteratorResult<Job, void> }
  | { readonly kind: 'done'; readonly thread: Thread; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }

class ThreadPool<Job, Result> implements Pool<Job, Result> {
  readonly #parse: (value: unknown) => Result
  readonly #threads: readonly Thread[]
  readonly #events = new EventQueue<PoolEvent<Job>>()
  #onProgress: (() => void) | undefined
  /** By job. */
  readonly #doneBytes = new Map<number, number>()
  readonly #ending = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  #state: 'idle' | 'running' | 'closed' = 'idle'
  #lastId = 0

  constructor({ jobModule, threads, setup, parse }: PoolOptions<Result>) {
    this.#parse = parse
    const workerData: ThreadSetup = { ending: this.#ending, jobModule: jobModule.href, setup }
    this.#threads = Array.from({ length: threads }, () => this.#start(workerData))
  }

  get underWayBytes(): number {
    return this.#doneBytes.values().reduce((sum, bytes) => sum + bytes, 0)
  }

  async ready(): Promise<void> {
    for (let count = 0; count < this.#threads.length; count += 1) {
      const event = await this.#events.next()
      if (event.kind === 'failed') throw event.error
    }
  }

  async *run(
    jobs: Iterable<Job> | AsyncIterable<Job>,
    signal?: AbortSignal,
    onProgress?: () => void,
  ): AsyncGenerator<{ job: Job; result: Result }, void, undefined> {
    assertThat(
      this.#state === 'idle',
      'a pool does one run at a time, and none after one that failed',
    )
    this.#state = 'running'
    this.#onProgress = onProgress
    const source = each(jobs)
    const abort = (): void => {
      this.#events.push({ kind: 'failed', error: signal?.reason })
    }
    signal?.addEventListener('abort', abort, { once: true })
    try {
      yield* this.#perform(source, signal)
      this.#state = 'idle'
    } finally {
      signal?.removeEventListener('abort', abort)
      if (this.#state !== 'idle') await this[Symbol.asyncDispose]()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#state = 'closed'
    Atomics.store(this.#ending, 0, 1)
    await Promise.all(this.#threads.map(endThread))
  }

  async *#perform(
    source: AsyncGenerator<Job, void, undefined>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ job: Job; result: Result }, void, undefined> {
    const underWay = new Map<number, Job>()
    // Waits here and not at a thread: whichever is free first gets it, and none waits for us between two jobs.
    const waiting: Job[] = []
    let draw: 'wanted' | 'under way' | 'exhausted' = 'wanted'
    try {
      while (draw !== 'exhausted' || underWay.size > 0) {
        signal?.throwIfAborted()
        if (draw === 'wanted' && waiting.length === 0) {
          draw = 'under way'
          void this.#draw(source)
        }
        const event = await this.#events.next()
        if (event.kind === 'failed') throw event.error
        if (event.kind === 'drawn') {
          draw = event.next.done === true ? 'exhausted' : 'wanted'
          waiting.push(...drawnJobs(event.next))
        }
        const settled = event.kind === 'done' ? this.#settle(event, underWay) : undefined
        this.#sendOne(waiting, underWay)
        if (settled !== undefined) yield settled
      }
    } finally {
      const returned = source.return()
      // A source that is waiting for something can return only after that; an aborted run does not wait for it.
      if (draw === 'under way') returned.catch(() => undefined)
      else await returned
    }
  }

  /** Asks the source for one job; the answer comes as an event, so that results need not wait for it. */
  async #draw(source: AsyncGenerator<Job, void, undefined>): Promise<void> {
    try {
      this.#events.push({ kind: 'drawn', next: await source.next() })
    } catch (error) {
      this.#events.push({ kind: 'failed', error })
    }
  }

  /** Gives the waiting job to a free thread, if there are both. */
  #sendOne(waiting: Job[], underWay: Map<number, Job>): void {
    const thread = this.#threads.find(({ state }) => state === 'free')
    const job = thread === undefined ? undefined : waiting.shift()
    if (thread === undefined || job === undefined) return
    this.#lastId += 1
    const message: JobMessage = { id: this.#lastId, job }
    thread.worker.postMessage(message, [])
    thread.state = 'at work'
    underWay.set(message.id, job)
  }

  #settle(
    { thread, id, value }: Extract<PoolEvent<Job>, { kind: 'done' }>,
    underWay: Map<number, Job>,
  ): { job: Job; result: Result } {
    const job = underWay.get(id)
    assertThat(job !== undefined, 'a thread answers each job once')
    underWay.delete(id)
    this.#doneBytes.delete(id)
    thread.state = 'free'
    return { job, result: this.#parse(value) }
  }

  #start(workerData: ThreadSetup): Thread {
    const worker = new Worker(workerUrl('thread', new URL('./thread.ts', import.meta.url)), {
      workerData,
      resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MIB_MAX },
    })
    const ended = Promise.withResolvers<void>()
    const thread: Thread = { worker, ended: ended.promise, state: 'free' }
    const died = (message: string, cause: unknown): void => {
      this.#events.push({ kind: 'failed', error: new AppError('runtime', message, { cause }) })
    }
    worker.on('message', (value: unknown) => {
      const message = parseThreadMessage(value)
      if (message.kind === 'progress') {
        this.#doneBytes.set(message.id, message.doneBytes)
        this.#onProgress?.()
      } else {
        this.#events.push(toEvent(thread, message))
      }
    })
    worker.on('error', (cause) => {
      died(`worker thread failed: ${asAppError(cause).message}`, cause)
    })
    worker.on('exit', (code) => {
      ended.resolve()
      died(`worker thread ended unexpectedly with code ${code}`, undefined)
    })
    return thread
  }
}

function toEvent(
  thread: Thread,
  message: Exclude<ThreadMessage, { kind: 'progress' }>,
): PoolEvent<never> {
  switch (message.kind) {
    case 'ready':
      return message
    case 'done':
      return { kind: 'done', thread, id: message.id, value: message.result }
    case 'failed':
      return { kind: 'failed', error: rebuildError(message.error) }
  }
}

function drawnJobs<Job>(next: IteratorResult<Job, void>): readonly Job[] {
  return next.done === true ? [] : [next.value]
}

/** `yield*` draws from either kind of iterable, and hands on an early return. */
async function* each<Job>(
  jobs: Iterable<Job> | AsyncIterable<Job>,
): AsyncGenerator<Job, void, undefined> {
  yield* jobs
}

class EventQueue<Event> {
  readonly #events: Event[] = []
  #wake: (() => void) | undefined

  push(event: Event): void {
    this.#events.push(event)
    this.#wake?.()
  }

  /** The oldest event not taken yet; waits for one. For one taker. */
  async next(): Promise<Event> {
    for (;;) {
      const event = this.#events.shift()
      if (event !== undefined) return event
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
  }
}
