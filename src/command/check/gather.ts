/** Collects what a diagnosis rests on: from the server, its log, and the disks. What cannot be told is left out. */
import { open, readdir, readFile, readlink, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type AppError, errnoOf } from '../../base/error.ts'
import { currentArchive } from '../../format/archive-info.ts'
import { archiveInfoKey, archivePrefix } from '../../format/repo-path.ts'
import { archiveId, isSegmentName, segmentStart } from '../../format/wal.ts'
import type { PgConnection } from '../../postgres/connection.ts'
import { openOwners } from '../../postgres/owner-names.ts'
import { integerColumn, textColumn } from '../../postgres/row.ts'
import { loadArchiveInfo, type Repo } from '../../repo/repo.ts'
import type { ArchiverFacts, BlockedPath, Facts, RepoFacts } from './diagnose.ts'
import { type ArchiverFailure, lastArchiverFailure } from './server-log.ts'
import { predictFull, type WalSpace, type WrittenSegment } from './wal-space.ts'

export interface Question {
  readonly stanza: string
  readonly useCommand: string
  readonly connection: PgConnection
  readonly dataDir: string
  /** Only those whose files can be looked at. */
  readonly repos: readonly Repo[]
  readonly segment: string | undefined
  readonly failure: AppError
}

/** The end of the server's log that is looked at. */
const LOG_BYTES = 256 * 1024

export async function gatherFacts(question: Question): Promise<Facts> {
  const { stanza, useCommand, connection, dataDir, segment, failure } = question
  const archiver = await readArchiver(connection, dataDir)
  const server = await identifyServer(dataDir)
  const repos: RepoFacts[] = []
  for (const repo of question.repos) repos.push(await lookAtRepo(repo, question, server))
  return {
    stanza,
    useCommand,
    failure: { kind: failure.kind, message: failure.message },
    segment,
    segmentSizeBytes: connection.walSegmentSizeBytes,
    archiver,
    logged: currentOnly(await readLog(connection, dataDir, server), archiver),
    serverUser: server?.name,
    serverVersion: connection.version,
    repos,
  }
}

/**
 * A failure that archiving has not got over. A command that cannot be run ends the archiver before it has counted the
 * failure: the segment then tells.
 */
function currentOnly(
  failure: ArchiverFailure | undefined,
  { isFailing, lastArchived }: ArchiverFacts,
): ArchiverFailure | undefined {
  if (isFailing) return failure
  return failure?.segment !== undefined && failure.segment > lastArchived ? failure : undefined
}

/** How much room pg_wal has and how fast it is used; undefined when its directory cannot be looked at. */
export async function measureWalSpace(
  { connection, dataDir }: Pick<Question, 'connection' | 'dataDir'>,
  nowMs: number,
): Promise<WalSpace | undefined> {
  return await ifTold(async () => {
    const path = join(dataDir, 'pg_wal')
    const { bavail, bsize } = await statfs(path)
    const written: WrittenSegment[] = []
    for (const name of await readdir(join(path, 'archive_status'))) {
      // A segment is in there as soon as it is full; those kept for later use are not.
      const segment = name.replace(/\.(?:ready|done)$/, '')
      if (!isSegmentName(segment)) continue
      const found = await ifTold(async () => await stat(join(path, segment)))
      if (found === undefined) continue
      const startLsn = segmentStart(segment, connection.walSegmentSizeBytes)
      written.push({ startLsn, writtenMs: found.mtimeMs })
    }
    return predictFull(bavail * bsize, written, nowMs)
  })
}

async function readArchiver(connection: PgConnection, dataDir: string): Promise<ArchiverFacts> {
  const [row] = await connection.rows(
    `select archived_count::text, coalesce(last_archived_wal, '') as last_archived_wal,
            failed_count::text, coalesce(last_failed_wal, '') as last_failed_wal,
            coalesce(last_failed_time >= coalesce(last_archived_time, '-infinity'), false)::text as failing
       from pg_stat_archiver`,
  )
  const status = await ifTold(async () => await readdir(join(dataDir, 'pg_wal', 'archive_status')))
  return {
    command: connection.archiveCommand,
    library: connection.archiveLibrary,
    archivedCount: integerColumn(row, 'archived_count'),
    failedCount: integerColumn(row, 'failed_count'),
    lastArchived: textColumn(row, 'last_archived_wal'),
    lastFailed: textColumn(row, 'last_failed_wal'),
    isFailing: textColumn(row, 'failing') === 'true',
    waitingCount: status?.filter((name) => name.endsWith('.ready')).length,
  }
}

/** The server's process and the user it runs as. */
interface ServerProcess {
  readonly pid: number
  readonly uid: number
  readonly gids: readonly number[]
  readonly name: string
}

async function identifyServer(dataDir: string): Promise<ServerProcess | undefined> {
  return await ifTold(async () => {
    const pid = Number((await readFile(join(dataDir, 'postmaster.pid'), 'utf8')).split('\n')[0])
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    // Real, effective, saved and file system id; files are used with the last one.
    const ids = (name: string): readonly number[] =>
      (new RegExp(`^${name}:(.*)$`, 'm').exec(status)?.[1] ?? '').trim().split(/\s+/).map(Number)
    const uid = ids('Uid').at(-1) ?? 0
    const name = await openOwners().userOf(uid)
    return {
      pid,
      uid,
      gids: [...ids('Gid').slice(-1), ...ids('Groups')],
      name: name || String(uid),
    }
  })
}

/** From the server's log file, or where its standard error goes when that is a file. */
async function readLog(
  connection: PgConnection,
  dataDir: string,
  server: ServerProcess | undefined,
): Promise<ArchiverFailure | undefined> {
  const path = (await currentLogFile(connection, dataDir)) ?? (await standardErrorOf(server))
  if (path === undefined) return undefined
  return await ifTold(async () => {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    const from = Math.max(0, size - LOG_BYTES)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), { position: from })
    return lastArchiverFailure(buffer.toString('utf8', 0, bytesRead), connection.archiveCommand)
  })
}

async function currentLogFile(
  connection: PgConnection,
  dataDir: string,
): Promise<string | undefined> {
  try {
    const [row] = await connection.rows("select coalesce(pg_current_logfile('stderr'), '') as path")
    const path = textColumn(row, 'path')
    return path === '' ? undefined : join(path.startsWith('/') ? '/' : dataDir, path)
  } catch {
    // Not everybody may ask; the log is one source of several.
    return undefined
  }
}

async function standardErrorOf(server: ServerProcess | undefined): Promise<string | undefined> {
  if (server === undefined) return undefined
  return await ifTold(async () => {
    const path = await readlink(`/proc/${server.pid}/fd/2`)
    return (await stat(path)).isFile() ? path : undefined
  })
}

async function lookAtRepo(
  repo: Repo,
  { stanza }: Question,
  server: ServerProcess | undefined,
): Promise<RepoFacts> {
  const { location } = repo.storage
  const info = await loadArchiveInfo(repo, stanza).then(currentArchive, () => undefined)
  const deepest = await deepestThere(
    location,
    info === undefined
      ? archivePrefix(stanza)
      : archivePrefix(stanza, archiveId(info.version, info.id)),
  )
  const space = await ifTold(async () => await statfs(deepest))
  return {
    key: repo.key,
    location,
    blocked:
      server === undefined
        ? undefined
        : await findBlocked(server, {
            deepest,
            file: join(location, archiveInfoKey(stanza)),
          }),
    readOnlyMount: await readOnlyMountOf(deepest),
    freeBytes: space === undefined ? undefined : space.bavail * space.bsize,
    // File systems that make inodes as they need them say they have none at all.
    freeInodes: space === undefined || space.files === 0 ? undefined : space.ffree,
    stanzaVersion: info?.version,
  }
}

/** The newest directory of WAL, or what there is of the way to it. */
async function deepestThere(location: string, prefix: string): Promise<string> {
  let path = join(location, prefix)
  while (path !== location && (await ifTold(async () => await stat(path))) === undefined) {
    path = dirname(path)
  }
  const names = (await ifTold(async () => await readdir(path))) ?? []
  const newest = names
    .filter((name) => /^[0-9A-F]{16}$/.test(name))
    .toSorted()
    .at(-1)
  return newest === undefined ? path : join(path, newest)
}

interface Way {
  readonly deepest: string
  /** A file that is read on the way. */
  readonly file: string
}

/** The first thing that the server's user cannot use: directories to pass, one to write to, a file to read. */
async function findBlocked(
  server: ServerProcess,
  { deepest, file }: Way,
): Promise<BlockedPath | undefined> {
  const directories: string[] = []
  for (let path = deepest; path !== dirname(path); path = dirname(path)) directories.unshift(path)
  const needs = [
    ...directories.map((path) => ({ path, bits: path === deepest ? 0o3 : 0o1 })),
    { path: file, bits: 0o4 },
  ]
  for (const { path, bits } of needs) {
    const found = await ifTold(async () => await stat(path))
    if (found === undefined || mayUse(server, found, bits)) continue
    const owner = (await openOwners().userOf(found.uid)) || String(found.uid)
    return { path, owner, belongsTo: found.uid === server.uid ? 'the server' : 'another user' }
  }
  return undefined
}

/** By owner, group and mode; access control lists are not looked at. `bits` as of one class: 4 read, 2 write, 1 pass. */
function mayUse(
  { uid, gids }: ServerProcess,
  found: { readonly uid: number; readonly gid: number; readonly mode: number },
  bits: number,
): boolean {
  if (uid === 0) return true
  const shift = found.uid === uid ? 6 : gids.includes(found.gid) ? 3 : 0
  return ((found.mode >> shift) & bits) === bits
}

async function readOnlyMountOf(path: string): Promise<string | undefined> {
  return await ifTold(async () => {
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => {
      const [, point = '', , options = ''] = line.split(' ')
      const plain = point.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
        String.fromCodePoint(Number.parseInt(octal, 8)),
      )
      return { point: plain, options: options.split(',') }
    })
    const mount = mounts
      .filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
      // Of several on one point the last one is seen.
      .reduce((best, next) => (next.point.length >= best.point.length ? next : best))
    return mount.options.includes('ro') ? mount.point : undefined
  })
}

/** Undefined when the system refuses to tell. */
async function ifTold<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask()
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return undefined
  }
}
