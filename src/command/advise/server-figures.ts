/** What the server has counted of its databases and its WAL, and the sizes of today. */
import { availableParallelism } from 'node:os'
import { asAppError, isErrorKind } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import type { PsqlSession, SqlRow } from '../../postgres/psql.ts'
import { integerColumn, textColumn } from '../../postgres/row.ts'
import { addressOf, type ClientServer, connectClients, firstDatabase } from '../client-server.ts'
import type { Context } from '../command.ts'
import { largeTables } from '../dump/catalog.ts'
import { type Jobs, jobsForDump } from '../jobs.ts'
import { notMeasured, type Rate, rateOf } from './rate.ts'

export interface DatabaseFigures {
  readonly name: string
  readonly sizeBytes: number
  /** Rows inserted, updated and deleted. */
  readonly changes: Rate
  /** Suggested for a dump, or why nothing can be suggested. */
  readonly jobs: Jobs | { readonly jobs: undefined; readonly why: string }
}

export interface ServerFigures {
  readonly databases: readonly DatabaseFigures[]
  /** Bytes of the whole server. */
  readonly wal: Rate
}

export async function readServer(context: Context): Promise<ServerFigures> {
  const server = await connectClients(context, addressOf(context))
  await using session = await server.open(firstDatabase(context.config))
  const [now] = await session.rows(
    `select ${MILLIS('clock_timestamp()')} as now, ${MILLIS('stats_reset')} as since, pg_is_in_recovery() as recovery
       from pg_stat_bgwriter`,
  )
  const nowMs = integerColumn(now, 'now')
  const databases: DatabaseFigures[] = []
  for (const row of await listSizes(context, session)) {
    const name = textColumn(row, 'name')
    databases.push({
      name,
      sizeBytes: integerColumn(row, 'size'),
      changes: changesOf(row, now, nowMs),
      jobs: await suggestedJobs(context, server, name),
    })
  }
  const wal =
    now?.['recovery'] === true
      ? notMeasured('the server is a standby, which writes none')
      : await walRate(session, server.major, nowMs)
  return { databases, wal }
}

const MILLIS = (time: string): string => `floor(extract(epoch from ${time}) * 1000)::int8::text`

async function listSizes(context: Context, session: PsqlSession): Promise<readonly SqlRow[]> {
  const rows = await session.rows(
    `select d.datname::text as name,
       case when has_database_privilege(d.oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage')
         then pg_catalog.pg_database_size(d.oid)::text end as size,
       (s.tup_inserted + s.tup_updated + s.tup_deleted)::text as changes, ${MILLIS('s.stats_reset')} as since
     from pg_catalog.pg_database d left join pg_catalog.pg_stat_database s on s.datid = d.oid
     where not d.datistemplate order by d.datname`,
  )
  const hidden = rows.filter(({ size }) => size === null).map((row) => textColumn(row, 'name'))
  if (hidden.length > 0) {
    context.log.warn(
      `no advice on ${hidden.map((name) => `'${toOneLine(name)}'`).join(', ')}: this user may not ask for the size\n` +
        'HINT: grant it connect there, or pg_read_all_stats.',
    )
  }
  return rows.filter(({ size }) => size !== null)
}

/** A database whose counters were never reset by themselves has counted since all of them were. */
function changesOf(row: SqlRow, all: SqlRow | undefined, nowMs: number): Rate {
  const since = typeof row['since'] === 'string' ? row : all
  if (typeof row['changes'] !== 'string' || typeof since?.['since'] !== 'string') {
    return notMeasured('pg_stat_database says nothing of it')
  }
  return rateOf(
    {
      amount: integerColumn(row, 'changes'),
      sinceMs: integerColumn(since, 'since'),
      source: 'pg_stat_database',
    },
    nowMs,
  )
}

async function walRate(session: PsqlSession, major: number, nowMs: number): Promise<Rate> {
  const source = major >= 14 ? 'pg_stat_wal' : 'pg_stat_archiver'
  const bytes =
    major >= 14
      ? 'wal_bytes::text'
      : `(archived_count * pg_size_bytes(current_setting('wal_segment_size')))::text`
  const [row] = await session.rows(
    `select ${bytes} as bytes, ${MILLIS('stats_reset')} as since,
            current_setting('archive_mode') <> 'off' as archives from ${source}`,
  )
  // Before 14 only segments are counted, and only those that were archived.
  if (major < 14 && row?.['archives'] !== true) {
    return notMeasured('before PostgreSQL 14 only archived WAL is counted, and archive_mode is off')
  }
  const amount = integerColumn(row, 'bytes')
  return rateOf({ amount, sinceMs: integerColumn(row, 'since'), source }, nowMs)
}

/** Sizes of tables may not be had while somebody rewrites one: advice does not wait for that. */
async function suggestedJobs(
  context: Context,
  server: ClientServer,
  database: string,
): Promise<DatabaseFigures['jobs']> {
  try {
    await using session = await server.open(database)
    await session.run("set lock_timeout = '1s'")
    const sizes = (await largeTables(session)).map(({ sizeBytes }) => sizeBytes)
    return jobsForDump(availableParallelism(), sizes)
  } catch (error) {
    context.signal.throwIfAborted()
    if (!isErrorKind(error, 'db-connect', 'db-query')) throw error
    return { jobs: undefined, why: toOneLine(asAppError(error).message) }
  }
}
