/** One database from a dump set: made, filled, proved, named. */
import { asAppError, type AppError } from '../../base/error.ts'
import type { Context } from '../command.ts'
import {
  dropWorking,
  giveSettings,
  keepAside,
  makeDatabase,
  putInPlace,
  removeLeftOvers,
} from './database.ts'
import type { DumpSet } from './dump-set.ts'
import type { RestoreMessage } from './messages.ts'
import type { Target } from './open-target.ts'
import type { DatabasePlan } from './plan.ts'
import { type Proof, prove } from './prove.ts'
import type { Request } from './request.ts'
import { runArchives, type RunResult } from './run-archives.ts'

export interface DatabaseRun {
  readonly set: DumpSet
  readonly target: Target
  readonly request: Request
  readonly plan: DatabasePlan
}

export type Outcome =
  | {
      /**
       * `aside`: it had errors, differs, could not get its name, or was to replace another one and is not proved. It is still
       * under its working name.
       */
      readonly state: 'in-place' | 'aside'
      readonly plan: DatabasePlan
      /** The name it has. */
      readonly name: string
      readonly result: RunResult
      /** Undefined: it was not asked for, or makes no sense after errors. */
      readonly proof: Proof | undefined
      /** What went wrong when it was whole and was to get its name. */
      readonly problem?: AppError | undefined
    }
  | { readonly state: 'failed'; readonly plan: DatabasePlan; readonly error: AppError }

export async function restoreDatabase(context: Context, run: DatabaseRun): Promise<Outcome> {
  const { plan, target } = run
  const making = { target, plan, label: run.set.manifest.label }
  await removeLeftOvers(context, making)
  const working = await makeDatabase(context, making)
  try {
    return await fill(context, run, working)
  } catch (error) {
    await dropWorking(context, target, working)
    context.signal.throwIfAborted()
    return { state: 'failed', plan, error: asAppError(error) }
  } finally {
    context.progress(undefined)
  }
}

async function fill(context: Context, run: DatabaseRun, working: string): Promise<Outcome> {
  const { set, target, request, plan } = run
  const { log, clock, signal } = context
  const making = { target, plan, label: set.manifest.label }
  log.info(`restore database '${plan.source.name}' into '${working}'`)
  const archives = [plan.schema, ...plan.data]
  const totalBytes = archives.reduce((sum, { archive }) => sum + archive.contentSizeBytes, 0)
  const ran = await runArchives({
    set,
    target,
    plan,
    request,
    database: working,
    clock,
    signal,
    message: (line) => {
      log.detail(line)
    },
    progress: (doneBytes) => {
      context.progress({ step: `restore '${plan.source.name}'`, doneBytes, totalBytes })
    },
  })
  const result = withSettings(ran, await giveSettings(making, working))
  if (result.seriousCount > 0) {
    await keepAside(making, working, 'had errors')
    return { state: 'aside', plan, name: working, result, proof: undefined }
  }
  const proof =
    request.proof === 'none'
      ? undefined
      : await prove(
          context,
          {
            set,
            source: plan.source,
            selection: plan.selection,
            request,
            client: target.client,
            tablespaces: target.server.tablespaces,
            jobs: plan.jobs.jobs,
          },
          working,
        )
  if (proof?.verdict === 'differs') {
    await keepAside(making, working, 'differs from what was dumped')
    return { state: 'aside', plan, name: working, result, proof }
  }
  if (proof?.verdict === 'incomplete' && plan.replaces) {
    await keepAside(making, working, 'is not proved')
    return { state: 'aside', plan, name: working, result, proof }
  }
  try {
    const problem = await putInPlace(context, making, working)
    return { state: 'in-place', plan, name: plan.name, result, proof, problem }
  } catch (error) {
    signal.throwIfAborted()
    await keepAside(making, working, 'could not get its name')
    return { state: 'aside', plan, name: working, result, proof, problem: asAppError(error) }
  }
}

function withSettings(result: RunResult, problems: readonly string[]): RunResult {
  const more = problems.map(
    (text): RestoreMessage => ({ text, entry: undefined, command: undefined }),
  )
  return {
    ...result,
    serious: [...result.serious, ...more],
    seriousCount: result.seriousCount + more.length,
  }
}
