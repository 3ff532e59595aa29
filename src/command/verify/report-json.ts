/** The JSON report. pgBackRest 2.60 has none; the shape is docs/verify.md's and stays. */
import { toHumanText } from '../../base/text.ts'
import type { ArchiveReport } from './archive.ts'
import type { BackupReport } from './backups.ts'
import type { Problem, Tally } from './findings.ts'
import type { Lost } from './lost.ts'
import { type RepoReport, statusOf } from './verify-repo.ts'

export function reportToJson(
  reports: readonly RepoReport[],
): readonly Readonly<Record<string, unknown>>[] {
  return reports.map((report) => ({
    archive: report.archives.map(archiveToJson),
    backup: report.backups.map(backupToJson),
    level: report.level,
    lost: report.lost.map(lostToJson),
    problem: report.problems.map(problemToJson),
    'problem-total': {
      invalid: report.counts.invalid,
      unreadable: report.counts.unreadable,
    },
    repo: report.repoKey,
    stanza: report.stanza,
    status: statusOf(report),
    unusable: report.unusable,
  }))
}

function archiveToJson({ id, tally, ranges }: ArchiveReport): Readonly<Record<string, unknown>> {
  return {
    id,
    range: ranges.map(({ first, last }) => ({ start: first, stop: last })),
    wal: tallyToJson(tally),
  }
}

function backupToJson({ label, status, tally }: BackupReport): Readonly<Record<string, unknown>> {
  return { file: tallyToJson(tally), label, status }
}

function tallyToJson(tally: Tally): Readonly<Record<string, unknown>> {
  return { ...tally }
}

function problemToJson({
  object,
  file,
  kind,
  detail,
  backups,
}: Problem): Readonly<Record<string, unknown>> {
  return {
    backup: backups,
    detail,
    file: file === undefined ? null : toHumanText(file),
    kind,
    object: toHumanText(object),
  }
}

function lostToJson({
  archiveId,
  timeline,
  first,
  last,
  fromS,
  until,
}: Lost): Readonly<Record<string, unknown>> {
  return {
    'archive-id': archiveId,
    from: fromS ?? null,
    timeline,
    until: until === undefined ? null : { backup: until.label, time: until.stopS },
    wal: { start: first, stop: last },
  }
}
