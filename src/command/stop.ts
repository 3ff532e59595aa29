/** stop: forbids commands on a stanza, or on all of them, and with --force ends those that are running on this host. */
import { AppError, errnoOf } from '../base/error.ts'
import { acquireLock, isLocked, listLockFiles, type LockFile, readLock } from '../repo/lock.ts'
import { putStopFile } from '../repo/stop-file.ts'
import type { Context } from './command.ts'

export async function stop(context: Context): Promise<number> {
  const { config, log } = context
  const { stanza } = config
  if ((await putStopFile(config.text('lock-path'), stanza)) === 'there-already') {
    log.warn(
      `stop file already exists for ${stanza === undefined ? 'all stanzas' : `stanza '${stanza}'`}`,
    )
  }
  // Also when the file was there: pgBackRest then ends nothing, which leaves a forced stop undone.
  if (config.flag('force')) await endRunning(context)
  return 0
}

/** Sends SIGTERM to every process that holds a lock, once each, and removes the lock files that nobody holds. */
async function endRunning(context: Context): Promise<void> {
  const { log } = context
  const lockPath = context.config.text('lock-path')
  const pids = new Set<number>()
  for (const lock of await listLockFiles(lockPath, context.config.stanza)) {
    if (!(await isLocked(lock.path))) {
      await removeStale(context, lock)
      continue
    }
    const pid = (await readLock(lock.path))?.pid
    if (pid === undefined) log.warn(`lock file '${lock.path}' is held but does not say by whom`)
    else pids.add(pid)
  }
  const spared: string[] = []
  for (const pid of pids) {
    const sent = terminate(pid)
    if (sent === 'sent') log.info(`sent term signal to process ${pid}`)
    else if (sent !== 'gone') spared.push(`${pid} (${sent})`)
  }
  if (spared.length === 0) return
  throw new AppError('command', `unable to send term signal to process ${spared.join(', ')}`, {
    hint: 'was it started by another user?',
  })
}

/** A lock that can be taken is nobody's; giving it back removes its file. */
async function removeStale({ config, execId }: Context, lock: LockFile): Promise<void> {
  await using _removed = await acquireLock({ ...lock, lockPath: config.text('lock-path'), execId })
}

/** `gone`: it has ended by itself. Else the errno of what went wrong. */
function terminate(pid: number): string {
  try {
    process.kill(pid, 'SIGTERM')
    return 'sent'
  } catch (error) {
    const errno = errnoOf(error)
    return errno === 'ESRCH' ? 'gone' : (errno ?? String(error))
  }
}
