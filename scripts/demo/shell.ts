/** Runs commands the way a person would, and shows them: command, output, nothing hidden but length. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Shell {
  /** Shows a command and runs it; resolves to its output. Throws when it fails or the demo was interrupted. */
  run(argv: readonly string[], options?: RunOptions): Promise<string>
  /** Shows lines as output. */
  say(...lines: readonly string[]): void
}

interface RunOptions {
  /** How many lines of output are shown before the last ones; all of them are returned. */
  readonly linesMax?: number
  /**
   * What an interruption does. `kill` (default): ends the command. `wait`: lets it end by itself; for short commands that
   * would leave something running.
   */
  readonly interruption?: 'kill' | 'wait'
}

const LINES_MAX = 24
const LAST_LINES = 4
const COLUMNS_MAX = 150

export function openShell(dir: string, signal: AbortSignal): Shell {
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: dir,
    LANG: 'C.UTF-8',
    ...(process.env['TZ'] === undefined ? {} : { TZ: process.env['TZ'] }),
  }
  return {
    say,
    run: async (argv, { linesMax = LINES_MAX, interruption = 'kill' } = {}) => {
      signal.throwIfAborted()
      const [program = '', ...parameters] = argv
      print(`  $ ${argv.map(quoted).join(' ')}`)
      // One stream for output and errors, so that they keep their order.
      const child = spawn('/bin/sh', ['-c', 'exec "$0" "$@" 2>&1', program, ...parameters], {
        cwd: dir,
        env,
        stdio: ['ignore', 'pipe', 'ignore'],
        // Ctrl-C reaches every process of the terminal; what must not be cut short gets a group of its own.
        detached: interruption === 'wait',
      })
      const kill = (): void => {
        if (interruption === 'kill') child.kill('SIGTERM')
      }
      signal.addEventListener('abort', kill)
      const { promise: exited, resolve, reject } = Promise.withResolvers<number | null>()
      child.on('error', reject)
      child.on('exit', resolve)
      const output: string[] = []
      for await (const line of createInterface({ input: child.stdout })) {
        output.push(line)
        if (output.length <= linesMax) say(line)
      }
      const exitCode = await exited
      signal.removeEventListener('abort', kill)
      if (linesMax > 0 || exitCode !== 0) sayRest(output.slice(linesMax))
      signal.throwIfAborted()
      if (exitCode !== 0) {
        throw new Error(`${program.replace(/.*\//, '')} ended with exit code ${String(exitCode)}`)
      }
      return output.join('\n')
    },
  }
}

function say(...lines: readonly string[]): void {
  for (const line of lines) print(`    ${cut(line)}`)
}

/** The end of an output says how it went. */
function sayRest(lines: readonly string[]): void {
  if (lines.length > LAST_LINES + 1) say(`… ${lines.length - LAST_LINES} more lines`)
  say(...(lines.length > LAST_LINES + 1 ? lines.slice(-LAST_LINES) : lines))
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function cut(line: string): string {
  return line.length <= COLUMNS_MAX ? line : `${line.slice(0, COLUMNS_MAX - 1)}…`
}

/** As a person would type it: `--target='2026-05-02 14:29:59+00'`. */
function quoted(word: string): string {
  const [, option = '', value = word] = /^(--[\w-]+=)(.*)$/.exec(word) ?? []
  return `${option}${/^[\w./:=,@%+-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`}`
}
