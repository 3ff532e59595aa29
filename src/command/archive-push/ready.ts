/** The queue of WAL files that PostgreSQL wants archived: `archive_status/<name>.ready` beside the WAL (PostgreSQL 13 to 18). */
import { AppError, errnoOf } from '../../base/error.ts'
import { readdir } from '../../base/files.ts'
import { formatSize } from '../../base/units.ts'
import { isSegmentName } from '../../format/wal.ts'
import type { Context } from '../command.ts'
import { openWal } from '../wal-segment.ts'

const READY = '.ready'

/** Names of the files in a WAL directory that wait to be archived, ascending: segments, partial ones, history, labels. */
export async function listReady(walDir: string): Promise<readonly string[]> {
  const path = `${walDir}/archive_status`
  try {
    const names = await readdir(path)
    return names
      .filter((name) => /^[0-9A-F]{8}.*\.ready$/.test(name))
      .map((name) => name.slice(0, -READY.length))
      .toSorted()
  } catch (error) {
    throw new AppError(
      errnoOf(error) === 'ENOENT' ? 'path-missing' : 'path-open',
      `unable to list path '${path}': ${errnoOf(error) ?? String(error)}`,
      { hint: 'the WAL file to push must be in a pg_wal directory.', cause: error },
    )
  }
}

/** Whether more is ready than `archive-push-queue-max` allows, which may be unset. */
export function isOverflow(
  { config }: Context,
  ready: readonly string[],
  segmentBytes: number,
): boolean {
  if (!config.has('archive-push-queue-max')) return false
  return ready.length * segmentBytes > config.bytes('archive-push-queue-max')
}

/** What is said of a file that is given up. */
export function overflowText({ config }: Context, name: string): string {
  const limit = formatSize(config.bytes('archive-push-queue-max'))
  return `dropped WAL file '${name}' because archive queue exceeded ${limit}`
}

/** Size of the first waiting segment, or else file, which stands for all of them. 0 when none waits. */
export function sizeOfFirst(walDir: string, ready: readonly string[]): number {
  const name = ready.find(isSegmentName) ?? ready[0]
  if (name === undefined) return 0
  using wal = openWal({ name, path: `${walDir}/${name}` })
  return wal.sizeBytes
}
