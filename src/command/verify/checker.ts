/** What every part of verify works with: one repository, its worker threads, and what was found so far. */
import { assertThat } from '../../base/error.ts'
import { type Repo, storageSpec } from '../../repo/repo.ts'
import { workerUrl } from '../../worker/worker.ts'
import type { Context } from '../command.ts'
import { type CheckBatch, parseOutcomes, type Piece } from './check-job.ts'
import type { Findings } from './findings.ts'
import type { Outcome } from './outcome.ts'

export interface Checkable {
  readonly piece: Piece
  /** For batches and for showing progress. */
  readonly sizeBytes: number
}

/** Disposing ends the threads. */
export interface Checker extends AsyncDisposable {
  readonly context: Context
  readonly repo: Repo
  readonly stanza: string
  readonly level: CheckBatch['level']
  readonly findings: Findings
  /** Checks everything of the batches, in any order. One run at a time. */
  run<Job extends Checkable>(
    batches: AsyncIterable<readonly Job[]> | Iterable<readonly Job[]>,
    options: RunOptions,
  ): AsyncGenerator<Checked<Job>, void, undefined>
}

export interface RunOptions {
  /** What is being verified, for whoever watches. */
  readonly step: string
  readonly totalBytes: number
  /** The key of everything in the run; undefined when it is not encrypted. */
  readonly cipherPass: string | undefined
}

export interface Checked<Job> {
  readonly job: Job
  readonly outcome: Outcome
}

export interface CheckerOptions {
  readonly repo: Repo
  readonly stanza: string
  readonly findings: Findings
}

export async function openChecker(
  context: Context,
  { repo, stanza, findings }: CheckerOptions,
): Promise<Checker> {
  const level: CheckBatch['level'] =
    context.config.text('level') === 'presence' ? 'presence' : 'content'
  const pool = await context.openPool<CheckBatch, readonly Outcome[]>({
    jobModule: workerUrl('verify-check', new URL('./check-job.ts', import.meta.url)),
    threads: context.config.integer('process-max'),
    setup: { storage: storageSpec(context.config, repo.key) },
    parse: parseOutcomes,
  })
  return {
    context,
    repo,
    stanza,
    level,
    findings,
    run: async function* <Job extends Checkable>(
      batches: AsyncIterable<readonly Job[]> | Iterable<readonly Job[]>,
      { step, totalBytes, cipherPass }: RunOptions,
    ): AsyncGenerator<Checked<Job>, void, undefined> {
      const sent = new Map<CheckBatch, readonly Job[]>()
      async function* requests(): AsyncGenerator<CheckBatch, void, undefined> {
        for await (const jobs of batches) {
          const batch = { level, cipherPass, pieces: jobs.map(({ piece }) => piece) }
          sent.set(batch, jobs)
          yield batch
        }
      }
      let doneBytes = 0
      for await (const { job: batch, result } of pool.run(requests(), context.signal)) {
        const jobs = sent.get(batch) ?? []
        sent.delete(batch)
        for (const [index, job] of jobs.entries()) {
          const outcome = result[index]
          assertThat(outcome !== undefined, 'every piece has an outcome')
          doneBytes += job.sizeBytes
          yield { job, outcome }
        }
        context.progress({ step, doneBytes, totalBytes })
      }
      context.progress(undefined)
    },
    [Symbol.asyncDispose]: async () => {
      await pool[Symbol.asyncDispose]()
    },
  }
}
