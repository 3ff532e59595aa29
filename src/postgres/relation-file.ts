/** Which relation a file of a cluster belongs to: what its path tells, and the name that only its database knows. */
import type { PgConnection } from './connection.ts'
import { integerColumn, textColumn } from './row.ts'

export interface RelationFile {
  /** Undefined: shared by all databases. */
  readonly databaseOid: number | undefined
  /** As pg_filenode_relation wants it: 0 is the database's own tablespace. */
  readonly tablespaceOid: number
  readonly filenode: number
  readonly fork: 'main' | 'fsm' | 'vm' | 'init'
  /** Which GiB of the relation. */
  readonly segment: number
}

const GLOBAL_TABLESPACE_OID = 1664

const RELATION_PATH =
  /^(?:pg_data\/(?:(?<shared>global)|base\/(?<base>\d+))|pg_tblspc\/(?<space>\d+)\/PG_[^/]+\/(?<database>\d+))\/(?<filenode>\d+)(?:_(?<fork>fsm|vm|init))?(?:\.(?<segment>\d+))?$/

/** From a manifest name; undefined for what is not a relation's file. */
export function relationFileOf(name: string): RelationFile | undefined {
  const found = RELATION_PATH.exec(name)?.groups
  if (found === undefined) return undefined
  const { shared, base, space, database, filenode, fork, segment } = found
  const databaseOid = base ?? database
  return {
    databaseOid: databaseOid === undefined ? undefined : Number(databaseOid),
    tablespaceOid: shared === undefined ? Number(space ?? 0) : GLOBAL_TABLESPACE_OID,
    filenode: Number(filenode),
    fork: forkOf(fork),
    segment: Number(segment ?? 0),
  }
}

function forkOf(text: string | undefined): RelationFile['fork'] {
  return text === 'fsm' || text === 'vm' || text === 'init' ? text : 'main'
}

/** The databases that can be connected to: name by OID. */
export async function listOpenDatabases(
  connection: PgConnection,
): Promise<ReadonlyMap<number, string>> {
  const rows = await connection.rows(
    'select oid::text as oid, datname::text as name from pg_database where datallowconn',
  )
  return new Map(rows.map((row) => [integerColumn(row, 'oid'), textColumn(row, 'name')]))
}

/**
 * `shop.public.orders`, quoted as SQL would need it; with `(index of …)` or `(TOAST table of …)` for what serves a table.
 * Undefined when there is no such relation any more. The connection must be to the relation's database.
 */
export async function relationName(
  connection: PgConnection,
  { tablespaceOid, filenode }: RelationFile,
): Promise<string | undefined> {
  const [row] = await connection.rows(
    `select format('%I.%I.%I', current_database(), s.nspname, c.relname) as name,
            case when i.indexrelid is not null then ' (index of ' || i.indrelid::regclass::text || ')'
                 when t.oid is not null then ' (TOAST table of ' || t.oid::regclass::text || ')'
                 else '' end as part
       from pg_class c join pg_namespace s on s.oid = c.relnamespace
            left join pg_index i on i.indexrelid = c.oid
            left join pg_class t on t.reltoastrelid = c.oid
      where c.oid = pg_filenode_relation($1::oid, $2::oid)`,
    [String(tablespaceOid), String(filenode)],
  )
  return row === undefined ? undefined : `${textColumn(row, 'name')}${textColumn(row, 'part')}`
}
