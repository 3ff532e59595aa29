/**
 * A repository as the commands see it: a storage, a user passphrase, and the info files with their copies.
 *
 * Every info file is written twice (`x`, then `x.copy`), encrypted once; a reader falls back to the copy on any error.
 * Not for: deciding what to keep or restore, nor the content of WAL and backup files (repo/archive.ts, command/).
 */
import { AppError, asAppError, type ErrorKind } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { MIB } from '../base/units.ts'
import type { Config } from '../config/config.ts'
import { type ArchiveInfo, parseArchiveInfo, renderArchiveInfo } from '../format/archive-info.ts'
import { type BackupInfo, parseBackupInfo, renderBackupInfo } from '../format/backup-info.ts'
import type { Manifest } from '../format/manifest.ts'
import { parseManifest } from '../format/manifest-read.ts'
import { archiveInfoKey, backupInfoKey, copyKeyOf, manifestKey } from '../format/repo-path.ts'
import { decryptor, encryptor } from '../pipe/cipher.ts'
import { type ByteSource, collect, single, through } from '../pipe/pipe.ts'
import { openStorage, type StorageSpec } from '../storage/open.ts'
import type { Storage } from '../storage/storage.ts'

/** The largest info file or manifest that is read; a manifest line is about 150 bytes, so this is 7 million files. */
const INFO_BYTES_MAX = 1024 * MIB

export interface Repo {
  /** The N of `repoN-…`. */
  readonly key: number
  readonly storage: Storage
  /** The user's passphrase; undefined when the repository is not encrypted. */
  readonly cipherPass: Secret | undefined
}

/** Opens the storage of one configured repository. A function, so that tests can put a faulty one in its place. */
export type OpenStorage = (config: Config, key: number) => Storage

export const openConfiguredStorage: OpenStorage = (config, key) =>
  openStorage(storageSpec(config, key))

/** What a worker thread needs to open the same storage. */
export function storageSpec(config: Config, key: number): StorageSpec {
  return { type: 'posix', root: config.text('repo-path', key) }
}

/** The configured repositories in key order, or only the one that `--repo` names. Nothing is read yet. */
export function openRepos(
  config: Config,
  open: OpenStorage = openConfiguredStorage,
): readonly Repo[] {
  const only = config.has('repo') ? config.integer('repo') : undefined
  const keys = config.indexes('repo').filter((key) => only === undefined || key === only)
  if (keys.length === 0) {
    throw new AppError('option-invalid-value', `repo${only ?? 1} is not configured`, {
      hint: `configured repositories: ${config.indexes('repo').join(', ')}`,
    })
  }
  return keys.map((key) => ({
    key,
    storage: open(config, key),
    cipherPass:
      config.text('repo-cipher-type', key) === 'none'
        ? undefined
        : config.secret('repo-cipher-pass', key),
  }))
}

/** One object, decrypted. Errors name the object; `pass` undefined means it is not encrypted. */
export async function readObject(
  storage: Storage,
  key: string,
  pass: Secret | undefined,
): Promise<Buffer> {
  const filters = pass === undefined ? [] : [decryptor(pass, 'normal')]
  try {
    return await collect(through(storage.get(key), ...filters), INFO_BYTES_MAX)
  } catch (error) {
    const failed = asAppError(error)
    if (failed.kind !== 'crypto') throw failed
    throw new AppError(
      'crypto',
      `unable to decrypt '${storage.location}/${key}': ${failed.message}`,
      {
        hint: failed.hints,
        cause: error,
      },
    )
  }
}

/** Writes one object, encrypted when `pass` is given; durable when resolved. */
export async function writeObject(
  storage: Storage,
  key: string,
  content: ByteSource,
  pass: Secret | undefined,
): Promise<void> {
  const filters = pass === undefined ? [] : [encryptor(pass, 'normal')]
  await storage.put(key, through(content, ...filters))
}

async function sealed(content: Buffer, pass: Secret | undefined): Promise<Buffer> {
  if (pass === undefined) return content
  return await collect(through(single(content), encryptor(pass, 'normal')), 2 * INFO_BYTES_MAX)
}

/**
 * An info file, from itself or its copy.
 * Both failing is one error with both messages: of their kind if equal, of the other's kind when one is only missing, else
 * `file-open` (pgBackRest 2.60, which has that also for copies that are damaged in two ways: those are `checksum` or `crypto`).
 */
export async function loadWithCopy<T>(
  repo: Repo,
  key: string,
  pass: Secret | undefined,
  parse: (content: Buffer) => T,
): Promise<T> {
  try {
    return parse(await readObject(repo.storage, key, pass))
  } catch (first) {
    try {
      return parse(await readObject(repo.storage, copyKeyOf(key), pass))
    } catch (second) {
      throw bothFailed(repo, key, asAppError(first), asAppError(second))
    }
  }
}

function bothFailed(repo: Repo, key: string, first: AppError, second: AppError): AppError {
  const name = `${repo.storage.location}/${key}`
  const hints = [...new Set([...first.hints, ...second.hints])]
  return new AppError(
    kindOfBoth(first.kind, second.kind),
    `unable to load info file '${name}' or '${copyKeyOf(name)}':\n${first.message}\n${second.message}`,
    { hint: hints, cause: first },
  )
}

const DAMAGE: ReadonlySet<ErrorKind> = new Set(['checksum', 'format', 'crypto'])

function kindOfBoth(first: ErrorKind, second: ErrorKind): ErrorKind {
  if (first === second) return first
  if (first === 'file-missing') return second
  if (second === 'file-missing') return first
  const both = [first, second]
  if (!both.every((kind) => DAMAGE.has(kind))) return 'file-open'
  // With a wrong passphrase nothing is ever so near to right that only its checksum is wrong.
  return both.includes('checksum') ? 'checksum' : 'crypto'
}

export async function saveWithCopy(
  repo: Repo,
  key: string,
  content: Buffer,
  pass: Secret | undefined,
): Promise<void> {
  const bytes = await sealed(content, pass)
  await repo.storage.put(key, bytes)
  await repo.storage.put(copyKeyOf(key), bytes)
}

/** archive.info of a stanza. `file-missing` when the stanza was never created here. */
export async function loadArchiveInfo(repo: Repo, stanza: string): Promise<ArchiveInfo> {
  return await withStanzaHint(
    'archive.info',
    stanza,
    loadWithCopy(repo, archiveInfoKey(stanza), repo.cipherPass, parseArchiveInfo),
  )
}

export async function saveArchiveInfo(
  repo: Repo,
  stanza: string,
  info: ArchiveInfo,
): Promise<void> {
  await saveWithCopy(repo, archiveInfoKey(stanza), renderArchiveInfo(info), repo.cipherPass)
}

/** backup.info of a stanza as it is stored; see repo/reconstruct.ts for the check against what is on disk. */
export async function loadBackupInfo(repo: Repo, stanza: string): Promise<BackupInfo> {
  return await withStanzaHint(
    'backup.info',
    stanza,
    loadWithCopy(repo, backupInfoKey(stanza), repo.cipherPass, parseBackupInfo),
  )
}

export async function saveBackupInfo(repo: Repo, stanza: string, info: BackupInfo): Promise<void> {
  await saveWithCopy(repo, backupInfoKey(stanza), renderBackupInfo(info), repo.cipherPass)
}

/** The manifest of one backup. `manifestPass` is backup.info's key, undefined when not encrypted. */
export async function loadManifest(
  repo: Repo,
  stanza: string,
  label: string,
  manifestPass: Secret | undefined,
): Promise<Manifest> {
  const key = manifestKey(stanza, label)
  const manifest = await loadWithCopy(repo, key, manifestPass, (content) =>
    parseManifest(content, `${repo.storage.location}/${key}`),
  )
  if (manifest.label !== label) {
    throw new AppError(
      'format',
      `requested backup '${label}' and manifest label '${manifest.label}' do not match`,
      {
        hint: 'this indicates some sort of corruption (at the very least paths have been renamed)',
      },
    )
  }
  return manifest
}

/** The manifest of a backup that is not finished, as it was last saved. Throws what reading one object and its text throws. */
export async function loadDraft(
  repo: Repo,
  stanza: string,
  label: string,
  manifestPass: Secret | undefined,
): Promise<Manifest> {
  const key = copyKeyOf(manifestKey(stanza, label))
  const content = await readObject(repo.storage, key, manifestPass)
  const draft = parseManifest(content, `${repo.storage.location}/${key}`)
  if (draft.label === label) return draft
  throw new AppError('format', `'${key}' is of backup '${draft.label}'`)
}

async function withStanzaHint<T>(what: string, stanza: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading
  } catch (error) {
    const failed = asAppError(error)
    if (failed.kind !== 'file-missing') throw failed
    throw new AppError('file-missing', failed.message, {
      hint: [
        ...failed.hints,
        `${what} cannot be opened but is required to perform a backup, push or get WAL.`,
        'is archive_command configured correctly in postgresql.conf?',
        `has a stanza-create been performed for stanza '${stanza}'?`,
      ],
      cause: error,
    })
  }
}
