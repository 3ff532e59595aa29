/** The server that commands for logical dumps work with, and the programs they do it with. */
import { AppError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import {
  type ClientPrograms,
  findClientPrograms,
  programPath,
  programsFor,
} from '../postgres/client-programs.ts'
import { openPsql, type PsqlSession, type ServerAddress } from '../postgres/psql.ts'
import { serverAddress } from '../postgres/server-address.ts'
import type { Context } from './command.ts'

export interface ClientServer {
  readonly address: ServerAddress
  /** Not older than the server. */
  readonly programs: ClientPrograms
  /** `17`. */
  readonly major: number
  /** `17.11`. */
  readonly version: string
  /** Opens a session that no setting of a role or a database ends or makes wait. */
  open(database: string, signal?: AbortSignal): Promise<PsqlSession>
}

/** The stanza's own server, or the one that `conninfo` names. */
export function addressOf({ config, env }: Context, conninfo?: string): ServerAddress {
  return serverAddress(env, {
    socketPath: config.optionalText('pg-socket-path', 1),
    port: config.integer('pg-port', 1),
    user: config.optionalText('pg-user', 1),
    conninfo: conninfo ?? config.optionalText('pg-conninfo', 1),
  })
}

/** Those of `pg-client-path` or the usual folders, newest first. */
export async function clientPrograms({ config, env }: Context): Promise<readonly ClientPrograms[]> {
  return await findClientPrograms(config.list('pg-client-path'), env['PATH'])
}

/** Connects once, to learn the version. Throws `db-connect`, and `version-not-supported` when all programs are older. */
export async function connectClients(
  context: Context,
  address: ServerAddress,
): Promise<ClientServer> {
  const { config } = context
  const found = await clientPrograms(context)
  const anyone = programsFor(found, 0)
  const applicationName = `pgsurety [${config.command}]`
  const open: ClientServer['open'] = async (database, signal = context.signal) =>
    await openSteady({
      psql: programPath(anyone, 'psql'),
      server: address,
      database,
      applicationName,
      signal,
    })
  await using session = await open(firstDatabase(config))
  const [row] = await session.rows(
    `select pg_catalog.current_setting('server_version_num') as number,
            pg_catalog.current_setting('server_version') as version`,
  )
  const number = Number(row?.['number'])
  const [version] = /^\d+(?:\.\d+)?/.exec(String(row?.['version'])) ?? []
  if (!Number.isInteger(number) || version === undefined) {
    throw new AppError('protocol', 'the server does not say its version')
  }
  const major = Math.floor(number / 10_000)
  return { address, programs: programsFor(found, major), major, version, open }
}

/** The one to begin with. */
export function firstDatabase(config: Config): string {
  return config.text('pg-database', 1)
}

const KEEPALIVE_S = 60

async function openSteady(options: Parameters<typeof openPsql>[0]): Promise<PsqlSession> {
  await using cleanup = new AsyncDisposableStack()
  const session = cleanup.use(openPsql(options))
  await session.run(
    "select pg_catalog.set_config('search_path', '', false)",
    `select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings
      where name in ('idle_in_transaction_session_timeout', 'idle_session_timeout', 'lock_timeout',
                     'statement_timeout', 'transaction_timeout')`,
    // It waits while others work for hours, and what lies in between forgets those that are silent for minutes.
    `set tcp_keepalives_idle = ${KEEPALIVE_S}`,
  )
  // A service may name a database, and then libpq takes that one.
  const [row] = await session.rows('select pg_catalog.current_database() as name')
  if (row?.['name'] !== options.database) {
    throw new AppError(
      'db-mismatch',
      `asked for database '${options.database}' and got '${String(row?.['name'])}'`,
      { hint: 'Does a service file name a database? It must not.' },
    )
  }
  cleanup.move()
  return session
}
