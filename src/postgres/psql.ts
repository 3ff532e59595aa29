/**
 * A session through `psql`, for whatever goes with pg_dump and pg_restore: the same library, hence the same ways to a server, the
 * same password file, TLS and services. `COPY … TO STDOUT` comes out as raw bytes at the speed of a C program.
 *
 * One session does one thing at a time. Not for: the physical engine, which talks to the local server only (connection.ts).
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { AppError } from '../base/error.ts'
import type { ByteSource } from '../pipe/pipe.ts'
import { inLargePieces } from './large-pieces.ts'

/** How libpq finds a server. All is said in the environment and nothing in arguments, which other users can see. */
export interface ServerAddress {
  /** `PG…` variables, and whatever else the programs need: PATH, HOME. */
  readonly env: Readonly<Record<string, string>>
}

export interface SessionOptions {
  /** Path of psql. */
  readonly psql: string
  readonly server: ServerAddress
  readonly database: string
  /** Shown in `pg_stat_activity`: `pgsurety [dump]`. */
  readonly applicationName: string
  /** Ends the session when it aborts. */
  readonly signal: AbortSignal
}

export type SqlRow = Readonly<Record<string, unknown>>

/**
 * Errors of every call: `db-query` when the server refused the statement (message, SQLSTATE), `db-connect` when the session is
 * lost or never was.
 */
export interface PsqlSession extends AsyncDisposable {
  /** The rows of one query, each an object as `to_json` makes it: 64-bit numbers must be cast to text. */
  rows(query: string): Promise<readonly SqlRow[]>
  /** One statement after the other, until one is refused; their results do not matter. */
  run(...statements: readonly string[]): Promise<void>
  /**
   * What `COPY source TO STDOUT` gives, in text format, one line for each row: of a table with a list of columns, or of a query in
   * parentheses. To be taken to its end before the next call.
   */
  copy(source: string): ByteSource
  /** What `copy` gives for each source in turn; the server goes on with the next while one is taken. For small answers. */
  copies(sources: readonly string[]): AsyncIterable<ByteSource>
}

const LINE_FEED = 0x0a
/** Out of shared memory: in practice, of its part for locks. */
const OUT_OF_LOCKS = '53200'
const STDERR_CHARS_MAX = 4000
/** How long a session may take to say goodbye. */
const END_TIMEOUT_MS = 5_000

/** Starts psql; whether it can connect shows at the first call. */
export function openPsql(options: SessionOptions): PsqlSession {
  const { psql, server, database, applicationName, signal } = options
  const args = ['-X', '-q', '-A', '-t', '-w', '-v', 'ON_ERROR_STOP=0']
  const command = inLargePieces({ path: psql, args }, server.env['PATH'])
  const child = spawn(command.path, command.args, {
    env: {
      ...server.env,
      PGDATABASE: database,
      PGAPPNAME: applicationName,
      PGCLIENTENCODING: 'UTF8',
      LC_ALL: 'C',
    },
    stdio: ['pipe', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGTERM',
  })
  return new Session(child, database)
}

class Session implements PsqlSession {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #chunks: AsyncIterator<Buffer>
  readonly #database: string
  readonly #ended: Promise<unknown>
  #stderr = ''
  #calls = 0
  /** What was read beyond the last answer. */
  #rest: Buffer = Buffer.alloc(0)

  constructor(child: ChildProcessWithoutNullStreams, database: string) {
    this.#child = child
    this.#database = database
    this.#chunks = child.stdout[Symbol.asyncIterator]()
    this.#ended = Promise.race([once(child, 'close'), once(child, 'error')]).catch(() => undefined)
    // Its end shows in its output; writing to it then must not end this process.
    child.on('error', (error) => {
      this.#stderr += error.message
    })
    child.stdin.on('error', () => undefined)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_CHARS_MAX)
    })
  }

  async rows(query: string): Promise<readonly SqlRow[]> {
    const parts: Buffer[] = []
    const asJson = `select coalesce(pg_catalog.json_agg(pg_catalog.to_json(q)), '[]') from (${query}\n) q`
    for await (const chunk of this.#answer(asJson)) parts.push(Buffer.from(chunk))
    const value: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'))
    if (!Array.isArray(value)) throw new AppError('protocol', 'psql did not answer with a list')
    return value.filter((row): row is SqlRow => typeof row === 'object' && row !== null)
  }

  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) {
      // Taken to its end, which is where an error shows.
      const iterator = this.#answer(statement)[Symbol.asyncIterator]()
      while ((await iterator.next()).done !== true);
    }
  }

  copy(source: string): ByteSource {
    return this.#answer(copyOut(source))
  }

  async *copies(sources: readonly string[]): AsyncGenerator<ByteSource, void, undefined> {
    const asked = sources.map((source) => this.#ask(copyOut(source)))
    for (const call of asked) yield this.#answerTo(call)
  }

  async *#answer(statement: string): AsyncGenerator<Buffer, void, undefined> {
    yield* this.#answerTo(this.#ask(statement))
  }

  /** The number of the call. Of several statements in one, psql would only tell how the last one ended. */
  #ask(statement: string): number {
    this.#calls += 1
    this.#calls += 1
    this.#stderr = ''
    // And of nothing behind the last semicolon that it ended well.
    const whole = statement.replace(/;\s*$/, '')
    this.#child.stdin.write(
      `${whole}\n;\n\\echo '\\\\=end' ${this.#calls} :ERROR :SQLSTATE\n` +
        `\\if :ERROR\n\\echo :LAST_ERROR_MESSAGE\n\\endif\n\\echo '\\\\=over' ${this.#calls}\n`,
    )
    return this.#calls
  }

  /** Text that COPY and JSON print never has a line that begins with `\=`: backslashes are doubled there. */
  async *#answerTo(call: number): AsyncGenerator<Buffer, void, undefined> {
    const end = Buffer.from(`\\=end ${call} `)
    const over = `\\=over ${call}\n`
    let chunk = this.#rest
    let startsLine = true
    for (;;) {
      const at = lineThatBeginsWith(chunk, end, startsLine)
      if (at !== undefined) {
        if (at > 0) yield chunk.subarray(0, at)
        await this.#finish(chunk.subarray(at), over)
        return
      }
      const heldBytes = heldBack(chunk, end, startsLine)
      const whole = chunk.subarray(0, chunk.length - heldBytes)
      const held = chunk.subarray(whole.length)
      if (whole.length > 0) {
        startsLine = whole.at(-1) === LINE_FEED
        yield whole
      }
      const more = await this.#next()
      chunk = held.length === 0 ? more : Buffer.concat([held, more])
    }
  }

  /** The lines from `\=end` to `\=over`; what comes behind is kept for the next call. */
  async #finish(from: Buffer, over: string): Promise<void> {
    let text = from
    let at = text.indexOf(over)
    while (at < 0) {
      text = Buffer.concat([text, await this.#next()])
      at = text.indexOf(over)
    }
    this.#rest = text.subarray(at + over.length)
    const [first = '', ...message] = text.subarray(0, at).toString('utf8').trimEnd().split('\n')
    const [, , failed, state] = first.split(' ')
    if (failed === 'false') return
    // The server says one with each error; without it, the session broke before the server could say anything.
    if (state === undefined || state === '') throw await this.#lost()
    throw new AppError(
      'db-query',
      `database '${this.#database}': ${message.join('\n')} (SQLSTATE ${state})`,
      state === OUT_OF_LOCKS
        ? { hint: 'Is max_locks_per_transaction of the server too low for so many tables?' }
        : {},
    )
  }

  async #next(): Promise<Buffer> {
    const next = await this.#chunks.next().catch(() => ({ done: true as const, value: undefined }))
    if (next.done !== true) return next.value
    throw await this.#lost()
  }

  async #lost(): Promise<AppError> {
    this.#child.stdin.end()
    await this.#ended
    const reason = this.#stderr.trim() === '' ? 'psql has ended' : this.#stderr.trim()
    return new AppError(
      'db-connect',
      `lost the session with database '${this.#database}': ${reason}`,
      {
        hint: 'Is the server running, and may this user connect (pg_hba.conf, password file)?',
      },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    this.#child.stdout.destroy()
    const late = AbortSignal.timeout(END_TIMEOUT_MS)
    late.addEventListener('abort', () => this.#child.kill('SIGKILL'))
    this.#child.kill('SIGTERM')
    await this.#ended
  }
}

const copyOut = (source: string): string => `copy ${source} to stdout`

/** `startsLine`: the chunk's first byte is the first of a line. In the middle of one, data may look like the mark. */
function lineThatBeginsWith(chunk: Buffer, mark: Buffer, startsLine: boolean): number | undefined {
  for (let at = chunk.indexOf(mark); at >= 0; at = chunk.indexOf(mark, at + 1)) {
    if (at === 0 ? startsLine : chunk[at - 1] === LINE_FEED) return at
  }
  return undefined
}

/** How many bytes at the end of a chunk may be the beginning of the mark. */
function heldBack(chunk: Buffer, mark: Buffer, startsLine: boolean): number {
  const lineStart = chunk.lastIndexOf(LINE_FEED) + 1
  const lastBytes = chunk.length - lineStart
  if ((lineStart === 0 && !startsLine) || lastBytes >= mark.length) return 0
  return mark.subarray(0, lastBytes).equals(chunk.subarray(lineStart)) ? lastBytes : 0
}
