/** Dumps one database: all of its archives are of one snapshot, which lasts until the last of them has been made. */
import { AppError, asAppError } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import type { DumpArchive, DumpedDatabase } from '../../format/dump-manifest.ts'
import { programPath } from '../../postgres/client-programs.ts'
import { outputOf } from '../../postgres/program.ts'
import type { ByteSource } from '../../pipe/pipe.ts'
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
  const plans = planArchives(work.jobs > 1 ? await largeTables(leader) : [], work.jobs)
  const startedMs = clock.nowMs()
  const archives = await atOnce(context.signal, plans, {
    limit: work.jobs,
    act: async (plan, signal) => {
      const call = { database: name, snapshotId: snapshot.id, plan, signal }
      const stored = await storeObject(
        work.set,
        `${prefix}${plan.suffix}.dump`,
        counted(work, name, archiveOf(work, call)),
      )
      return { ...stored, part: plan.part } satisfies DumpArchive
    },
  })
  const dumpMs = clock.nowMs() - startedMs
  return {
    name,
    oid,
    sizeBytes,
    definition,
    snapshot,
    archives,
    fingerprint: null,
    dumpMs,
    fingerprintMs: 0,
  }
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

interface Acting<T, R> {
  readonly limit: number
  readonly act: (item: T, signal: AbortSignal) => Promise<R>
}

/** At most `limit` at the same time, results in order. The first failure ends the others, and is thrown when they have ended. */
async function atOnce<T, R>(
  signal: AbortSignal,
  items: readonly T[],
  { limit, act }: Acting<T, R>,
): Promise<readonly R[]> {
  const failing = new AbortController()
  const either = AbortSignal.any([signal, failing.signal])
  const results = new Map<number, R>()
  const waiting = [...items.entries()]
  let failure: AppError | undefined
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, item] = next
      try {
        results.set(index, await act(item, either))
      } catch (error) {
        failure ??= asAppError(error)
        waiting.length = 0
        failing.abort()
      }
    }
  }
  await Promise.all(Array.from({ length: limit }, work))
  signal.throwIfAborted()
  if (failure !== undefined) throw failure
  return [...results.entries()].toSorted(([left], [right]) => left - right).map(([, made]) => made)
}
