/** A session with a running server, over a local socket only. */
import { userInfo } from 'node:os'
import { isAbsolute } from 'node:path'
import type { Client } from 'pg'
import { AppError, errnoOf } from '../base/error.ts'
import { integerColumn, textColumn, type Row } from './row.ts'

export interface ConnectOptions {
  readonly port: number
  /** Directory of the server's socket. Undefined: the ones libpq is usually built with. */
  readonly socketPath: string | undefined
  /** Undefined: the operating system's name of this user, as libpq does. */
  readonly user: string | undefined
  readonly database: string
  /** Shown in `pg_stat_activity`: `pgsurety [backup]`. */
  readonly applicationName: string
  /** Limit for connecting and for every statement. */
  readonly timeoutMs: number
}

/**
 * One session. The facts are those of the moment of connecting. Errors of every call: `db-query` when the server refused
 * the statement, `db-connect` when the session is lost.
 */
export interface PgConnection extends ServerFacts, AsyncDisposable {
  /** The server's clock, milliseconds since the epoch. */
  nowMs(): Promise<number>
  /** Runs one statement. Columns have the driver's types; cast to text what must not be rounded. */
  rows(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>
  /** Throws when the session no longer answers. */
  ping(): Promise<void>
}

type ArchiveMode = 'on' | 'off' | 'always'

export interface ServerFacts {
  /** `15`. */
  readonly version: string
  /** `150018`. */
  readonly serverVersionNum: number
  readonly dataDirectory: string
  readonly archiveMode: ArchiveMode
  readonly archiveCommand: string
  /** Empty before PostgreSQL 15. */
  readonly archiveLibrary: string
  readonly checkpointTimeoutMs: number
  readonly walSegmentSizeBytes: number
  readonly inRecovery: boolean
}

type RunQuery = (sql: string, parameters?: readonly unknown[]) => Promise<readonly Row[]>

/** Debian's and PostgreSQL's own default of libpq. */
const DEFAULT_SOCKET_PATHS = ['/var/run/postgresql', '/tmp'] as const

/** The server ends a statement first; the driver only when the server does not answer at all. */
const DRIVER_TIMEOUT_EXTRA_MS = 5_000

/** Opens a session and prepares it. Throws `db-connect`, and `db-query` when settings cannot be read. */
export async function connect(options: ConnectOptions): Promise<PgConnection> {
  await using cleanup = new AsyncDisposableStack()
  const client = await openFirst(options, cleanup)
  const rows: RunQuery = async (sql, parameters = []) => await query(client, sql, parameters)
  await prepareSession(rows, options.timeoutMs)
  const facts = await readFacts(rows)
  const owned = cleanup.move()
  return {
    ...facts,
    rows,
    nowMs: async () => {
      // PostgreSQL 13 counts in floating point: round down here, as every reader of a clock does.
      const [row] = await rows(
        'select floor(extract(epoch from clock_timestamp()) * 1000)::bigint::text as now_ms',
      )
      return integerColumn(row, 'now_ms')
    },
    ping: async () => {
      await rows('select 1')
    },
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

/** The first default socket that exists, or the one asked for. */
async function openFirst(options: ConnectOptions, cleanup: AsyncDisposableStack): Promise<Client> {
  if (options.socketPath !== undefined && !isAbsolute(options.socketPath)) {
    const message = `socket path '${options.socketPath}' is not an absolute path`
    throw new AppError('option-invalid-value', message)
  }
  const socketPaths = options.socketPath === undefined ? DEFAULT_SOCKET_PATHS : [options.socketPath]
  const failures: AppError[] = []
  for (const socketPath of socketPaths) {
    try {
      return await open(options, socketPath, cleanup)
    } catch (cause) {
      failures.push(connectError(cause, options, socketPath))
      if (errnoOf(cause) !== 'ENOENT') break
    }
  }
  throw failures.at(-1) ?? new AppError('db-connect', 'no socket path to try')
}

async function open(
  options: ConnectOptions,
  socketPath: string,
  cleanup: AsyncDisposableStack,
): Promise<Client> {
  // Loaded here because archiving a segment must not pay for a driver it never uses.
  const { Client: PgClient } = await import('pg')
  const client = new PgClient({
    host: socketPath,
    port: options.port,
    user: options.user ?? userInfo().username,
    database: options.database,
    application_name: options.applicationName,
    ssl: false,
    connectionTimeoutMillis: options.timeoutMs,
    query_timeout: options.timeoutMs + DRIVER_TIMEOUT_EXTRA_MS,
  })
  // A session lost between two statements is reported by the next one.
  client.on('error', () => undefined)
  await client.connect()
  cleanup.defer(async () => {
    await client.end()
  })
  return client
}

function connectError(cause: unknown, options: ConnectOptions, socketPath: string): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const socket = `${socketPath}/.s.PGSQL.${options.port}`
  return new AppError('db-connect', `unable to connect to PostgreSQL on '${socket}': ${reason}`, {
    cause,
    hint:
      sqlStateOf(cause) === undefined
        ? 'Is PostgreSQL running, with this port and this socket directory (pg1-port, pg1-socket-path)?'
        : 'Do user, database (pg1-user, pg1-database) and pg_hba.conf fit together?',
  })
}

/**
 * Nothing of the role's or the database's settings may change the meaning or the life of the session. `client_encoding`
 * is UTF8 already: the driver asks for it when it connects. Settings this release does not have are not in pg_settings.
 */
async function prepareSession(rows: RunQuery, timeoutMs: number): Promise<void> {
  await rows(`select pg_catalog.set_config('search_path', 'pg_catalog', false)`)
  await rows(`select set_config('statement_timeout', $1, false)`, [String(Math.ceil(timeoutMs))])
  await rows(
    `select set_config(name, '0', false) from pg_settings
      where name in ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'lock_timeout',
                     'max_parallel_workers_per_gather', 'transaction_timeout')`,
  )
}

/** Settings the server hides from this role are missing rows, not NULL values. */
async function readFacts(rows: RunQuery): Promise<ServerFacts> {
  const settings = new Map<string, string>()
  const found = await rows(
    `select name, setting from pg_settings
      where name in ('server_version_num', 'data_directory', 'archive_mode', 'archive_command',
                     'archive_library', 'checkpoint_timeout', 'wal_segment_size')`,
  )
  for (const row of found) settings.set(textColumn(row, 'name'), textColumn(row, 'setting'))
  const need = (name: string): string => {
    const setting = settings.get(name)
    if (setting !== undefined) return setting
    throw new AppError('db-query', `unable to read the setting '${name}'`, {
      hint: 'Does the role have the rights of pg_read_all_settings?',
    })
  }
  const [recovery] = await rows('select pg_is_in_recovery()::text as in_recovery')
  const serverVersionNum = Number(need('server_version_num'))
  return {
    version: majorVersion(serverVersionNum),
    serverVersionNum,
    dataDirectory: need('data_directory'),
    archiveMode: parseArchiveMode(need('archive_mode')),
    archiveCommand: need('archive_command'),
    archiveLibrary: serverVersionNum >= 150000 ? need('archive_library') : '',
    checkpointTimeoutMs: Number(need('checkpoint_timeout')) * 1000,
    walSegmentSizeBytes: Number(need('wal_segment_size')),
    inRecovery: textColumn(recovery, 'in_recovery') === 'true',
  }
}

function majorVersion(serverVersionNum: number): string {
  const major = Math.floor(serverVersionNum / 10_000)
  return major >= 10 ? String(major) : `${major}.${Math.floor(serverVersionNum / 100) % 100}`
}

function parseArchiveMode(text: string): ArchiveMode {
  if (text === 'on' || text === 'off' || text === 'always') return text
  throw new AppError('db-query', `unknown archive_mode '${text}'`)
}

async function query(
  client: Client,
  sql: string,
  parameters: readonly unknown[],
): Promise<readonly Row[]> {
  try {
    const result = await client.query<Record<string, unknown>>(sql, [...parameters])
    return result.rows
  } catch (cause) {
    throw queryError(cause, sql)
  }
}

function queryError(cause: unknown, sql: string): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  const state = sqlStateOf(cause)
  if (state === undefined) {
    return new AppError('db-connect', `lost the session with PostgreSQL: ${reason}`, {
      cause,
      hint: 'Was the server stopped or restarted, or did it not answer in time (db-timeout)?',
    })
  }
  const statement = sql.replaceAll(/\s+/g, ' ').trim()
  const message = `unable to execute query '${statement}': ${reason} (SQLSTATE ${state})`
  return new AppError('db-query', message, { cause })
}

/** Only errors that came from the server have a severity; `code` alone can be an errno name. */
function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('severity' in error)) return undefined
  return errnoOf(error)
}
