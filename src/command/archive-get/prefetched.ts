/** archive-get with archive-async: takes a segment that was fetched in advance, and has the next ones fetched. */
import { join } from 'node:path'
import { AppError, asAppError, errnoOf } from '../../base/error.ts'
import { copyFile, rename, rm, stat } from '../../base/files.ts'
import { nextSegment, type SegmentName } from '../../format/wal.ts'
import type { Context } from '../command.ts'
import { noteReplay } from '../replay-progress.ts'
import { isArchiveBusy, startBackground } from '../spool/background.ts'
import { leaveNote } from '../spool/launcher-note.ts'
import { openSpool, readOk, type Spool, TEMP_SUFFIX } from '../spool/spool.ts'
import { getFile } from './fetch.ts'

const PAUSE_MS = 20
/** Segments in the queue at most: their names are the arguments of a process. */
const QUEUE_SEGMENTS_MAX = 1024

/**
 * A segment that nobody has fetched yet is fetched here and now: that is no slower than waiting, and its errors are told
 * as they are. `missing` is as certain as without archive-async, but with `archive-missing-retry=n`, when the word of an
 * earlier background process counts.
 */
export async function getPrefetched(
  context: Context,
  segment: SegmentName,
  path: string,
): Promise<'found' | 'missing'> {
  const spool = openSpool(context, 'in')
  const taken = await take(context, { spool, segment, path })
  if (taken === 'missing') {
    if (!context.config.flag('archive-missing-retry') && (await isSaidMissing(spool, segment))) {
      return 'missing'
    }
    if ((await getFile(context, segment, path)) === 'missing') return 'missing'
  }
  const { size } = await stat(path)
  if (taken === 'taken') {
    await noteReplay(context, { place: undefined, name: segment, segmentSizeBytes: size })
  }
  await refill(context, spool, { segment, sizeBytes: size })
  const half = Math.ceil(queueLength(context, size) / 2)
  leaveNote(context, spool, [`${0x1_0000_0000 / size} ${half}`])
  return 'found'
}

interface Taking {
  readonly spool: Spool
  readonly segment: SegmentName
  readonly path: string
}

/** Moves a fetched segment to where PostgreSQL wants it, waiting for one that is just being fetched. */
async function take(
  context: Context,
  { spool, segment, path }: Taking,
): Promise<'taken' | 'missing'> {
  const { clock, config, signal } = context
  const fetched = join(spool.path, segment)
  const deadlineMs = clock.nowMs() + config.timeMs('archive-timeout')
  while (!(await exists(fetched))) {
    const isUnderWay = await exists(`${fetched}${TEMP_SUFFIX}`)
    if (!isUnderWay || clock.nowMs() >= deadlineMs || !(await isArchiveBusy(context))) {
      // It may have been completed since it was looked for.
      if (await exists(fetched)) break
      return 'missing'
    }
    await clock.sleep(PAUSE_MS, signal)
  }
  const answer = await readOk(spool, segment)
  if (answer?.status !== undefined) context.log.warn(answer.status.text)
  await move(fetched, path)
  await spool.remove(`${segment}.ok`)
  return 'taken'
}

/** Whole or not at all, also when the spool is on another file system than the WAL. */
async function move(from: string, to: string): Promise<void> {
  const temp = `${to}.pgsurety.tmp`
  try {
    await rename(from, to)
  } catch (error) {
    if (errnoOf(error) !== 'EXDEV') throw moveError(from, to, error)
    try {
      await copyFile(from, temp)
      await rename(temp, to)
      await rm(from)
    } catch (failed) {
      await rm(temp, { force: true })
      throw moveError(from, to, failed)
    }
  }
}

function moveError(from: string, to: string, cause: unknown): AppError {
  return new AppError(
    'file-move',
    `unable to move '${from}' to '${to}': ${asAppError(cause).message}`,
    {
      cause,
    },
  )
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw new AppError(
      'file-open',
      `unable to get info for '${path}': ${asAppError(error).message}`,
      {
        hint: 'spool-path must be a directory that the user who runs PostgreSQL may use.',
        cause: error,
      },
    )
  }
}

async function isSaidMissing(spool: Spool, segment: SegmentName): Promise<boolean> {
  const answer = await readOk(spool, segment)
  if (answer === undefined) return false
  await spool.remove(`${segment}.ok`)
  return true
}

interface Delivered {
  readonly segment: SegmentName
  readonly sizeBytes: number
}

/** Starts fetching what comes after `segment`, unless enough is there or somebody is at it. Never more than a warning. */
async function refill(context: Context, spool: Spool, delivered: Delivered): Promise<void> {
  try {
    const wanted = following(delivered, queueLength(context, delivered.sizeBytes))
    const names = new Set(await spool.list())
    const there = wanted.filter((name) => names.has(name))
    const enough = context.config.bytes('archive-get-queue-max') / 2
    if (there.length * delivered.sizeBytes > enough || (await isArchiveBusy(context))) return
    await spool.create()
    const kept = new Set(there.flatMap((name) => [name, `${name}.ok`]))
    for (const name of names) if (!kept.has(name)) await spool.remove(name)
    startBackground(
      context,
      wanted.filter((name) => !names.has(name)),
    )
  } catch (error) {
    context.log.warn(`the next segments cannot be fetched in advance: ${asAppError(error).text}`)
  }
}

/** At least two, as in pgBackRest. */
function queueLength({ config }: Context, sizeBytes: number): number {
  const fitting = Math.floor(config.bytes('archive-get-queue-max') / sizeBytes)
  return Math.min(QUEUE_SEGMENTS_MAX, Math.max(2, fitting))
}

function following({ segment, sizeBytes }: Delivered, count: number): readonly SegmentName[] {
  const names: SegmentName[] = []
  let name = segment
  for (let at = 0; at < count; at += 1) {
    name = nextSegment(name, sizeBytes)
    names.push(name)
  }
  return names
}
