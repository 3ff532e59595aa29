/** Ending a program as a power cut would, at moments spread over all it does, in a way that can be repeated. */
import { once } from 'node:events'
import { randomInt } from 'node:crypto'
import { launcher, spawnAs } from '../harness/run.ts'

/** Killed processes would leave half-written coverage files; and what is killed here is the build. */
const PLAIN = { NODE_V8_COVERAGE: '' } as const

/** The same seed gives the same moments: set KILL_SEED to a seed that a failed test printed. */
export function chooseSeed(): number {
  return Number(process.env['KILL_SEED'] ?? randomInt(2 ** 31))
}

/** Numbers from 0 to 1 (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) % 2 ** 32
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Outcome {
  /** Null when it was killed before it ended. */
  readonly code: number | null
  readonly durationMs: number
  readonly output: string
}

/** Runs pgsurety and kills it, with everything it is doing, after `killAfterMs` unless it has ended before. */
export async function runAndKill(argv: readonly string[], killAfterMs: number): Promise<Outcome> {
  const startMs = performance.now()
  const child = spawnAs([launcher(), ...argv], { env: PLAIN })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs)
  await once(child, 'close')
  clearTimeout(timer)
  return { code: child.exitCode, durationMs: performance.now() - startMs, output }
}

/** Moments to kill at, spread evenly over a little more than the time that undisturbed runs take. */
export class KillMoments {
  readonly #random: () => number
  #typicalMs = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  nextMs(): number {
    return this.#random() * 1.2 * this.#typicalMs
  }

  /** The machine may become slower or faster: a run that ended by itself tells, the first ones before any kill. */
  learn({ code, durationMs }: Outcome): void {
    if (code === null) return
    this.#typicalMs = Math.max(durationMs, (this.#typicalMs + durationMs) / 2)
  }
}

/** Does something for each number below `count`, in `lanes` at once. */
export async function inLanes(
  { count, lanes }: { readonly count: number; readonly lanes: number },
  body: (index: number, lane: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const work = async (lane: number): Promise<void> => {
    while (next < count) {
      next += 1
      await body(next - 1, lane)
    }
  }
  await Promise.all(Array.from({ length: lanes }, async (_, lane) => await work(lane)))
}
