/**
 * archive-get: PostgreSQL's restore_command. Exit 1 says "certainly not in the archive", which lets recovery end; every
 * doubt (unreachable repository, damaged segment) is another exit code, on which PostgreSQL does not end recovery.
 */
import { createHash } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname, isAbsolute, join } from 'node:path'
import { access } from 'node:fs/promises'
import { AppError, asAppError, errnoOf } from '../base/error.ts'
import { archiveId } from '../format/wal.ts'
import { readControlFile } from '../postgres/read-control-file.ts'
import {
  type ArchivedFile,
  type ArchivePlace,
  findPlainFile,
  findSegment,
  isSegmentFile,
  readArchived,
} from '../repo/archive.ts'
import { archivePrefix } from '../format/repo-path.ts'
import { loadArchiveInfo, openRepos, type Repo } from '../repo/repo.ts'
import { type Context, stanzaOf } from './command.ts'
import { noteReplay } from './replay-progress.ts'

/** archive-get's answer for a file that is certainly not in the archive (pgBackRest). */
const NOT_FOUND_EXIT_CODE = 1
/** What restore writes as the checkpoint of a cluster that must start from its backup_label. */
const INVALID_CHECKPOINT_LSN = 0xdeadn

interface Match {
  readonly place: ArchivePlace
  readonly file: ArchivedFile
}

export async function archiveGet(context: Context): Promise<number> {
  const { config, log } = context
  const [name = '', destination = ''] = config.parameters
  const dataDir = config.text('pg-path', 1)
  const { control } = await readControlFile(dataDir)
  if (control.checkpointLsn === INVALID_CHECKPOINT_LSN) await assertBackupLabel(dataDir)
  const matches = await findEverywhere(context, name, control)
  if (matches.length === 0) {
    log.info(`unable to find ${name} in the archive`)
    return NOT_FOUND_EXIT_CODE
  }
  assertOneContent(name, matches)
  const path = isAbsolute(destination) ? destination : join(process.cwd(), destination)
  await deliver(context, { name, path, matches })
  for (const { place } of matches.slice(0, 1)) {
    await noteReplay(context, { place, name, segmentSizeBytes: control.walSegmentSizeBytes })
  }
  log.info(`found ${name} in the archive`)
  return 0
}

/** A restored cluster without its backup_label would replay from nowhere. */
async function assertBackupLabel(dataDir: string): Promise<void> {
  try {
    await access(`${dataDir}/backup_label`)
  } catch (error) {
    throw new AppError('format', 'pg_control is from a backup but backup_label is missing', {
      hint: [
        'was the backup_label file removed?',
        'restore the cluster again; without backup_label it cannot recover to a consistent state.',
      ],
      cause: error,
    })
  }
}

/** Every stored version of the file, in order of repository and newest history row; unusable repositories are skipped. */
async function findEverywhere(
  context: Context,
  name: string,
  identity: { readonly version: string; readonly systemId: bigint },
): Promise<readonly Match[]> {
  const matches: Match[] = []
  const failures: AppError[] = []
  const repos = openRepos(context.config, context.openStorage)
  for (const repo of repos) {
    try {
      for (const place of await placesIn(context, repo, identity)) {
        for (const file of await find(place, name)) matches.push({ place, file })
      }
    } catch (error) {
      const failed = asAppError(error)
      failures.push(failed)
      if (repos.length > 1) context.log.warn(`repo${repo.key}: [${failed.exitCode}] ${failed.text}`)
    }
  }
  // "Not found" is only certain when every repository was asked.
  if (matches.length === 0 && failures.length > 0) {
    throw new AppError(
      'repo-invalid',
      `unable to find a valid repository:\n${failures.map((failed) => `[${failed.exitCode}] ${failed.text}`).join('\n')}`,
      { cause: failures[0] },
    )
  }
  return matches
}

async function placesIn(
  context: Context,
  repo: Repo,
  identity: { readonly version: string; readonly systemId: bigint },
): Promise<readonly ArchivePlace[]> {
  const stanza = stanzaOf(context)
  const info = await loadArchiveInfo(repo, stanza)
  const rows = info.history
    .filter(
      ({ version, systemId }) => version === identity.version && systemId === identity.systemId,
    )
    .toSorted((left, right) => right.id - left.id)
  if (rows.length === 0) {
    throw new AppError(
      'archive-mismatch',
      `unable to retrieve the archive id for database version '${identity.version}' and system-id '${identity.systemId}'`,
      { hint: 'does the stanza belong to this cluster?' },
    )
  }
  const present = new Set(
    (await repo.storage.list(archivePrefix(stanza))).map((entry) => entry.name),
  )
  return rows
    .map((row) => ({
      storage: repo.storage,
      stanza,
      archiveId: archiveId(row.version, row.id),
      cipherPass: info.cipherPass,
    }))
    .filter((place) => present.has(place.archiveId))
}

async function find(place: ArchivePlace, name: string): Promise<readonly ArchivedFile[]> {
  if (isSegmentFile(name)) return await findSegment(place, name)
  const file = await findPlainFile(place, name)
  return file === undefined ? [] : [file]
}

function assertOneContent(name: string, matches: readonly Match[]): void {
  if (!isSegmentFile(name)) return
  const checksums = new Set(matches.map(({ file }) => file.checksum))
  if (checksums.size <= 1) return
  throw new AppError(
    'archive-duplicate',
    `duplicates found for WAL segment ${name}:\n${matches.map(({ file }) => file.key).join('\n')}`,
    { hint: 'are multiple primaries archiving to this stanza?' },
  )
}

interface Delivery {
  readonly name: string
  readonly path: string
  readonly matches: readonly Match[]
}

/** Tries the matches in order until one gives the right bytes; PostgreSQL never sees a partial or wrong segment. */
async function deliver(context: Context, { name, path, matches }: Delivery): Promise<void> {
  const failures: AppError[] = []
  for (const match of matches) {
    try {
      await copyOut(match, path)
      return
    } catch (error) {
      const failed = asAppError(error)
      failures.push(failed)
      context.log.warn(`[${failed.exitCode}] ${match.file.key}: ${failed.text}`)
    }
  }
  const first = failures[0]
  if (failures.length === 1 && first !== undefined) throw first
  throw new AppError(
    'file-read',
    `unable to get ${name}:\n${failures.map((failed) => `[${failed.exitCode}] ${failed.text}`).join('\n')}`,
    { cause: first },
  )
}

async function copyOut({ place, file }: Match, path: string): Promise<void> {
  const partial = `${path}.pgsurety.tmp`
  try {
    const hash = createHash('sha1')
    await using target = await openTarget(partial)
    for await (const chunk of readArchived(place, file)) {
      hash.update(chunk)
      await writeAll(target, chunk)
    }
    const found = hash.digest('hex')
    if (file.checksum !== undefined && file.checksum !== found) {
      throw new AppError(
        'checksum',
        `WAL segment '${place.storage.location}/${file.key}' has checksum '${found}' but its name says '${file.checksum}'`,
        { hint: 'the stored segment is damaged; another repository or backup may have it.' },
      )
    }
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
}

async function writeAll(
  target: Awaited<ReturnType<typeof openTarget>>,
  chunk: Buffer,
): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const { bytesWritten } = await target.write(chunk, written, chunk.length - written)
    written += bytesWritten
  }
}

async function openTarget(path: string): ReturnType<typeof open> {
  try {
    return await open(path, 'w', 0o600)
  } catch (error) {
    throw new AppError(
      'file-open',
      `unable to open '${path}' for write in '${dirname(path)}': ${errnoOf(error) ?? String(error)}`,
      { cause: error },
    )
  }
}
