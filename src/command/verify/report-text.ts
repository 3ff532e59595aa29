/** The text report: as pgBackRest 2.60 prints it, then what it does not tell. */
import { toHumanText } from '../../base/text.ts'
import { formatLocalTime } from '../../base/units.ts'
import type { ArchiveReport } from './archive.ts'
import type { BackupReport } from './backups.ts'
import type { Problem, Tally } from './findings.ts'
import type { Lost } from './lost.ts'
import { type RepoReport, statusOf } from './verify-repo.ts'

/** `everything`: also what is right. */
export type Detail = 'problems' | 'everything'

/** Empty when all is right and only problems are asked for. */
export function reportsToText(reports: readonly RepoReport[], detail: Detail): string {
  const several = reports.length > 1
  return reports.map((report) => reportToText(report, { detail, several })).join('')
}

function reportToText(
  report: RepoReport,
  { detail, several }: { readonly detail: Detail; readonly several: boolean },
): string {
  const isQuiet = statusOf(report) === 'ok' && report.level === 'content'
  if (isQuiet && detail === 'problems') return ''
  const lines = [
    `stanza: ${report.stanza}`,
    ...(several ? [`repo: ${report.repoKey}`] : []),
    `status: ${statusOf(report)}`,
    ...(report.level === 'presence' ? ['level: presence (nothing was read)'] : []),
    ...report.unusable.map((name) => `  No usable ${name} file`),
    ...report.archives.flatMap((archive) => archiveToText(archive, detail)),
    ...report.backups.flatMap((backup) => backupToText(backup, detail)),
    ...report.problems.flatMap((problem) =>
      `problem: ${problemToText(problem)}`.split('\n').map((line) => `  ${line}`),
    ),
    ...moreToText(report),
    ...report.lost.map((lost) => `  ${lostToText(lost)}`),
  ]
  return `${lines.join('\n')}\n`
}

function archiveToText({ id, tally }: ArchiveReport, detail: Detail): readonly string[] {
  if (detail === 'problems' && tally.checked === tally.valid) return []
  const total = `total WAL checked: ${tally.checked}, total valid WAL: ${tally.valid}`
  return [`  archiveId: ${id}, ${total}`, ...tallyToText(tally, detail)]
}

function backupToText(backup: BackupReport, detail: Detail): readonly string[] {
  const { label, status, tally } = backup
  if (detail === 'problems' && (status === 'valid' || status === 'in-progress')) return []
  const total = `total files checked: ${tally.checked}, total valid files: ${tally.valid}`
  return [`  backup: ${label}, status: ${status}, ${total}`, ...tallyToText(tally, detail)]
}

/** Only what there is, or all; none of it when nothing was checked. */
function tallyToText(tally: Tally, detail: Detail): readonly string[] {
  if (tally.checked === 0) return []
  const parts = [
    ['missing', tally.missing],
    ['checksum invalid', tally.checksum],
    ['size invalid', tally.size],
    ['other', tally.other],
  ] as const
  const shown = parts.filter(([, number]) => detail === 'everything' || number > 0)
  const texts = shown.map(([name, number]) => `${name}: ${number}`)
  if (tally.unreadable > 0) texts.push(`unreadable: ${tally.unreadable}`)
  return texts.length === 0 ? [] : [`    ${texts.join(', ')}`]
}

/** `<object>[ (<file>)]: <kind>: <detail>`, and the backups on a line of their own. */
export function problemToText({ object, file, kind, detail, backups }: Problem): string {
  const where =
    file === undefined ? `'${nameText(object)}'` : `'${nameText(object)}' (${nameText(file)})`
  const affected = backups.length === 0 ? '' : `\n  backup(s): ${backups.join(', ')}`
  return `${where}: ${kind}: ${printable(detail)}${affected}`
}

function nameText(byteString: string): string {
  return printable(toHumanText(byteString))
}

/** Damaged names may hold anything, and must not talk to a terminal. */
function printable(text: string): string {
  return text.replaceAll(/(?!\n)\p{Cc}/gu, '\uFFFD')
}

function moreToText({ problems, counts }: RepoReport): readonly string[] {
  const more = counts.invalid + counts.unreadable - problems.length
  return more > 0 ? [`  and ${more} more problem(s)`] : []
}

function lostToText({ archiveId, timeline, first, last, fromS, until }: Lost): string {
  const from = fromS === undefined ? 'the beginning' : `about ${formatLocalTime(fromS)}`
  const to =
    until === undefined
      ? 'the end of the archive'
      : `${formatLocalTime(until.stopS)} (backup ${until.label})`
  const wal = first === last ? first : `${first} to ${last}`
  return `not reachable: from ${from} until ${to} (archiveId: ${archiveId}, timeline ${timeline}, WAL ${wal})`
}
