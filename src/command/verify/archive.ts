/** The WAL of one archive id: every segment read and compared with its name, histories and labels looked at. */
import { MIB } from '../../base/units.ts'
import type { ArchiveInfo } from '../../format/archive-info.ts'
import { type HistoryEntry, parseHistory } from '../../format/history.ts'
import { archivePrefix } from '../../format/repo-path.ts'
import { parseArchivedSegment, parseArchiveId, type SegmentName } from '../../format/wal.ts'
import { collect } from '../../pipe/pipe.ts'
import { type ArchivePlace, readArchived } from '../../repo/archive.ts'
import type { ObjectEntry, StorageEntry } from '../../storage/storage.ts'
import { batchesOf } from '../../worker/batch.ts'
import type { Piece } from './check-job.ts'
import type { Checker } from './checker.ts'
import { count, emptyTally, problemOf, type Tally } from './findings.ts'
import type { Nature } from './nature.ts'
import { type Outcome, outcomeOf } from './outcome.ts'
import { consecutive, type NeededWal, type SegmentRange } from './wal-ranges.ts'

export interface ArchiveReport {
  readonly id: string
  readonly tally: Tally
  readonly segments: ReadonlyMap<SegmentName, SegmentFacts>
  /** Of every segment that is there, whatever its state. */
  readonly ranges: readonly SegmentRange[]
  readonly segmentSizeBytes: number
  readonly histories: ReadonlyMap<number, readonly HistoryEntry[]>
}

export interface SegmentFacts {
  readonly state: 'valid' | 'invalid' | 'unreadable'
  /** About when it was archived. */
  readonly modifiedMs: number
}

export interface ArchiveQuestion {
  readonly id: string
  readonly info: ArchiveInfo
  /** What backups need of it. */
  readonly needed: readonly NeededWal[]
  /** `needed`: look at nothing else. */
  readonly scope: 'all' | 'needed'
}

const HISTORY_NAME = /^[0-9A-F]{8}\.history$/
/** PostgreSQL's own, until a segment says otherwise. */
const DEFAULT_SEGMENT_BYTES = 16 * MIB
/** A history has a line for each timeline. */
const HISTORY_BYTES_MAX = MIB

/** One WAL file that is to be read. */
interface Job {
  readonly piece: Piece
  readonly sizeBytes: number
  readonly modifiedMs: number
  /** Undefined for what is not a complete segment. */
  readonly segment: SegmentName | undefined
}

/** An archive while it is read. */
interface Reading {
  readonly checker: Checker
  readonly question: ArchiveQuestion
  readonly tally: Tally
  readonly segments: Map<SegmentName, SegmentFacts>
}

export async function verifyArchive(
  checker: Checker,
  question: ArchiveQuestion,
): Promise<ArchiveReport> {
  const reading: Reading = { checker, question, tally: emptyTally(), segments: new Map() }
  const { tally, segments } = reading
  let segmentSizeBytes = DEFAULT_SEGMENT_BYTES
  const run = checker.run(batches(reading), {
    step: `verify WAL of ${question.id}`,
    totalBytes: await totalBytes(reading),
    cipherPass: question.info.cipherPass?.reveal(),
  })
  for await (const { job, outcome } of run) {
    if (outcome.state === 'valid') segmentSizeBytes = outcome.segmentSizeBytes ?? segmentSizeBytes
    take(reading, job, outcome)
  }
  const ranges = consecutive([...segments.keys()].toSorted(), segmentSizeBytes)
  const histories = await readHistories(checker, question)
  return { id: question.id, tally, segments, ranges, segmentSizeBytes, histories }
}

function take({ checker, question, tally, segments }: Reading, job: Job, outcome: Outcome): void {
  const { segment, modifiedMs, piece } = job
  // Listed a moment ago and gone now: expire has removed it.
  if (outcome.state === 'damaged' && outcome.kind === 'missing') return
  const backups = outcome.state === 'valid' ? [] : needing(question, segment)
  const problem = problemOf(outcome, { object: piece.key, backups })
  if (problem !== undefined) checker.findings.add(problem)
  if (segment === undefined) return
  count(tally, problem?.kind)
  const state = outcome.state === 'damaged' ? 'invalid' : outcome.state
  segments.set(segment, { state, modifiedMs })
}

/** Stored size of what will be read. Listing twice costs little beside reading, and keeps no list of it all in memory. */
async function totalBytes({ checker, question }: Reading): Promise<number> {
  const root = archivePrefix(checker.stanza, question.id)
  let bytes = 0
  for (const { kind, name } of await listedAgain(checker, root)) {
    if (kind !== 'prefix' || !isWanted(question, name)) continue
    for (const entry of await listedAgain(checker, `${root}/${name}`)) {
      if (isObject(entry) && isWanted(question, entry.name.slice(0, 24))) bytes += entry.sizeBytes
    }
  }
  return bytes
}

/** Labels of the backups that are not consistent without the segment. */
function needing({ needed }: ArchiveQuestion, segment: SegmentName | undefined): readonly string[] {
  if (segment === undefined) return []
  return needed
    .filter(({ first, last }) => first <= segment && segment <= last)
    .map(({ label }) => label)
}

/** Every file of the archive, directory by directory. Two versions of a segment are a problem, and neither is read. */
async function* batches(reading: Reading): AsyncGenerator<readonly Job[], void, undefined> {
  const { checker, question } = reading
  const root = archivePrefix(checker.stanza, question.id)
  const entries = await listed(checker, root)
  const histories = entries.filter(isObject).filter(({ name }) => HISTORY_NAME.test(name))
  yield* batchesOf(histories.map((entry) => textFile(root, entry, { kind: 'history' })))
  for (const { kind, name } of entries) {
    if (kind !== 'prefix' || !/^[0-9A-F]{16}$/.test(name)) continue
    if (!isWanted(question, name)) continue
    const objects = (await listed(checker, `${root}/${name}`)).filter(isObject)
    yield* batchesOf(filesOf(reading, { prefix: `${root}/${name}`, objects }))
  }
}

interface Directory {
  readonly prefix: string
  readonly objects: readonly ObjectEntry[]
}

function* filesOf(
  reading: Reading,
  { prefix, objects }: Directory,
): Generator<Job, void, undefined> {
  const { question } = reading
  const versions = new Map<string, ObjectEntry[]>()
  for (const entry of objects) {
    if (/^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/.test(entry.name)) {
      if (question.scope === 'all') yield textFile(prefix, entry, { kind: 'backup-label' })
      continue
    }
    const parsed = parseArchivedSegment(entry.name)
    if (parsed === undefined || !isWanted(question, parsed.segment)) continue
    const name = `${parsed.segment}${parsed.partial ? '.partial' : ''}`
    versions.set(name, [...(versions.get(name) ?? []), entry])
  }
  for (const [name, entries] of versions) {
    const [first] = entries
    if (first !== undefined && entries.length === 1) yield segmentFile(prefix, first, question)
    else takeVersions(reading, `${prefix}/${name}`, entries)
  }
}

/** Two versions of one segment: archive-get refuses both, so it does not matter which of them is right. */
function takeVersions(
  { checker, question, tally, segments }: Reading,
  object: string,
  entries: readonly ObjectEntry[],
): void {
  const [found] = entries.map(({ name }) => parseArchivedSegment(name))
  const names = entries.map(({ name }) => name)
  checker.findings.add({
    object,
    file: undefined,
    kind: 'duplicate',
    detail: `it is stored ${entries.length} times: ${names.join(', ')}`,
    backups: [...needing(question, found?.segment)],
  })
  if (found === undefined || found.partial) return
  tally.checked += entries.length
  segments.set(found.segment, { state: 'invalid', modifiedMs: entries[0]?.modifiedMs ?? 0 })
}

/** Segments, and directories of them, that are looked at. */
function isWanted({ scope, needed }: ArchiveQuestion, name: string): boolean {
  if (scope === 'all') return true
  return needed.some(
    ({ first, last }) => first.slice(0, name.length) <= name && name <= last.slice(0, name.length),
  )
}

function segmentFile(prefix: string, entry: ObjectEntry, question: ArchiveQuestion): Job {
  const parsed = parseArchivedSegment(entry.name)
  const { id, info } = question
  const { version = '', historyId } = parseArchiveId(id) ?? {}
  const row = info.history.find((known) => known.id === historyId)
  const segment = parsed?.segment
  return {
    sizeBytes: entry.sizeBytes,
    modifiedMs: entry.modifiedMs,
    segment: parsed?.partial === true ? undefined : segment,
    piece: {
      ...wholeObject(`${prefix}/${entry.name}`, entry.sizeBytes),
      compressType: parsed?.compressType ?? 'none',
      contentChecksum: parsed?.checksum,
      nature:
        segment === undefined
          ? { kind: 'any' }
          : { kind: 'segment', segment, version, systemId: row?.systemId },
    },
  }
}

function textFile(prefix: string, entry: ObjectEntry, nature: Nature): Job {
  const { sizeBytes, modifiedMs } = entry
  const piece = { ...wholeObject(`${prefix}/${entry.name}`, sizeBytes), nature }
  return { sizeBytes, modifiedMs, segment: undefined, piece }
}

function wholeObject(key: string, sizeBytes: number): Piece {
  return {
    key,
    range: undefined,
    container: 'normal',
    compressType: 'none',
    storedBytes: sizeBytes,
    storedChecksum: undefined,
    contentBytes: undefined,
    contentChecksum: undefined,
    blocks: undefined,
    nature: { kind: 'any' },
  }
}

function isObject(entry: StorageEntry): entry is ObjectEntry {
  return entry.kind === 'object'
}

/** A prefix that cannot be listed hides what is below it: that is told, and not taken for empty. */
async function listed(checker: Checker, prefix: string): Promise<readonly StorageEntry[]> {
  try {
    return await checker.repo.storage.list(prefix)
  } catch (error) {
    const problem = problemOf(outcomeOf(error), { object: prefix, backups: [] })
    if (problem !== undefined) checker.findings.add(problem)
    return []
  }
}

/** For a prefix that is also read with `listed`, which tells of failures. */
async function listedAgain({ repo }: Checker, prefix: string): Promise<readonly StorageEntry[]> {
  return await repo.storage.list(prefix).catch(() => [])
}

async function readHistories(
  checker: Checker,
  { id, info }: ArchiveQuestion,
): Promise<ReadonlyMap<number, readonly HistoryEntry[]>> {
  const { repo, stanza } = checker
  const place = { storage: repo.storage, stanza, archiveId: id, cipherPass: info.cipherPass }
  const root = archivePrefix(stanza, id)
  const histories = new Map<number, readonly HistoryEntry[]>()
  for (const { name } of await listedAgain(checker, root)) {
    if (!HISTORY_NAME.test(name)) continue
    const entries = await readHistory(place, `${root}/${name}`)
    if (entries !== undefined) histories.set(Number.parseInt(name.slice(0, 8), 16), entries)
  }
  return histories
}

/** Undefined for one that cannot be used: that has been reported when it was read as a file. */
async function readHistory(
  place: ArchivePlace,
  key: string,
): Promise<readonly HistoryEntry[] | undefined> {
  try {
    const content = readArchived(place, { key, checksum: undefined, compressType: 'none' })
    return parseHistory((await collect(content, HISTORY_BYTES_MAX)).toString('latin1'))
  } catch {
    return undefined
  }
}
