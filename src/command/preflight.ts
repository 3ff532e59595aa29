/** What must be true of the server before a command relies on it, and of a stanza before a command writes to it. */
import { AppError, asAppError, type ErrorKind } from '../base/error.ts'
import { type ArchiveInfo, currentArchive } from '../format/archive-info.ts'
import { type BackupInfo, currentBackupHistory } from '../format/backup-info.ts'
import { connect, type PgConnection } from '../postgres/connection.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import { readControlFile } from '../postgres/read-control-file.ts'
import type { Context } from './command.ts'
import { useArchiveCommand } from './program-call.ts'

/** A session with one configured server, and the pg_control of its data directory. Disposing closes the session. */
export interface Server extends AsyncDisposable {
  /** The N of `pgN-…`. */
  readonly index: number
  /** pgN-path. */
  readonly dataDir: string
  readonly connection: PgConnection
  readonly control: ControlFile
}

/** The cluster's primary, and one that follows it when that was asked for and there is one. */
export interface Servers extends AsyncDisposable {
  readonly primary: Server
  readonly standby: Server | undefined
}

/** The part of pg_control, and of a history row, that says which cluster it is. */
export interface ClusterIdentity {
  readonly version: string
  readonly systemId: bigint
}

/** The primary alone: see `openServers`. */
export async function openPrimary(context: Context, command: string): Promise<Server> {
  const servers = await openServers(context, command, 'n')
  return {
    ...servers.primary,
    [Symbol.asyncDispose]: async () => {
      await servers[Symbol.asyncDispose]()
    },
  }
}

/**
 * Connects to every configured server and finds the primary; `command` is shown in `pg_stat_activity`. `standby` is the
 * value of backup-standby: the first standby found is kept unless it is `n`, and must be there when it is `y`.
 *
 * Throws `db-connect` when there is not exactly one primary, `db-mismatch` when a server is not the one of its path or the
 * standby is of another cluster, and, when archive-check is on, `archive-disabled`, `feature-not-supported` or
 * `archive-command-invalid`. A server among several that cannot be looked at is a warning.
 */
export async function openServers(
  context: Context,
  command: string,
  standby: 'n' | 'prefer' | 'y',
): Promise<Servers> {
  await using cleanup = new AsyncDisposableStack()
  const found = await findServers(context, command, cleanup)
  if (found.primary === undefined) throw noPrimary()
  if (context.config.has('archive-check') && context.config.flag('archive-check'))
    assertArchiving(context, found.primary.connection)
  if (found.standby === undefined && standby === 'y') throw noStandby()
  if (found.standby !== undefined && standby !== 'n')
    assertFollows(found.standby.control, found.primary.control)
  const owned = cleanup.move()
  return {
    primary: found.primary,
    standby: standby === 'n' ? undefined : found.standby,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

interface Found {
  readonly primary: Server | undefined
  readonly standby: Server | undefined
}

/** The primary and the first standby, among all that can be used. */
async function findServers(
  context: Context,
  command: string,
  cleanup: AsyncDisposableStack,
): Promise<Found> {
  let primary: Server | undefined
  let standby: Server | undefined
  for (const index of context.config.indexes('pg')) {
    const server = await openIfPossible(context, command, index)
    if (server === undefined) continue
    cleanup.use(server)
    if (server.connection.inRecovery) standby ??= server
    else if (primary === undefined) primary = server
    else throw new AppError('db-connect', 'more than one primary cluster found')
  }
  return { primary, standby }
}

/** Undefined, after a warning, for one of several servers that cannot be used. */
async function openIfPossible(
  context: Context,
  command: string,
  index: number,
): Promise<Server | undefined> {
  try {
    return await openServer(context, command, index)
  } catch (error) {
    if (context.config.indexes('pg').length === 1) throw error
    const { exitCode, text } = asAppError(error)
    context.log.warn(`unable to check pg${index}: [${String(exitCode).padStart(3, '0')}] ${text}`)
    return undefined
  }
}

async function openServer(context: Context, command: string, index: number): Promise<Server> {
  const { config } = context
  const dataDir = config.text('pg-path', index)
  const { control } = await readControlFile(dataDir, context.clock)
  await using cleanup = new AsyncDisposableStack()
  const connection = cleanup.use(await connectTo(context, { index, command, database: undefined }))
  assertSameCluster({ index, dataDir, connection, control })
  const owned = cleanup.move()
  return {
    index,
    dataDir,
    connection,
    control,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

/** pg_control of the server that answers, or with --no-online of the files in pg1-path. */
export async function identifyCluster(context: Context, command: string): Promise<ControlFile> {
  if (!context.config.flag('online')) {
    const { control } = await readControlFile(context.config.text('pg-path', 1), context.clock)
    return control
  }
  await using primary = await openPrimary(context, command)
  return primary.control
}

export interface Destination {
  /** The N of `pgN-…`. */
  readonly index: number
  /** Shown in `pg_stat_activity`. */
  readonly command: string
  /** Undefined: pgN-database. */
  readonly database: string | undefined
}

/** A session with a configured server, unchecked. */
export async function connectTo(
  { config }: Context,
  { index, command, database }: Destination,
): Promise<PgConnection> {
  return await connect({
    port: config.integer('pg-port', index),
    socketPath: config.optionalText('pg-socket-path', index),
    user: config.optionalText('pg-user', index),
    database: database ?? config.text('pg-database', index),
    applicationName: `pgsurety [${command}]`,
    timeoutMs: config.timeMs('db-timeout'),
  })
}

function noPrimary(): AppError {
  return new AppError('db-connect', 'unable to find primary cluster - cannot proceed', {
    hint: [
      'are all available clusters in recovery?',
      'pg1-path and pg1-port name a standby: run this where the primary is, or name the primary as pg2.',
    ],
  })
}

function noStandby(): AppError {
  return new AppError('db-connect', 'unable to find standby cluster - cannot proceed', {
    hint: 'is a running standby configured as pg2, pg3, …? backup-standby=prefer goes on without one.',
  })
}

function assertFollows(standby: ControlFile, primary: ControlFile): void {
  if (standby.systemId === primary.systemId && standby.version === primary.version) return
  throw new AppError(
    'db-mismatch',
    `the standby has version ${standby.version}, system-id ${standby.systemId} but the primary has ` +
      `version ${primary.version}, system-id ${primary.systemId}`,
    { hint: 'the pg options of this stanza name servers of different clusters.' },
  )
}

/** The paths are compared as text, as pgBackRest does: a link to the data directory is not the data directory. */
function assertSameCluster({
  index,
  dataDir: path,
  connection,
  control,
}: Omit<Server, typeof Symbol.asyncDispose>): void {
  if (connection.version === control.version && connection.dataDirectory === path) return
  throw new AppError(
    'db-mismatch',
    `version '${connection.version}' and path '${connection.dataDirectory}' queried from cluster do not match ` +
      `version '${control.version}' and '${path}' read from '${path}/global/pg_control'`,
    {
      hint: `the pg${index}-path and pg${index}-port settings likely reference different clusters.`,
    },
  )
}

function assertArchiving(context: Context, connection: PgConnection): void {
  if (connection.archiveMode === 'off') {
    throw new AppError('archive-disabled', 'archive_mode must be enabled', {
      hint: [
        `ALTER SYSTEM SET archive_mode = 'on'; ${useArchiveCommand(context.config)}`,
        'archive_mode takes effect when PostgreSQL is restarted.',
      ],
    })
  }
  if (connection.archiveMode === 'always' && context.config.flag('archive-mode-check')) {
    throw new AppError('feature-not-supported', 'archive_mode=always not supported', {
      hint: "ALTER SYSTEM SET archive_mode = 'on' and restart, or use --no-archive-mode-check when each server has a repository of its own.",
    })
  }
  if (/pgsurety|pgbackrest/.test(connection.archiveCommand)) return
  const library =
    connection.archiveLibrary === ''
      ? []
      : [
          `archive_library is '${connection.archiveLibrary}', PostgreSQL does not use archive_command until it is empty.`,
        ]
  throw new AppError(
    'archive-command-invalid',
    `archive_command '${connection.archiveCommand}' must contain pgsurety or pgbackrest`,
    {
      hint: [...library, useArchiveCommand(context.config)],
    },
  )
}

/** Throws `kind` when the stanza's current history row is of another cluster or version than the server. */
export function matchStanza(
  row: ClusterIdentity,
  control: ClusterIdentity,
  kind: Extract<ErrorKind, 'backup-mismatch' | 'file-invalid'>,
): void {
  if (row.version === control.version && row.systemId === control.systemId) return
  throw new AppError(
    kind,
    `PostgreSQL version ${control.version}, system-id ${control.systemId} do not match ` +
      `stanza version ${row.version}, system-id ${row.systemId}`,
    { hint: 'is this the correct stanza?' },
  )
}

/** Both info files must agree with each other and with the server; `file-invalid` (pgBackRest 2.60) when they do not. */
export function matchInfoFiles(
  archive: ArchiveInfo,
  backup: BackupInfo,
  control: ClusterIdentity,
): void {
  const inArchive = currentArchive(archive)
  const inBackup = currentBackupHistory(backup)
  if (
    inArchive.id !== inBackup.id ||
    inArchive.version !== inBackup.version ||
    inArchive.systemId !== inBackup.systemId
  ) {
    throw new AppError(
      'file-invalid',
      'backup info file and archive info file do not match\n' +
        `archive: id = ${inArchive.id}, version = ${inArchive.version}, system-id = ${inArchive.systemId}\n` +
        `backup : id = ${inBackup.id}, version = ${inBackup.version}, system-id = ${inBackup.systemId}`,
      { hint: 'this may be a symptom of repository corruption!' },
    )
  }
  if (inArchive.version === control.version && inArchive.systemId === control.systemId) return
  throw new AppError(
    'file-invalid',
    'backup and archive info files exist but do not match the database',
    { hint: ['is this the correct stanza?', 'did an error occur during stanza-upgrade?'] },
  )
}
