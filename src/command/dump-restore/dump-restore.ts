/** dump-restore: databases from a dump set, proved to be what was dumped. Plans, prints the plan, and only then makes anything. */
import { availableParallelism } from 'node:os'
import { AppError, asAppError } from '../../base/error.ts'
import { MIB } from '../../base/units.ts'
import { collect } from '../../pipe/pipe.ts'
import { sqlName } from '../../postgres/quote.ts'
import { placeOf } from '../../postgres/server-address.ts'
import { readDumpObject } from '../../repo/dump-sets.ts'
import type { Context } from '../command.ts'
import { inTransaction, takeAsItIsSql } from './database.ts'
import { type DumpSet, openDumpSet } from './dump-set.ts'
import { type GlobalsPlan, planGlobals } from './globals.ts'
import { openTarget, type Target } from './open-target.ts'
import { planDatabase } from './plan.ts'
import { planJson, planText, type WholePlan } from './plan-text.ts'
import { proveOnly, type ProveRun } from './prove-only.ts'
import { recordProof } from './record-proof.ts'
import { outcomeText, reportJson } from './report.ts'
import { chosenDatabases, type Request, requestOf } from './request.ts'
import { type Outcome, restoreDatabase } from './restore-database.ts'

export async function dumpRestore(context: Context): Promise<number> {
  const { config } = context
  const request = requestOf(config)
  const { label, databases } = request
  const wanted = databases.kind === 'one' ? databases.name : undefined
  const set = await openDumpSet(context, { label, database: wanted })
  await using target = await openTarget(context, Number.parseInt(set.manifest.clientVersion, 10))
  if (request.proof === 'only') return await proveOnly(context, { set, target, request })
  const plan = await makePlan(set, target, request)
  const isJson = config.text('output') === 'json'
  if (!isJson) context.print(planText(plan))
  else if (config.flag('plan')) context.print(planJson(plan))
  assertNothingAgainst(plan)
  if (config.flag('plan')) return 0
  if (plan.globals !== undefined) await makeRoles(context, target, plan.globals)
  const outcomes: Outcome[] = []
  for (const database of plan.databases) {
    const outcome = await restoreDatabase(context, { set, target, request, plan: database })
    await record(context, { set, target, request }, outcome)
    if (!isJson) context.print(outcomeText(outcome))
    outcomes.push(outcome)
  }
  if (isJson) context.print(reportJson(plan, outcomes))
  for (const outcome of outcomes) assertGood(context, outcome)
  return 0
}

async function makePlan(set: DumpSet, target: Target, request: Request): Promise<WholePlan> {
  const globals = request.globals === 'restored' ? await readGlobals(set, target) : undefined
  const rolesToCome = globals?.newRoles ?? new Set()
  const processors = availableParallelism()
  const input = { request, set, target, rolesToCome, processors }
  const databases = []
  for (const source of chosenDatabases(request, set.manifest)) {
    databases.push(await planDatabase(input, source))
  }
  const { server, client } = target
  return { set, request, server, place: placeOf(client.address), databases, globals }
}

/** More would be a million roles. */
const GLOBALS_BYTES_MAX = 256 * MIB

async function readGlobals({ place, manifest }: DumpSet, target: Target): Promise<GlobalsPlan> {
  const { globals } = manifest
  if (globals === null) {
    throw new AppError('file-missing', `dump set ${manifest.label} holds no roles (--globals)`)
  }
  const script = await collect(readDumpObject(place, manifest, globals), GLOBALS_BYTES_MAX)
  return planGlobals(script.toString('utf8'), target.server)
}

/** Everything that stands against it at once: nobody likes to learn it one by one. */
function assertNothingAgainst({ databases, set }: WholePlan): void {
  const against = databases.flatMap(({ source, findings }) =>
    findings
      .filter(({ severity }) => severity === 'refused')
      .map(({ text }) => (databases.length > 1 ? `'${source.name}': ${text}` : text)),
  )
  if (against.length === 0) return
  throw new AppError(
    'db-invalid',
    [
      `dump set ${set.manifest.label} cannot be restored like this, nothing was made:`,
      ...against,
    ].join('\n  '),
  )
}

async function makeRoles(
  { log }: Context,
  { session }: Target,
  { statements, newRoles }: GlobalsPlan,
): Promise<void> {
  if (newRoles.size === 0) return
  try {
    await inTransaction(session, statements)
  } catch (error) {
    const { kind, text } = asAppError(error)
    throw new AppError(kind, `no role was made: ${text}`, { cause: error })
  }
  log.info(`made ${newRoles.size === 1 ? '1 role' : `${newRoles.size} roles`}`)
}

async function record(context: Context, run: ProveRun, outcome: Outcome): Promise<void> {
  if (outcome.state === 'failed') return
  const { plan, result, proof } = outcome
  const { dataMs, finishMs } = result
  await recordProof(context, run, {
    source: plan.source,
    jobs: plan.jobs.jobs,
    extent: plan.selection.extent === 'all' ? 'whole' : 'selection',
    dataMs,
    finishMs,
    proveMs: proof?.proveMs ?? 0,
    verdict: result.seriousCount > 0 ? 'had errors' : (proof?.verdict ?? 'not asked'),
  })
}

function errorsText(count: number): string {
  return count === 1 ? '1 error' : `${count} errors`
}

/** Throws for what is less than was asked for. */
function assertGood({ log }: Context, outcome: Outcome): void {
  if (outcome.state === 'failed') throw outcome.error
  const { plan, name, result, proof, problem } = outcome
  const { source } = plan
  const hint = [
    `Use it as it is: ${takeAsItIsSql(plan, name).join('; ')};`,
    `Remove it: drop database ${sqlName(name)};`,
  ]
  if (result.seriousCount > 0) {
    throw new AppError(
      'execute',
      `restore of '${source.name}' had ${errorsText(result.seriousCount)}; it is kept as '${name}'`,
      { hint: [`See what else differs: --prove-only --to-database='${name}'`, ...hint] },
    )
  }
  if (problem !== undefined) {
    const { kind, message, hints } = problem
    if (outcome.state === 'in-place') throw problem
    throw new AppError(
      kind,
      `'${source.name}' is restored, could not be named '${plan.name}', and is kept as '${name}': ${message}`,
      { hint: [...hints, ...hint], cause: problem },
    )
  }
  switch (proof?.verdict) {
    case 'differs':
      throw new AppError(
        'proof-differs',
        `the restored '${source.name}' differs from what was dumped; it is kept as '${name}'`,
        { hint },
      )
    case 'incomplete':
      throw new AppError(
        'proof-incomplete',
        `'${name}' is restored without errors, but not proved: ${proof.why}`,
        outcome.state === 'in-place'
          ? {}
          : {
              hint: [
                `'${plan.name}' was not replaced; --no-prove replaces it all the same.`,
                ...hint,
              ],
            },
      )
    case undefined:
      log.warn(`'${name}' is restored, and not proved (--no-prove)`)
      return
    case 'proved':
    case 'proved, sampled':
      return
  }
}
