/** stanza-create: makes a stanza in every configured repository, or proves that it is there and of this cluster. */
import { AppError, isErrorKind } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import {
  archiveInfoKey,
  archivePrefix,
  backupInfoKey,
  backupPrefix,
  copyKeyOf,
} from '../format/repo-path.ts'
import { FORMAT_NUMBER } from '../format/format.ts'
import { generatePassphrase } from '../pipe/cipher.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import {
  loadArchiveInfo,
  loadBackupInfo,
  type Repo,
  saveArchiveInfo,
  saveBackupInfo,
} from '../repo/repo.ts'
import type { Context } from './command.ts'
import { matchInfoFiles } from './preflight.ts'
import { inEachRepo } from './stanza-repos.ts'

/** The history id of a stanza's first cluster. */
const FIRST_HISTORY_ID = 1

export async function stanzaCreate(context: Context): Promise<number> {
  await inEachRepo(context, 'stanza-create', async (repo, stanza, control) => {
    const outcome = await createIn(repo, stanza, control)
    if (outcome === 'valid') {
      context.log.info(`stanza '${stanza}' already exists on repo${repo.key} and is valid`)
    } else if (outcome === 'repaired') {
      context.log.info(
        `stanza '${stanza}' on repo${repo.key} is valid, missing info files were written again`,
      )
    }
    return outcome
  })
  return 0
}

type Outcome = 'created' | 'valid' | 'repaired'

/** An info file and its copy. */
interface Pair {
  readonly key: string
  readonly hasMain: boolean
  readonly hasCopy: boolean
}

async function createIn(repo: Repo, stanza: string, control: ControlFile): Promise<Outcome> {
  if (!(await rootExists(repo))) {
    await writeInfoFiles(repo, stanza, control)
    return 'created'
  }
  const archive = await lookFor(repo, archiveInfoKey(stanza))
  const backup = await lookFor(repo, backupInfoKey(stanza))
  if (!exists(archive) && !exists(backup)) {
    await assertEmpty(repo, stanza)
    await writeInfoFiles(repo, stanza, control)
    return 'created'
  }
  if (!exists(archive) || !exists(backup)) {
    const [present, absent] = exists(archive) ? ['archive', 'backup'] : ['backup', 'archive']
    throw new AppError(
      'file-missing',
      `${present}.info exists but ${absent}.info is missing on repo${repo.key}`,
      { hint: 'this may be a symptom of repository corruption!' },
    )
  }
  matchInfoFiles(await loadArchiveInfo(repo, stanza), await loadBackupInfo(repo, stanza), control)
  const repaired = [await repair(repo, archive), await repair(repo, backup)]
  return repaired.includes('repaired') ? 'repaired' : 'valid'
}

/** A repository is made by its first stanza; the storage decides whether it may make its root. */
async function rootExists(repo: Repo): Promise<boolean> {
  try {
    await repo.storage.names('')
    return true
  } catch (error) {
    if (isErrorKind(error, 'path-missing')) return false
    throw error
  }
}

async function lookFor(repo: Repo, key: string): Promise<Pair> {
  const main = await repo.storage.stat(key)
  const copy = await repo.storage.stat(copyKeyOf(key))
  return { key, hasMain: main !== undefined, hasCopy: copy !== undefined }
}

function exists(pair: Pair): boolean {
  return pair.hasMain || pair.hasCopy
}

/** Something without info files is somebody's data: it must not become part of a new stanza. */
async function assertEmpty(repo: Repo, stanza: string): Promise<void> {
  const backups = await repo.storage.names(backupPrefix(stanza))
  const archives = await repo.storage.names(archivePrefix(stanza))
  const full = [
    ...(backups.length > 0 ? ['backup directory'] : []),
    ...(archives.length > 0 ? ['archive directory'] : []),
  ]
  if (full.length === 0) return
  throw new AppError('path-not-empty', `${full.join(' and/or ')} not empty`, {
    hint: `'${repo.storage.location}' holds files of stanza '${stanza}' but no archive.info and backup.info: is it a damaged stanza?`,
  })
}

/** archive.info first: what finds only that one is told so, and nothing archives or backs up before both are there. */
async function writeInfoFiles(repo: Repo, stanza: string, control: ControlFile): Promise<void> {
  const { version, systemId, controlVersion, catalogVersion } = control
  const id = FIRST_HISTORY_ID
  await saveArchiveInfo(repo, stanza, {
    format: FORMAT_NUMBER,
    cipherPass: newPassphrase(repo),
    currentId: id,
    history: [{ id, systemId, version }],
  })
  await saveBackupInfo(repo, stanza, {
    format: FORMAT_NUMBER,
    cipherPass: newPassphrase(repo),
    currentId: id,
    history: [{ id, systemId, version, controlVersion, catalogVersion }],
    backups: [],
  })
}

/** A key of its own for each tree, kept in the info file that only the user's passphrase opens. */
function newPassphrase(repo: Repo): Secret | undefined {
  return repo.cipherPass === undefined ? undefined : generatePassphrase()
}

/** Restores the missing one of a pair from the other, byte for byte. */
async function repair(repo: Repo, pair: Pair): Promise<'repaired' | 'untouched'> {
  if (pair.hasMain && pair.hasCopy) return 'untouched'
  const [from, to] = pair.hasMain
    ? [pair.key, copyKeyOf(pair.key)]
    : [copyKeyOf(pair.key), pair.key]
  await repo.storage.put(to, repo.storage.get(from))
  return 'repaired'
}
