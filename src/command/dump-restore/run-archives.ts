/**
 * Archives into a database, in three runs of pg_restore: schema, data, and then indexes, constraints and grants.
 *
 * Schema and data go from the repository through a pipe. The last run needs a file for its parallel connections: it gets the
 * archive's table of contents, which holds no data, in a folder of our own that goes away.
 */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ByteSource } from '../../pipe/pipe.ts'
import { programPath } from '../../postgres/client-programs.ts'
import { assertEnded, feed, type ProgramCall, type ProgramEnd } from '../../postgres/program.ts'
import { databaseConninfo } from '../../postgres/server-address.ts'
import { readDumpObject } from '../../repo/dump-sets.ts'
import { atOnce } from '../../base/at-once.ts'
import type { Clock } from '../../base/clock.ts'
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
  const folder = await mkdtemp(join(tmpdir(), 'pgsurety-dump-restore-'))
  try {
    const complaints = new Complaints()
    const startMs = run.clock.nowMs()
    const counter = countBytes(run.progress)
    const { schema, data } = run.plan
    const headFile = join(folder, 'head')
    await restoreStream(run, { archive: schema, folder, headFile, complaints, counter })
    await atOnce(run.signal, data, {
      limit: run.request.jobs,
      act: async (archive, signal) => {
        const step = { archive, folder, headFile: undefined, complaints, counter }
        await restoreStream({ ...run, signal }, step)
      },
    })
    const dataEndMs = run.clock.nowMs()
    await finish(run, { archive: schema, folder, headFile, complaints, counter })
    return {
      serious: complaints.serious,
      seriousCount: complaints.seriousCount,
      harmlessCount: complaints.harmlessCount,
      dataMs: dataEndMs - startMs,
      finishMs: run.clock.nowMs() - dataEndMs,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
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
  readonly folder: string
  readonly headFile: string | undefined
  readonly complaints: Complaints
  readonly counter: (bytes: number) => void
}

/** Throws what reading the repository throws, digests that do not fit among it. */
async function restoreStream(run: ArchiveRun, step: Step): Promise<void> {
  const { archive, head, lists } = step.archive
  const wanted = [...lists.schema, ...lists.data]
  if (wanted.length === 0 && step.headFile === undefined) return
  const source = counted(readDumpObject(run.set.place, run.set.manifest, archive), step.counter)
  const saved =
    step.headFile === undefined ? source : keepHead(source, head.sizeBytes, step.headFile)
  await using whole = new Drained(saved)
  const listFile = await writeList(step, wanted)
  await callRestore(run, step, ['-L', listFile], async (call) => await feed(call, whole))
  // What pg_restore had no use for is read all the same: its digest is of all of it.
  await whole.drain()
}

async function finish(run: ArchiveRun, step: Step): Promise<void> {
  const { finish: wanted } = step.archive.lists
  if (wanted.length === 0 || step.headFile === undefined) return
  const args = ['-L', await writeList(step, wanted), '-j', String(run.request.jobs), step.headFile]
  await callRestore(run, step, args, async (call) => await feed(call, nothing()))
}

async function writeList({ folder, archive }: Step, ids: readonly number[]): Promise<string> {
  const file = join(folder, `${archive.archive.name.replaceAll(/\W/g, '-')}.${ids.length}.list`)
  await writeFile(file, ids.map((id) => `${id};\n`).join(''), { mode: 0o600 })
  return file
}

async function callRestore(
  run: ArchiveRun,
  { complaints }: Step,
  args: readonly string[],
  start: (call: ProgramCall) => Promise<ProgramEnd>,
): Promise<void> {
  const { target, plan, request, database, signal } = run
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
      ...args,
    ],
    env: { ...target.client.address.env, PGAPPNAME: 'pgsurety [dump-restore]' },
    signal,
    message: (line) => {
      run.message(line)
      add(reader.line(line))
    },
  }
  const end = await start(call)
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

/** The same bytes; the first of them are also written to a file that only we may read. */
async function* keepHead(source: ByteSource, sizeBytes: number, path: string): ByteSource {
  const file = await open(path, 'wx', 0o600)
  try {
    let leftBytes = sizeBytes
    for await (const chunk of source) {
      if (leftBytes > 0) {
        const part = chunk.subarray(0, leftBytes)
        await file.writeFile(part)
        leftBytes -= part.length
      }
      yield chunk
    }
  } finally {
    await file.close()
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
