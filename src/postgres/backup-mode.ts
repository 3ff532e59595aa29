/** Putting a server into backup mode and out of it, and what a backup asks of it besides. PostgreSQL 13 to 18. */
import type { PgConnection } from './connection.ts'
import { integerColumn, type Row, textColumn } from './row.ts'

export interface StartOptions {
  /** Written to backup_label. */
  readonly label: string
  /** `fast`: now, at the cost of I/O. `spread`: as slowly as the server's settings say. */
  readonly checkpoint: 'fast' | 'spread'
}

/**
 * A server in backup mode. The mode belongs to the session, which must stay open. Disposing without `stop` ends the
 * mode and gives the backup up; that never throws, for closing the session ends it as well.
 */
export interface BackupMode extends AsyncDisposable {
  readonly startLsn: bigint
  readonly startSegment: string
  /** Server's clock before the start, seconds since the epoch. */
  readonly startS: number
  /** Ends the mode. The segments from start to stop must be archived before the backup is of use. */
  stop(): Promise<BackupStop>
}

export interface BackupStop {
  readonly stopLsn: bigint
  readonly stopSegment: string
  /** Content of the file backup_label, to be written as UTF-8. */
  readonly backupLabel: string
  /** Content of the file tablespace_map, to be written as UTF-8; blank when there are no tablespaces. */
  readonly tablespaceMap: string
  /** Server's clock after the stop, seconds since the epoch. */
  readonly stopS: number
}

export interface Database {
  /** Byte string. */
  readonly name: string
  readonly oid: number
  /** OID of template0: what is not above it is PostgreSQL's own. */
  readonly lastSystemOid: number
}

/** pgBackRest's name, so that whoever reads WAL meets one name for one thing. */
const RESTORE_POINT = 'pgBackRest Archive Check'

/** PostgreSQL 15 renamed the functions and dropped exclusive mode. */
const RENAMED_VERSION_NUM = 150000

/** An OID below FirstNormalObjectId, for a cluster whose template0 was dropped. */
const SYSTEM_OID_MAX = 16383

/** The segment that the next WAL record goes to. */
export async function currentInsertSegment(connection: PgConnection): Promise<string> {
  const [row] = await connection.rows(
    'select pg_walfile_name(pg_current_wal_insert_lsn()) as segment',
  )
  return textColumn(row, 'segment')
}

/** Closes the current segment, so that it gets archived, and gives its name. */
export async function switchWal(connection: PgConnection): Promise<string> {
  // A segment without a record is not switched: the restore point is that record.
  await connection.rows('select pg_create_restore_point($1)::text', [RESTORE_POINT])
  const [row] = await connection.rows('select pg_walfile_name(pg_switch_wal()) as segment')
  return textColumn(row, 'segment')
}

/** Starts a non-exclusive backup. When this fails, the session is closed: it could be in backup mode already. */
export async function startBackup(
  connection: PgConnection,
  options: StartOptions,
): Promise<BackupMode> {
  await using abort = new AsyncDisposableStack()
  abort.use(connection)
  const startS = Math.floor((await connection.nowMs()) / 1000)
  const call =
    connection.serverVersionNum >= RENAMED_VERSION_NUM
      ? 'pg_backup_start($1, $2::text::boolean)'
      : 'pg_start_backup($1, $2::text::boolean, false)'
  const [row] = await connection.rows(
    `select (lsn - '0/0'::pg_lsn)::text as lsn, pg_walfile_name(lsn) as segment from ${call} as lsn`,
    [options.label, String(options.checkpoint === 'fast')],
  )
  const startLsn = BigInt(textColumn(row, 'lsn'))
  const startSegment = textColumn(row, 'segment')
  abort.move()

  let mode: 'started' | 'stopped' = 'started'
  const stop = async (): Promise<BackupStop> => {
    const stopped = await stopBackup(connection)
    mode = 'stopped'
    return stopped
  }
  return {
    startLsn,
    startSegment,
    startS,
    stop,
    [Symbol.asyncDispose]: async () => {
      if (mode === 'stopped') return
      try {
        await stop()
      } catch {
        await connection[Symbol.asyncDispose]()
      }
    },
  }
}

async function stopBackup(connection: PgConnection): Promise<BackupStop> {
  const call =
    connection.serverVersionNum >= RENAMED_VERSION_NUM
      ? 'pg_backup_stop(false)'
      : 'pg_stop_backup(false, false)'
  const [row] = await connection.rows(
    `select (lsn - '0/0'::pg_lsn)::text as lsn, pg_walfile_name(lsn) as segment, labelfile, spcmapfile,
            floor(extract(epoch from clock_timestamp()))::bigint::text as stop_s
       from ${call}`,
  )
  return {
    stopLsn: BigInt(textColumn(row, 'lsn')),
    stopSegment: textColumn(row, 'segment'),
    backupLabel: textColumn(row, 'labelfile'),
    tablespaceMap: textColumn(row, 'spcmapfile'),
    stopS: integerColumn(row, 'stop_s'),
  }
}

/** How far a server in recovery has come. */
export interface ReplayState {
  /** False once it was promoted. */
  readonly inRecovery: boolean
  /** 0 when it has replayed nothing since its start. */
  readonly replayLsn: bigint
  /** Everything before this is in its files, as of its last restartpoint. */
  readonly redoLsn: bigint
  /** Of that restartpoint. */
  readonly timeline: number
}

export async function readReplayState(connection: PgConnection): Promise<ReplayState> {
  const [row] = await connection.rows(
    `select pg_is_in_recovery()::text as in_recovery, timeline_id::text as timeline,
            coalesce(pg_last_wal_replay_lsn() - '0/0'::pg_lsn, 0)::text as replay_lsn,
            (redo_lsn - '0/0'::pg_lsn)::text as redo_lsn
       from pg_control_checkpoint()`,
  )
  return {
    inRecovery: textColumn(row, 'in_recovery') === 'true',
    replayLsn: BigInt(textColumn(row, 'replay_lsn')),
    redoLsn: BigInt(textColumn(row, 'redo_lsn')),
    timeline: integerColumn(row, 'timeline'),
  }
}

/** On a standby: a restartpoint at the newest checkpoint it has replayed. Needs a superuser, or since 15 pg_checkpoint. */
export async function checkpoint(connection: PgConnection): Promise<void> {
  await connection.rows('checkpoint')
}

/** Every database, templates included, by OID. */
export async function listDatabases(connection: PgConnection): Promise<readonly Database[]> {
  const rows = await connection.rows(
    `select encode(namesend(datname), 'hex') as name, oid::text as oid,
            coalesce((select oid from pg_database where datname = 'template0'), ${SYSTEM_OID_MAX})::text
              as last_system_oid
       from pg_database order by pg_database.oid`,
  )
  return rows.map((row) => ({
    name: nameColumn(row),
    oid: integerColumn(row, 'oid'),
    lastSystemOid: integerColumn(row, 'last_system_oid'),
  }))
}

/** Names (byte strings) of all tablespaces by OID, pg_default and pg_global included. */
export async function listTablespaces(
  connection: PgConnection,
): Promise<ReadonlyMap<number, string>> {
  const rows = await connection.rows(
    "select oid::text as oid, encode(namesend(spcname), 'hex') as name from pg_tablespace",
  )
  return new Map(rows.map((row) => [integerColumn(row, 'oid'), nameColumn(row)]))
}

/** Names need not be valid UTF-8, which the driver takes every text for. */
function nameColumn(row: Row): string {
  return Buffer.from(textColumn(row, 'name'), 'hex').toString('latin1')
}
