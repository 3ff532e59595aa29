/**
 * The snapshot that all of a dump sees, and the locks without which it would not.
 *
 * TRUNCATE, and ALTER TABLE where it writes a table anew, are seen at once and by every snapshot: of a table that was emptied after
 * the snapshot was taken and before pg_dump locks it, pg_dump finds no rows and says nothing. So the tables are locked first, and
 * by this session until the dump's end. What was not yet there to be locked is looked at again.
 */
import { isErrorKind } from '../../base/error.ts'
import { count, text } from '../../format/fields.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import { textColumn } from '../../postgres/row.ts'
import { oneRow } from './catalog.ts'

export type Snapshot =
  | { readonly state: 'taken'; readonly snapshot: DumpedDatabase['snapshot'] }
  /** Somebody has dropped or rewritten a table meanwhile: `why`, for people. */
  | { readonly state: 'overtaken'; readonly why: string }

/** Begins the transaction that exports the snapshot, in a session that is in none; both last as long as the session does. */
export async function takeSnapshot(session: PsqlSession, inRecovery: boolean): Promise<Snapshot> {
  const known = await listTables(session)
  // What LOCK needs no snapshot for, the transaction does not have yet.
  await session.run('begin isolation level repeatable read read only')
  try {
    await lock(session, [...known.values()])
    const snapshot = await exportSnapshot(session, inRecovery)
    const all = await listTables(session)
    await lock(
      session,
      [...all].filter(([oid]) => !known.has(oid)).map(([, name]) => name),
    )
    const [rewritten] = await session.rows(REWRITTEN_QUERY)
    if (rewritten === undefined) return { state: 'taken', snapshot }
    return { state: 'overtaken', why: `${textColumn(rewritten, 'name')} was emptied or rewritten` }
  } catch (error) {
    // 42P01 and 3F000: a table or its schema is gone since it was listed.
    if (!isErrorKind(error, 'db-query') || !/SQLSTATE (?:42P01|3F000)/.test(error.message))
      throw error
    return { state: 'overtaken', why: 'a table was dropped' }
  }
}

/** Those that pg_dump locks. */
const DUMPED = `
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and c.relpersistence <> 't' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and (not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    or exists (select from pg_extension x where c.oid = any (x.extconfig)))`

/** The catalog is read as of the snapshot, and the function tells how it is now. */
const REWRITTEN_QUERY = `
select format('%I.%I', n.nspname, c.relname) as name ${DUMPED}
  and c.relfilenode <> pg_relation_filenode(c.oid) limit 1`

/** OID → name. */
async function listTables(session: PsqlSession): Promise<ReadonlyMap<string, string>> {
  const rows = await session.rows(
    `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as name ${DUMPED} order by c.oid`,
  )
  return new Map(rows.map((row) => [textColumn(row, 'oid'), textColumn(row, 'name')]))
}

const LOCKED_AT_ONCE = 500

async function lock(session: PsqlSession, names: readonly string[]): Promise<void> {
  for (let at = 0; at < names.length; at += LOCKED_AT_ONCE) {
    const some = names.slice(at, at + LOCKED_AT_ONCE).map((name) => `only ${name}`)
    await session.run(`lock table ${some.join(', ')} in access share mode`)
  }
}

async function exportSnapshot(
  session: PsqlSession,
  inRecovery: boolean,
): Promise<DumpedDatabase['snapshot']> {
  const lsn = inRecovery ? 'pg_last_wal_replay_lsn()' : 'pg_current_wal_lsn()'
  const row = await oneRow(
    session,
    `select pg_export_snapshot() as id, pg_current_snapshot()::text as transactions,
            ${lsn}::text as lsn,
            floor(extract(epoch from clock_timestamp()) * 1000)::bigint as time`,
  )
  return {
    id: text(row, 'id'),
    transactions: text(row, 'transactions'),
    lsn: text(row, 'lsn'),
    timeMs: count(row, 'time'),
  }
}
