/** Whether a database is what a dump set says was dumped: its fingerprint is taken and compared with the set's. */
import type { DatabaseFingerprint } from '../../format/fingerprint.ts'
import type { DumpedDatabase, DumpObject } from '../../format/dump-manifest.ts'
import { parseFingerprint } from '../../format/read-fingerprint.ts'
import { GIB } from '../../base/units.ts'
import { asAppError } from '../../base/error.ts'
import { compareFingerprints, type Comparison } from '../../fingerprint/compare.ts'
import { findWordings } from '../../fingerprint/find-wordings.ts'
import { takeFingerprint } from '../../fingerprint/fingerprint.ts'
import { coverLike } from '../../fingerprint/tables.ts'
import { collect } from '../../pipe/pipe.ts'
import type { PsqlSession } from '../../postgres/psql.ts'
import { readDumpObject } from '../../repo/dump-sets.ts'
import type { ClientServer } from '../client-server.ts'
import type { Context } from '../command.ts'
import type { DumpSet } from './dump-set.ts'
import { scoped } from './proof-scope.ts'
import type { Request } from './request.ts'
import type { Selection } from './selection.ts'

export interface Proof {
  readonly verdict: 'proved' | 'proved, sampled' | 'differs' | 'incomplete'
  /** Why it is incomplete; else empty. */
  readonly why: string
  readonly comparison: Comparison | undefined
  readonly proveMs: number
}

export interface ProofInput {
  readonly set: DumpSet
  readonly source: DumpedDatabase
  /** Undefined: all of it. */
  readonly selection: Selection | undefined
  readonly request: Request
  readonly client: ClientServer
  /** Of the server it is in. */
  readonly tablespaces: ReadonlySet<string>
  /** How many tables to read at the same time. */
  readonly jobs: number
}

/** `database`: the name of the one to compare. What could not be read or compared is `incomplete`, never a pass. */
export async function prove(context: Context, input: ProofInput, database: string): Promise<Proof> {
  const { clock, signal } = context
  const startMs = clock.nowMs()
  const { fingerprint } = input.source
  if (fingerprint === null) {
    return { ...INCOMPLETE, why: 'the dump set has no fingerprint of it' }
  }
  try {
    const comparison = await compare(context, input, { database, fingerprint })
    return { ...judged(comparison), comparison, proveMs: clock.nowMs() - startMs }
  } catch (error) {
    signal.throwIfAborted()
    return { ...INCOMPLETE, why: asAppError(error).text, proveMs: clock.nowMs() - startMs }
  }
}

const INCOMPLETE = { verdict: 'incomplete', comparison: undefined, proveMs: 0 } as const

function judged(comparison: Comparison): Pick<Proof, 'verdict' | 'why'> {
  switch (comparison.verdict) {
    case 'exact':
      return { verdict: 'proved', why: '' }
    case 'sampled':
      return { verdict: 'proved, sampled', why: '' }
    case 'differs':
      return { verdict: 'differs', why: '' }
    case 'not-comparable':
      return { verdict: 'incomplete', why: 'some of it cannot be compared' }
  }
}

async function compare(
  context: Context,
  { set, source, selection, request, client, tablespaces, jobs }: ProofInput,
  { database, fingerprint }: { readonly database: string; readonly fingerprint: DumpObject },
): Promise<Comparison> {
  const dumped = await loadFingerprint(set, fingerprint)
  let doneBytes = 0
  const found = await takeFingerprint({
    openSession: async () => await openReader(client, database),
    // One more for the schema.
    sessions: jobs + 1,
    coverage: coverLike(dumped),
    signal: context.signal,
    onBytes: (bytes) => {
      doneBytes += bytes
      context.progress({ step: `prove '${source.name}'`, doneBytes, totalBytes: source.sizeBytes })
    },
  })
  const [ours, theirs] =
    selection === undefined || selection.extent === 'all'
      ? [dumped, found]
      : scoped(dumped, found, selection)
  await using session = await client.open(database)
  const wordings = await findWordings(session, ours, theirs)
  const notThere = tablespacesOf(source, ours).filter((name) => !tablespaces.has(name))
  const ignoreKinds = ignoredKinds(request, notThere)
  const comparison = compareFingerprints(ours, theirs, { ignoreKinds, wordings })
  if (notThere.length === 0) return comparison
  const remark = `what is in which tablespace is not compared: the server has no ${notThere.map((name) => `'${name}'`).join(', ')}`
  return { ...comparison, remarks: [...comparison.remarks, remark] }
}

/** Objects have a fact only when theirs is not the database's own. */
function tablespacesOf(
  { definition }: DumpedDatabase,
  { facts }: DatabaseFingerprint,
): readonly string[] {
  const names = facts.filter(({ kind }) => kind === 'tablespace').map((fact) => fact.definition)
  return [...new Set([definition.tablespace, ...names])].toSorted()
}

/** Where one tablespace is not there, none is used (plan.ts). */
function ignoredKinds(
  { owners, privileges }: Request,
  tablespacesNotThere: readonly string[],
): ReadonlySet<string> {
  const kinds: string[] = []
  if (owners === 'left-out') kinds.push('owner')
  if (privileges === 'left-out') kinds.push('grant', 'default privilege')
  if (tablespacesNotThere.length > 0) kinds.push('tablespace')
  return new Set(kinds)
}

async function openReader(client: ClientServer, database: string): Promise<PsqlSession> {
  await using cleanup = new AsyncDisposableStack()
  const session = cleanup.use(await client.open(database))
  await session.run('begin isolation level repeatable read read only')
  cleanup.move()
  return session
}

async function loadFingerprint(
  { place, manifest }: DumpSet,
  object: DumpObject,
): Promise<DatabaseFingerprint> {
  const content = await collect(readDumpObject(place, manifest, object), GIB)
  return parseFingerprint(content)
}
