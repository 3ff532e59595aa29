/**
 * Logging in pgBackRest's line format: `2026-11-22 18:20:42.568 P00   INFO: text`.
 *
 * Continuation lines are indented to the text column. Times are local with milliseconds, as pgBackRest prints them.
 */
import type { Clock } from './clock.ts'

export const LOG_LEVELS = ['off', 'error', 'warn', 'info', 'detail', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Where lines of `level` and more important go. `write` gets whole lines, LF included. */
export interface LogSink {
  readonly level: LogLevel
  /** Lines without date and time, as `log-timestamp=n` asks. */
  readonly timestamps: 'on' | 'off'
  write(level: LogLevel, lines: string): void
}

export interface Log {
  error(exitCode: number, text: string): void
  warn(text: string): void
  info(text: string): void
  detail(text: string): void
  debug(text: string): void
  /** True when some sink takes `level`; guards messages that cost something to build. */
  takes(level: LogLevel): boolean
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

/** `2026-11-22 18:20:42.568` in the process's time zone. */
export function formatLogTime(ms: number): string {
  const at = new Date(ms)
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1, 2)}-${pad(at.getDate(), 2)}`
  return `${day} ${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}.${pad(at.getMilliseconds(), 3)}`
}

export function openLog(clock: Clock, sinks: readonly LogSink[]): Log {
  const takes = (level: LogLevel): boolean =>
    sinks.some((sink) => LOG_LEVELS.indexOf(sink.level) >= LOG_LEVELS.indexOf(level))
  const write = (level: LogLevel, text: string): void => {
    if (!takes(level)) return
    const stamp = `${formatLogTime(clock.nowMs())} `
    for (const sink of sinks) {
      if (LOG_LEVELS.indexOf(sink.level) < LOG_LEVELS.indexOf(level)) continue
      const prefix = `${sink.timestamps === 'on' ? stamp : ''}P00 ${level.toUpperCase().padStart(6)}: `
      sink.write(level, `${prefix}${text.replaceAll('\n', `\n${' '.repeat(prefix.length)}`)}\n`)
    }
  }
  return {
    error: (exitCode, text) => {
      write('error', `[${pad(exitCode, 3)}]: ${text}`)
    },
    warn: (text) => {
      write('warn', text)
    },
    info: (text) => {
      write('info', text)
    },
    detail: (text) => {
      write('detail', text)
    },
    debug: (text) => {
      write('debug', text)
    },
    takes,
  }
}
