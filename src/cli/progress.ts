/** How a long step is shown: one line that redraws itself on a terminal, a plain line every few seconds elsewhere. */
import type { Clock } from '../base/clock.ts'
import { formatDuration, formatSize, SECOND_MS } from '../base/units.ts'
import type { Progress } from '../command/command.ts'
import type { Program } from './cli.ts'

const TTY_INTERVAL_MS = 200
const PLAIN_INTERVAL_MS = 10 * SECOND_MS
const BAR_WIDTH = 24

export interface ProgressDisplay {
  readonly show: (state: Progress | undefined) => void
}

export function openProgress(program: Pick<Program, 'writeError'>, clock: Clock): ProgressDisplay {
  // Opening standard error takes milliseconds, and most runs show nothing.
  let device: 'terminal' | 'other' | undefined
  const isTerminal = (): boolean => {
    device ??= process.stderr.isTTY && (process.stderr.columns ?? 0) > 40 ? 'terminal' : 'other'
    return device === 'terminal'
  }
  let step = ''
  let startMs = 0
  let shownMs = 0
  let drawn = false
  return {
    show: (state) => {
      if (state === undefined) {
        if (drawn && isTerminal()) program.writeError('\r\u001B[K')
        drawn = false
        step = ''
        return
      }
      const nowMs = clock.nowMs()
      if (state.sinceMs !== undefined) {
        program.writeError(`${progressText(state, nowMs - state.sinceMs)}\n`)
        return
      }
      if (state.step !== step) {
        step = state.step
        startMs = nowMs
        shownMs = nowMs
      }
      if (nowMs - shownMs < (isTerminal() ? TTY_INTERVAL_MS : PLAIN_INTERVAL_MS)) return
      shownMs = nowMs
      drawn = true
      const line = progressText(state, nowMs - startMs)
      program.writeError(isTerminal() ? `\r\u001B[K${bar(state)} ${line}` : `${line}\n`)
    },
  }
}

/** `backup 42% 1.2GB of 2.8GB, 150MB/s, 11.2s left` */
export function progressText(state: Progress, elapsedMs: number): string {
  const done = `${percent(state)}% ${formatSize(state.doneBytes)} of ${formatSize(state.totalBytes)}`
  if (elapsedMs <= 0 || state.doneBytes <= 0) return `${state.step} ${done}`
  const bytesPerMs = state.doneBytes / elapsedMs
  const leftMs = (state.totalBytes - state.doneBytes) / bytesPerMs
  return `${state.step} ${done}, ${formatSize(Math.round(bytesPerMs * SECOND_MS))}/s, ${formatDuration(Math.max(0, leftMs))} left`
}

function percent({ doneBytes, totalBytes }: Progress): number {
  return totalBytes === 0 ? 100 : Math.min(100, Math.floor((doneBytes * 100) / totalBytes))
}

function bar(state: Progress): string {
  const full = Math.floor((percent(state) * BAR_WIDTH) / 100)
  return `[${'#'.repeat(full)}${' '.repeat(BAR_WIDTH - full)}]`
}
