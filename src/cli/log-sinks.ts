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
  const sinks: LogSink[] = [
    {
      level: atLeast(errorLevel, consoleLevel),
      timestamps,
      write: (level, lines) => {
        // As in pgBackRest: a line that standard error takes does not appear on standard output too.
        if (isJson || rank(level) <= rank(errorLevel)) program.writeError(lines)
        else program.writeOut(lines)
      },
    },
  ]
  const fileLevel = levelOf(config.text('log-level-file'))
  if (fileLevel !== 'off' && (config.role === 'async' || !NO_LOG_FILE.has(config.command))) {
    const file = openLogFile(config, fileLevel)
    if (typeof file === 'string') sinks[0]?.write('warn', file)
    else sinks.push(file)
  }
  return sinks
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

/** The file sink, or the warning to print when the file cannot be opened: a missing log never stops a backup. */
function openLogFile(config: Config, level: LogLevel): LogSink | string {
  const role = config.role === 'main' ? '' : `-${config.role}`
  const path = `${config.text('log-path')}/${config.stanza ?? 'all'}-${config.command}${role}.log`
  let descriptor: number
  try {
    descriptor = openSync(path, 'a', 0o640)
  } catch (error) {
    const why = errnoOf(error) ?? String(error)
    return rank(levelOf(config.text('log-level-console'))) >= rank('warn')
      ? `P00   WARN: unable to open log file '${path}': ${why}\n            NOTE: process will continue without log file.\n`
      : ''
  }
  process.on('exit', () => {
    closeSync(descriptor)
  })
  let started = false
  return {
    level,
    timestamps: 'on',
    write: (_level, lines) => {
      if (!started)
        appendFileSync(descriptor, '\n-------------------PROCESS START-------------------\n')
      started = true
      appendFileSync(descriptor, lines)
    },
  }
}
