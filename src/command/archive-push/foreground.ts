/** archive-push with archive-async: waits for a background process to answer for the file, and starts one when none works. */
import { dirname } from 'node:path'
import { AppError } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Background, Context } from '../command.ts'
import { hintOfLog, isArchiveBusy, startBackground } from '../spool/background.ts'
import { leaveNote } from '../spool/launcher-note.ts'
import {
  type Answer,
  openSpool,
  readAnswer,
  readOk,
  removeErrors,
  type Spool,
} from '../spool/spool.ts'
import { errorOfStatus, type Status } from '../spool/status.ts'
import type { WalFile } from '../wal-segment.ts'

const PAUSE_FIRST_MS = 5
const PAUSE_MAX_MS = 100

/**
 * Resolves to 0 when an answer says so. Throws the error in the answer, or `archive-timeout` when none comes.
 * Errors count only when they are news: what an earlier background process met may be over, and what a power cut left of
 * its words must not be in the way.
 */
export async function pushInBackground(context: Context, file: WalFile): Promise<number> {
  const { config, log } = context
  if (!config.has('pg-path', 1)) {
    throw new AppError(
      'option-required',
      "'archive-push' command in async mode requires option 'pg1-path'",
    )
  }
  const spool = openSpool(context, 'out')
  const answer = await awaitAnswer(context, spool, file)
  if (answer.kind === 'error' && answer.status !== undefined) throw errorOfStatus(answer.status)
  sayAnswer(context, file, answer.status)
  log.info(`pushed WAL file '${file.name}' to the archive asynchronously`)
  leaveNote(context, spool)
  return 0
}

/** Throws when none came in time, or the background process that was started for it ended without one. */
async function awaitAnswer(context: Context, spool: Spool, file: WalFile): Promise<Answer> {
  const { config, clock } = context
  const first = await readOk(spool, file.name)
  if (first !== undefined) return first
  const deadlineMs = clock.nowMs() + config.timeMs('archive-timeout')
  let background = await startUnlessBusy(context, spool, file)
  let pauseMs = PAUSE_FIRST_MS
  while (clock.nowMs() < deadlineMs) {
    await clock.sleep(pauseMs, context.signal)
    pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 1.5)
    // Looked at before the answer is: the last that it did must be seen.
    const isOver = background?.hasEnded() ?? false
    const answer = await readAnswer(spool, file.name)
    if (answer !== undefined) return answer
    if (isOver && !(await isArchiveBusy(context))) {
      // Another process may have had the lock, and has just finished.
      const last = await readAnswer(spool, file.name)
      if (last !== undefined) return last
      throw noAnswer(context, file, 'the background process ended without an answer')
    }
    background ??= await startUnlessBusy(context, spool, file)
  }
  const seconds = config.timeMs('archive-timeout') / SECOND_MS
  throw noAnswer(context, file, `no answer after ${seconds} second(s)`)
}

function noAnswer(context: Context, file: WalFile, why: string): AppError {
  return new AppError(
    'archive-timeout',
    `unable to push WAL file '${file.name}' to the archive asynchronously: ${why}`,
    { hint: hintOfLog(context) },
  )
}

async function startUnlessBusy(
  context: Context,
  spool: Spool,
  file: WalFile,
): Promise<Background | undefined> {
  if (await isArchiveBusy(context)) return undefined
  await removeErrors(spool, file.name)
  return startBackground(context, [dirname(file.path)])
}

/** A code other than 0 in an `.ok` file was an `.error` file, which somebody renamed to get archiving going again. */
function sayAnswer({ log }: Context, file: WalFile, status: Status | undefined): void {
  if (status === undefined) return
  log.warn(
    status.code === 0
      ? status.text
      : `WAL segment '${file.name}' was not pushed due to error [${status.code}] and was manually skipped: ${status.text}`,
  )
}
