/**
 * Two notes of ours beside a stanza's `archive.info`, about WAL that is not where it should be. They are in the repositories
 * and not on the host, so that whoever reads an archive can know of its holes. pgBackRest 2.60 passes over them.
 */
import { AppError } from '../base/error.ts'
import { archivePrefix } from './repo-path.ts'

/** Why a repository is not complete: kept in those that are, until what it lacks has been copied to it. */
export interface MissingNote {
  /** The N of `repoN-…`, and for people where that was. */
  readonly repoKey: number
  readonly location: string
  readonly sinceMs: number
  readonly archiveId: string
  /** Nothing before this file is missing. What comes after may be there. */
  readonly from: string
  /** The first error. */
  readonly reason: string
}

/** WAL that was given up, in one go: no repository has it, and no server any more. */
export interface Drop {
  readonly first: string
  readonly last: string
  readonly count: number
  readonly firstMs: number
  readonly lastMs: number
}

/** Enough to tell the story of years; the oldest are forgotten. */
const DROPS_MAX = 100

export function missingNoteKey(stanza: string, repoKey: number): string {
  return `${archivePrefix(stanza)}/pgsurety-missing-${repoKey}.json`
}

export function dropsKey(stanza: string): string {
  return `${archivePrefix(stanza)}/pgsurety-dropped.json`
}

export function renderNote(note: MissingNote | readonly Drop[]): Buffer {
  return Buffer.from(`${JSON.stringify(note, undefined, 2)}\n`)
}

/** Throws `format`. */
export function parseMissingNote(content: Buffer): MissingNote {
  const value = parse(content)
  const note = {
    repoKey: numberIn(value, 'repoKey'),
    location: textIn(value, 'location'),
    sinceMs: numberIn(value, 'sinceMs'),
    archiveId: textIn(value, 'archiveId'),
    from: textIn(value, 'from'),
    reason: textIn(value, 'reason'),
  }
  return note
}

/** Throws `format`. */
export function parseDrops(content: Buffer): readonly Drop[] {
  const value = parse(content)
  if (!Array.isArray(value)) throw notANote()
  return value.map((drop: unknown) => ({
    first: textIn(drop, 'first'),
    last: textIn(drop, 'last'),
    count: numberIn(drop, 'count'),
    firstMs: numberIn(drop, 'firstMs'),
    lastMs: numberIn(drop, 'lastMs'),
  }))
}

/** `drops` with one more file: a part of the last drop when it comes after it. */
export function addDropped(drops: readonly Drop[], name: string, atMs: number): readonly Drop[] {
  const last = drops.at(-1)
  if (last === undefined || name <= last.last) {
    return [...drops, { first: name, last: name, count: 1, firstMs: atMs, lastMs: atMs }]
  }
  return [...drops.slice(0, -1), { ...last, last: name, count: last.count + 1, lastMs: atMs }]
}

/** Both, oldest first; of two that begin with the same file and moment, the newer of the two, `added`. */
export function mergeDrops(known: readonly Drop[], added: readonly Drop[]): readonly Drop[] {
  const others = known.filter(
    (drop) => !added.some(({ first, firstMs }) => first === drop.first && firstMs === drop.firstMs),
  )
  return [...others, ...added]
    .toSorted((left, right) => left.firstMs - right.firstMs)
    .slice(-DROPS_MAX)
}

function parse(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString('utf8'))
  } catch (error) {
    throw notANote(error)
  }
}

function textIn(value: unknown, member: string): string {
  const found = memberOf(value, member)
  if (typeof found !== 'string') throw notANote()
  return found
}

function numberIn(value: unknown, member: string): number {
  const found = memberOf(value, member)
  if (typeof found !== 'number') throw notANote()
  return found
}

function memberOf(value: unknown, member: string): unknown {
  if (typeof value !== 'object' || value === null) throw notANote()
  return Object.entries(value).find(([name]) => name === member)?.[1]
}

function notANote(cause?: unknown): AppError {
  return new AppError('format', 'a note beside archive.info does not make sense', { cause })
}
