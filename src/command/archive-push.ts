/**
 * archive-push: PostgreSQL's archive_command. Exit 0 is a promise that the segment is durable in the repository, because
 * PostgreSQL recycles its own copy on the strength of it.
 */
import { readdir, realpath } from 'node:fs/promises'
import { basename } from 'node:path'
import { AppError, asAppError, errnoOf } from '../base/error.ts'
import { formatSize, MIB } from '../base/units.ts'
import { currentArchive } from '../format/archive-info.ts'
import { archiveId } from '../format/wal.ts'
import { encryptor } from '../pipe/cipher.ts'
import { compressTypeOfName, type CompressType } from '../pipe/compress-type.ts'
import { collect, single, through } from '../pipe/pipe.ts'
import { readControlFile } from '../postgres/read-control-file.ts'
import { parseWalHeader } from '../postgres/wal-header.ts'
import {
  archiveKey,
  type ArchivePlace,
  findPlainFile,
  findSegment,
  isSegmentFile,
  readArchived,
  theOnly,
} from '../repo/archive.ts'
import { assertNotStopped } from '../repo/stop-file.ts'
import { loadArchiveInfo, openRepos, type Repo } from '../repo/repo.ts'
import { type Context, stanzaOf } from './command.ts'
import { openWal, readSegment, readWal, type WalFile, type WalSegment } from './wal-segment.ts'

/** History and backup label files are a few lines; more than this is no such file. */
const PLAIN_BYTES_MAX = 16 * MIB

export async function archivePush(context: Context): Promise<number> {
  const { config, log } = context
  assertNotStopped(config.text('lock-path'), stanzaOf(context))
  const file = await locate(context)
  const queueMax = config.has('archive-push-queue-max')
    ? config.bytes('archive-push-queue-max')
    : undefined
  if (queueMax !== undefined && (await queuedBytes(file)) > queueMax) {
    log.warn(
      `dropped WAL file '${file.name}' because archive queue exceeded ${formatSize(queueMax)}`,
    )
    return 0
  }
  const packing = {
    type: compressTypeOfName(`x.${config.text('compress-type')}`),
    level: config.integer('compress-level'),
  }
  const segment = isSegmentFile(file.name) ? await readSegment(file, packing) : undefined
  const cluster = await clusterIdentity(context)
  const failures: string[] = []
  for (const repo of openRepos(config, context.openStorage)) {
    try {
      const place = await placeFor(context, repo, cluster)
      if (segment === undefined) await pushPlain(context, place, file)
      else await pushSegment(context, place, { file, segment, type: packing.type })
    } catch (error) {
      const failed = asAppError(error)
      // Another content under the same name is not a fault of this repository alone: stop at once, as pgBackRest does.
      if (failed.kind === 'archive-duplicate' || openRepos(config).length === 1) throw failed
      failures.push(`repo${repo.key}: [${failed.exitCode}] ${failed.text}`)
    }
  }
  if (failures.length > 0) {
    throw new AppError(
      'command',
      `archive-push command encountered error(s):\n${failures.join('\n')}`,
    )
  }
  return 0
}

/** The file to push: absolute, or relative to the data directory, which must then be the current directory. */
async function locate({ config }: Context): Promise<WalFile> {
  const parameter = config.parameters[0] ?? ''
  if (parameter.startsWith('/')) return { name: basename(parameter), path: parameter }
  if (!config.has('pg-path', 1)) {
    throw new AppError(
      'option-required',
      "option 'pg1-path' must be specified when relative wal paths are used",
      {
        hint: [
          'is %f passed to archive-push instead of %p?',
          'PostgreSQL may pass relative paths even with %p depending on the environment.',
        ],
      },
    )
  }
  const dataDir = config.text('pg-path', 1)
  if (process.cwd() !== dataDir) {
    const [here, there] = await Promise.all([realpath('.'), realpathOf(dataDir)])
    if (here !== there) {
      throw new AppError(
        'option-invalid-value',
        `PostgreSQL working directory '${here}' is not the same as option pg1-path '${dataDir}'`,
        { hint: 'is the PostgreSQL data_directory configured the same as the pg1-path option?' },
      )
    }
  }
  return { name: basename(parameter), path: `${dataDir}/${parameter}` }
}

async function realpathOf(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    throw new AppError(
      'path-missing',
      `unable to open pg1-path '${path}': ${errnoOf(error) ?? String(error)}`,
      {
        cause: error,
      },
    )
  }
}

/** Bytes waiting in archive_status: the number of `.ready` files times the size of this file. */
async function queuedBytes(file: WalFile): Promise<number> {
  const names = await listStatus(`${file.path.slice(0, -file.name.length)}archive_status`)
  await using handle = await openWal(file)
  const { size } = await handle.stat()
  return names.filter((name) => name.endsWith('.ready')).length * size
}

async function listStatus(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    throw new AppError(
      errnoOf(error) === 'ENOENT' ? 'path-missing' : 'path-open',
      `unable to list path '${path}': ${errnoOf(error) ?? String(error)}`,
      { hint: 'archive-push-queue-max needs a WAL file in a pg_wal directory.', cause: error },
    )
  }
}

interface ClusterPlace extends ArchivePlace {
  readonly identity: Identity
}

interface Identity {
  readonly version: string
  readonly systemId: bigint
}

/** What pg_control says, when there is a data directory to read it from. */
async function clusterIdentity({ config }: Context): Promise<Identity | undefined> {
  if (!config.has('pg-path', 1)) return undefined
  const { control } = await readControlFile(config.text('pg-path', 1))
  return control
}

/** The place in a repository for this cluster's WAL; `archive-mismatch` when it belongs to another cluster. */
async function placeFor(
  context: Context,
  repo: Repo,
  cluster: Identity | undefined,
): Promise<ClusterPlace> {
  const stanza = stanzaOf(context)
  const info = await loadArchiveInfo(repo, stanza)
  const current = currentArchive(info)
  if (
    cluster !== undefined &&
    (cluster.version !== current.version || cluster.systemId !== current.systemId)
  ) {
    throw new AppError(
      'archive-mismatch',
      `PostgreSQL version ${cluster.version}, system-id ${cluster.systemId} do not match ` +
        `repo${repo.key} stanza version ${current.version}, system-id ${current.systemId}`,
      { hint: 'are you archiving to the correct stanza?' },
    )
  }
  return {
    storage: repo.storage,
    stanza,
    archiveId: archiveId(current.version, current.id),
    cipherPass: info.cipherPass,
    identity: current,
  }
}

async function pushSegment(
  context: Context,
  place: ClusterPlace,
  { file, segment, type }: { file: WalFile; segment: WalSegment; type: CompressType },
): Promise<void> {
  const { config, log } = context
  if (config.flag('archive-header-check')) assertOwnSegment(file, segment.header, place.identity)
  const stored = theOnly(file.name, await findSegment(place, file.name))
  const sha1 = await segment.sha1()
  if (stored !== undefined && stored.checksum !== sha1) {
    throw new AppError(
      'archive-duplicate',
      `WAL file '${file.name}' already exists in the repo archive with a different checksum`,
      { hint: 'this is valid in some recovery scenarios but may also indicate a problem.' },
    )
  }
  if (stored !== undefined) {
    await place.storage.sync(parentOf(stored.key))
    if (config.flag('archive-mode-check')) {
      log.warn(
        `WAL file '${file.name}' already exists in the repo archive with the same checksum\n` +
          'HINT: this is valid in some recovery scenarios but may also indicate a problem.',
      )
    }
    return
  }
  const filters = place.cipherPass === undefined ? [] : [encryptor(place.cipherPass, 'normal')]
  await place.storage.put(
    archiveKey(place, file.name, sha1, type),
    through(segment.packed(), ...filters),
  )
  log.info(`pushed WAL file '${file.name}' to the archive`)
}

/** `.history` and `.backup` files: stored as they are; the same name with other content is never overwritten. */
async function pushPlain(context: Context, place: ArchivePlace, file: WalFile): Promise<void> {
  const content = await collect(readWal(file), PLAIN_BYTES_MAX)
  const stored = await findPlainFile(place, file.name)
  if (stored !== undefined) {
    const before = await collect(readArchived(place, stored), PLAIN_BYTES_MAX)
    if (before.equals(content)) {
      await place.storage.sync(parentOf(stored.key))
      return
    }
    throw new AppError(
      'archive-duplicate',
      `WAL file '${file.name}' already exists in the repo archive with different content`,
      {
        hint: 'has another cluster been promoted to the same timeline and archived to this stanza?',
      },
    )
  }
  const filters = place.cipherPass === undefined ? [] : [encryptor(place.cipherPass, 'normal')]
  await place.storage.put(
    archiveKey(place, file.name, undefined, 'none'),
    through(single(content), ...filters),
  )
  context.log.info(`pushed WAL file '${file.name}' to the archive`)
}

/**
 * The prefix to make durable before a file that is there already counts as pushed: the run that stored it may have been
 * killed before it could, and PostgreSQL recycles its copy on our word.
 */
function parentOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'))
}

/** Refuses WAL of another cluster or version, whatever pg_control says. */
function assertOwnSegment(file: WalFile, header: Buffer, expected: Identity): void {
  const found = parseWalHeader(header)
  if (found.version === expected.version && found.systemId === expected.systemId) return
  throw new AppError(
    'archive-mismatch',
    `WAL file '${file.path}' version ${found.version}, system-id ${found.systemId} do not match ` +
      `stanza version ${expected.version}, system-id ${expected.systemId}`,
    { hint: 'are you archiving to the correct stanza?' },
  )
}
