/** Small jobs bundled into one message to a worker, and done several at a time there. */
import { MIB } from '../base/units.ts'

/** Jobs in one message at most: few enough that the last worker is not left alone with many. */
const BATCH_JOBS_MAX = 64
/** Bytes of one batch at most, a single larger job excepted. */
const BATCH_BYTES_MAX = 4 * MIB
/** How many of a batch wait for the disk at once. More than that gains nothing: ext4 commits them together. */
const UNDER_WAY_MAX = 16

/**
 * The jobs in their order, large ones alone. Every fsync of a small file waits for a commit; together they share it. Jobs
 * are drawn as batches are asked for: a cluster has more files than fit in memory twice.
 */
export function* batchesOf<Job extends { readonly sizeBytes: number }>(
  jobs: Iterable<Job>,
): Generator<readonly Job[], void, undefined> {
  let batch: Job[] = []
  let bytes = 0
  for (const job of jobs) {
    if (
      batch.length > 0 &&
      (batch.length === BATCH_JOBS_MAX || bytes + job.sizeBytes > BATCH_BYTES_MAX)
    ) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(job)
    bytes += job.sizeBytes
  }
  if (batch.length > 0) yield batch
}

/**
 * Does `work` for every item, several at a time, begun in the items' order; results in that order. After a failure nothing
 * more is begun, and it is thrown when nothing is under way any more.
 */
export async function together<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  const pending = items.entries()
  const failing = new AbortController()
  const lane = async (): Promise<void> => {
    for (const [index, item] of pending) {
      if (failing.signal.aborted) return
      try {
        results[index] = await work(item)
      } catch (error) {
        failing.abort(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(UNDER_WAY_MAX, items.length) }, lane))
  failing.signal.throwIfAborted()
  return results
}
