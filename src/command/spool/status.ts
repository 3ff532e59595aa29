/** What a status file of the spool says: the answer of a background process to the command that waits for it (pgBackRest 2.60). */
import { AppError, ERROR_EXIT_CODES, type ErrorKind } from '../../base/error.ts'

/** `.ok` or `.error`. */
export type StatusKind = 'ok' | 'error'

export interface Status {
  /** 0 for a warning. */
  readonly code: number
  readonly text: string
}

/** Empty when there is nothing to say, else the code, LF, and the text. */
export function renderStatus(status: Status | undefined): string {
  return status === undefined ? '' : `${status.code}\n${status.text}`
}

/** Undefined for the empty text. Throws `format`, naming the file. */
export function parseStatus(text: string, fileName: string): Status | undefined {
  if (text === '') return undefined
  const lineEnd = text.indexOf('\n')
  if (lineEnd === -1) {
    throw new AppError('format', `${fileName} content must have at least two lines`)
  }
  const code = text.slice(0, lineEnd)
  const message = text.slice(lineEnd + 1).trim()
  if (!/^\d{1,3}$/.test(code)) throw new AppError('format', `${fileName} must begin with a number`)
  if (message === '') throw new AppError('format', `${fileName} message must be > 0`)
  return { code: Number(code), text: message }
}

/** The error that a background process met. Its hints are lines of the message. */
export function errorOfStatus({ code, text }: Status): AppError {
  const kind = ERROR_KINDS.find((candidate) => ERROR_EXIT_CODES[candidate] === code)
  return new AppError(kind ?? 'unknown', text)
}

const ERROR_KINDS: readonly ErrorKind[] = Object.keys(ERROR_EXIT_CODES).filter(isKind)

function isKind(text: string): text is ErrorKind {
  return Object.hasOwn(ERROR_EXIT_CODES, text)
}
