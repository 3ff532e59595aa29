/**
 * The composition point: arguments in, exit code out. The only place that reads argv and the environment, prints, listens
 * to signals and turns errors into text.
 */
import { setPriority } from 'node:os'
import { type Clock, systemClock } from '../base/clock.ts'
import { AppError, asAppError, errnoOf } from '../base/error.ts'
import { type Log, openLog } from '../base/log.ts'
import type { Context } from '../command/command.ts'
import { type Config, loadConfig } from '../config/config.ts'
import { renderArgument } from '../config/written-options.ts'
import type { ByteSource } from '../pipe/pipe.ts'
import { openConfiguredStorage } from '../repo/repo.ts'
import { implementationOf } from './dispatch.ts'
import { logSinks } from './log-sinks.ts'
import { openProgress } from './progress.ts'
import { startProcess } from './start-process.ts'
import { VERSION } from './version.ts'

export interface Program {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly writeOut: (text: string) => void
  readonly writeError: (text: string) => void
  readonly writeBytes: (bytes: Buffer) => Promise<void>
  readonly input: () => ByteSource
}

/** Commands that answer a question: they say nothing about themselves at level info (pgBackRest 2.60). */
const QUIET_COMMANDS: ReadonlySet<string> = new Set([
  'completion',
  'help',
  'info',
  'manifest',
  'repo-get',
  'repo-ls',
  'repo-put',
  'repo-rm',
  'version',
])

/** Runs one command line; resolves to the exit code. Never throws. */
export async function main(program: Program): Promise<number> {
  let config: Config
  try {
    config = loadConfig({ argv: program.argv, env: program.env, programName: 'pgsurety' })
  } catch (error) {
    const failed = asAppError(error)
    program.writeError(`ERROR: [${exitText(failed)}]: ${failed.text}\n`)
    return failed.exitCode
  }
  return await runCommand(program, config, systemClock)
}

async function runCommand(program: Program, config: Config, clock: Clock): Promise<number> {
  if (
    config.command === 'help' ||
    config.command === 'version' ||
    config.command === 'completion'
  ) {
    const { answer } = await import('./answer.ts')
    return answer(program, config)
  }
  if (!usesUmask(config)) process.umask(0)
  const progress = openProgress(program, clock)
  const output = progress.beside(program)
  const log = openLog(clock, logSinks(output, config))
  const quiet = QUIET_COMMANDS.has(config.command)
  const startMs = clock.nowMs()
  const execId = config.optionalText('exec-id') ?? `${process.pid}-${fourRandomBytes()}`
  const say = (text: string): void => {
    if (quiet) log.debug(text)
    else log.info(text)
  }
  say(`${nameOf(config)} command begin ${VERSION}: ${commandLineText(config)}`)
  for (const warning of config.warnings) log.warn(warning)
  const interrupt = listenToSignals()
  try {
    refuseRoot(config)
    applyPriority(config)
    const command = await implementationOf(config.command, config.role)
    const context: Context = {
      config,
      argv: program.argv,
      env: program.env,
      log,
      clock,
      signal: interrupt.signal,
      execId,
      print: output.writeOut,
      write: async (bytes) => {
        await writeBytes(program, bytes)
      },
      input: program.input,
      progress: progress.show,
      openStorage: openConfiguredStorage,
      openPool: async (options) => await (await import('../worker/worker.ts')).openPool(options),
      startProcess,
    }
    const exitCode = await command(context)
    progress.show(undefined)
    // 1 is an answer, not a failure: not in the archive, not in the repository.
    const how = exitCode > 1 ? `with exit code ${exitCode}` : 'successfully'
    say(`${nameOf(config)} command end: completed ${how} (${clock.nowMs() - startMs}ms)`)
    return exitCode
  } catch (error) {
    progress.show(undefined)
    return reportFailure({ config, log, say, error: interrupt.reason() ?? error })
  } finally {
    interrupt.stop()
  }
}

/** Hexadecimal. No secret, and so without `node:crypto`, which takes long to load. */
function fourRandomBytes(): string {
  return Math.floor(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0')
}

/** As pgBackRest writes it: `archive-push:async`. */
function nameOf({ command, role }: Config): string {
  return role === 'main' ? command : `${command}:${role}`
}

async function writeBytes(program: Program, bytes: Buffer): Promise<void> {
  try {
    await program.writeBytes(bytes)
  } catch (cause) {
    const why = errnoOf(cause) ?? String(cause)
    throw new AppError('file-write', `unable to write to standard output: ${why}`, { cause })
  }
}

function usesUmask(config: Config): boolean {
  return !config.flag('neutral-umask')
}

function exitText(error: AppError): string {
  return String(error.exitCode).padStart(3, '0')
}

interface Failure {
  readonly config: Config
  readonly log: Log
  readonly say: (text: string) => void
  readonly error: unknown
}

function reportFailure({ config, log, say, error }: Failure): number {
  const failed = asAppError(error)
  log.error(failed.exitCode, failed.text)
  if (failed.kind === 'unhandled' && error instanceof Error) log.debug(error.stack ?? '')
  const end =
    failed.kind === 'term' ? failed.message : `aborted with exception [${exitText(failed)}]`
  say(`${nameOf(config)} command end: ${end}`)
  return failed.exitCode
}

/** `[param, …] --option=value …`, every option that is not at its default, secrets redacted. */
function commandLineText(config: Config): string {
  const parameters = config.parameters.length === 0 ? '' : `[${config.parameters.join(', ')}] `
  const options = config.fromEverywhere().map(renderArgument)
  return `${parameters}${options.join(' ')}`
}

/** Root would own what PostgreSQL's user must read; pgBackRest refuses it since 2.59 (restore excepted). */
function refuseRoot(config: Config): void {
  if (process.getuid?.() !== 0 || config.flag('allow-root')) return
  throw new AppError(
    'option-invalid',
    `the '${config.command}' command must not be run as the root user`,
    {
      hint: [
        "run it as PostgreSQL's user, e.g. 'sudo -u postgres pgsurety …'.",
        'set the allow-root option to run as root nevertheless.',
      ],
    },
  )
}

function applyPriority(config: Config): void {
  if (config.has('priority')) setPriority(config.integer('priority'))
}

interface Interrupt {
  readonly signal: AbortSignal
  /** The error to report when a signal ended the command, else undefined. */
  reason(): AppError | undefined
  stop(): void
}

function listenToSignals(): Interrupt {
  const controller = new AbortController()
  let reason: AppError | undefined
  const onSignal = (name: NodeJS.Signals): void => {
    reason ??= new AppError('term', `terminated on signal [${name}]`)
    controller.abort(reason)
  }
  const names: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const name of names) process.on(name, onSignal)
  return {
    signal: controller.signal,
    reason: () => reason,
    stop: () => {
      for (const name of names) process.off(name, onSignal)
    },
  }
}
