/**
 * Runs one of PostgreSQL's programs as a source or a taker of bytes. What it wrote is whole only when it ended with 0: a source
 * whose program failed throws at its end, so that nobody takes the part for the whole.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { AppError, assertThat } from '../base/error.ts'
import type { ByteSource } from '../pipe/pipe.ts'
import { inLargePieces } from './large-pieces.ts'

export interface ProgramCall {
  readonly path: string
  /** Seen by every user of the host. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Files that have no name; to the program they are called what `pathOfFile` says. */
  readonly files?: readonly FileHandle[]
  /** Ends the program. */
  readonly signal: AbortSignal
  /** Called for each line of its standard error. */
  readonly message?: (line: string) => void
}

/** How a program ended, and the last that it said. */
export interface ProgramEnd {
  readonly code: number | null
  readonly killedBy: NodeJS.Signals | null
  readonly lastMessages: readonly string[]
}

const LAST_MESSAGES = 20
/** Standard input, output and error come before. */
const FIRST_FILE = 3

/** Which a program may open as often as it likes, also in processes that it forks. `index`: among the files of its call. */
export function pathOfFile(index: number): string {
  return `/dev/fd/${FIRST_FILE + index}`
}

/** What it writes to standard output. Throws `execute` when it fails; it is ended when the taker stops early. */
export async function* outputOf(call: ProgramCall): ByteSource {
  const program = start(call)
  program.stdin.end()
  try {
    for await (const chunk of program.stdout) {
      call.signal.throwIfAborted()
      if (Buffer.isBuffer(chunk)) yield chunk
    }
    assertEnded(call, await program.ended)
  } finally {
    await stop(program)
  }
}

/** Gives it `input`, discards its output, and waits for its end. What it does not want to read is not drawn. */
export async function feed(call: ProgramCall, input: ByteSource): Promise<ProgramEnd> {
  const program = start(call)
  const { stdin, stdout } = program
  stdout.resume()
  try {
    for await (const chunk of input) {
      // A program that has seen enough closes its input; how it ended tells whether that was right.
      if (stdin.destroyed || !(await take(stdin, chunk))) break
    }
    stdin.end()
    const end = await program.ended
    call.signal.throwIfAborted()
    return end
  } finally {
    await stop(program)
  }
}

/** Throws `execute` with what the program said, unless it ended with 0. */
export function assertEnded(call: ProgramCall, end: ProgramEnd): void {
  call.signal.throwIfAborted()
  if (end.code === 0) return
  const how = end.killedBy === null ? `exit code ${end.code}` : end.killedBy
  const said = end.lastMessages.filter((line) => /(?:error|fatal|detail|hint):/i.test(line))
  const words = said.length > 0 ? said : end.lastMessages.slice(-1)
  throw new AppError('execute', [`'${call.path}' ended with ${how}`, ...words].join('\n'))
}

interface Running {
  readonly child: ChildProcess
  readonly stdin: Writable
  readonly stdout: Readable
  readonly ended: Promise<ProgramEnd>
}

function start({ path, args, env, files = [], signal, message }: ProgramCall): Running {
  signal.throwIfAborted()
  const command = inLargePieces({ path, args }, env['PATH'])
  const child = spawn(command.path, command.args, {
    env: { ...env, LC_ALL: 'C' },
    stdio: ['pipe', 'pipe', 'pipe', ...files.map(({ fd }) => fd)],
    signal,
    killSignal: 'SIGTERM',
  })
  const { stdin, stdout, stderr } = child
  const isPiped = stdin !== null && stdout !== null && stderr !== null
  assertThat(isPiped, `'${path}' has no pipes`)
  stdin.on('error', () => undefined)
  const lastMessages: string[] = []
  createInterface({ input: stderr, crlfDelay: Infinity }).on('line', (line) => {
    message?.(line)
    lastMessages.push(line)
    if (lastMessages.length > LAST_MESSAGES) lastMessages.shift()
  })
  const { promise: ended, resolve } = Promise.withResolvers<ProgramEnd>()
  child.on('error', (error) => {
    lastMessages.push(`error: ${error.message}`)
    // Of a program that was never started there is no other end.
    if (child.pid === undefined) resolve({ code: null, killedBy: null, lastMessages })
  })
  child.on('close', (code, killedBy) => {
    resolve({ code, killedBy, lastMessages })
  })
  return { child, stdin, stdout, ended }
}

async function stop({ child, stdin, stdout, ended }: Running): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  stdin.destroy()
  stdout.destroy()
  await ended
}

/** False when the program takes no more. */
async function take(stdin: Writable, chunk: Buffer): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  // The chunk may be used again once this resolves.
  stdin.write(chunk, (error) => {
    resolve(error === null || error === undefined)
  })
  return await promise
}
