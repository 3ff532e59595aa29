/**
 * Which WAL stays and for whom. Pure. The rules are pgBackRest's (2.60) but for one thing: what any kept backup needs stays,
 * also when timelines make a newer backup need older WAL.
 */
import type { BackupEntry } from '../../format/backup-info.ts'
import type { BackupKind } from '../../format/label.ts'
import { parseArchiveId } from '../../format/wal.ts'
import type { RetentionRules } from './retention.ts'

export interface WalFacts {
  /** The backups that stay, ascending by label. */
  readonly kept: readonly BackupEntry[]
  /** Of the stanza, whether or not there is WAL of it. */
  readonly history: readonly { readonly id: number; readonly version: string }[]
  readonly currentId: number
  /** Archive ids with WAL in the repository. */
  readonly archiveIds: readonly string[]
  readonly rules: RetentionRules
  /** WAL from here on stays whatever the rules say. */
  readonly walBefore: string | undefined
}

/** Segments that somebody needs, both ends included. */
export interface WalRange {
  readonly start: string
  /** Undefined: everything that follows. */
  readonly stop: string | undefined
  /** `consistency`: to restore the backup at all. `recovery`: to recover from it to any later point. */
  readonly why: 'consistency' | 'recovery' | 'asked'
  /** Whose; undefined when asked for. */
  readonly backup: string | undefined
}

/** What happens to the WAL of one archive id. */
export type ArchivePlan =
  | { readonly archiveId: string; readonly action: 'keep' | 'remove'; readonly because: string }
  | {
      readonly archiveId: string
      readonly action: 'ranges'
      readonly because: string
      /** Ascending by backup. */
      readonly ranges: readonly WalRange[]
      /** Timeline history files from this one on stay, and those of kept backups. */
      readonly historyFrom: number
      readonly historyOf: ReadonlySet<number>
    }

export type RangedPlan = Extract<ArchivePlan, { action: 'ranges' }>

/** One plan for each archive id of the stanza's history, oldest first; other directories are nobody's business. */
export function planArchives(facts: WalFacts): readonly ArchivePlan[] {
  const known = new Set(facts.history.map(({ id, version }) => `${version}-${id}`))
  return facts.archiveIds
    .filter((id) => known.has(id))
    .map((id) => ({ id, historyId: parseArchiveId(id)?.historyId ?? 0 }))
    .toSorted((left, right) => left.historyId - right.historyId)
    .map(({ id, historyId }) => planArchive(facts, id, historyId))
}

/** How much a backup needs to be restored. */
const RANKS = { full: 0, diff: 1, incr: 2 } as const satisfies Readonly<Record<BackupKind, number>>

function planArchive(facts: WalFacts, archiveId: string, historyId: number): ArchivePlan {
  const { rules, kept, currentId } = facts
  const option = `repo${rules.repoKey}-retention-archive=${rules.archive}`
  const keep = (because: string): ArchivePlan => ({ archiveId, action: 'keep', because })
  if (rules.archive === undefined) {
    return keep(`repo${rules.repoKey}-retention-archive is not set`)
  }
  const counted = kept.filter(({ kind }) => RANKS[kind] <= RANKS[rules.archiveType])
  if (counted.length < rules.archive) {
    return keep(`there are only ${counted.length} backups that count (${option})`)
  }
  const isOwn = (backup: BackupEntry): boolean => backup.historyId === historyId
  const own = kept.filter(isOwn)
  if (own.length === 0) {
    if (historyId === currentId) return planWithoutBackup(archiveId, facts.walBefore)
    return { archiveId, action: 'remove', because: 'no backup of this cluster is left' }
  }
  const retained = counted.slice(-rules.archive).find(isOwn) ?? counted.findLast(isOwn)
  if (retained?.archiveStart === undefined) {
    return keep('the backup that WAL retention counts from was taken without WAL')
  }
  return planRanges({ archiveId, own, retained, start: retained.archiveStart }, facts.walBefore)
}

/** WAL of the current cluster waits for its first backup, unless somebody says from where on. */
function planWithoutBackup(archiveId: string, walBefore: string | undefined): ArchivePlan {
  const because = 'the current cluster has no backup yet'
  if (walBefore === undefined) return { archiveId, action: 'keep', because }
  const asked: WalRange = { start: walBefore, stop: undefined, why: 'asked', backup: undefined }
  const histories = { historyFrom: 0, historyOf: new Set<number>() }
  return { archiveId, action: 'ranges', because, ranges: [asked], ...histories }
}

interface Retained {
  readonly archiveId: string
  /** The kept backups of this cluster. */
  readonly own: readonly BackupEntry[]
  /** From this one on, recovery to any point stays possible. */
  readonly retained: BackupEntry
  readonly start: string
}

function planRanges(
  { archiveId, own, retained, start }: Retained,
  walBefore: string | undefined,
): RangedPlan {
  const asked: WalRange[] =
    walBefore === undefined || walBefore >= start
      ? []
      : [{ start: walBefore, stop: undefined, why: 'asked', backup: undefined }]
  const ranges = [...own.flatMap((backup) => rangeOf(backup, retained)), ...asked]
  const open = ranges.filter(({ why }) => why !== 'consistency')
  const timelines = own.flatMap(({ archiveStart }) =>
    archiveStart === undefined ? [] : [timelineOf(archiveStart)],
  )
  return {
    archiveId,
    action: 'ranges',
    because: `recovery to any point stays possible from backup ${retained.label} on`,
    ranges,
    historyFrom: Math.min(...open.map((range) => timelineOf(range.start))),
    historyOf: new Set(timelines),
  }
}

/** A backup of a stopped cluster needs no WAL. */
function rangeOf(backup: BackupEntry, retained: BackupEntry): readonly WalRange[] {
  const { label, archiveStart, archiveStop } = backup
  if (archiveStart === undefined) return []
  const older = label < retained.label
  const stop = older ? archiveStop : undefined
  const why = older && stop !== undefined ? 'consistency' : 'recovery'
  return [{ start: archiveStart, stop, why, backup: label }]
}

function timelineOf(segment: string): number {
  return Number.parseInt(segment.slice(0, 8), 16)
}

/** The plan as far as it concerns a directory of segments, by its 16 digits: there may be a range for each backup. */
export function within(plan: RangedPlan, folder: string): RangedPlan {
  const [first, last] = endsOf(folder)
  const ranges = plan.ranges.filter(
    ({ start, stop }) => start <= last && (stop === undefined || stop >= first),
  )
  return { ...plan, ranges }
}

/** Who needs a segment, by the 24 digits that its file's name begins with; nobody: it goes. */
export function keepersOf({ ranges }: RangedPlan, segment: string): readonly WalRange[] {
  return ranges.filter(
    ({ start, stop }) => segment >= start && (stop === undefined || segment <= stop),
  )
}

/** Of a directory of segments: all stay, all go, or each is to be looked at. */
export function folderFate(plan: RangedPlan, folder: string): 'keep' | 'remove' | 'look' {
  const [first, last] = endsOf(folder)
  const { ranges } = within(plan, folder)
  const isWhole = ranges.some(
    ({ start, stop }) => start <= first && (stop === undefined || stop >= last),
  )
  if (isWhole) return 'keep'
  return ranges.length > 0 ? 'look' : 'remove'
}

function endsOf(folder: string): readonly [first: string, last: string] {
  return [`${folder}00000000`, `${folder}FFFFFFFF`]
}

/** Of `00000002.history`, by its timeline. */
export function historyFate(
  { historyFrom, historyOf }: RangedPlan,
  timeline: number,
): 'keep' | 'remove' {
  return timeline < historyFrom && !historyOf.has(timeline) ? 'remove' : 'keep'
}
