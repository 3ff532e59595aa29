/** Verifies one stanza in one repository. Reads as its steps. */
import { asAppError } from '../../base/error.ts'
import type { ArchiveInfo } from '../../format/archive-info.ts'
import type { BackupEntry, BackupInfo } from '../../format/backup-info.ts'
import { archiveInfoKey, archivePrefix, backupPrefix } from '../../format/repo-path.ts'
import { archiveId, isSegmentName, parseArchiveId } from '../../format/wal.ts'
import { compareBytes } from '../../base/text.ts'
import { listBackupLabels } from '../../repo/reconstruct.ts'
import { loadBackupInfo, type Repo } from '../../repo/repo.ts'
import type { Context } from '../command.ts'
import { type ArchiveReport, verifyArchive } from './archive.ts'
import { type BackupReport, verifyBackups } from './backups.ts'
import { type Checker, openChecker } from './checker.ts'
import { type Findings, openFindings, type Problem, problemOf } from './findings.ts'
import { type MissingWal, missingWal, type Need, walState } from './judge.ts'
import { readInfos, type StanzaInfos } from './info-files.ts'
import { type Anchor, type Lost, lostRanges } from './lost.ts'
import { outcomeOf } from './outcome.ts'
import { lengthOf, type NeededWal } from './wal-ranges.ts'

export interface RepoReport {
  readonly repoKey: number
  readonly stanza: string
  readonly level: Checker['level']
  /** Info files of which neither the file nor its copy can be used. */
  readonly unusable: readonly ('backup.info' | 'archive.info')[]
  readonly archives: readonly ArchiveReport[]
  readonly backups: readonly BackupReport[]
  readonly problems: readonly Problem[]
  readonly counts: Findings['counts']
  readonly lost: readonly Lost[]
}

export type RepoStatus = 'ok' | 'error' | 'unverified'

export function statusOf({ counts }: RepoReport): RepoStatus {
  if (counts.invalid > 0) return 'error'
  return counts.unreadable > 0 ? 'unverified' : 'ok'
}

export interface RepoQuestion {
  readonly repo: Repo
  readonly stanza: string
  /** Label of the only backup to verify. */
  readonly set: string | undefined
  readonly tell: (problem: Problem) => void
}

export async function verifyRepo(
  context: Context,
  { repo, stanza, set, tell }: RepoQuestion,
): Promise<RepoReport> {
  const findings = openFindings(tell)
  const infos = await readInfos(context, { repo, findings }, stanza)
  await using checker = await openChecker(context, { repo, stanza, findings })
  const found = { infos, set }
  const archives = await verifyArchives(checker, found)
  const backups = await verifyStored(checker, found)
  const gone = await expiredMeanwhile(checker, infos.backup)
  findings.forget(gone)
  const kept = backups.filter(({ label }) => !gone.has(label))
  const judged = archives.map((archive) => judge(checker, archive, { infos, backups: kept, set }))
  const usable = kept.map((backup) => withWal(backup, judged, infos))
  const lost = judged.flatMap(({ archive, needs, missing }) => {
    const anchors = needs.flatMap((need) => anchorOf(need, usable) ?? [])
    return lostRanges(archive, anchors, missing)
  })
  return {
    repoKey: repo.key,
    stanza,
    level: checker.level,
    unusable: [
      ...(infos.backup === undefined ? ['backup.info' as const] : []),
      ...(infos.archive === undefined ? ['archive.info' as const] : []),
    ],
    archives,
    backups: usable,
    problems: findings.problems,
    counts: findings.counts,
    lost: set === undefined ? lost : [],
  }
}

interface Found {
  readonly infos: StanzaInfos
  readonly set: string | undefined
}

async function verifyArchives(
  checker: Checker,
  { infos, set }: Found,
): Promise<readonly ArchiveReport[]> {
  const { archive: info, backup } = infos
  if (info === undefined) return []
  const reports: ArchiveReport[] = []
  for (const id of await archiveIds(checker, info)) {
    const needed = (backup?.backups ?? [])
      .filter((entry) => set === undefined || entry.label === set)
      .flatMap((entry) => neededBy(entry, id, infos) ?? [])
    if (set !== undefined && needed.length === 0) continue
    const scope = set === undefined ? 'all' : 'needed'
    const report = await verifyArchive(checker, { id, info, needed, scope })
    for (const { first, last } of report.ranges) {
      checker.context.log.detail(`archiveId: ${id}, wal start: ${first}, wal stop: ${last}`)
    }
    reports.push(report)
  }
  return reports
}

/** In the order of the history. One that archive.info does not know is a problem, and is read like the others. */
async function archiveIds(checker: Checker, info: ArchiveInfo): Promise<readonly string[]> {
  const { repo, stanza, findings } = checker
  const ids: string[] = []
  try {
    for (const { kind, name } of await repo.storage.names(archivePrefix(stanza))) {
      if (kind === 'prefix' && parseArchiveId(name) !== undefined) ids.push(name)
    }
  } catch (error) {
    const object = archivePrefix(stanza)
    const problem = problemOf(outcomeOf(error), { object, backups: [] })
    if (problem !== undefined) findings.add(problem)
  }
  const known = new Set(info.history.map(({ version, id }) => archiveId(version, id)))
  for (const id of ids.filter((name) => !known.has(name))) {
    const detail = `its history does not know archive id '${id}', which is stored`
    const object = archiveInfoKey(stanza)
    findings.add({ object, file: undefined, kind: 'inconsistent', detail, backups: [] })
  }
  return ids.toSorted((left, right) => numberOf(left) - numberOf(right))
}

function numberOf(id: string): number {
  return parseArchiveId(id)?.historyId ?? 0
}

/** The labels to verify, ascending: every directory, and what backup.info lists besides. */
async function verifyStored(
  checker: Checker,
  { infos, set }: Found,
): Promise<readonly BackupReport[]> {
  const { backup: info } = infos
  if (info === undefined) return []
  const { repo, stanza, findings } = checker
  let stored: readonly string[] = []
  try {
    stored = await listBackupLabels(repo, stanza)
  } catch (error) {
    const problem = problemOf(outcomeOf(error), { object: backupPrefix(stanza), backups: [] })
    if (problem !== undefined) findings.add(problem)
  }
  const labels = new Set([...stored, ...info.backups.map(({ label }) => label)])
  const wanted = [...labels].filter((label) => set === undefined || label === set)
  return await verifyBackups(checker, info, wanted.toSorted(compareBytes))
}

/** Backups that were listed when this began and are not now; what is missing of them is nobody's loss. */
async function expiredMeanwhile(
  { context, repo, stanza, findings }: Checker,
  info: BackupInfo | undefined,
): Promise<ReadonlySet<string>> {
  if (info === undefined || findings.problems.length === 0) return new Set()
  let now: BackupInfo
  try {
    now = await loadBackupInfo(repo, stanza)
  } catch (error) {
    // It could be read a while ago: what was found then stays as it is.
    context.log.debug(asAppError(error).text)
    return new Set()
  }
  const left = new Set(now.backups.map(({ label }) => label))
  const gone = info.backups.map(({ label }) => label).filter((label) => !left.has(label))
  for (const label of gone) context.log.warn(`backup '${label}' was removed while it was verified`)
  return new Set(gone)
}

/** The WAL without which a backup cannot be restored, when it is of this archive id. */
function neededBy(
  { label, archiveStart, archiveStop, historyId }: BackupEntry,
  id: string,
  { archive, backup }: StanzaInfos,
): NeededWal | undefined {
  if (archiveStart === undefined || archiveStop === undefined) return undefined
  if (!isSegmentName(archiveStart) || !isSegmentName(archiveStop)) return undefined
  const row = backup?.history.find((one) => one.id === historyId)
  const same = (archive?.history ?? []).filter(
    ({ version, systemId }) => version === row?.version && systemId === row.systemId,
  )
  // History ids of the two files may differ.
  const own = same.find((one) => one.id === historyId) ?? same.at(-1)
  if (own === undefined || archiveId(own.version, own.id) !== id) return undefined
  return { label, first: archiveStart, last: archiveStop }
}

interface Surroundings {
  readonly infos: StanzaInfos
  readonly backups: readonly BackupReport[]
  readonly set: string | undefined
}

interface Judged {
  readonly archive: ArchiveReport
  readonly needs: readonly Need[]
  readonly missing: readonly MissingWal[]
}

/** Tells of WAL that should be there. */
function judge(checker: Checker, archive: ArchiveReport, around: Surroundings): Judged {
  const { infos, backups, set } = around
  const needs = backups.flatMap(({ entry, ownSegments }): readonly Need[] => {
    const need = entry && neededBy(entry, archive.id, infos)
    return need === undefined ? [] : [{ ...need, ownSegments }]
  })
  const missing = missingWal(archive, needs)
  const root = archivePrefix(checker.stanza, archive.id)
  for (const { first, last, labels } of missing) {
    if (set !== undefined && labels.length === 0) continue
    const length = lengthOf({ first, last }, archive.segmentSizeBytes)
    checker.findings.add({
      object: `${root}/${first.slice(0, 16)}/${first}`,
      file: undefined,
      kind: 'missing',
      detail: length === 1 ? 'it is not there' : `${length} segments up to ${last} are not there`,
      backups: [...labels],
    })
  }
  return { archive, needs, missing }
}

/** A backup whose files are right is of no use without its WAL. */
function withWal(
  backup: BackupReport,
  judged: readonly Judged[],
  { archive }: StanzaInfos,
): BackupReport {
  if (backup.status !== 'valid' || backup.entry?.archiveStart === undefined) return backup
  const found = judged.find(({ needs }) => needs.some(({ label }) => label === backup.label))
  const need = found?.needs.find(({ label }) => label === backup.label)
  if (found === undefined || need === undefined) {
    return { ...backup, status: archive === undefined ? 'unverified' : 'invalid' }
  }
  const state = walState(need, found.archive)
  const status = state === 'unreadable' ? 'unverified' : state
  return { ...backup, status }
}

function anchorOf(need: Need, backups: readonly BackupReport[]): Anchor | undefined {
  const backup = backups.find(({ label }) => label === need.label)
  if (backup?.entry === undefined || backup.status === 'in-progress') return undefined
  const isLost = backup.status === 'invalid' || backup.status === 'manifest missing'
  return { ...need, stopS: backup.entry.stopS, usable: isLost ? 'no' : 'yes' }
}
