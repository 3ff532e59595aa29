/**
 * The one error class and the one table of error kinds.
 *
 * Kinds and exit codes are pgBackRest's (2.60, `build/error.yaml`), so scripts that test its exit codes keep
 * working. Three situations never share a kind: the repository cannot be reached (`storage-unreachable`,
 * `host-connect`), the thing is not there (`file-missing`, `archive-missing`), the thing is there but wrong
 * (`checksum`, `format`, `crypto`).
 */

/** Error kind → process exit code (1..255). The codes are a promise: never renumber, never reuse. */
export const ERROR_EXIT_CODES = {
  assert: 25,
  checksum: 26,
  config: 27,
  'file-invalid': 28,
  format: 29,
  'command-required': 30,
  'option-invalid': 31,
  'option-invalid-value': 32,
  'option-required': 37,
  'pg-running': 38,
  protocol: 39,
  'path-not-empty': 40,
  'file-open': 41,
  'file-read': 42,
  'param-required': 43,
  'archive-mismatch': 44,
  'archive-duplicate': 45,
  'version-not-supported': 46,
  'path-create': 47,
  'command-invalid': 48,
  'host-connect': 49,
  'lock-acquire': 50,
  'backup-mismatch': 51,
  'file-sync': 52,
  'path-open': 53,
  'path-sync': 54,
  'file-missing': 55,
  'db-connect': 56,
  'db-query': 57,
  'db-mismatch': 58,
  'file-remove': 60,
  'path-remove': 61,
  stop: 62,
  term: 63,
  'file-write': 64,
  'feature-not-supported': 67,
  'archive-command-invalid': 68,
  'link-expected': 69,
  'link-destination': 70,
  'host-invalid': 72,
  'path-missing': 73,
  'file-move': 74,
  'backup-set-invalid': 75,
  'tablespace-map': 76,
  'link-map': 78,
  'file-close': 79,
  'db-missing': 80,
  'db-invalid': 81,
  'archive-timeout': 82,
  'file-mode': 83,
  'archive-disabled': 87,
  'file-owner': 88,
  'user-missing': 89,
  'file-exists': 93,
  memory: 94,
  crypto: 95,
  'param-invalid': 96,
  'path-close': 97,
  'file-info': 98,
  'json-format': 99,
  kernel: 100,
  service: 101,
  execute: 102,
  'repo-invalid': 103,
  command: 104,
  access: 105,
  clock: 106,
  // Ours, from the end of what pgBackRest has not used.
  'proof-differs': 120,
  'proof-incomplete': 121,
  runtime: 122,
  unhandled: 124,
  unknown: 125,
} as const

export type ErrorKind = keyof typeof ERROR_EXIT_CODES

interface AppErrorOptions {
  /** One sentence or question that helps at 3 a.m.; several become several `HINT:` lines. */
  readonly hint?: string | readonly string[] | undefined
  readonly cause?: unknown
}

/** The only error this program throws on purpose. Message: lower case, no full stop, values in quotes. */
export class AppError extends Error {
  override readonly name = 'AppError'
  readonly kind: ErrorKind
  readonly hints: readonly string[]

  constructor(kind: ErrorKind, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.kind = kind
    const { hint } = options
    this.hints = hint === undefined ? [] : typeof hint === 'string' ? [hint] : hint
  }

  get exitCode(): number {
    return ERROR_EXIT_CODES[this.kind]
  }

  /** Message and hints as pgBackRest prints them after `ERROR: [NNN]: `; lines separated by LF. */
  get text(): string {
    return [this.message, ...this.hints.map((hint) => `HINT: ${hint}`)].join('\n')
  }
}

/** True for an `AppError` of one of the given kinds. */
export function isErrorKind(error: unknown, ...kinds: readonly ErrorKind[]): error is AppError {
  return error instanceof AppError && kinds.includes(error.kind)
}

/** Any thrown value as an AppError; foreign errors become `unhandled` with their message kept. */
export function asAppError(error: unknown): AppError {
  if (error instanceof AppError) return error
  const message = error instanceof Error ? error.message : String(error)
  return new AppError('unhandled', message, { cause: error })
}

/** The errno name (`ENOENT`, `EACCES` …) of a Node system error, or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** Stops the program, with kind `assert`, where going on would rest on something that cannot be. */
export function assertThat(condition: unknown, message: string): asserts condition {
  if (condition !== true) throw new AppError('assert', message)
}
