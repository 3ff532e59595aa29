/** What came of a restore and of its proof, as people read it and as JSON. Pure. */
import { formatDuration, formatSize } from '../../base/units.ts'
import type { Comparison } from '../../fingerprint/compare.ts'
import { planFacts, type WholePlan } from './plan-text.ts'
import type { Proof } from './prove.ts'
import type { Outcome } from './restore-database.ts'

/** How many lines about one kind of thing. */
const SHOWN_MAX = 20

export function outcomeText(outcome: Outcome): string {
  const { plan } = outcome
  if (outcome.state === 'failed') {
    return `database '${plan.source.name}' was not restored: ${outcome.error.text}\n`
  }
  const { result, proof, name, state, problem } = outcome
  const bytes = [plan.schema, ...plan.data].reduce(
    (sum, { archive }) => sum + archive.contentSizeBytes,
    0,
  )
  const lines = [
    `database '${plan.source.name}' restored ${state === 'in-place' ? 'as' : 'and kept aside as'} '${name}'`,
    `  data     ${formatSize(bytes)} in ${formatDuration(result.dataMs)}`,
    `  indexes  ${formatDuration(result.finishMs)}`,
    ...limited(
      result.serious.flatMap(({ text, command }) => [
        `  error    ${indented(text)}`,
        ...(command === undefined ? [] : [`           of: ${indented(command)}`]),
      ]),
      result.seriousCount - result.serious.length,
    ),
    ...(proof === undefined ? [] : proofLines(proof)),
    ...(problem === undefined ? [] : [`  error    ${indented(problem.text)}`]),
  ]
  return `${lines.join('\n')}\n`
}

function indented(text: string): string {
  return text.replaceAll('\n', '\n           ')
}

export function proofLines({ verdict, why, comparison, proveMs }: Proof): readonly string[] {
  const time = formatDuration(proveMs)
  if (comparison === undefined) return [`  proof    none: ${indented(why)}`]
  const head = {
    proved: 'proved exact',
    'proved, sampled': 'proved, but of some tables not every row was compared',
    differs: 'DIFFERS from what was dumped',
    incomplete: `not proved: ${why}`,
  }[verdict]
  return [
    `  proof    ${head}, in ${time}: ${sumText(comparison)}`,
    ...differenceLines(comparison),
    ...comparison.remarks.map((remark) => `  remark   ${remark}`),
    ...limited(
      comparison.uncovered.map(({ kind, name, reason }) => `  outside  ${kind} ${name}: ${reason}`),
      0,
    ),
  ]
}

function sumText({ tables, sequences, factsEqual }: Comparison): string {
  const exact = tables.filter(({ result }) => result === 'exact').length
  const partly = tables.filter(({ result }) => /^(?:sampled|counted)-equal$/.test(result)).length
  return [
    `${exact} of ${tables.length} tables exact${partly === 0 ? '' : `, ${partly} in part`}`,
    `${sequences.length} sequences`,
    `${factsEqual} facts of the schema`,
  ].join(', ')
}

function differenceLines({
  tables,
  sequences,
  largeObjects,
  facts,
}: Comparison): readonly string[] {
  const found = [
    ...tables.map((table) => ({ kind: 'table', ...table })),
    ...sequences.map((sequence) => ({ kind: 'sequence', ...sequence })),
    { kind: 'large objects', name: '', ...largeObjects },
    ...facts.map((fact) => ({ ...fact, detail: factText(fact) })),
  ].filter(({ result }) => !EQUAL.has(result))
  return limited(
    found.map(({ kind, name, result, detail }) =>
      indented(`  ${result.padEnd(8)} ${kind}${name === '' ? '' : ` ${name}`}: ${detail}`),
    ),
    0,
  )
}

function factText({ source, restored, reason }: Comparison['facts'][number]): string {
  if (reason !== '') return reason
  if (restored === null) return `not restored: ${source}`
  return source === null ? `not in the source: ${restored}` : `${source}\nrestored: ${restored}`
}

const EQUAL: ReadonlySet<string> = new Set(['exact', 'sampled-equal', 'counted-equal', 'between'])

/** `more`: lines that were never kept. */
function limited(lines: readonly string[], more: number): readonly string[] {
  const left = Math.max(0, lines.length - SHOWN_MAX) + more
  return left === 0
    ? lines
    : [...lines.slice(0, SHOWN_MAX), `           and ${left} more (--output=json has them)`]
}

/** Times are milliseconds. What is equal is counted only. */
export function reportJson(plan: WholePlan, outcomes: readonly Outcome[]): string {
  const restored = outcomes.map((outcome) => {
    const source = outcome.plan.source.name
    if (outcome.state === 'failed') {
      return { source, state: outcome.state, error: outcome.error.text }
    }
    const { state, name, result, proof, problem } = outcome
    return {
      source,
      state,
      name,
      dataMs: result.dataMs,
      finishMs: result.finishMs,
      errorCount: result.seriousCount,
      errors: result.serious,
      harmlessCount: result.harmlessCount,
      proof: proof === undefined ? null : proofFacts(proof),
      ...(problem === undefined ? {} : { error: problem.text }),
    }
  })
  return `${JSON.stringify({ plan: planFacts(plan), restored })}\n`
}

export function proofFacts({ verdict, why, comparison, proveMs }: Proof): object {
  return { verdict, why, proveMs, comparison: comparison ?? null }
}
