/** What pg_restore says on standard error, one message after the other, and which of it matters. Pure. */

export interface RestoreMessage {
  /** `ERROR:  relation "a" does not exist`, with DETAIL and so on, without the name of the program. */
  readonly text: string
  /** The entry that was at work: `3211; 1259 16409 INDEX public a_b_idx app`. */
  readonly entry: string | undefined
  /** The SQL that failed. */
  readonly command: string | undefined
}

export type Severity =
  /** Something that the source had is not there now, or may not be. */
  | 'serious'
  /** Makes no difference to what was restored. */
  | 'harmless'
  /** Says no more than that there were errors, or where. */
  | 'frame'

/**
 * Decided by the command and not by the server's words, which may be in any language: settings of a newer client that only
 * say how long it waits; the schema that every database has; the note on an extension, which only its owner may write.
 */
const HARMLESS_COMMANDS: readonly RegExp[] = [
  /^SET (?:idle_in_transaction_session|lock|statement|transaction)_timeout = 0;$/,
  /^CREATE SCHEMA "?public"?;$/,
  /^COMMENT ON SCHEMA "?public"? IS /,
  /^COMMENT ON EXTENSION /,
]

export function severityOf({ text, command }: RestoreMessage): Severity {
  if (/^warning: errors ignored on restore: \d+$/.test(text)) return 'frame'
  if (/^(?:while (?:INITIALIZING|PROCESSING TOC|FINALIZING):|from TOC entry )/.test(text)) {
    return 'frame'
  }
  if (/^(?:warning|detail|hint|info): /.test(text)) return 'harmless'
  const harmless = HARMLESS_COMMANDS.some(
    (pattern) => command !== undefined && pattern.test(command),
  )
  return harmless ? 'harmless' : 'serious'
}

const PREFIX = 'pg_restore: '
const COMMAND = '\nCommand was: '
/** Of one message: a COPY error may show a whole row. */
const MESSAGE_CHARS_MAX = 4000

/** Takes lines as they come; `end` gives what is still open. */
export class MessageReader {
  #lines: string[] = []
  #chars = 0
  #entry: string | undefined

  /** The message that ends where this line begins another one. */
  line(line: string): RestoreMessage | undefined {
    const before = line.startsWith(PREFIX) ? this.end() : undefined
    if (this.#chars < MESSAGE_CHARS_MAX) {
      this.#lines.push(line)
      this.#chars += line.length
    }
    return before
  }

  end(): RestoreMessage | undefined {
    const [first, ...rest] = this.#lines
    this.#lines = []
    this.#chars = 0
    if (first === undefined || first === '') return undefined
    const head = first.startsWith(PREFIX) ? first.slice(PREFIX.length) : first
    const whole = [head, ...rest].join('\n').trimEnd().slice(0, MESSAGE_CHARS_MAX)
    const at = whole.indexOf(COMMAND)
    const text = at < 0 ? whole : whole.slice(0, at)
    const named = /^from TOC entry (.*)$/.exec(text)?.[1]
    if (named !== undefined) this.#entry = named
    return {
      text,
      entry: this.#entry,
      command: at < 0 ? undefined : whole.slice(at + COMMAND.length).trim(),
    }
  }
}
