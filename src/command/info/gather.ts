/** Reads what `info` reports. A repository that cannot be read is a finding, never an error of the command. */
import { AppError, asAppError, isErrorKind } from '../../base/error.ts'
import { compareBytes } from '../../base/text.ts'
import type { ArchiveInfo } from '../../format/archive-info.ts'
import { type BackupHistory, currentBackupHistory } from '../../format/backup-info.ts'
import { archivePrefix, manifestKey } from '../../format/repo-path.ts'
import { isDumpLabel, isLabel } from '../../format/label.ts'
import { archiveId, parseArchivedSegment } from '../../format/wal.ts'
import { hasDumpSet, stanzasWithDumps } from '../../repo/dump-sets.ts'
import { isLocked, lockFile, readLock } from '../../repo/lock.ts'
import {
  loadArchiveInfo,
  loadBackupInfo,
  loadManifest,
  openRepos,
  type Repo,
} from '../../repo/repo.ts'
import { type ArchiveStory, NO_STORY, readArchiveStory } from '../archive-story.ts'
import type { Context } from '../command.ts'
import {
  type ArchiveFacts,
  type ListedDump,
  type LockFacts,
  NOT_HELD,
  type Question,
  type RepoFacts,
  type RepoFinding,
  type StanzaFacts,
} from './facts.ts'
import { readDumps } from './read-dumps.ts'
import { readWindows, type RepoWindows } from './read-windows.ts'

/** The name pgBackRest gives to the stanza when no repository could be read, so that there is something to report on. */
const INVALID_STANZA = '[invalid]'

/** In byte order of the stanzas' names; every stanza has every repository. */
export async function gatherStanzas(
  context: Context,
  question: Question,
): Promise<readonly StanzaFacts[]> {
  const asked = context.config.stanza
  const surveys: Survey[] = []
  for (const repo of openRepos(context.config, context.openStorage)) {
    surveys.push(await survey(repo, asked, question.label))
  }
  const names = new Set(surveys.flatMap(({ stanzas, dumped }) => [...stanzas, ...dumped]))
  if (asked !== undefined) names.add(asked)
  else if (names.size === 0 && surveys.some(({ failure }) => failure !== undefined)) {
    names.add(INVALID_STANZA)
  }
  const stanzas: StanzaFacts[] = []
  for (const name of [...names].toSorted(compareBytes)) {
    stanzas.push(await gatherStanza(context, { name, surveys, question }))
  }
  return question.label !== undefined && surveys.every(({ hasLabel }) => !hasLabel)
    ? stanzas.map(withoutBackup)
    : stanzas
}

/** What one listing of a repository tells. */
interface Survey {
  readonly repo: Repo
  readonly stanzas: readonly string[]
  /** Those that have dumps. */
  readonly dumped: readonly string[]
  /** The repository has the backup or dump set asked for. */
  readonly hasLabel: boolean
  /** Why it could not be listed. */
  readonly failure: string | undefined
}

async function survey(
  repo: Repo,
  stanza: string | undefined,
  label: string | undefined,
): Promise<Survey> {
  try {
    // Not `latest`: that is a link, for people.
    const isAsked = (name: string): boolean => stanza === undefined || name === stanza
    const hasLabel =
      stanza !== undefined && label !== undefined && (await hasSet(repo, stanza, label))
    const entries = await repo.storage.names('backup')
    const stanzas = entries
      .filter(({ kind, name }) => kind === 'prefix' && isAsked(name))
      .map(({ name }) => name)
    const dumped = (await stanzasWithDumps(repo)).filter(isAsked)
    return { repo, stanzas, dumped, hasLabel, failure: undefined }
  } catch (error) {
    return { repo, stanzas: [], dumped: [], hasLabel: false, failure: failureText(error) }
  }
}

async function hasSet(repo: Repo, stanza: string, label: string): Promise<boolean> {
  if (isDumpLabel(label)) return await hasDumpSet(repo, stanza, label)
  return isLabel(label) && (await repo.storage.stat(manifestKey(stanza, label))) !== undefined
}

interface StanzaPlan {
  readonly name: string
  readonly surveys: readonly Survey[]
  readonly question: Question
}

async function gatherStanza(
  context: Context,
  { name, surveys, question }: StanzaPlan,
): Promise<StanzaFacts> {
  const repos: RepoFacts[] = []
  const restoreLocks: LockFacts[] = []
  const absent = surveys.some(({ stanzas }) => stanzas.includes(name))
    ? 'no-path'
    : surveys.some(({ dumped }) => dumped.includes(name))
      ? 'dumps-only'
      : 'no-path'
  for (const { repo, stanzas, hasLabel, failure } of surveys) {
    const found = await (failure === undefined
      ? findStanza(repo, name, {
          presence: stanzas.includes(name) ? 'listed' : absent,
          detail: question.detail,
          label: hasLabel ? question.label : undefined,
        })
      : failed(failure))
    const alive = found.kind === 'read' || found.kind === 'not-read'
    const lock = async (type: 'backup' | 'restore'): Promise<LockFacts> =>
      alive ? await readLockFacts(context, { stanza: name, type, repoKey: repo.key }) : NOT_HELD
    restoreLocks.push(await lock('restore'))
    repos.push({
      key: repo.key,
      cipher: context.config.text('repo-cipher-type', repo.key),
      backupLock: await lock('backup'),
      found,
    })
  }
  return {
    name,
    repos,
    dumps: await dumpsOf({ name, surveys, question }),
    story: await storyOf(context, { name, surveys, question }),
    windows: question.gaps === 'told' ? await windowsOf(name, surveys, repos) : [],
    restoreLock: {
      held: restoreLocks.some(({ held }) => held),
      sizeBytes: restoreLocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      completeBytes: restoreLocks.reduce((sum, { completeBytes }) => sum + completeBytes, 0),
    },
  }
}

/** Of the repositories that could be read. */
async function windowsOf(
  name: string,
  surveys: readonly Survey[],
  found: readonly RepoFacts[],
): Promise<readonly RepoWindows[]> {
  const windows: RepoWindows[] = []
  for (const { repo } of surveys) {
    if (found.some(({ key, found: { kind } }) => key === repo.key && kind === 'read')) {
      windows.push(...(await readWindows(repo, name)))
    }
  }
  return windows
}

async function dumpsOf({ name, surveys, question }: StanzaPlan): Promise<readonly ListedDump[]> {
  const dumps: ListedDump[] = []
  if (question.detail === 'progress' || question.kind !== undefined) return dumps
  for (const { repo, dumped } of surveys) {
    if (dumped.includes(name)) dumps.push(...(await readDumps(repo, name, question.label)))
  }
  return dumps
}

async function storyOf(
  { config }: Context,
  { name, surveys, question }: StanzaPlan,
): Promise<ArchiveStory> {
  const read = surveys.filter(({ stanzas }) => stanzas.includes(name)).map(({ repo }) => repo)
  if (question.detail === 'progress') return NO_STORY
  return await readArchiveStory(read, name, config.indexes('repo'))
}

interface Search {
  readonly presence: 'listed' | 'no-path' | 'dumps-only'
  readonly detail: Question['detail']
  /** Set when this repository has the backup asked for. */
  readonly label: string | undefined
}

async function findStanza(
  repo: Repo,
  stanza: string,
  { presence, detail, label }: Search,
): Promise<RepoFinding> {
  if (presence !== 'listed') return { kind: presence }
  if (detail === 'progress') return { kind: 'not-read' }
  try {
    return await readStanza(repo, stanza, label)
  } catch (error) {
    return failed(failureText(error))
  }
}

function failed(message: string): RepoFinding {
  return { kind: 'failed', message }
}

async function readStanza(
  repo: Repo,
  stanza: string,
  label: string | undefined,
): Promise<RepoFinding> {
  const info = await loadBackupInfoIfAny(repo, stanza)
  if (info === undefined) return { kind: 'no-data' }
  const archiveInfo = await loadArchiveInfo(repo, stanza)
  const manifest =
    label === undefined || !isLabel(label)
      ? undefined
      : await loadManifest(repo, stanza, label, info.cipherPass)
  const databases = []
  for (const row of info.history) {
    const archive = await readArchiveFacts(repo, stanza, archiveIdOf(archiveInfo, row))
    const isShown = archive.range !== undefined || row.id === info.currentId
    databases.push({ ...row, archive: isShown ? archive : undefined })
  }
  return {
    kind: 'read',
    content: {
      currentHistory: currentBackupHistory(info),
      databases,
      backups: info.backups,
      manifest,
    },
  }
}

async function loadBackupInfoIfAny(
  repo: Repo,
  stanza: string,
): Promise<Awaited<ReturnType<typeof loadBackupInfo>> | undefined> {
  try {
    return await loadBackupInfo(repo, stanza)
  } catch (error) {
    if (isErrorKind(error, 'file-missing')) return undefined
    if (!isErrorKind(error, 'crypto')) throw error
    throw new AppError('crypto', error.message, {
      hint: [
        ...error.hints,
        'use option --stanza if encryption settings are different for the stanza than the global settings.',
      ],
      cause: error,
    })
  }
}

/** The archive id of a row of backup.info: history ids of the two files may differ, so the newest equal cluster will do. */
function archiveIdOf(info: ArchiveInfo, { id, version, systemId }: BackupHistory): string {
  const same = info.history.filter((row) => row.version === version && row.systemId === systemId)
  const row = same.find((candidate) => candidate.id === id) ?? same.at(-1)
  if (row !== undefined) return archiveId(row.version, row.id)
  throw new AppError(
    'archive-mismatch',
    `unable to retrieve the archive id for database version '${version}' and system-id '${systemId}'`,
  )
}

/** The first and the last segment; what lies between is not looked at. */
async function readArchiveFacts(repo: Repo, stanza: string, id: string): Promise<ArchiveFacts> {
  const root = archivePrefix(stanza, id)
  const directories = (await repo.storage.names(root))
    .filter(({ kind, name }) => kind === 'prefix' && /^[0-9A-F]{16}$/.test(name))
    .map(({ name }) => `${root}/${name}`)
  const min = (await firstWithSegments(repo, directories))?.at(0)
  const max = (await firstWithSegments(repo, directories.toReversed()))?.at(-1)
  return { id, range: min === undefined || max === undefined ? undefined : { min, max } }
}

/** The complete segments, ascending, of the first directory that has any. */
async function firstWithSegments(
  repo: Repo,
  directories: readonly string[],
): Promise<readonly string[] | undefined> {
  for (const directory of directories) {
    const segments = (await repo.storage.names(directory)).flatMap(({ kind, name }) => {
      const parsed = kind === 'object' ? parseArchivedSegment(name) : undefined
      return parsed === undefined || parsed.partial ? [] : [parsed.segment]
    })
    if (segments.length > 0) return segments
  }
  return undefined
}

interface LockName {
  readonly stanza: string
  readonly type: 'backup' | 'restore'
  readonly repoKey: number
}

/** Nobody's lock, or one whose content makes no sense, says nothing; one that cannot be looked at is a warning. */
async function readLockFacts({ config, log }: Context, name: LockName): Promise<LockFacts> {
  const path = lockFile({ lockPath: config.text('lock-path'), ...name })
  try {
    const content = (await isLocked(path)) ? await readLock(path) : undefined
    if (content === undefined) return NOT_HELD
    const { sizeBytes = 0, completeBytes = 0 } = content
    return { held: true, sizeBytes, completeBytes }
  } catch (error) {
    log.warn(`unable to tell whether a ${name.type} is running: ${asAppError(error).text}`)
    return NOT_HELD
  }
}

/** With a backup that no repository has, nothing else is told of those that could be read. */
function withoutBackup(stanza: StanzaFacts): StanzaFacts {
  return {
    ...stanza,
    repos: stanza.repos.map((repo) =>
      repo.found.kind === 'read' || repo.found.kind === 'dumps-only'
        ? { ...repo, found: { kind: 'no-such-backup' } }
        : repo,
    ),
  }
}

/** `[FileOpenError] message`, hints below it: the text pgBackRest shows for a repository that failed. */
function failureText(error: unknown): string {
  const { kind, text } = asAppError(error)
  const words = kind.split('-').map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`)
  return `[${words.join('')}Error] ${text}`
}
