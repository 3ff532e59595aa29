import { getSystemErrorMessage } from 'node:util'
import { AppError, type ErrorKind, errnoOf } from '../base/error.ts'

/** `unable to open file '/a/b': [13] permission denied`, from a Node system error. Other errors pass unchanged. */
export function systemError(kind: ErrorKind, doing: string, cause: unknown): unknown {
  if (cause instanceof AppError || errnoOf(cause) === undefined) return cause
  if (!(cause instanceof Error && 'errno' in cause && typeof cause.errno === 'number')) return cause
  const reason = getSystemErrorMessage(cause.errno)
  return new AppError(kind, `${doing}: [${-cause.errno}] ${reason}`, { cause })
}

/** The result of `call`; a system error becomes an AppError of `kind` whose message starts with `doing`. */
export async function attempt<T>(
  kind: ErrorKind,
  doing: string,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw systemError(kind, doing, error)
  }
}
