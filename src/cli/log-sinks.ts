/** Where log lines go: standard error, standard output and the log file, each with its own level. */
import { appendFileSync, closeSync, openSync } from 'node:fs'
import { errnoOf } from '../base/error.ts'
import { LOG_LEVELS, type LogLevel, type LogSink } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import type { Program } from './cli.ts'

/** Commands that write no log file: they run too often, or only answer (pgBackRest 2.60). */
const NO_LOG_FILE: ReadonlySet<string> = new Set([
  'archive-get',
  'archive-push',
  'check',
  'info',
  'manifest',
  'repo-get',
  'repo-ls',
  'repo-put',
  'repo-rm',
])

export function logSinks(program: Program, config: Config): readonly LogSink[] {
  const timestamps = config.flag('log-timestamp') ? 'on' : 'off'
  const errorLevel = levelOf(config.text('log-level-stderr'))
  const consoleLevel = levelOf(config.text('log-level-console'))
  // Standard output is then the program's that reads it.
  const isJson = config.has('output') && config.text('output') === 'json'
  const terminal: LogSink = {
    level: atLeast(errorLevel, consoleLevel),
    timestamps,
    write: (level, lines) => {
      // As in pgBackRest: a line that standard error takes does not appear on standard output too.
      if (isJson || rank(level) <= rank(errorLevel)) program.writeError(lines)
      else program.writeOut(lines)
    },
  }
  const fileLevel = levelOf(config.text('log-level-file'))
  if (fileLevel === 'off' || (config.role !== 'async' && NO_LOG_FILE.has(config.command))) {
    return [terminal]
  }
  const file = openLogFile(config, fileLevel, terminal)
  return file === undefined ? [terminal] : [terminal, file]
}

function levelOf(text: string): LogLevel {
  return LOG_LEVELS.find((level) => level === text) ?? 'warn'
}

function rank(level: LogLevel): number {
  return LOG_LEVELS.indexOf(level)
}

function atLeast(left: LogLevel, right: LogLevel): LogLevel {
  return rank(left) > rank(right) ? left : right
}

/** A log that cannot be written never stops a backup: `terminal` is told, once. */
function openLogFile(config: Config, level: LogLevel, terminal: LogSink): LogSink | undefined {
  const role = config.role === 'main' ? '' : `-${config.role}`
  const path = `${config.text('log-path')}/${config.stanza ?? 'all'}-${config.command}${role}.log`
  const giveUp = (doing: string, error: unknown): void => {
    if (rank(terminal.level) < rank('warn')) return
    const why = errnoOf(error) ?? String(error)
    terminal.write(
      'warn',
      `P00   WARN: unable to ${doing} log file '${path}': ${why}\n            NOTE: process will continue without log file.\n`,
    )
  }
  let descriptor: number
  try {
    descriptor = openSync(path, 'a', 0o640)
  } catch (error) {
    giveUp('open', error)
    return undefined
  }
  process.on('exit', () => {
    closeSync(descriptor)
  })
  let state: 'new' | 'begun' | 'lost' = 'new'
  return {
    level,
    timestamps: 'on',
    write: (_level, lines) => {
      if (state === 'lost') return
      const head = '\n-------------------PROCESS START-------------------\n'
      try {
        appendFileSync(descriptor, state === 'new' ? `${head}${lines}` : lines)
        state = 'begun'
      } catch (error) {
        state = 'lost'
        giveUp('write to', error)
      }
    },
  }
}
