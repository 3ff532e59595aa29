/** What must be true of the server before a command relies on it, and of a stanza before a command writes to it. */
import { AppError, type ErrorKind } from '../base/error.ts'
import { type ArchiveInfo, currentArchive } from '../format/archive-info.ts'
import { type BackupInfo, currentBackupHistory } from '../format/backup-info.ts'
import { connect, type PgConnection } from '../postgres/connection.ts'
import type { ControlFile } from '../postgres/control-file.ts'
import { readControlFile } from '../postgres/read-control-file.ts'
import { type Context, stanzaOf } from './command.ts'

/** A session with the cluster's primary, and that cluster's pg_control. Disposing closes the session. */
export interface Primary extends AsyncDisposable {
  readonly connection: PgConnection
  readonly control: ControlFile
}

/** The part of pg_control, and of a history row, that says which cluster it is. */
export interface ClusterIdentity {
  readonly version: string
  readonly systemId: bigint
}

/**
 * Connects to the server of the pg1 options; `command` is shown in `pg_stat_activity`.
 *
 * Throws `db-connect` when it does not answer or is a standby, `db-mismatch` when it is not the server of pg1-path, and,
 * when archive-check is on, `archive-disabled`, `feature-not-supported` or `archive-command-invalid`.
 */
export async function openPrimary(context: Context, command: string): Promise<Primary> {
  const { config } = context
  const { control } = await readControlFile(config.text('pg-path', 1), context.clock)
  await using cleanup = new AsyncDisposableStack()
  const connection = cleanup.use(
    await connect({
      port: config.integer('pg-port', 1),
      socketPath: config.optionalText('pg-socket-path', 1),
      user: config.optionalText('pg-user', 1),
      database: config.text('pg-database', 1),
      applicationName: `pgsurety [${command}]`,
      timeoutMs: config.timeMs('db-timeout'),
    }),
  )
  if (connection.inRecovery) {
    throw new AppError('db-connect', 'unable to find primary cluster - cannot proceed', {
      hint: [
        'are all available clusters in recovery?',
        'pg1-path and pg1-port name a standby: run this where the primary is.',
      ],
    })
  }
  assertSameCluster(connection, control, config.text('pg-path', 1))
  if (config.has('archive-check') && config.flag('archive-check'))
    assertArchiving(context, connection)
  const owned = cleanup.move()
  return {
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

/** The paths are compared as text, as pgBackRest does: a link to the data directory is not the data directory. */
function assertSameCluster(connection: PgConnection, control: ControlFile, path: string): void {
  if (connection.version === control.version && connection.dataDirectory === path) return
  throw new AppError(
    'db-mismatch',
    `version '${connection.version}' and path '${connection.dataDirectory}' queried from cluster do not match ` +
      `version '${control.version}' and '${path}' read from '${path}/global/pg_control'`,
    { hint: 'the pg1-path and pg1-port settings likely reference different clusters.' },
  )
}

function assertArchiving(context: Context, connection: PgConnection): void {
  if (connection.archiveMode === 'off') {
    throw new AppError('archive-disabled', 'archive_mode must be enabled', {
      hint: [
        `ALTER SYSTEM SET archive_mode = 'on'; ALTER SYSTEM SET archive_command = '${archiveCommandFor(context)}';`,
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
      hint: [
        ...library,
        `ALTER SYSTEM SET archive_command = '${archiveCommandFor(context)}'; SELECT pg_reload_conf();`,
      ],
    },
  )
}

function archiveCommandFor(context: Context): string {
  return `pgsurety --stanza=${stanzaOf(context)} archive-push %p`
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
