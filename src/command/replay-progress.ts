/**
 * How far a recovery is. PostgreSQL asks for one segment after the other, each time in a new process: what must be known
 * from one to the next is a small file beside the locks. The line goes to standard error, which is the server's log.
 */
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import { readFile, rename, writeFile } from '../base/files.ts'
import { makeFolder } from '../base/folder.ts'
import { MINUTE_MS, SECOND_MS } from '../base/units.ts'
import { archivePrefix } from '../format/repo-path.ts'
import { parseArchivedSegment, parseSegmentName, segmentStart } from '../format/wal.ts'
import { type ArchivePlace, isSegmentFile } from '../repo/archive.ts'
import { type Context, stanzaOf } from './command.ts'

/** One recovery, as its segments told it. LSNs as decimal text: JSON has no big integers. */
export interface Replay {
  /** Where the first segment begins. */
  readonly firstLsn: string
  /** Where the newest archived segment ends. */
  readonly endLsn: string
  /** Where the last segment asked for begins. */
  readonly atLsn: string
  readonly startMs: number
  readonly askedMs: number
  readonly shownMs: number
}

interface Asked {
  readonly lsn: bigint
  readonly segmentSizeBytes: number
  readonly nowMs: number
}

const SHOW_INTERVAL_MS = 10 * SECOND_MS
/** A recovery that asked for nothing this long has ended, or waits for WAL that is not there yet. */
const SILENCE_MS_MAX = 10 * MINUTE_MS

/**
 * Notes that `name` was fetched from `place`, and tells at most every ten seconds how far recovery is in the WAL that is
 * archived; a target may end it earlier. Never throws: recovery matters more than its display.
 */
export async function noteReplay(
  context: Context,
  { place, name, segmentSizeBytes }: Fetched,
): Promise<void> {
  if (!isSegmentFile(name) || name.endsWith('.partial')) return
  try {
    const path = replayFile(context)
    const asked = {
      lsn: segmentStart(parseSegmentName(name), segmentSizeBytes),
      segmentSizeBytes,
      nowMs: context.clock.nowMs(),
    }
    const known = continued(await readReplay(path), asked)
    const replay =
      known ?? (place === undefined ? undefined : begun(asked, await endOfArchive(place, asked)))
    if (replay === undefined) return
    const due = known !== undefined && asked.nowMs - replay.shownMs >= SHOW_INTERVAL_MS
    if (due) show(context, replay, asked)
    await writeReplay(path, {
      ...replay,
      atLsn: String(asked.lsn),
      askedMs: asked.nowMs,
      shownMs: due ? asked.nowMs : replay.shownMs,
    })
  } catch (error) {
    context.log.debug(`unable to tell how far recovery is: ${String(error)}`)
  }
}

export interface Fetched {
  /** Undefined for a segment that was fetched in advance: enough to go on, not to begin. */
  readonly place: ArchivePlace | undefined
  readonly name: string
  readonly segmentSizeBytes: number
}

/** The recovery that this segment belongs to; undefined when it begins another, or has passed the end that was known. */
export function continued(replay: Replay | undefined, asked: Asked): Replay | undefined {
  if (replay === undefined || asked.nowMs - replay.askedMs > SILENCE_MS_MAX) return undefined
  return asked.lsn >= BigInt(replay.atLsn) && asked.lsn < BigInt(replay.endLsn) ? replay : undefined
}

function begun({ lsn, nowMs }: Asked, endLsn: bigint): Replay {
  const at = String(lsn)
  return {
    firstLsn: at,
    endLsn: String(endLsn),
    atLsn: at,
    startMs: nowMs,
    askedMs: nowMs,
    shownMs: nowMs,
  }
}

/** What was asked for before is replayed now. */
function show(context: Context, replay: Replay, { lsn }: Asked): void {
  const first = BigInt(replay.firstLsn)
  context.progress({
    step: 'recovery',
    doneBytes: Number(lsn - first),
    totalBytes: Number(BigInt(replay.endLsn) - first),
    sinceMs: replay.startMs,
  })
}

/** Two listings, once a recovery: where the newest segment ends, of whatever timeline. */
async function endOfArchive(
  { storage, stanza, archiveId }: ArchivePlace,
  { lsn, segmentSizeBytes }: Asked,
): Promise<bigint> {
  const root = archivePrefix(stanza, archiveId)
  const names = (await storage.names(root)).map(({ name }) => name)
  const newest = names
    .filter((name) => /^[0-9A-F]{16}$/.test(name))
    .reduce((best, name) => (name.slice(8) >= best.slice(8) ? name : best), '')
  if (newest === '') return lsn + BigInt(segmentSizeBytes)
  const segments = (await storage.names(`${root}/${newest}`)).flatMap(({ name }) => {
    const parsed = parseArchivedSegment(name)
    return parsed === undefined ? [] : [segmentStart(parsed.segment, segmentSizeBytes)]
  })
  const last = segments.reduce((most, one) => (one > most ? one : most), lsn)
  return last + BigInt(segmentSizeBytes)
}

/** One for each data directory: copies of one stanza may recover on one host at the same time. */
function replayFile(context: Context): string {
  const { config } = context
  const place = createHash('sha1').update(config.text('pg-path', 1)).digest('hex').slice(0, 8)
  return join(config.text('lock-path'), `${stanzaOf(context)}-replay-${place}.json`)
}

async function readReplay(path: string): Promise<Replay | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '{}')
  const value: unknown = JSON.parse(text)
  return isReplay(value) ? value : undefined
}

async function writeReplay(path: string, replay: Replay): Promise<void> {
  const text = JSON.stringify(replay)
  const next = `${path}.tmp`
  try {
    await writeFile(next, text, { mode: 0o640 })
  } catch {
    await makeFolder(dirname(path))
    await writeFile(next, text, { mode: 0o640 })
  }
  await rename(next, path)
}

function isReplay(value: unknown): value is Replay {
  if (typeof value !== 'object' || value === null) return false
  if (!('firstLsn' in value && 'endLsn' in value && 'atLsn' in value)) return false
  if (!('startMs' in value && 'askedMs' in value && 'shownMs' in value)) return false
  const lsns = [value.firstLsn, value.endLsn, value.atLsn]
  const times = [value.startMs, value.askedMs, value.shownMs]
  return (
    lsns.every((lsn) => typeof lsn === 'string' && /^\d+$/.test(lsn)) &&
    times.every((time) => typeof time === 'number')
  )
}
