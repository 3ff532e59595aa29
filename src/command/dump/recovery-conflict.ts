/** What a standby says when it ends a session that stood in the way of what the primary did. Pure. */
import { AppError, asAppError } from '../../base/error.ts'

const CONFLICT = /conflict with recovery/

/** The same error, with what to do about it when a standby had to choose between the dump and its primary. */
export function explainConflict(error: unknown): unknown {
  const { kind, message, hints } = asAppError(error)
  if (!CONFLICT.test(message)) return error
  return new AppError(kind, message, {
    hint: [
      ...hints,
      'The standby gave way to its primary: set max_standby_streaming_delay there to more than a dump takes (-1: no limit),',
      'or hot_standby_feedback = on, with which the primary keeps what the dump still reads; or dump from the primary.',
    ],
    cause: error,
  })
}
