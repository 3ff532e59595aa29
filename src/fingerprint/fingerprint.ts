/**
 * Fingerprints of databases: digests of all their rows and facts about all their objects, to prove that a restored database is
 * the one that was dumped, also by a server of another major version. What they are: format/fingerprint.ts.
 *
 * Not for: dumps, restores, or what to do about a difference. Comparing is pure (compare.ts); reading talks to a server through
 * psql, in read-only transactions that somebody else has begun.
 */
import { AppError, isErrorKind } from '../base/error.ts'
import { KIB } from '../base/units.ts'
import type {
  DatabaseFingerprint,
  LargeObjectsFingerprint,
  SequenceFingerprint,
  TableCoverage,
  TableFingerprint,
  Uncovered,
} from '../format/fingerprint.ts'
import type { PsqlSession, SqlRow } from '../postgres/psql.ts'
import {
  NO_LARGE_OBJECTS,
  type OnBytes,
  onlyRow,
  readLargeObjects,
  readSequences,
  readTable,
  readTables,
  textOf,
} from './contents.ts'
import { readFacts } from './facts.ts'
import { SETTINGS_STATEMENTS } from './settings.ts'
import { quoted, readable } from './sql.ts'
import {
  type CoveragePolicy,
  TABLES_QUERY,
  type TableShape,
  UNCOVERED_QUERY,
  UNCOVERED_REASONS,
} from './tables.ts'

export interface FingerprintOptions {
  /** A session in a read-only repeatable-read transaction; all of them on one snapshot where the database may change. */
  readonly openSession: () => Promise<PsqlSession>
  /** How many sessions read at the same time, at least 1; one of them begins with the schema. */
  readonly sessions: number
  readonly coverage: CoveragePolicy
  readonly signal: AbortSignal
  readonly onBytes?: OnBytes
}

/** Throws `db-query` when a row may not be read: a part is never taken for the whole. */
export async function takeFingerprint(options: FingerprintOptions): Promise<DatabaseFingerprint> {
  await using sessions = new AsyncDisposableStack()
  const open = async (): Promise<PsqlSession> => {
    const session = sessions.use(await options.openSession())
    await session.run(...SETTINGS_STATEMENTS)
    return session
  }
  const first = await open()
  const server = await onlyRow(
    first,
    `select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding`,
  )
  const serverMajor = Math.floor(Number(textOf(server, 'version')) / 10_000)
  const { tables, uncovered } = await listTables(first)
  await lockTables(first, tables)
  const others: PsqlSession[] = []
  while (others.length + 1 < options.sessions) others.push(await open())
  const work = contentsOf(tables, options)
  const [{ sequences, facts }] = await Promise.all([
    // Wording a view locks the tables it reads, which this session has locked already.
    readSchema(first, serverMajor, work),
    ...others.map(async (session) => {
      await work.doAll(session, 'unlocked')
    }),
  ])
  await work.doRefused(first)
  return {
    version: 1,
    serverMajor,
    encoding: textOf(server, 'encoding'),
    tables: work.tables.toSorted(byName),
    sequences,
    largeObjects: work.largeObjects ?? NO_LARGE_OBJECTS,
    facts,
    uncovered:
      work.largeObjects === undefined
        ? [...uncovered, notCovered('large objects', 'large objects')]
        : uncovered,
  }
}

/** What only one session does, and then its share of the rows. */
async function readSchema(
  session: PsqlSession,
  serverMajor: number,
  work: Contents,
): Promise<Pick<DatabaseFingerprint, 'sequences' | 'facts'>> {
  const sequences = await readSequences(session)
  const facts = await readFacts(session, serverMajor)
  await work.doAll(session, 'locked')
  return { sequences, facts }
}

/**
 * With the sequences as they stood before pg_dump began and after it had ended: what moved in between has two values, and the
 * dump's is one of them or lies between. Those that the fingerprint itself read may be later than pg_dump's. Pure.
 */
export function withSequencesBetween(
  fingerprint: DatabaseFingerprint,
  before: readonly SequenceFingerprint[],
  after: readonly SequenceFingerprint[],
): DatabaseFingerprint {
  const later = new Map(after.map((value) => [quoted(value.schema, value.name), value] as const))
  const withLater = (sequence: SequenceFingerprint): SequenceFingerprint => {
    const now = later.get(quoted(sequence.schema, sequence.name))
    if (now === undefined) return sequence
    const { lastValue, isCalled } = now
    return lastValue === sequence.lastValue && isCalled === sequence.isCalled
      ? sequence
      : { ...sequence, later: { lastValue, isCalled } }
  }
  return { ...fingerprint, sequences: before.map(withLater) }
}

interface Contents {
  readonly tables: TableFingerprint[]
  largeObjects: LargeObjectsFingerprint | undefined
  /**
   * Takes one piece of work after the other until there is none. Several sessions do so at the same time. `locked`: this one has
   * locked all tables, others have not.
   */
  doAll(session: PsqlSession, tables: 'locked' | 'unlocked'): Promise<void>
  /** In the session that has locked all tables: what the others could not lock. */
  doRefused(session: PsqlSession): Promise<void>
}

/** Tables up to this are read several at once. */
const SMALL_BYTES = 256 * KIB
const SMALL_AT_ONCE = 64

/** Largest first, so that no session is left alone with a large one at the end. */
function contentsOf(shapes: readonly TableShape[], options: FingerprintOptions): Contents {
  const { coverage, signal, onBytes = () => undefined } = options
  // An extension says which rows of its table are the user's: few.
  const coverageOf = (table: TableShape): TableCoverage =>
    table.condition === '' ? coverage(table) : { kind: 'full' }
  const isSmall = (table: TableShape): boolean =>
    table.sizeBytes <= SMALL_BYTES && coverageOf(table).kind === 'full'
  const bySize = shapes.toSorted((left, right) => right.sizeBytes - left.sizeBytes)
  const small = bySize.filter(isSmall)
  const queue = [
    'large objects' as const,
    ...bySize.filter((table) => !isSmall(table)),
    ...Array.from({ length: Math.ceil(small.length / SMALL_AT_ONCE) }, (_, index) =>
      small.slice(index * SMALL_AT_ONCE, (index + 1) * SMALL_AT_ONCE),
    ),
  ].values()
  const refused: (TableShape | readonly TableShape[])[] = []
  const read = async (
    session: PsqlSession,
    next: TableShape | readonly TableShape[],
  ): Promise<void> => {
    const found =
      'oid' in next
        ? [await readTable(session, next, coverageOf(next), onBytes)]
        : await readTables(session, next, onBytes)
    contents.tables.push(...found)
  }
  const contents: Contents = {
    tables: [],
    largeObjects: undefined,
    doAll: async (session, tablesAre) => {
      for (const next of queue) {
        signal.throwIfAborted()
        if (next === 'large objects') {
          contents.largeObjects = await readLargeObjects(session, onBytes)
        } else if (tablesAre === 'locked') {
          await read(session, next)
        } else if ((await lockAtOnce(session, [next].flat())) === 'done') {
          await read(session, next)
          await session.run(...UNLOCK)
        } else {
          refused.push(next)
        }
      }
    },
    doRefused: async (session) => {
      for (const next of refused) {
        signal.throwIfAborted()
        await read(session, next)
      }
    },
  }
  return contents
}

async function listTables(session: PsqlSession): Promise<{
  readonly tables: readonly TableShape[]
  readonly uncovered: readonly Uncovered[]
}> {
  const tables: TableShape[] = []
  const uncovered: Uncovered[] = []
  for (const row of await session.rows(TABLES_QUERY)) {
    const table = shapeOf(row)
    if (row['unreadable'] !== true) tables.push(table)
    else uncovered.push(notCovered('unlogged table', readable(quoted(table.schema, table.name))))
  }
  for (const row of await session.rows(UNCOVERED_QUERY)) {
    uncovered.push(notCovered(kindOf(row), readable(textOf(row, 'name'))))
  }
  return { tables, uncovered }
}

function kindOf(row: SqlRow): Uncovered['kind'] {
  const kind = textOf(row, 'kind')
  switch (kind) {
    case 'foreign table':
    case 'generated column':
    case 'unlogged sequence':
    case 'materialized view':
      return kind
    default:
      throw new AppError('protocol', `a '${kind}' is no kind of relation without a digest`)
  }
}

const notCovered = (kind: Uncovered['kind'], name: string): Uncovered => ({
  kind,
  name,
  reason: UNCOVERED_REASONS[kind],
})

function shapeOf(row: SqlRow): TableShape {
  const { columns, keyColumns, spreadBelow } = row
  if (!Array.isArray(columns) || !Array.isArray(keyColumns)) {
    throw new AppError('protocol', 'a table without a list of columns')
  }
  return {
    schema: textOf(row, 'schema'),
    name: textOf(row, 'name'),
    oid: Number(textOf(row, 'oid')),
    sizeBytes: Number(textOf(row, 'size')),
    columns: columns.map((column: SqlRow) => ({
      name: textOf(column, 'name'),
      type: textOf(column, 'type'),
    })),
    keyColumns: keyColumns.map(String),
    ...(Array.isArray(spreadBelow)
      ? { spreadBelow: { schema: String(spreadBelow[0]), name: String(spreadBelow[1]) } }
      : {}),
    condition: textOf(row, 'condition'),
  }
}

/**
 * For a session beside the one that has locked all tables. To wait here could be for ever: for somebody who wants a table alone,
 * hence waits for that other session, which waits for this one, and the server cannot know that.
 */
async function lockAtOnce(
  session: PsqlSession,
  tables: readonly TableShape[],
): Promise<'done' | 'refused'> {
  try {
    await session.run(
      'savepoint before_lock',
      `lock table ${namesOf(tables)} in access share mode nowait`,
    )
    return 'done'
  } catch (error) {
    if (!isErrorKind(error, 'db-query')) throw error
    await session.run(...UNLOCK)
    return 'refused'
  }
}

/** The server has room for some thousands of locks, and the session that has locked all tables holds one of each. */
const UNLOCK = ['rollback to before_lock', 'release before_lock'] as const

const LOCKED_AT_ONCE = 500

/** Nobody may drop or change a table between its listing and its reading. */
async function lockTables(session: PsqlSession, tables: readonly TableShape[]): Promise<void> {
  for (let at = 0; at < tables.length; at += LOCKED_AT_ONCE) {
    const names = namesOf(tables.slice(at, at + LOCKED_AT_ONCE))
    await session.run(`lock table ${names} in access share mode`)
  }
}

function namesOf(tables: readonly TableShape[]): string {
  return tables.map(({ schema, name }) => `only ${quoted(schema, name)}`).join(', ')
}

function byName(left: TableFingerprint, right: TableFingerprint): number {
  const [one, other] = [quoted(left.schema, left.name), quoted(right.schema, right.name)]
  return one < other ? -1 : one > other ? 1 : 0
}
