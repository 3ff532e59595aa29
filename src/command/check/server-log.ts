/** What the server's log says of the last failure of archive_command. */
import { ERROR_EXIT_CODES, type ErrorKind } from '../../base/error.ts'

export interface ArchiverFailure {
  /** Undefined when it was ended by a signal. */
  readonly exitCode: number | undefined
  /** When the program was pgsurety or pgBackRest. */
  readonly kind: ErrorKind | undefined
  /** What was to be archived. */
  readonly segment: string | undefined
  /** What it wrote, one line. */
  readonly text: string
}

const FAILURE = /archive command (?:failed with exit code \d+|was terminated by .*)/
/** The last number of a line, but of no `signal 9: Killed`. */
const EXIT_CODE = /(\d+)[^\d:：]*$/
const OWN_ERROR = /ERROR: \[(\d{3})\]: (.*)/
/** Of an error that has those of several repositories in it. */
const ERROR_OF_REPO = /^repo\d+: \[(\d+)\]/
const SEGMENT = /\b[0-9A-F]{24}\b/

/**
 * Of the last lines of a log; undefined when no archive_command failed in them. In another language than English, a failure
 * is known by the line that follows it and quotes the command, which is `command` with what PostgreSQL puts into it.
 */
export function lastArchiverFailure(log: string, command: string): ArchiverFailure | undefined {
  const lines = log.split('\n')
  const [start = ''] = command.split(/[%\n]/)
  const isQuote = (line = ''): boolean => start !== '' && line.includes(start) && SEGMENT.test(line)
  const at = lines.findLastIndex((line, index) => FAILURE.test(line) || isQuote(lines[index + 1]))
  if (at === -1) return undefined
  const code = EXIT_CODE.exec(lines[at] ?? '')?.[1]
  const before = lines.slice(0, at)
  const from =
    before.findLastIndex(
      (line) => FAILURE.test(line) || line.includes('DETAIL:') || isQuote(line),
    ) + 1
  const next = lines[at + 1] ?? ''
  return {
    exitCode: code === undefined ? undefined : Number(code),
    segment: isQuote(next) || next.includes('DETAIL:') ? SEGMENT.exec(next)?.[0] : undefined,
    ...whatItSaid(before.slice(from)),
  }
}

/** The last error of a program of ours with the lines that belong to it, or the last line of whatever it was. */
function whatItSaid(lines: readonly string[]): Pick<ArchiverFailure, 'kind' | 'text'> {
  const start = lines.findLastIndex((line) => OWN_ERROR.test(line))
  const [, number, message] = OWN_ERROR.exec(lines[start] ?? '') ?? []
  if (number === undefined) {
    return { kind: undefined, text: lines.findLast((line) => line.trim() !== '')?.trim() ?? '' }
  }
  const more = lines
    .slice(start + 1)
    .filter((line) => /^\s+\S/.test(line) && !/^\s+HINT:/.test(line))
    .map((line) => line.trim())
  const ofRepo = more
    .map((line) => ERROR_OF_REPO.exec(line)?.[1])
    .find((code) => code !== undefined)
  return {
    kind: kindOfCode(Number(ofRepo ?? number)),
    text: [`[${number}] ${message}`, ...more].join(' '),
  }
}

function kindOfCode(code: number): ErrorKind | undefined {
  for (const [kind, exitCode] of Object.entries(ERROR_EXIT_CODES)) {
    if (exitCode === code && isKind(kind)) return kind
  }
  return undefined
}

function isKind(text: string): text is ErrorKind {
  return Object.hasOwn(ERROR_EXIT_CODES, text)
}
