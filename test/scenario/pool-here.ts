import type { Context } from '../../src/command/command.ts'
import type { OpenStorage } from '../../src/storage/open.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { Did } from '../../src/worker/message.ts'
import type { Pool, PoolOptions } from '../../src/worker/worker.ts'

/** What a job module exports; see worker/message.ts. */
type OpenJobs = (
  setup: unknown,
  did: Did,
  open: OpenStorage,
) => Promise<(job: unknown) => Promise<unknown>>

/** In place of worker threads, which cannot be handed an open storage: does their jobs, one after the other, on `storage`. */
export function poolHere(storage: Storage): Context['openPool'] {
  return async <Job, Result>(options: PoolOptions<Result>): Promise<Pool<Job, Result>> => {
    const { openJobs }: { openJobs: OpenJobs } = await import(options.jobModule.href)
    const doJob = await openJobs(
      options.setup,
      () => undefined,
      () => storage,
    )
    return {
      underWayBytes: 0,
      async *run(jobs, signal) {
        for await (const job of jobs) {
          signal?.throwIfAborted()
          yield { job, result: options.parse(await doJob(job)) }
        }
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
  }
}
