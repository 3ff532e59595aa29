/** Info files and manifests with their copies, each read and judged by itself. */
import { createHash } from 'node:crypto'
import type { Secret } from '../../base/secret.ts'
import { type ArchiveInfo, parseArchiveInfo } from '../../format/archive-info.ts'
import { type BackupInfo, parseBackupInfo } from '../../format/backup-info.ts'
import { archiveInfoKey, backupInfoKey, copyKeyOf } from '../../format/repo-path.ts'
import { readObject, type Repo } from '../../repo/repo.ts'
import type { Context } from '../command.ts'
import { type Findings, problemOf } from './findings.ts'
import { outcomeOf } from './outcome.ts'

/** How long a writer may take from one of a pair of files to the other. */
export const WRITER_WAIT_MS = 1000

export interface Pair<T> {
  /** From the file, or from its copy when that is all there is. */
  readonly value: T
  /** SHA-1 of the text. */
  readonly digest: string
}

/** Neither the file nor its copy can be used. */
export interface NoPair {
  readonly value: undefined
  readonly why: 'missing' | 'damaged' | 'unreadable'
}

type Failure = ReturnType<typeof outcomeOf>

export interface PairFile<T> {
  readonly key: string
  readonly pass: Secret | undefined
  /** `what` names the file in messages. */
  readonly parse: (content: Buffer, what: string) => T
  /** Backups that need the file. */
  readonly backups: readonly string[]
}

/** What is wrong with either is reported. */
export async function readPair<T>(
  context: Context,
  { repo, findings }: { readonly repo: Repo; readonly findings: Findings },
  file: PairFile<T>,
): Promise<Pair<T> | NoPair> {
  let main = await readOne(repo, file, file.key)
  let copy = await readOne(repo, file, copyKeyOf(file.key), main)
  if ('value' in main && 'value' in copy && main.digest !== copy.digest) {
    // Not damage when somebody writes them at this very moment.
    await context.clock.sleep(WRITER_WAIT_MS, context.signal)
    main = await readOne(repo, file, file.key)
    copy = await readOne(repo, file, copyKeyOf(file.key), main)
  }
  for (const one of [main, copy]) {
    const { backups } = file
    const problem =
      'outcome' in one ? problemOf(one.outcome, { object: one.key, backups }) : undefined
    if (problem !== undefined) findings.add(problem)
  }
  if ('value' in main && 'value' in copy && main.digest !== copy.digest) {
    findings.add({
      object: copy.key,
      file: undefined,
      kind: 'inconsistent',
      detail: `it differs from '${file.key}'; one of them is out of date`,
      backups: [...file.backups],
    })
  }
  if ('value' in main) return main
  return 'value' in copy ? copy : { value: undefined, why: whyNeither(main.outcome, copy.outcome) }
}

/** The state of a pair of which neither can be used: certainly gone only when both are. */
function whyNeither(main: Failure, copy: Failure): NoPair['why'] {
  const failures = [main, copy]
  if (failures.some(({ state }) => state === 'unreadable')) return 'unreadable'
  const gone = failures.every(
    (failure) => failure.state === 'damaged' && failure.kind === 'missing',
  )
  return gone ? 'missing' : 'damaged'
}

type ReadOne<T> =
  | { readonly key: string; readonly digest: string; readonly value: T }
  | { readonly key: string; readonly outcome: Failure }

/** The same bytes as `known` are not parsed again: a large manifest would be in memory twice. */
async function readOne<T>(
  repo: Repo,
  { pass, parse }: PairFile<T>,
  key: string,
  known?: ReadOne<T>,
): Promise<ReadOne<T>> {
  try {
    const content = await readObject(repo.storage, key, pass)
    const digest = createHash('sha1').update(content).digest('hex')
    if (known !== undefined && 'value' in known && known.digest === digest) return { ...known, key }
    return { key, digest, value: parse(content, `${repo.storage.location}/${key}`) }
  } catch (error) {
    return { key, outcome: outcomeOf(error) }
  }
}

/** Both info files of a stanza; undefined where neither the file nor its copy can be used. */
export interface StanzaInfos {
  readonly backup: BackupInfo | undefined
  readonly archive: ArchiveInfo | undefined
}

export async function readInfos(
  context: Context,
  places: { readonly repo: Repo; readonly findings: Findings },
  stanza: string,
): Promise<StanzaInfos> {
  const pass = places.repo.cipherPass
  const backup = await readPair(context, places, {
    key: backupInfoKey(stanza),
    pass,
    parse: parseBackupInfo,
    backups: [],
  })
  const archive = await readPair(context, places, {
    key: archiveInfoKey(stanza),
    pass,
    parse: parseArchiveInfo,
    backups: [],
  })
  if (backup.value !== undefined && archive.value !== undefined) {
    const problem = historyProblem(backup.value, archive.value)
    if (problem !== undefined) {
      const object = archiveInfoKey(stanza)
      const detail = `${problem} as '${backupInfoKey(stanza)}' has it`
      places.findings.add({ object, file: undefined, kind: 'inconsistent', detail, backups: [] })
    }
  }
  return { backup: backup.value, archive: archive.value }
}

/** Both must tell the same story of clusters, row by row. */
function historyProblem(backup: BackupInfo, archive: ArchiveInfo): string | undefined {
  const rows = backup.history.map(rowText)
  const others = archive.history.map(rowText)
  return rows.length === others.length && rows.every((row, index) => row === others[index])
    ? undefined
    : 'its history of clusters is not the one'
}

function rowText({ id, systemId, version }: ArchiveInfo['history'][number]): string {
  return `${id} ${version} ${systemId}`
}
