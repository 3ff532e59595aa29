/** A Context for running a command inside the test process, and what the command said. */
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { openLog } from '../../src/base/log.ts'
import type { Context } from '../../src/command/command.ts'
import { loadConfig } from '../../src/config/config.ts'
import { type ByteSource, single } from '../../src/pipe/pipe.ts'
import { openConfiguredStorage, type OpenStorage } from '../../src/repo/repo.ts'
import { openPool } from '../../src/worker/worker.ts'
import { pgsuretyCommand, spawnAs } from './run.ts'

export interface TestContextOptions {
  /** Options and command as on a command line, without the program's name. */
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly clock?: Clock
  /** In place of the configured storage, such as one that fails. */
  readonly openStorage?: OpenStorage
  readonly signal?: AbortSignal
  /** Standard input; empty by default. */
  readonly input?: () => ByteSource
}

export interface TestContext {
  readonly context: Context
  /** Everything printed so far; what was written as bytes stands there as a byte string. */
  output(): string
  /** Every log line so far, all levels, without date and time. */
  logText(): string
}

let contexts = 0

export function testContext(options: TestContextOptions): TestContext {
  const clock = options.clock ?? systemClock
  const printed: string[] = []
  const logged: string[] = []
  contexts += 1
  const log = openLog(clock, [
    {
      level: 'trace',
      timestamps: 'off',
      write: (_level, lines) => {
        logged.push(lines)
      },
    },
  ])
  return {
    context: {
      argv: options.argv,
      env: options.env ?? {},
      config: loadConfig({ argv: options.argv, env: options.env ?? {}, programName: 'pgsurety' }),
      log,
      clock,
      signal: options.signal ?? new AbortController().signal,
      execId: `${process.pid}-${contexts.toString(16).padStart(8, '0')}`,
      print: (text) => {
        printed.push(text)
      },
      write: async (bytes) => {
        printed.push(bytes.toString('latin1'))
        await Promise.resolve()
      },
      input: options.input ?? (() => single(Buffer.alloc(0))),
      progress: () => undefined,
      openStorage: options.openStorage ?? openConfiguredStorage,
      openPool,
      startProcess: (argv) => {
        const child = spawnAs([...pgsuretyCommand(), ...argv])
        return { hasEnded: () => child.exitCode !== null || child.signalCode !== null }
      },
    },
    output: () => printed.join(''),
    logText: () => logged.join(''),
  }
}
