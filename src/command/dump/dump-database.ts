/** Dumps one database: all of its archives are of one snapshot, which lasts until the last of them has been made. */
import { availableParallelism } from 'node:os'
import { atOnce } from '../../base/at-once.ts'
import { AppError, isErrorKind } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import type { DumpArchive, DumpedDatabase, DumpObject } from '../../format/dump-manifest.ts'
import { readSequences } from '../../fingerprint/contents.ts'
import { takeFingerprint, withSequencesBetween } from '../../fingerprint/fingerprint.ts'
import { UNREADABLE } from '../../fingerprint/sql.ts'
import type { CoveragePolicy } from '../../fingerprint/tables.ts'
import type { DatabaseFingerprint } from '../../format/fingerprint.ts'
import { programPath } from '../../postgres/client-programs.ts'
import { outputOf } from '../../postgres/program.ts'
import { type ByteSource, single } from '../../pipe/pipe.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import type { ClientServer } from '../client-server.ts'
import type { Context } from '../command.ts'
import { jobsForDump, jobsOr } from '../jobs.ts'
import { largeTables, readDatabaseDefinition, type ServerFacts } from './catalog.ts'
import type { FoundDatabase } from './choose.ts'
import type { ArchiveProgress, DatabaseProgress, DumpProgress } from './dump-progress.ts'
import { type ArchivePlan, planArchives } from './groups.ts'
import { type Snapshot, takeSnapshot } from './snapshot.ts'
import { type SetBeingMade, storeObject } from './store.ts'

export interface DumpWork {
  readonly context: Context
  readonly server: ClientServer
  readonly facts: ServerFacts
  readonly set: SetBeingMade
  /** Undefined: what suits. */
  readonly jobs: number | undefined
  /** How closely fingerprints look at a table. */
  readonly coverage: CoveragePolicy | 'none'
  readonly progress: DumpProgress
}

/** How often a dump of a database is begun when others take its tables away from it. */
const TRIES_MAX = 5

export async function dumpDatabase(
  work: DumpWork,
  database: FoundDatabase,
  prefix: string,
): Promise<DumpedDatabase> {
  const shown = `database '${toOneLine(database.name)}'`
  for (let tries = 1; ; tries += 1) {
    const made = await tryDump(work, database, prefix).catch(hintAtRights)
    if (made.state === 'dumped') return made.database
    if (tries === TRIES_MAX) {
      throw new AppError(
        'db-query',
        `${shown} was begun ${TRIES_MAX} times and never had its tables for itself: ${made.why}`,
        { hint: 'Who empties, rewrites or drops tables all the time? Dump while nobody does.' },
      )
    }
    work.context.log.warn(`${shown} is begun again: ${toOneLine(made.why)}`)
  }
}

type Tried =
  | { readonly state: 'dumped'; readonly database: DumpedDatabase }
  | Extract<Snapshot, { state: 'overtaken' }>

async function tryDump(work: DumpWork, found: FoundDatabase, prefix: string): Promise<Tried> {
  const { server, facts, context } = work
  const ending = new AbortController()
  const either = AbortSignal.any([context.signal, ending.signal])
  await using leader = await server.open(found.name, either)
  const taken = await takeSnapshot(leader, facts.inRecovery)
  if (taken.state === 'overtaken') return taken
  const { snapshot } = taken
  context.log.detail(
    `database '${toOneLine(found.name)}' is dumped as of snapshot ${snapshot.transactions}`,
  )
  try {
    const database = await dumpSnapshot(work, { found, prefix, snapshot, leader, ending })
    return { state: 'dumped', database }
  } catch (error) {
    if (!isErrorKind(error, 'execute') || !/Query was: LOCK TABLE/.test(error.message)) throw error
    return {
      state: 'overtaken',
      why: 'somebody waits for a table, and pg_dump would wait for them',
    }
  }
}

interface SnapshotDump {
  readonly found: FoundDatabase
  /** Begins the names of the objects. */
  readonly prefix: string
  readonly snapshot: DumpedDatabase['snapshot']
  /** Has the snapshot, and has locked all tables. */
  readonly leader: PsqlSession
  /** Ends that session, whatever it does. */
  readonly ending: AbortController
}

async function dumpSnapshot(
  work: DumpWork,
  { found, prefix, snapshot, leader, ending }: SnapshotDump,
): Promise<DumpedDatabase> {
  const { context, server, coverage } = work
  const { name, oid, sizeBytes } = found
  const definition = await readDatabaseDefinition(leader, server.major)
  const tables = await largeTables(leader)
  const sizes = tables.map((table) => table.sizeBytes)
  const { jobs, why } = jobsOr(work.jobs, () => jobsForDump(availableParallelism(), sizes))
  context.log.detail(`database '${toOneLine(name)}' is dumped with jobs = ${jobs}: ${why}`)
  const progress = work.progress.begin(name, tables)
  const before = coverage === 'none' ? [] : await readSequences(leader)
  const startedMs = context.clock.nowMs()
  let archives: readonly DumpArchive[] = []
  let dumpMs = 0
  let fingerprint: DatabaseFingerprint | undefined
  let fingerprintMs = 0
  const makeArchives = async (signal: AbortSignal): Promise<void> => {
    archives = await dumpArchives(work, {
      database: name,
      snapshotId: snapshot.id,
      prefix,
      plans: planArchives(tables, jobs),
      signal,
      progress,
    })
    dumpMs = context.clock.nowMs() - startedMs
  }
  const compute = async (signal: AbortSignal): Promise<void> => {
    if (coverage === 'none') return
    signal.addEventListener('abort', () => ending.abort(), { once: true })
    // First the one that never waits for a lock.
    const lent = [borrowed(leader)]
    fingerprint = await takeFingerprint({
      openSession: async () =>
        lent.pop() ?? (await joinSnapshot(server, name, snapshot.id, signal)),
      // One more for the schema.
      sessions: jobs + 1,
      coverage,
      signal,
      onBytes: (bytes) => {
        progress.fingerprinted(bytes)
      },
    })
    fingerprintMs = context.clock.nowMs() - startedMs
  }
  await atOnce(context.signal, [makeArchives, compute], {
    limit: 2,
    act: async (task, signal) => {
      await task(signal)
    },
  })
  return {
    name,
    oid,
    sizeBytes,
    definition,
    snapshot,
    archives,
    fingerprint:
      fingerprint === undefined
        ? null
        : await storeFingerprint(
            work,
            { database: name, prefix },
            withSequencesBetween(fingerprint, before, await readSequences(leader)),
          ),
    dumpMs,
    fingerprintMs,
  }
}

/** pg_dump leaves them out and does not say so. */
function warnOfUnread(
  { context: { log } }: DumpWork,
  database: string,
  { facts }: DatabaseFingerprint,
): void {
  const unread = facts.filter(({ definition }) => definition === UNREADABLE)
  if (unread.length === 0) return
  const names = unread.map(({ name }) => toOneLine(name)).join(', ')
  log.warn(
    `database '${toOneLine(database)}': options of user mappings are not dumped, this user may not read them: ${names}\n` +
      'HINT: dump as a superuser to have them.',
  )
}

/** The same session, for somebody who ends his when he is done. */
function borrowed(session: PsqlSession): PsqlSession {
  return {
    rows: async (query) => await session.rows(query),
    run: async (...statements) => {
      await session.run(...statements)
    },
    copy: (query) => session.copy(query),
    copies: (queries) => session.copies(queries),
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function joinSnapshot(
  server: ClientServer,
  database: string,
  snapshotId: string,
  signal: AbortSignal,
): Promise<PsqlSession> {
  await using cleanup = new AsyncDisposableStack()
  const session = cleanup.use(await server.open(database, signal))
  await session.run(
    'begin isolation level repeatable read read only',
    `set transaction snapshot '${snapshotId}'`,
  )
  cleanup.move()
  return session
}

/** The first thing that goes wrong for a user who was made for dumping. */
function hintAtRights(error: unknown): never {
  if (!isErrorKind(error, 'execute', 'db-query')) throw error
  if (!/permission denied|row-level security/.test(error.message)) throw error
  throw new AppError(error.kind, error.message, {
    hint: [
      ...error.hints,
      'Who dumps must see every row: a member of pg_read_all_data (PostgreSQL 14 and later), with BYPASSRLS where tables have policies.',
    ],
    cause: error,
  })
}

interface ArchivesCall extends Omit<DumpCall, 'plan' | 'progress'> {
  readonly prefix: string
  readonly plans: readonly ArchivePlan[]
  readonly progress: DatabaseProgress
}

/** All of them begin now, also those that are not named by `jobs`: one that waited could find its tables changed. */
async function dumpArchives(
  work: DumpWork,
  { prefix, plans, signal: ends, ...source }: ArchivesCall,
): Promise<readonly DumpArchive[]> {
  return await atOnce(ends, plans, {
    limit: plans.length,
    act: async (plan, signal) => {
      const progress = source.progress.archive()
      const output = archiveOf(work, { ...source, plan, signal, progress })
      const content = counted(output, progress)
      const stored = await storeObject(work.set, `${prefix}${plan.suffix}.dump`, content)
      return { ...stored, part: plan.part }
    },
  })
}

async function storeFingerprint(
  work: DumpWork,
  { database, prefix }: { readonly database: string; readonly prefix: string },
  fingerprint: DatabaseFingerprint,
): Promise<DumpObject> {
  warnOfUnread(work, database, fingerprint)
  const text = Buffer.from(JSON.stringify(fingerprint))
  return await storeObject(work.set, `${prefix}.fingerprint.json`, single(text))
}

interface DumpCall {
  readonly database: string
  readonly snapshotId: string
  readonly plan: ArchivePlan
  readonly signal: AbortSignal
  readonly progress: ArchiveProgress
}

const LOCK_WAIT_MS = 10_000

/** Not compressed by pg_dump: what stores it compresses. */
function archiveOf(
  { context: { log }, server }: DumpWork,
  { database, snapshotId, plan, signal, progress }: DumpCall,
): ByteSource {
  return outputOf({
    path: programPath(server.programs, 'pg_dump'),
    args: [
      '--format=custom',
      '--compress=0',
      '--verbose',
      '--no-password',
      // What is no reserved word here may be one where this is restored.
      '--quote-all-identifiers',
      `--snapshot=${snapshotId}`,
      // Somebody who waits for a table waits for our lock on it, and pg_dump would wait behind them for ever.
      `--lock-wait-timeout=${LOCK_WAIT_MS}`,
      ...plan.args,
    ],
    env: { ...server.address.env, PGDATABASE: database, PGAPPNAME: 'pgsurety [dump]' },
    signal,
    message: (line) => {
      progress.line(line)
      if (/^pg_dump: (?:warning|hint|detail):/.test(line)) log.warn(line)
      else log.detail(line)
    },
  })
}

async function* counted(source: ByteSource, progress: ArchiveProgress): ByteSource {
  for await (const chunk of source) {
    progress.wrote(chunk.length)
    yield chunk
  }
  progress.ended()
}
