/** Dumps one database: all of its archives are of one snapshot, which lasts until the last of them has been made. */
import { atOnce } from '../../base/at-once.ts'
import { AppError, isErrorKind } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import type { DumpArchive, DumpedDatabase, DumpObject } from '../../format/dump-manifest.ts'
import { readSequences } from '../../fingerprint/contents.ts'
import { takeFingerprint, withSequencesBetween } from '../../fingerprint/fingerprint.ts'
import type { CoveragePolicy } from '../../fingerprint/tables.ts'
import type { DatabaseFingerprint } from '../../format/fingerprint.ts'
import { programPath } from '../../postgres/client-programs.ts'
import { outputOf } from '../../postgres/program.ts'
import { type ByteSource, single } from '../../pipe/pipe.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import type { ClientServer } from '../client-server.ts'
import type { Context } from '../command.ts'
import { beginSnapshot, largeTables, readDatabaseDefinition, type ServerFacts } from './catalog.ts'
import type { FoundDatabase } from './choose.ts'
import { type ArchivePlan, planArchives } from './groups.ts'
import { type SetBeingMade, storeObject } from './store.ts'

export interface DumpWork {
  readonly context: Context
  readonly server: ClientServer
  readonly facts: ServerFacts
  readonly set: SetBeingMade
  readonly jobs: number
  /** How closely fingerprints look at a table. */
  readonly coverage: CoveragePolicy | 'none'
  /** Called for all bytes that pg_dump writes. */
  readonly count: (bytes: number, step: string) => void
}

export async function dumpDatabase(
  work: DumpWork,
  database: FoundDatabase,
  prefix: string,
): Promise<DumpedDatabase> {
  const { context, server, facts } = work
  const { clock, log } = context
  const { name, oid, sizeBytes } = database
  await using leader = await server.open(name)
  const snapshot = await beginSnapshot(leader, facts.inRecovery)
  const definition = await readDatabaseDefinition(leader, server.major)
  log.detail(`database '${toOneLine(name)}' is dumped as of snapshot ${snapshot.transactions}`)
  const { coverage } = work
  const before = coverage === 'none' ? [] : await readSequences(leader).catch(hintAtRights)
  const startedMs = clock.nowMs()
  let archives: readonly DumpArchive[] = []
  let dumpMs = 0
  let fingerprint: DatabaseFingerprint | undefined
  let fingerprintMs = 0
  const makeArchives = async (signal: AbortSignal): Promise<void> => {
    const source = { database: name, snapshotId: snapshot.id, prefix, signal }
    archives = await dumpArchives(work, source, leader)
    dumpMs = clock.nowMs() - startedMs
  }
  const compute = async (signal: AbortSignal): Promise<void> => {
    if (coverage === 'none') return
    fingerprint = await takeFingerprint({
      openSession: async () => {
        const session = await server.open(name, signal)
        await session.run(
          `begin isolation level repeatable read read only;
           set transaction snapshot '${snapshot.id}'`,
        )
        return session
      },
      // One more for the schema.
      sessions: work.jobs + 1,
      coverage,
      signal,
    })
    fingerprintMs = clock.nowMs() - startedMs
  }
  await atOnce(context.signal, [makeArchives, compute], {
    limit: 2,
    act: async (task, signal) => {
      await task(signal)
    },
  }).catch(hintAtRights)
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
            prefix,
            withSequencesBetween(fingerprint, before, await readSequences(leader)),
          ),
    dumpMs,
    fingerprintMs,
  }
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

interface ArchivesCall {
  readonly database: string
  readonly snapshotId: string
  /** Begins the names of the objects. */
  readonly prefix: string
  readonly signal: AbortSignal
}

async function dumpArchives(
  work: DumpWork,
  { prefix, signal: ends, ...source }: ArchivesCall,
  leader: PsqlSession,
): Promise<readonly DumpArchive[]> {
  const plans = planArchives(work.jobs > 1 ? await largeTables(leader) : [], work.jobs)
  return await atOnce(ends, plans, {
    limit: work.jobs,
    act: async (plan, signal) => {
      const output = archiveOf(work, { ...source, plan, signal })
      const content = counted(work, source.database, output)
      const stored = await storeObject(work.set, `${prefix}${plan.suffix}.dump`, content)
      return { ...stored, part: plan.part }
    },
  })
}

async function storeFingerprint(
  { set }: DumpWork,
  prefix: string,
  fingerprint: DatabaseFingerprint,
): Promise<DumpObject> {
  const text = Buffer.from(JSON.stringify(fingerprint))
  return await storeObject(set, `${prefix}.fingerprint.json`, single(text))
}

interface DumpCall {
  readonly database: string
  readonly snapshotId: string
  readonly plan: ArchivePlan
  readonly signal: AbortSignal
}

/** Not compressed by pg_dump: what stores it compresses. */
function archiveOf(
  { context: { log }, server }: DumpWork,
  { database, snapshotId, plan, signal }: DumpCall,
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
      ...plan.args,
    ],
    env: { ...server.address.env, PGDATABASE: database, PGAPPNAME: 'pgsurety [dump]' },
    signal,
    message: (line) => {
      if (/^pg_dump: (?:warning|hint|detail):/.test(line)) log.warn(line)
      else log.detail(line)
    },
  })
}

async function* counted(work: DumpWork, database: string, source: ByteSource): ByteSource {
  const step = `dump database '${toOneLine(database)}'`
  for await (const chunk of source) {
    work.count(chunk.length, step)
    yield chunk
  }
}
