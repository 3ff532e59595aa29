/** Which tables a fingerprint covers, how much of each, and the query that gives the rows its digest is of. Pure. */
import type {
  DatabaseFingerprint,
  TableCoverage,
  TableFingerprint,
  Uncovered,
} from '../format/fingerprint.ts'
import { notOfExtension, ofUser, quoted } from './sql.ts'

export interface TableShape {
  readonly schema: string
  readonly name: string
  readonly oid: number
  readonly sizeBytes: number
  /** In byte order of their names. */
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  /** The primary key's, in the same order; empty when there is none. */
  readonly keyColumns: readonly string[]
  /** As in a TableFingerprint. */
  readonly spreadBelow?: TableFingerprint['spreadBelow']
  /** `WHERE …` of an extension's configuration table, of which pg_dump keeps only these rows; else empty. */
  readonly condition: string
}

/** How much of a table to cover. */
export type CoveragePolicy = (table: TableShape) => TableCoverage

export const coverAll: CoveragePolicy = () => ({ kind: 'full' })

/** Tables up to a size in full, and a share of the rows of larger ones, or only their number. */
export function coverUpTo(
  fullBytesMax: number,
  above: Exclude<TableCoverage, { kind: 'full' }>,
): CoveragePolicy {
  return ({ sizeBytes }) => (sizeBytes <= fullBytesMax ? { kind: 'full' } : above)
}

/** What is to be compared is covered alike, whatever its size is now; tables of which nothing is known are only counted. */
export function coverLike(source: DatabaseFingerprint): CoveragePolicy {
  const known = new Map(
    source.tables.map(({ schema, name, coverage }) => [quoted(schema, name), coverage] as const),
  )
  return ({ schema, name }) => known.get(quoted(schema, name)) ?? { kind: 'counted' }
}

/**
 * Tables that hold rows themselves, as pg_dump sees them: no partitioned tables, no temporary ones, and of an extension's only its
 * configuration. In a server that recovers, unlogged tables cannot be read. What is generated is in no dump.
 */
export const TABLES_QUERY = `
select n.nspname as schema, c.relname as name, c.oid::text as oid,
  (coalesce(pg_relation_size(c.oid), 0) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0))::text as size,
  c.relpersistence = 'u' and pg_is_in_recovery() as unreadable,
  (select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, null))
      order by a.attname collate "C"), '[]') from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns,
  (select coalesce(json_agg(a.attname order by a.attname collate "C"), '[]') from pg_index i
    join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey) and a.attnum > 0
    where i.indrelid = c.oid and i.indisprimary) as "keyColumns",
  case when c.relispartition then (select array[an.nspname, above.relname]::text[] from pg_partition_ancestors(c.oid) with ordinality a(oid, height)
    join pg_class above on above.oid = a.oid join pg_namespace an on an.oid = above.relnamespace
    join pg_partitioned_table p on p.partrelid = a.oid and (select o.oid from pg_opclass o join pg_am m on m.oid = o.opcmethod
      where o.opcname = 'enum_ops' and o.opcnamespace = 'pg_catalog'::regnamespace and m.amname = 'hash') = any (p.partclass)
    order by a.height desc limit 1) end as "spreadBelow",
  coalesce((select x.extcondition[array_position(x.extconfig, c.oid)] from pg_extension x where c.oid = any (x.extconfig)), '')
    as condition
from pg_class c join pg_namespace n on n.oid = c.relnamespace and ${ofUser('n.nspname')}
where c.relkind = 'r' and c.relpersistence <> 't' and (${notOfExtension('pg_class', 'c.oid')}
  or exists (select from pg_extension x where c.oid = any (x.extconfig)))
order by n.nspname collate "C", c.relname collate "C"`

export const UNCOVERED_QUERY = `
select * from (
select case c.relkind when 'f' then 'foreign table' when 'S' then 'unlogged sequence' else 'materialized view' end as kind,
  quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace and ${ofUser('n.nspname')}
where (c.relkind in ('f', 'm') or c.relkind = 'S' and c.relpersistence = 'u' and pg_is_in_recovery())
  and ${notOfExtension('pg_class', 'c.oid')}
union all
select 'generated column', quote_ident(n.nspname) || '.' || quote_ident(c.relname) || '.' || quote_ident(a.attname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace and ${ofUser('n.nspname')}
join pg_attribute a on a.attrelid = c.oid and a.attgenerated = 's' and a.attnum > 0 and not a.attisdropped
where c.relkind = 'r' and c.relpersistence <> 't' and ${notOfExtension('pg_class', 'c.oid')}
) each order by kind collate "C", name collate "C"`

export const UNCOVERED_REASONS: Readonly<Record<Uncovered['kind'], string>> = {
  'foreign table': 'its rows are on the foreign server',
  'generated column': 'its values are computed again when it is restored',
  'materialized view': 'its rows are computed again when it is restored',
  'unlogged table': 'a standby does not have its rows',
  'unlogged sequence': 'a standby does not have its value',
  'large objects': 'only a superuser may read them all',
}

/** The type's text form changed in 16, for bytes beyond ASCII. */
const ONE_BYTE_TYPES: ReadonlyMap<string, string> = new Map([
  ['"char"', 'int4'],
  ['"char"[]', 'int4[]'],
])

/** What to COPY for the rows that the digest of this coverage is of; undefined when it has none. */
export function rowsOf(table: TableShape, coverage: TableCoverage): string | undefined {
  switch (coverage.kind) {
    case 'full':
      return allRowsOf(table)
    case 'sampled':
      return `(${rowsQuery(table)} where ${isInSample(table, coverage.percent)})`
    case 'counted':
      return undefined
  }
}

/** By name where that says the same: a server copies a table faster than a query's rows. */
export function allRowsOf(table: TableShape): string {
  const { schema, name, columns, condition } = table
  const asItIs = columns.length > 0 && columns.every(({ type }) => !ONE_BYTE_TYPES.has(type))
  if (!asItIs || condition !== '') return `(${rowsQuery(table)})`
  return `${quoted(schema, name)} (${columns.map((column) => quoted(column.name)).join(', ')})`
}

function rowsQuery(table: TableShape): string {
  const columns = table.columns.map(({ name, type }) => {
    const cast = ONE_BYTE_TYPES.get(type)
    return cast === undefined ? quoted(name) : `${quoted(name)}::pg_catalog.${cast}`
  })
  return `select ${columns.join(', ')} from ${from(table)}`
}

export const countQuery = (table: TableShape): string =>
  `select count(*)::text as rows from ${from(table)}`

function from({ schema, name, condition }: TableShape): string {
  const only = `only ${quoted(schema, name)}`
  return condition === '' ? only : `(select * from ${only} ${condition}) configuration`
}

const HASHES = 2 ** 32

/** By the key's MD5 in text form: as evenly spread as can be, and the same rows on every server. */
function isInSample({ keyColumns, columns }: TableShape, percent: number): string {
  const names = keyColumns.length > 0 ? keyColumns : columns.map(({ name }) => name)
  const row = `row(${names.map((name) => quoted(name)).join(', ')})::pg_catalog.text`
  const bound = Math.min(HASHES - 1, Math.round((percent / 100) * HASHES))
  return `pg_catalog.md5(${row}) collate "C" < '${bound.toString(16).padStart(8, '0')}'`
}
