/**
 * The verbs. Each command is one function from a Context to an exit code; the conductor of a long one reads as its steps.
 *
 * Commands reach the world only through their Context and the folders to the left. They return or throw; only cli/ turns
 * errors into text and exit codes.
 */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { ByteSource } from '../pipe/pipe.ts'
import type { Config } from '../config/config.ts'
import type { OpenStorage } from '../repo/repo.ts'
import type { openPool } from '../worker/worker.ts'

export interface Context {
  readonly config: Config
  /** What the program was called with, without its name, and its environment: already understood as `config`. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly log: Log
  readonly clock: Clock
  /** Aborts on SIGINT, SIGTERM and SIGHUP. */
  readonly signal: AbortSignal
  /** `<pid>-<8 hex>`: names this run in lock files, as pgBackRest does. */
  readonly execId: string
  /** Writes to standard output. */
  readonly print: (text: string) => void
  /** Writes bytes to standard output; resolves when they are taken. */
  readonly write: (bytes: Buffer) => Promise<void>
  /** Standard input. */
  readonly input: () => ByteSource
  /** Shows how far a long step is; undefined clears it. */
  readonly progress: (state: Progress | undefined) => void
  /** Opens the storage of one configured repository. */
  readonly openStorage: OpenStorage
  /** Starts worker threads. */
  readonly openPool: typeof openPool
  /** Runs this program again with other arguments, in a process that goes on when this one ends. */
  readonly startProcess: (argv: readonly string[]) => Background
}

/** A process that goes on by itself. */
export interface Background {
  hasEnded(): boolean
}

/** How far one long step is. Rate and remaining time are the display's business. */
export interface Progress {
  readonly step: string
  readonly doneBytes: number
  readonly totalBytes: number
  /** What of it is being done: a table. */
  readonly part?: {
    readonly name: string
    readonly doneBytes: number
    /** Undefined: too small to be worth telling how much is done. */
    readonly totalBytes: number | undefined
  }
  /** When the step began, if in an earlier process: then this is shown at once. */
  readonly sinceMs?: number
}

/** Runs one command; resolves to the process exit code. */
export type Command = (context: Context) => Promise<number>

/** The stanza option; the option table has made sure that the commands that call this have one. */
export function stanzaOf(context: Context): string {
  return context.config.text('stanza')
}
