/** Stop files, by which people forbid work on a stanza. Apart from lock.ts: archive-push looks for them for every segment. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { AppError, errnoOf } from '../base/error.ts'

/** Throws `stop` while `stop` forbids work on the stanza or on all of them. */
export function assertNotStopped(lockPath: string, stanza: string): void {
  const hint = 'the start command allows it again.'
  if (exists(join(lockPath, `${stanza}.stop`))) {
    throw new AppError('stop', `stop file exists for stanza '${stanza}'`, { hint })
  }
  if (exists(join(lockPath, 'all.stop'))) {
    throw new AppError('stop', 'stop file exists for all stanzas', { hint })
  }
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
