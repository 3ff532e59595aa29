/** Several things done at the same time. */
import { type AppError, asAppError } from './error.ts'

interface Acting<T, R> {
  readonly limit: number
  readonly act: (item: T, signal: AbortSignal) => Promise<R>
}

/** At most `limit` at the same time, results in order. The first failure ends the others, and is thrown when they have ended. */
export async function atOnce<T, R>(
  signal: AbortSignal,
  items: readonly T[],
  { limit, act }: Acting<T, R>,
): Promise<readonly R[]> {
  const failing = new AbortController()
  const either = AbortSignal.any([signal, failing.signal])
  const results = new Map<number, R>()
  const waiting = [...items.entries()]
  let failure: AppError | undefined
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, item] = next
      try {
        results.set(index, await act(item, either))
      } catch (error) {
        failure ??= asAppError(error)
        waiting.length = 0
        failing.abort()
      }
    }
  }
  await Promise.all(Array.from({ length: limit }, work))
  signal.throwIfAborted()
  if (failure !== undefined) throw failure
  return [...results.entries()].toSorted(([left], [right]) => left - right).map(([, made]) => made)
}
