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

const FAILURE = /archive command (?:failed with exit code (\d+)|was terminated by .*)/
const OWN_ERROR = /ERROR: \[(\d{3})\]: (.*)/

/** Of the last lines of a log in English; undefined when no archive_command failed in them. */
export function lastArchiverFailure(log: string): ArchiverFailure | undefined {
  const lines = log.split('\n')
  const at = lines.findLastIndex((line) => FAILURE.test(line))
  if (at === -1) return undefined
  const code = FAILURE.exec(lines[at] ?? '')?.[1]
  const before = lines.slice(0, at)
  const from = before.findLastIndex((line) => FAILURE.test(line) || line.includes('DETAIL:')) + 1
  return {
    exitCode: code === undefined ? undefined : Number(code),
    segment: /DETAIL:.*\b([0-9A-F]{24})\b/.exec(lines[at + 1] ?? '')?.[1],
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
  return { kind: kindOfCode(Number(number)), text: [`[${number}] ${message}`, ...more].join(' ') }
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
