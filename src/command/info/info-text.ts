/** `info` for people: line for line what pgBackRest 2.60 prints. */
import { formatLocalTime, formatSize } from '../../base/units.ts'
import type { BackupEntry } from '../../format/backup-info.ts'
import { kindOfLabel } from '../../format/label.ts'
import { tellArchiveStory } from '../archive-story.ts'
import {
  type BackupDetails,
  backupLockOf,
  cipherOfStanza,
  currentDatabase,
  detailsOf,
  type InfoFacts,
  type ListedBackup,
  listBackups,
  type LockFacts,
  type Question,
  type StanzaFacts,
  STATUS_MIXED,
  STATUS_NO_PATH,
  STATUS_OK,
  STATUS_OTHER,
  STATUS_PG_MISMATCH,
  type Status,
  statusOfRepo,
  statusOfStanza,
} from './facts.ts'
import { dumpsToText } from './dumps-report.ts'
import { windowsToText } from './windows-report.ts'

/** A byte string; ends in LF. */
export function infoToText({ stanzas, question }: InfoFacts): string {
  if (stanzas.length === 0) return 'No stanzas exist in the repository.\n'
  return stanzas.map((stanza) => stanzaToText(stanza, question)).join('\n')
}

function stanzaToText(stanza: StanzaFacts, question: Question): string {
  const status = statusOfStanza(stanza)
  const head = `stanza: ${stanza.name}\n    status: ${statusToText(stanza, status, question)}\n${runningByRepo(stanza)}`
  if (question.detail === 'progress') return head
  return (
    head +
    statusByRepo(stanza, status) +
    (status.code === STATUS_NO_PATH.code ? '' : cipherToText(stanza)) +
    databasesToText(stanza, question) +
    dumpsToText(stanza.dumps, question) +
    storyToText(stanza) +
    windowsToText(stanza.windows)
  )
}

/** Ours, after all that pgBackRest says. */
function storyToText({ story }: StanzaFacts): string {
  const lines = tellArchiveStory(story)
  if (lines.length === 0) return ''
  return `\n    archive incomplete\n${lines.map((line) => `        ${line}\n`).join('')}`
}

/** `ok`, `mixed` or `error`, with what is wrong and what is running in brackets. */
function statusToText(stanza: StanzaFacts, status: Status, question: Question): string {
  const isMixed = question.detail === 'full' && status.code === STATUS_MIXED.code
  const isOk = status.code === STATUS_OK.code
  const word = isOk ? 'ok' : isMixed ? 'mixed' : 'error'
  const remarks = [
    ...(isOk || isMixed ? [] : [status.message]),
    ...running('backup/expire running', backupLockOf(stanza)),
    ...running('restore running', stanza.restoreLock),
  ]
  return remarks.length === 0 ? word : `${word} (${remarks.join(', ')})`
}

function running(what: string, lock: LockFacts): readonly string[] {
  if (!lock.held) return []
  return [lock.sizeBytes === 0 ? what : `${what} - ${percentToText(lock)} complete`]
}

/** One line per repository when several backups are running. */
function runningByRepo(stanza: StanzaFacts): string {
  const repos = stanza.repos.filter(({ backupLock }) => backupLock.sizeBytes > 0)
  if (repos.length < 2) return ''
  return repos
    .map(
      ({ key, backupLock }) => `        repo${key} backup: ${percentToText(backupLock)} complete\n`,
    )
    .join('')
}

/** Two decimals, rounded half up; only what is complete is shown as 100 %. */
function percentToText({ completeBytes, sizeBytes }: LockFacts): string {
  const hundredths =
    completeBytes === sizeBytes
      ? 10_000
      : Math.round(Math.floor((completeBytes / sizeBytes) * 1e5) / 10)
  return `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}%`
}

/** What is wrong, repository by repository, when the stanza's status alone does not tell. */
function statusByRepo({ repos }: StanzaFacts, status: Status): string {
  const codes: readonly number[] = [STATUS_MIXED.code, STATUS_PG_MISMATCH.code, STATUS_OTHER.code]
  if (!codes.includes(status.code)) return ''
  const several = repos.length > 1
  const indent = ' '.repeat(several ? 15 : 12)
  return repos
    .map((repo) => {
      const { code, message } = statusOfRepo(repo)
      const prefix = several ? `        repo${repo.key}: ` : ''
      if (code === STATUS_OK.code) return `${prefix}ok\n`
      if (code !== STATUS_OTHER.code) return `${prefix}error (${message})\n`
      const lines = message.split('\n').map((line) => `${indent}${line}\n`)
      return `${several ? `${prefix}error (other)\n` : ''}${lines.join('')}`
    })
    .join('')
}

function cipherToText(stanza: StanzaFacts): string {
  const cipher = cipherOfStanza(stanza)
  const byRepo =
    cipher === 'mixed'
      ? stanza.repos.map((repo) => `        repo${repo.key}: ${repo.cipher}\n`).join('')
      : ''
  return `    cipher: ${cipher}\n${byRepo}`
}

/** One cluster of the stanza's history, whichever repositories know it. */
interface Group {
  readonly systemId: bigint
  readonly version: string
  archiveMin: string | undefined
  archiveMax: string | undefined
  readonly backups: ListedBackup[]
}

/** Prior clusters first, the current one last. */
function databasesToText(stanza: StanzaFacts, question: Question): string {
  const groups = groupByCluster(stanza)
  let asked: Group | undefined
  for (const backup of listBackups(stanza, question)) {
    const group = groupOf(stanza, groups, backup)
    group?.backups.push(backup)
    if (question.label !== undefined) asked = group
  }
  const shown = asked === undefined ? groups : [asked]
  const current = currentDatabase(stanza)
  const isCurrent = (group: Group): boolean =>
    group.systemId === current?.systemId && group.version === current.version
  const prior = shown.filter(
    (group) => !isCurrent(group) && (group.archiveMin !== undefined || group.backups.length > 0),
  )
  return [
    ...prior.map((group) => `\n    db (prior)${groupToText(group, question)}`),
    ...shown.filter(isCurrent).map((group) => `\n    db (current)${groupToText(group, question)}`),
  ].join('')
}

function groupByCluster(stanza: StanzaFacts): readonly Group[] {
  const groups: Group[] = []
  for (const { found } of stanza.repos) {
    if (found.kind !== 'read') continue
    for (const { systemId, version, archive } of found.content.databases) {
      let group = groups.find((known) => known.systemId === systemId && known.version === version)
      if (group === undefined) {
        group = { systemId, version, archiveMin: undefined, archiveMax: undefined, backups: [] }
        groups.push(group)
      }
      const range = archive?.range
      if (range === undefined) continue
      if (group.archiveMin === undefined || range.min < group.archiveMin)
        group.archiveMin = range.min
      if (group.archiveMax === undefined || range.max > group.archiveMax)
        group.archiveMax = range.max
    }
  }
  return groups
}

function groupOf(
  stanza: StanzaFacts,
  groups: readonly Group[],
  { repoKey, entry }: ListedBackup,
): Group | undefined {
  const found = stanza.repos.find(({ key }) => key === repoKey)?.found
  const database =
    found?.kind === 'read'
      ? found.content.databases.find(({ id }) => id === entry.historyId)
      : undefined
  return groups.find(
    ({ systemId, version }) => systemId === database?.systemId && version === database.version,
  )
}

function groupToText(group: Group, question: Question): string {
  const range =
    group.archiveMin === undefined ? 'none present' : `${group.archiveMin}/${group.archiveMax}`
  return (
    `\n        wal archive min/max (${group.version}): ${range}\n` +
    group.backups.map((backup) => backupToText(backup, question)).join('')
  )
}

function backupToText({ repoKey, entry, manifest }: ListedBackup, question: Question): string {
  const details =
    question.label === undefined || manifest === undefined ? undefined : detailsOf(manifest)
  const lines = [
    `timestamp start/stop: ${formatLocalTime(entry.startS)} / ${formatLocalTime(entry.stopS)}`,
    `wal start/stop: ${rangeToText(entry.archiveStart, entry.archiveStop) ?? 'n/a'}`,
    ...lsnRange(entry, question),
    `database size: ${formatSize(entry.sizeBytes)}, database backup size: ${formatSize(entry.sizeDeltaBytes)}`,
    `repo${repoKey}: ${setSize(entry)}backup size: ${formatSize(entry.repoSizeDeltaBytes)}`,
    ...references(entry, question),
    ...(details === undefined ? [] : contents(details)),
    ...errors(entry, details?.damagedFiles ?? []),
    ...annotations(entry, question),
  ]
  const indented = lines.map((line) => `            ${line}\n`).join('')
  return `\n        ${entry.kind} backup: ${entry.label}\n${indented}`
}

function rangeToText(start: string | undefined, stop: string | undefined): string | undefined {
  return start === undefined || stop === undefined ? undefined : `${start} / ${stop}`
}

function lsnRange(entry: BackupEntry, question: Question): readonly string[] {
  const range = rangeToText(entry.lsnStart, entry.lsnStop)
  return question.label === undefined || range === undefined ? [] : [`lsn start/stop: ${range}`]
}

/** With block maps the size of the whole set is not told: it would count blocks that this backup does not use. */
function setSize({ repoSizeBytes, repoSizeMapBytes }: BackupEntry): string {
  return repoSizeMapBytes === undefined
    ? `backup set size: ${formatSize(repoSizeBytes ?? 0)}, `
    : ''
}

function contents({ databases, links, tablespaces }: BackupDetails): readonly string[] {
  const names = databases.map(({ name, oid }) => `${name} (${oid})`)
  return [
    `database list: ${names.length === 0 ? 'none' : names.join(', ')}`,
    ...block(
      'symlinks:',
      links.map(({ name, destination }) => `${name} => ${destination}`),
    ),
    ...block(
      'tablespaces:',
      tablespaces.map(({ name, oid, destination }) => `${name} (${oid}) => ${destination}`),
    ),
  ]
}

function annotations(entry: BackupEntry, question: Question): readonly string[] {
  if (question.label === undefined) return []
  return block(
    'annotation(s)',
    Array.from(entry.annotations, ([name, value]) => `${name}: ${value}`),
  )
}

/** A heading and its indented lines, or nothing when there are none. */
function block(heading: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [heading, ...lines.map((line) => `    ${line}`)]
}

/** The labels when one backup was asked for, else how many of each kind. */
function references({ references: labels }: BackupEntry, question: Question): readonly string[] {
  if (labels.length === 0) return []
  if (question.label !== undefined) return [`backup reference list: ${labels.join(', ')}`]
  const count = (kind: string): number =>
    labels.filter((label) => kindOfLabel(label) === kind).length
  const others = ['diff', 'incr']
    .filter((kind) => count(kind) > 0)
    .map((kind) => `, ${count(kind)} ${kind}`)
  return [`backup reference total: ${count('full')} full${others.join('')}`]
}

function errors({ error }: BackupEntry, damagedFiles: readonly string[]): readonly string[] {
  if (damagedFiles.length > 0) return [`error list: ${damagedFiles.join(', ')}`]
  return error === true ? ['error(s) detected during backup'] : []
}
