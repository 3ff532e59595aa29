import assert from 'node:assert/strict'
import { type CopySetup, type CopyTask, copyTasks } from '../../src/command/backup/copy-job.ts'
import type { Context } from '../../src/command/command.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { Pool, PoolOptions } from '../../src/worker/worker.ts'

/** In place of worker threads, which cannot be handed an open storage: copies for a backup, one task after the other, to `storage`. */
export function poolHere(storage: Storage): Context['openPool'] {
  return async <Job, Result>({ setup, parse }: PoolOptions<Result>): Promise<Pool<Job, Result>> => {
    assert(isCopySetup(setup))
    const copy = copyTasks(storage, setup)
    return {
      async *run(jobs, signal) {
        for await (const job of jobs) {
          signal?.throwIfAborted()
          assert(isTask(job))
          yield { job, result: parse(await copy(job)) }
        }
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
  }
}

function isCopySetup(value: unknown): value is CopySetup {
  return typeof value === 'object' && value !== null && 'pageSizeBytes' in value
}

function isTask(value: unknown): value is CopyTask {
  return typeof value === 'object' && value !== null && 'jobs' in value && 'bundle' in value
}
