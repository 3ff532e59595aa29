/** `--prove-only`: compares databases that are there with a dump set, and restores nothing. */
import { availableParallelism } from 'node:os'
import { AppError } from '../../base/error.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { Context } from '../command.ts'
import { jobsForProof, jobsOr } from '../jobs.ts'
import type { DumpSet } from './dump-set.ts'
import type { Target } from './open-target.ts'
import { type Proof, prove } from './prove.ts'
import { recordProof } from './record-proof.ts'
import { proofFacts, proofLines } from './report.ts'
import { chosenDatabases, type Request } from './request.ts'

export interface ProveRun {
  readonly set: DumpSet
  readonly target: Target
  readonly request: Request
}

export async function proveOnly(context: Context, run: ProveRun): Promise<number> {
  const { set, target, request } = run
  const isJson = context.config.text('output') === 'json'
  const compared: {
    readonly source: DumpedDatabase
    readonly name: string
    readonly proof: Proof
  }[] = []
  const { jobs } = jobsOr(request.jobs, () => jobsForProof(availableParallelism()))
  for (const source of chosenDatabases(request, set.manifest)) {
    const name = request.toName ?? source.name
    if (!target.server.databases.has(name)) {
      throw new AppError('db-missing', `there is no database '${name}' to compare`, {
        hint: 'Which one shall be compared (--to-database)?',
      })
    }
    const { client, server } = target
    const { tablespaces } = server
    const input = { set, source, selection: undefined, request, client, tablespaces, jobs }
    const proof = await prove(context, input, name)
    context.progress(undefined)
    const { verdict, proveMs } = proof
    await recordProof(context, run, {
      source,
      jobs,
      extent: 'comparison',
      dataMs: 0,
      finishMs: 0,
      proveMs,
      verdict,
    })
    if (!isJson) {
      const head = `database '${name}' beside '${source.name}' of dump set ${set.manifest.label}`
      context.print([head, ...proofLines(proof), ''].join('\n'))
    }
    compared.push({ source, name, proof })
  }
  if (isJson) {
    const databases = compared.map(({ source, name, proof }) => ({
      source: source.name,
      name,
      proof: proofFacts(proof),
    }))
    context.print(`${JSON.stringify({ set: set.manifest.label, databases })}\n`)
  }
  for (const { name, proof } of compared) assertProved(name, proof)
  return 0
}

function assertProved(name: string, { verdict, why }: Proof): void {
  switch (verdict) {
    case 'differs':
      throw new AppError('proof-differs', `database '${name}' differs from what was dumped`)
    case 'incomplete':
      throw new AppError('proof-incomplete', `database '${name}' is not proved: ${why}`)
    case 'proved':
    case 'proved, sampled':
      return
  }
}
