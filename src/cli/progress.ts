/** How a long step is shown: one line that redraws itself on a terminal, a plain line every few seconds elsewhere. */
import type { Clock } from '../base/clock.ts'
import { formatDuration, formatSize, SECOND_MS } from '../base/units.ts'
import type { Progress } from '../command/command.ts'
import type { Program } from './cli.ts'

const TTY_INTERVAL_MS = 200
const PLAIN_INTERVAL_MS = 10 * SECOND_MS
const BAR_WIDTH = 24
const COLUMNS_MIN = 40

export interface ProgressDisplay {
  readonly show: (state: Progress | undefined) => void
  /** The same program; what it writes takes the place of the line that is drawn, and does not stand behind it. */
  readonly beside: (program: Program) => Program
}

/** `columnsOf`: of the terminal; 0 where there is none. */
export function openProgress(
  program: Pick<Program, 'writeError'>,
  clock: Clock,
  columnsOf: () => number = () => (process.stderr.isTTY ? process.stderr.columns : 0),
): ProgressDisplay {
  // Opening standard error takes milliseconds, and most runs show nothing.
  let device: 'terminal' | 'other' | undefined
  const isTerminal = (): boolean => {
    device ??= columnsOf() > COLUMNS_MIN ? 'terminal' : 'other'
    return device === 'terminal'
  }
  const interval = (): number => (isTerminal() ? TTY_INTERVAL_MS : PLAIN_INTERVAL_MS)
  let step = ''
  let startMs = 0
  /** Of what is shown again and again, the next time. */
  let dueMs = 0
  let startBytes = 0
  let drawn = false
  const erase = (): void => {
    if (drawn && isTerminal()) program.writeError('\r\u001B[K')
    drawn = false
  }
  return {
    beside: (other) => ({
      ...other,
      writeOut: (text) => {
        erase()
        other.writeOut(text)
      },
      writeError: (text) => {
        erase()
        other.writeError(text)
      },
    }),
    show: (state) => {
      if (state === undefined) {
        erase()
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
        startBytes = state.doneBytes
        dueMs = nowMs + interval()
      }
      if (nowMs < dueMs) return
      // Steady, however late the last one was.
      dueMs += interval() * (Math.floor((nowMs - dueMs) / interval()) + 1)
      drawn = true
      const line = progressText(state, nowMs - startMs, startBytes)
      // A line that wraps would not be drawn over.
      const drawing = (): string => `${bar(state)} ${line}`.slice(0, columnsOf() - 1)
      program.writeError(isTerminal() ? `\r\u001B[K${drawing()}` : `${line}\n`)
    },
  }
}

/** `backup 42% 1.2GB of 2.8GB, 150MB/s, 11.2s left`; the rate is that since `startBytes` were done. */
export function progressText(state: Progress, elapsedMs: number, startBytes = 0): string {
  const { step, part, doneBytes, totalBytes } = state
  const done = `${step} ${amount(state)}`
  const partText = part === undefined ? '' : `; ${part.name}`
  const partDone =
    part?.totalBytes === undefined ? '' : ` ${amount({ ...part, totalBytes: part.totalBytes })}`
  const newBytes = doneBytes - startBytes
  if (elapsedMs <= 0 || newBytes <= 0) return `${done}${partText}${partDone}`
  const bytesPerMs = newBytes / elapsedMs
  const rate = formatSize(Math.round(bytesPerMs * SECOND_MS))
  const left = formatDuration(Math.max(0, (totalBytes - doneBytes) / bytesPerMs))
  return `${done}, ${rate}/s, ${left} left${partText}${partDone}`
}

type Amount = Pick<Progress, 'doneBytes' | 'totalBytes'>

/** `42% 1.2GB of 2.8GB` */
function amount(of: Amount): string {
  return `${percent(of)}% ${formatSize(of.doneBytes)} of ${formatSize(of.totalBytes)}`
}

function percent({ doneBytes, totalBytes }: Amount): number {
  return totalBytes === 0 ? 100 : Math.min(100, Math.floor((doneBytes * 100) / totalBytes))
}

function bar(state: Progress): string {
  const full = Math.floor((percent(state) * BAR_WIDTH) / 100)
  return `[${'#'.repeat(full)}${' '.repeat(BAR_WIDTH - full)}]`
}
