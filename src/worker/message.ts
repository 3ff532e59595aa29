/** What the pool and its threads say to each other. Both ends parse: a thread loads a module chosen at run time. */
import { AppError, asAppError, ERROR_EXIT_CODES, type ErrorKind } from '../base/error.ts'

/**
 * What a job module exports as `openJobs`: called once in each thread, gives the function that does one job. That may tell
 * `did` of every few bytes it has got done, for the display.
 */
export type OpenJobs = (setup: unknown, did: Did) => Promise<(job: unknown) => Promise<unknown>>

export type Did = (bytes: number) => void

export interface ThreadSetup {
  /** Shared: 0, or 1 from when the threads are to end, in the middle of a job if need be. */
  readonly ending: Int32Array
  readonly jobModule: string
  readonly setup: unknown
}

export interface JobMessage {
  readonly id: number
  readonly job: unknown
}

export type ThreadMessage =
  | { readonly kind: 'ready' }
  /** How many bytes of a job are done, as it told. */
  | { readonly kind: 'progress'; readonly id: number; readonly doneBytes: number }
  | { readonly kind: 'done'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failed'; readonly error: FlatError }

/** An error as structured-cloneable data: an AppError loses its class and kind on the way between threads. */
export interface FlatError {
  readonly kind: ErrorKind
  readonly message: string
  readonly hints: readonly string[]
  /** Where a foreign error came from; undefined for an AppError. */
  readonly stack: string | undefined
}

export function flattenError(thrown: unknown): FlatError {
  const { kind, message, hints } = asAppError(thrown)
  const foreign = thrown instanceof Error && !(thrown instanceof AppError)
  return { kind, message, hints, stack: foreign ? thrown.stack : undefined }
}

export function rebuildError({ kind, message, hints, stack }: FlatError): AppError {
  return new AppError(kind, message, { hint: hints, cause: stack })
}

export function parseThreadSetup(value: unknown): ThreadSetup {
  if (isRecord(value) && typeof value['jobModule'] === 'string') {
    const { ending, jobModule, setup } = value
    if (ending instanceof Int32Array) return { ending, jobModule, setup }
  }
  throw new AppError('assert', 'invalid set-up for a worker thread')
}

/** Sent in place of a job, to wake a thread that waits when it is to end. */
export const END_MESSAGE = 'end'

export function parseJobMessage(value: unknown): JobMessage {
  if (isRecord(value) && typeof value['id'] === 'number') {
    return { id: value['id'], job: value['job'] }
  }
  throw new AppError('assert', 'invalid job for a worker thread')
}

export function parseThreadMessage(value: unknown): ThreadMessage {
  if (isRecord(value)) {
    if (value['kind'] === 'ready') return { kind: 'ready' }
    if (value['kind'] === 'done' && typeof value['id'] === 'number') {
      return { kind: 'done', id: value['id'], result: value['result'] }
    }
    if (
      value['kind'] === 'progress' &&
      typeof value['id'] === 'number' &&
      typeof value['doneBytes'] === 'number'
    ) {
      return { kind: 'progress', id: value['id'], doneBytes: value['doneBytes'] }
    }
    if (value['kind'] === 'failed' && isFlatError(value['error'])) {
      return { kind: 'failed', error: value['error'] }
    }
  }
  throw new AppError('assert', 'invalid answer from a worker thread')
}

function isFlatError(value: unknown): value is FlatError {
  return (
    isRecord(value) &&
    typeof value['kind'] === 'string' &&
    value['kind'] in ERROR_EXIT_CODES &&
    typeof value['message'] === 'string' &&
    Array.isArray(value['hints'])
  )
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
