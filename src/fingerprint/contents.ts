/** What is read from a database for its fingerprint, besides its schema: rows, sequences, large objects. */
import { AppError } from '../base/error.ts'
import type {
  LargeObjectsFingerprint,
  SequenceFingerprint,
  TableCoverage,
  TableFingerprint,
} from '../format/fingerprint.ts'
import { packRowBuckets } from '../format/row-buckets.ts'
import { openRowDigester, type RowsDigest } from '../pipe/codecs.ts'
import type { ByteSource } from '../pipe/pipe.ts'
import type { PsqlSession, SqlRow } from '../postgres/psql.ts'
import { notOfExtension, ofUser, quoted } from './sql.ts'
import { allRowsOf, countQuery, rowsOf, type TableShape } from './tables.ts'

/** Told how many bytes of rows have been read since the last call. */
export type OnBytes = (bytes: number) => void

export async function readTable(
  session: PsqlSession,
  table: TableShape,
  coverage: TableCoverage,
  onBytes: OnBytes,
): Promise<TableFingerprint> {
  const base = { ...aboutTable(table), coverage }
  const asked = rowsOf(table, coverage)
  const found = asked === undefined ? undefined : await digestOf(session.copy(asked), onBytes)
  const rows =
    coverage.kind === 'full' && found !== undefined
      ? String(found.rows)
      : textOf(await onlyRow(session, countQuery(table)), 'rows')
  return found === undefined
    ? { ...base, rows }
    : { ...base, rows, digest: found.digest, buckets: packRowBuckets(found.buckets) }
}

/** Small tables, every row of each: for them the way to the server and back would take most of the time. */
export async function readTables(
  session: PsqlSession,
  tables: readonly TableShape[],
  onBytes: OnBytes,
): Promise<readonly TableFingerprint[]> {
  const coverage = { kind: 'full' } as const
  const read: TableFingerprint[] = []
  for await (const rows of session.copies(tables.map(allRowsOf))) {
    const table = tables[read.length]
    if (table === undefined) throw new AppError('protocol', 'more answers than questions')
    const found = await digestOf(rows, onBytes)
    const { digest } = found
    const buckets = packRowBuckets(found.buckets)
    read.push({ ...aboutTable(table), coverage, rows: String(found.rows), digest, buckets })
  }
  return read
}

function aboutTable(
  table: TableShape,
): Pick<TableFingerprint, 'schema' | 'name' | 'oid' | 'columns' | 'spreadBelow'> {
  const { schema, name, oid, spreadBelow } = table
  const columns = table.columns.map((column) => column.name)
  return { schema, name, oid, columns, ...(spreadBelow === undefined ? {} : { spreadBelow }) }
}

async function digestOf(rows: ByteSource, onBytes: OnBytes): Promise<RowsDigest> {
  using digester = openRowDigester()
  for await (const chunk of rows) {
    digester.update(chunk)
    onBytes(chunk.length)
  }
  return digester.result()
}

/** The catalog is read as of the snapshot. What was dropped since, nobody had locked: it has no file now. */
const SEQUENCES_QUERY = `
select n.nspname as schema, c.relname as name
from pg_class c join pg_namespace n on n.oid = c.relnamespace and ${ofUser('n.nspname')}
where c.relkind = 'S' and c.relpersistence <> 't' and pg_relation_filenode(c.oid) is not null and not (c.relpersistence = 'u' and pg_is_in_recovery())
  and (${notOfExtension('pg_class', 'c.oid')} or exists (select from pg_extension x where c.oid = any (x.extconfig)))
order by n.nspname collate "C", c.relname collate "C"`

const SEQUENCES_AT_ONCE = 100

/** The values now: no snapshot holds them still. */
export async function readSequences(session: PsqlSession): Promise<readonly SequenceFingerprint[]> {
  const names = (await session.rows(SEQUENCES_QUERY)).map((row) => ({
    schema: textOf(row, 'schema'),
    name: textOf(row, 'name'),
  }))
  const sequences: SequenceFingerprint[] = []
  for (let at = 0; at < names.length; at += SEQUENCES_AT_ONCE) {
    const some = names.slice(at, at + SEQUENCES_AT_ONCE)
    const queries = some.map(
      ({ schema, name }, index) =>
        `select ${index} as index, last_value::text as "lastValue", is_called as "isCalled" from ${quoted(schema, name)}`,
    )
    const values = await session.rows(`${queries.join('\nunion all ')}\norder by 1`)
    for (const [index, { schema, name }] of some.entries()) {
      const value = values[index] ?? {}
      sequences.push({
        schema,
        name,
        lastValue: textOf(value, 'lastValue'),
        isCalled: value['isCalled'] === true,
      })
    }
  }
  return sequences
}

/** The pieces are what the server stores an object in: a quarter of a page, and none where nothing was ever written. */
const AT = `pageno::int8 * (current_setting('block_size')::int8 / 4)`
const SIZES = `
select m.oid, coalesce(max(${AT} + octet_length(p.data)), 0) as size
from pg_largeobject_metadata m left join pg_largeobject p on p.loid = m.oid group by m.oid`
const PIECES = `
select oid::text, size::text, null from (${SIZES}) each
union all
select loid::text, (${AT})::text, digits
from (select loid, pageno, rtrim(encode(data, 'hex'), '0') as digits from pg_largeobject) each where digits <> ''`

/** Undefined when they may not be read. */
export async function readLargeObjects(
  session: PsqlSession,
  onBytes: OnBytes,
): Promise<LargeObjectsFingerprint | undefined> {
  const { count, readable } = await onlyRow(
    session,
    `select count(*)::text as count, has_table_privilege('pg_largeobject', 'select') as readable from pg_largeobject_metadata`,
  )
  if (count !== '0' && readable !== true) return undefined
  if (count === '0') return NO_LARGE_OBJECTS
  const total = await onlyRow(session, `select sum(size)::text as size from (${SIZES}) each`)
  const { digest } = await digestOf(session.copy(`(${PIECES})`), onBytes)
  return { count: String(count), sizeBytes: textOf(total, 'size'), digest }
}

const DIGEST_DIGITS = 64

/** The sum of nothing. */
export const NO_LARGE_OBJECTS: LargeObjectsFingerprint = {
  count: '0',
  sizeBytes: '0',
  digest: '0'.repeat(DIGEST_DIGITS),
}

export async function onlyRow(session: PsqlSession, query: string): Promise<SqlRow> {
  const [row] = await session.rows(query)
  if (row === undefined) throw new AppError('protocol', 'a query for one row gave none')
  return row
}

export function textOf(row: SqlRow, column: string): string {
  const value = row[column]
  if (typeof value === 'string') return value
  throw new AppError('protocol', `a query gave no '${column}'`)
}
