/** The job module of worker.test.ts. */
import { setTimeout as startTimer } from 'node:timers'
import { setTimeout } from 'node:timers/promises'
import { parentPort } from 'node:worker_threads'
import { AppError } from '../base/error.ts'
import type { Did } from './message.ts'

export async function openJobs(
  setup: unknown,
  did: Did,
): Promise<(job: unknown) => Promise<unknown>> {
  await setTimeout(1)
  const base = numberIn(setup, 'base')
  if (base === undefined) throw new AppError('option-invalid', 'base is not a number')
  return async (job) => await (JOBS[nameOf(job)] ?? unknownJob)(job, base, did)
}

type DoJob = (job: unknown, base: number, did: Did) => Promise<unknown>

const JOBS: Readonly<Record<string, DoJob>> = {
  add: async (job, base) => await Promise.resolve(base + (numberIn(job, 'value') ?? 0)),
  wait: async (job) => {
    await setTimeout(numberIn(job, 'ms'))
    return numberIn(job, 'value')
  },
  tell: async (job, _base, did) => {
    const bytes = numberIn(job, 'value') ?? 0
    for (let part = 0; part < 4; part += 1) did(bytes / 4)
    await setTimeout(50)
    return bytes
  },
  hurry: async (_job, _base, did) => {
    for (;;) {
      did(1024 * 1024)
      await Promise.resolve()
    }
  },
  spin: () => {
    for (;;);
  },
  fail: async () => {
    const hint = ['first', 'second']
    return await Promise.reject(new AppError('checksum', "page of 'base/1/2' is wrong", { hint }))
  },
  'fail-foreign': async () => await Promise.reject(new Error('not on purpose')),
  exit: async () => {
    parentPort?.close()
    await new Promise<never>(() => undefined)
  },
  'throw-later': async () => {
    startTimer(() => {
      throw new Error('outside of any job')
    }, 1)
    await setTimeout(1000)
  },
  'answer-nonsense': async () => await Promise.resolve({ no: 'number' }),
}

async function unknownJob(): Promise<never> {
  return await Promise.reject(new AppError('assert', 'unknown job'))
}

function nameOf(job: unknown): string {
  return typeof job === 'object' && job !== null && 'do' in job ? String(job.do) : ''
}

function numberIn(value: unknown, name: string): number | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const found: unknown = Object.entries(value).find(([key]) => key === name)?.[1]
  return typeof found === 'number' ? found : undefined
}
