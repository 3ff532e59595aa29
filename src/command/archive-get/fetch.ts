/** One WAL file out of the repositories: what archive-get does, in the foreground or in the background. */
import { createHash } from 'node:crypto'
import { accessSync, closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { AppError, asAppError, type ErrorKind } from '../../base/error.ts'
import { fdatasync } from '../../base/files.ts'
import { type ControlFile, INVALID_CHECKPOINT_LSN } from '../../postgres/control-file.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'
import {
  archivePlaces,
  type ArchivedCluster,
  type ArchivedFile,
  type ArchivePlace,
  findPlainFile,
  findSegment,
  isSegmentFile,
  readArchived,
} from '../../repo/archive.ts'
import { openRepos } from '../../repo/repo.ts'
import { systemError } from '../../storage/posix-error.ts'
import { type Context, stanzaOf } from '../command.ts'
import { noteReplay } from '../replay-progress.ts'

/** Where a file is stored. */
export interface Match {
  readonly place: ArchivePlace
  readonly file: ArchivedFile
}

/** Gets one file from where it is; `missing` only when it is certainly nowhere. */
export async function getFile(
  context: Context,
  name: string,
  path: string,
): Promise<'found' | 'missing'> {
  const cluster = await identifyCluster(context)
  const matches = await findEverywhere(context, name, cluster)
  if (matches.length === 0) return 'missing'
  assertOneContent(name, matches)
  const temp = `${path}.pgsurety.tmp`
  await deliver(context, { name, path, temp, durability: 'not synced', matches })
  const { walSegmentSizeBytes: segmentSizeBytes } = cluster
  await noteReplay(context, { place: matches[0]?.place, name, segmentSizeBytes })
  return 'found'
}

/** The cluster whose WAL this is. Throws `format` for one that was restored and lost its backup_label. */
export async function identifyCluster({ config }: Context): Promise<ControlFile> {
  const dataDir = config.text('pg-path', 1)
  const { control } = await readControlFile(dataDir)
  if (control.checkpointLsn === INVALID_CHECKPOINT_LSN) assertBackupLabel(dataDir)
  return control
}

/** A restored cluster without its backup_label would replay from nowhere. */
function assertBackupLabel(dataDir: string): void {
  try {
    accessSync(`${dataDir}/backup_label`)
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
export async function findEverywhere(
  context: Context,
  name: string,
  cluster: ArchivedCluster,
): Promise<readonly Match[]> {
  const matches: Match[] = []
  const failures: AppError[] = []
  const repos = openRepos(context.config, context.openStorage)
  for (const repo of repos) {
    try {
      for (const place of await archivePlaces(repo, stanzaOf(context), cluster)) {
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

async function find(place: ArchivePlace, name: string): Promise<readonly ArchivedFile[]> {
  if (isSegmentFile(name)) return await findSegment(place, name)
  const file = await findPlainFile(place, name)
  return file === undefined ? [] : [file]
}

/** `archive-duplicate` when a segment is stored with different contents. */
export function assertOneContent(name: string, matches: readonly Match[]): void {
  if (!isSegmentFile(name)) return
  const checksums = new Set(matches.map(({ file }) => file.checksum))
  if (checksums.size <= 1) return
  throw new AppError(
    'archive-duplicate',
    `duplicates found for WAL segment ${name}:\n${matches.map(({ file }) => file.key).join('\n')}`,
    { hint: 'are multiple primaries archiving to this stanza?' },
  )
}

export interface Delivery {
  readonly name: string
  readonly path: string
  /** Its name until it is complete. */
  readonly temp: string
  /** `synced`: for a file that must be whole even after a power cut. */
  readonly durability: 'synced' | 'not synced'
  readonly matches: readonly Match[]
}

/** Tries the matches in order until one gives the right bytes; PostgreSQL never sees a partial or wrong segment. */
export async function deliver(context: Context, delivery: Delivery): Promise<void> {
  const { name, matches } = delivery
  const failures: AppError[] = []
  for (const match of matches) {
    try {
      await copyOut(match, delivery)
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

/** By synchronous calls: they end in the page cache. What waits for the disk, waits aside, while others get the next segment. */
async function copyOut(
  { place, file }: Match,
  { path, temp, durability }: Delivery,
): Promise<void> {
  try {
    const hash = createHash('sha1')
    using target = openTarget(temp)
    for await (const chunk of readArchived(place, file)) {
      hash.update(chunk)
      target.write(chunk)
    }
    const found = hash.digest('hex')
    if (file.checksum !== undefined && file.checksum !== found) {
      throw new AppError(
        'checksum',
        `WAL segment '${place.storage.location}/${file.key}' has checksum '${found}' but its name says '${file.checksum}'`,
        { hint: 'the stored segment is damaged; another repository or backup may have it.' },
      )
    }
    if (durability === 'synced') await fdatasync(target.fd)
    renameSync(temp, path)
  } catch (error) {
    rmSync(temp, { force: true })
    throw error
  }
}

interface Target extends Disposable {
  readonly fd: number
  write(chunk: Buffer): void
}

function openTarget(path: string): Target {
  const fd = attempted('file-open', `unable to open '${path}' for write`, () =>
    openSync(path, 'w', 0o600),
  )
  return {
    fd,
    write: (chunk) => {
      attempted('file-write', `unable to write '${path}'`, () => {
        for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at)
      })
    },
    [Symbol.dispose]: () => {
      closeSync(fd)
    },
  }
}

function attempted<T>(kind: ErrorKind, doing: string, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw systemError(kind, doing, error)
  }
}
