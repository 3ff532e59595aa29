/** Copying from a standby: when its files may be read, and whether they may still be trusted afterwards. */
import { AppError } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import { formatLsn } from '../../format/wal.ts'
import { checkpoint, type ReplayState, readReplayState } from '../../postgres/backup-mode.ts'
import type { PgConnection } from '../../postgres/connection.ts'
import type { Context } from '../command.ts'
import type { Server } from '../preflight.ts'

/** Where a backup begins. */
export interface BackupStart {
  readonly startLsn: bigint
  readonly timeline: number
}

const POLL_FIRST_MS = 50
const POLL_MAX_MS = SECOND_MS

/**
 * Resolves when everything written before the backup began is in the standby's files. `archive-timeout` when for the
 * length of that option it has come no further, `db-mismatch` when it is on another timeline.
 */
export async function awaitStandby(
  context: Context,
  { connection, index }: Server,
  start: BackupStart,
): Promise<void> {
  const { log } = context
  const lsn = formatLsn(start.startLsn)
  log.info(`wait for replay on the standby to reach ${lsn}`)
  const replayed = await advance(context, {
    read: async () => (await readReplayState(connection)).replayLsn,
    // Replay is told by the end of the last record: one that ends where the backup begins is none of the backup's.
    isReached: (reached) => reached > start.startLsn,
    timeoutText: (reached) =>
      `timeout before standby replayed to ${lsn} - only reached ${formatLsn(reached)}`,
  })
  log.info(`replay on the standby reached ${formatLsn(replayed)}`)
  // Replayed changes may still be in its memory only. A restartpoint begun too early is repeated.
  await advance(context, {
    read: async () => await flushed(connection),
    isReached: (reached) => reached >= start.startLsn,
    timeoutText: (reached) =>
      `timeout before standby checkpoint lsn reached ${lsn} - only reached ${formatLsn(reached)}`,
  })
  assertFollowing(await readReplayState(connection), index, start)
}

/** Throws `db-mismatch` when the standby was promoted while its files were copied. */
export async function assertStillFollowing(
  { connection, index }: Server,
  start: BackupStart,
): Promise<void> {
  assertFollowing(await readReplayState(connection), index, start)
}

async function flushed(connection: PgConnection): Promise<bigint> {
  await checkpoint(connection)
  return (await readReplayState(connection)).redoLsn
}

interface Advance {
  readonly read: () => Promise<bigint>
  readonly isReached: (lsn: bigint) => boolean
  readonly timeoutText: (lsn: bigint) => string
}

/** Waits as long as there is progress, and `archive-timeout` without any. */
async function advance({ clock, config, signal }: Context, goal: Advance): Promise<bigint> {
  const timeoutMs = config.timeMs('archive-timeout')
  let deadlineMs = clock.nowMs() + timeoutMs
  let pauseMs = POLL_FIRST_MS
  let newest = await goal.read()
  while (!goal.isReached(newest)) {
    if (clock.nowMs() >= deadlineMs) {
      throw new AppError('archive-timeout', goal.timeoutText(newest), {
        hint: [
          'is replication running and current on the standby?',
          "disable the 'backup-standby' option to backup directly from the primary.",
        ],
      })
    }
    await clock.sleep(pauseMs, signal)
    pauseMs = Math.min(POLL_MAX_MS, pauseMs * 2)
    const now = await goal.read()
    if (now > newest) deadlineMs = clock.nowMs() + timeoutMs
    newest = now
  }
  return newest
}

function assertFollowing(state: ReplayState, index: number, start: BackupStart): void {
  if (state.inRecovery && state.timeline === start.timeline) return
  throw new AppError(
    'db-mismatch',
    state.inRecovery
      ? `the standby is on timeline ${state.timeline} but the primary is on ${start.timeline}`
      : `the standby was promoted during the backup`,
    { hint: `is the server of pg${index}-path a standby of this primary?` },
  )
}
