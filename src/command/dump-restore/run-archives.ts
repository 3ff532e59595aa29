/**
 * Archives into a database, in runs of pg_restore: schema, data, then indexes, constraints and grants, and event triggers alone.
 *
 * Schema and data go from the repository through a pipe. What comes then needs a file for parallel connections: it gets the
 * archive's table of contents, which holds no data, in a file that nobody else can see and that no kill leaves behind.
 */
import type { FileHandle } from 'node:fs/promises'
import type { ByteSource } from '../../pipe/pipe.ts'
import { programPath } from '../../postgres/client-programs.ts'
import { assertEnded, feed, pathOfFile, type ProgramCall } from '../../postgres/program.ts'
import { databaseConninfo } from '../../postgres/server-address.ts'
import { readDumpObject } from '../../repo/dump-sets.ts'
import { atOnce } from '../../base/at-once.ts'
import type { Clock } from '../../base/clock.ts'
import { openNamelessFile } from '../../base/nameless-file.ts'
import type { DumpSet } from './dump-set.ts'
import { MessageReader, type RestoreMessage, severityOf } from './messages.ts'
import type { Target } from './open-target.ts'
import type { ArchivePlan, DatabasePlan } from './plan.ts'
import type { Request } from './request.ts'

export interface ArchiveRun {
  readonly set: DumpSet
  readonly target: Target
  readonly plan: DatabasePlan
  readonly request: Request
  /** The database that takes them. */
  readonly database: string
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly message: (line: string) => void
  readonly progress: (doneBytes: number) => void
}

export interface RunResult {
  readonly serious: readonly RestoreMessage[]
  /** Also those that are not kept. */
  readonly seriousCount: number
  readonly harmlessCount: number
  readonly dataMs: number
  readonly finishMs: number
}

/** How many are kept, to be shown. */
const SERIOUS_MAX = 100

export async function runArchives(run: ArchiveRun): Promise<RunResult> {
  await using headFile = await openNamelessFile()
  const complaints = new Complaints()
  const startMs = run.clock.nowMs()
  const counter = countBytes(run.progress)
  const { schema, data } = run.plan
  await restoreStream(run, { archive: schema, headFile, complaints, counter })
  await atOnce(run.signal, data, {
    limit: run.plan.jobs.jobs,
    act: async (archive, signal) => {
      await restoreStream({ ...run, signal }, { archive, headFile: undefined, complaints, counter })
    },
  })
  const dataEndMs = run.clock.nowMs()
  await finish(run, { archive: schema, headFile, complaints, counter })
  return {
    serious: complaints.serious,
    seriousCount: complaints.seriousCount,
    harmlessCount: complaints.harmlessCount,
    dataMs: dataEndMs - startMs,
    finishMs: run.clock.nowMs() - dataEndMs,
  }
}

class Complaints {
  readonly serious: RestoreMessage[] = []
  seriousCount = 0
  harmlessCount = 0

  add(message: RestoreMessage): void {
    const severity = severityOf(message)
    if (severity === 'harmless') this.harmlessCount += 1
    if (severity !== 'serious') return
    this.seriousCount += 1
    if (this.serious.length < SERIOUS_MAX) this.serious.push(message)
  }
}

interface Step {
  readonly archive: ArchivePlan
  /** For the archive's table of contents. */
  readonly headFile: FileHandle | undefined
  readonly complaints: Complaints
  readonly counter: (bytes: number) => void
}

/** Throws what reading the repository throws, digests that do not fit among it. */
async function restoreStream(run: ArchiveRun, step: Step): Promise<void> {
  const { archive, head, lists } = step.archive
  const entries = [...lists.schema, ...lists.data]
  if (entries.length === 0 && step.headFile === undefined) return
  const source = counted(readDumpObject(run.set.place, run.set.manifest, archive), step.counter)
  const saved =
    step.headFile === undefined ? source : keepHead(source, head.sizeBytes, step.headFile)
  await using whole = new Drained(saved)
  await callRestore(run, step.complaints, { entries, stream: whole, file: undefined })
  // What pg_restore had no use for is read all the same: its digest is of all of it.
  await whole.drain()
}

async function finish(run: ArchiveRun, { archive, headFile, complaints }: Step): Promise<void> {
  if (headFile === undefined) return
  for (const entries of [archive.lists.finish, archive.lists.last]) {
    if (entries.length === 0) continue
    await callRestore(run, complaints, { entries, stream: nothing(), file: headFile })
  }
}

interface Work {
  /** In the order in which they are restored. */
  readonly entries: readonly number[]
  /** The archive. */
  readonly stream: ByteSource
  /** Holds what is needed of it instead: only from a file can several connections restore. */
  readonly file: FileHandle | undefined
}

async function callRestore(
  run: ArchiveRun,
  complaints: Complaints,
  { entries, stream, file }: Work,
): Promise<void> {
  const { target, plan, request, database, signal } = run
  await using listFile = await openNamelessFile()
  await listFile.writeFile(entries.map((id) => `${id};\n`).join(''))
  const reader = new MessageReader()
  let ignoredErrors = false
  const add = (message: RestoreMessage | undefined): void => {
    if (message === undefined) return
    ignoredErrors ||= message.text.startsWith('warning: errors ignored on restore')
    complaints.add(message)
  }
  const call: ProgramCall = {
    path: programPath(target.programs, 'pg_restore'),
    args: [
      '-w',
      '-d',
      databaseConninfo(database),
      ...(request.owners === 'kept' ? [] : ['--no-owner']),
      ...(request.privileges === 'kept' ? [] : ['--no-privileges']),
      ...(plan.tablespaces === 'kept' ? [] : ['--no-tablespaces']),
      ...(request.role === undefined ? [] : [`--role=${request.role}`]),
      '-L',
      pathOfFile(0),
      ...(file === undefined ? [] : ['-j', String(plan.jobs.jobs), pathOfFile(1)]),
    ],
    files: [listFile, ...(file === undefined ? [] : [file])],
    env: { ...target.client.address.env, PGAPPNAME: 'pgsurety [dump-restore]' },
    signal,
    message: (line) => {
      run.message(line)
      add(reader.line(line))
    },
  }
  const end = await feed(call, stream)
  add(reader.end())
  // With 1 after errors that it went on from, all of which have been taken down.
  if (end.code !== 1 || !ignoredErrors) assertEnded(call, end)
}

function countBytes(progress: (doneBytes: number) => void): (bytes: number) => void {
  let doneBytes = 0
  return (bytes) => {
    doneBytes += bytes
    progress(doneBytes)
  }
}

async function* counted(source: ByteSource, count: (bytes: number) => void): ByteSource {
  for await (const chunk of source) {
    count(chunk.length)
    yield chunk
  }
}

/** The same bytes; the first of them are also written to a file. */
async function* keepHead(source: ByteSource, sizeBytes: number, file: FileHandle): ByteSource {
  let leftBytes = sizeBytes
  for await (const chunk of source) {
    if (leftBytes > 0) {
      const part = chunk.subarray(0, leftBytes)
      await file.writeFile(part)
      leftBytes -= part.length
    }
    yield chunk
  }
}

async function* nothing(): ByteSource {
  // A file is read instead.
}

/** A source whose taker may stop early, and which then can be taken to its end. */
class Drained implements AsyncIterable<Buffer>, AsyncDisposable {
  readonly #iterator: AsyncIterator<Buffer>

  constructor(source: ByteSource) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: async () => await this.#iterator.next() }
  }

  async drain(): Promise<void> {
    while ((await this.#iterator.next()).done !== true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#iterator.return?.()
  }
}
