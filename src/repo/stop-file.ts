/** Stop files, by which people forbid work on a stanza. Apart from lock.ts: archive-push looks for them for every segment. */
import { closeSync, openSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { AppError, asAppError, errnoOf } from '../base/error.ts'
import { makeFolder } from '../base/folder.ts'

const FILE_MODE = 0o640

/** Throws `stop` while `stop` forbids work on the stanza or on all of them. */
export function assertNotStopped(lockPath: string, stanza: string): void {
  const hint = 'the start command allows it again.'
  if (hasStopFile(lockPath, stanza)) {
    throw new AppError('stop', `stop file exists for stanza '${stanza}'`, { hint })
  }
  if (hasStopFile(lockPath, undefined)) {
    throw new AppError('stop', 'stop file exists for all stanzas', { hint })
  }
}

/** Whether there is a stop file of just this stanza; `undefined` is all stanzas. */
export function hasStopFile(lockPath: string, stanza: string | undefined): boolean {
  return exists(stopFile(lockPath, stanza))
}

/** Makes the stop file, and the lock path when it is missing. */
export async function putStopFile(
  lockPath: string,
  stanza: string | undefined,
): Promise<'made' | 'there-already'> {
  const path = stopFile(lockPath, stanza)
  try {
    await makeFolder(lockPath)
    closeSync(openSync(path, 'wx', FILE_MODE))
    return 'made'
  } catch (cause) {
    if (errnoOf(cause) === 'EEXIST' && exists(path)) return 'there-already'
    throw new AppError('file-open', `unable to make '${path}': ${asAppError(cause).message}`, {
      cause,
    })
  }
}

export function removeStopFile(
  lockPath: string,
  stanza: string | undefined,
): 'removed' | 'not-there' {
  const path = stopFile(lockPath, stanza)
  try {
    unlinkSync(path)
    return 'removed'
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return 'not-there'
    throw new AppError('file-remove', `unable to remove '${path}': ${asAppError(cause).message}`, {
      cause,
    })
  }
}

function stopFile(lockPath: string, stanza: string | undefined): string {
  return join(lockPath, `${stanza ?? 'all'}.stop`)
}

/** Synchronous and strict: a stop file that cannot be looked for is not a stop file that is not there. */
function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw new AppError(
      'file-open',
      `unable to get info for stop file '${path}': ${errnoOf(error) ?? String(error)}`,
      { cause: error },
    )
  }
}
