/** Whether a restored database is the one that was dumped, and if not, what differs. Pure. */
import type { DatabaseFingerprint, SequenceFingerprint, Uncovered } from '../format/fingerprint.ts'
import { compareFacts, type FactDifference, type Wordings } from './compare-facts.ts'
import { compareTables, type TableComparison } from './compare-tables.ts'
import { quoted, readable } from './sql.ts'

export interface SequenceComparison {
  readonly name: string
  /** `between`: it moved while the dump was made, and the restored value lies between. */
  readonly result: 'exact' | 'between' | 'differs' | 'missing' | 'extra'
  /** Empty when nothing differs. */
  readonly detail: string
}

export interface Comparison {
  /**
   * `exact`: every row and every fact is the same. `sampled`: nothing differs, but of some tables not every row was compared.
   * `not-comparable`: nothing is known to differ, but something could not be compared. Never take it for a proof.
   */
  readonly verdict: 'exact' | 'sampled' | 'differs' | 'not-comparable'
  readonly tables: readonly TableComparison[]
  readonly sequences: readonly SequenceComparison[]
  readonly largeObjects: {
    readonly result: 'exact' | 'differs' | 'not-comparable'
    readonly detail: string
  }
  /** Those that differ or cannot be compared. */
  readonly facts: readonly FactDifference[]
  readonly factsEqual: number
  /** What no dump decides and everybody should know: other versions of extensions and collations. */
  readonly remarks: readonly string[]
  /** Of the source: what no digest covers, and why. */
  readonly uncovered: readonly Uncovered[]
}

export interface ComparisonOptions {
  /** Kinds of facts that were not to be restored: `owner`, `grant`. */
  readonly ignoreKinds: ReadonlySet<string>
  /** What `findWordings` found out in the restored server; empty without it. */
  readonly wordings: Wordings
}

export function compareFingerprints(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
  options: ComparisonOptions,
): Comparison {
  const tables = compareTables(source, restored)
  const sequences = compareSequences(source, restored)
  const largeObjects = compareLargeObjects(source, restored)
  const facts = compareFacts(source, restored, options)
  const found = [...tables, ...sequences, largeObjects, ...facts.differences]
  const differs = found.some(({ result }) => DIFFERENT.has(result))
  const unknown = found.some(({ result }) => result === 'not-comparable')
  const partly = tables.some(({ result }) => result !== 'exact')
  return {
    verdict: differs ? 'differs' : unknown ? 'not-comparable' : partly ? 'sampled' : 'exact',
    tables,
    sequences,
    largeObjects,
    facts: facts.differences,
    factsEqual: facts.equal,
    remarks: facts.remarks,
    uncovered: source.uncovered,
  }
}

const DIFFERENT: ReadonlySet<string> = new Set(['differs', 'missing', 'extra'])

const nameOf = ({ schema, name }: SequenceFingerprint): string => readable(quoted(schema, name))

function compareSequences(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): readonly SequenceComparison[] {
  const there = new Map(restored.sequences.map((sequence) => [nameOf(sequence), sequence] as const))
  const compared = source.sequences.map((sequence) => {
    const name = nameOf(sequence)
    const other = there.get(name)
    there.delete(name)
    return { name, ...compareSequence(sequence, other) }
  })
  for (const { name } of source.uncovered) there.delete(name)
  const extra = [...there.keys()].map((name) => ({
    name,
    result: 'extra' as const,
    detail: 'the source has no such sequence',
  }))
  return [...compared, ...extra]
}

type SequenceValue = Pick<SequenceFingerprint, 'lastValue' | 'isCalled'>

const valueText = ({ lastValue, isCalled }: SequenceValue): string =>
  isCalled ? lastValue : `${lastValue}, not yet given`

function compareSequence(
  source: SequenceFingerprint,
  restored: SequenceFingerprint | undefined,
): Omit<SequenceComparison, 'name'> {
  if (restored === undefined) return { result: 'missing', detail: 'it was not restored' }
  const values = [source, ...(source.later === undefined ? [] : [source.later])]
  if (values.some((value) => valueText(value) === valueText(restored))) {
    return { result: 'exact', detail: '' }
  }
  const numbers = values.map(({ lastValue }) => BigInt(lastValue))
  const value = BigInt(restored.lastValue)
  const isBetween = numbers.some((each) => each < value) && numbers.some((each) => each > value)
  if (isBetween) return { result: 'between', detail: '' }
  return {
    result: 'differs',
    detail: `${values.map(valueText).join(' to ')} in the source, ${valueText(restored)} restored`,
  }
}

function compareLargeObjects(
  dumped: DatabaseFingerprint,
  found: DatabaseFingerprint,
): Comparison['largeObjects'] {
  const unread = [dumped, found]
    .flatMap(({ uncovered }) => uncovered)
    .find(({ kind }) => kind === 'large objects')
  if (unread !== undefined) return { result: 'not-comparable', detail: unread.reason }
  const [source, restored] = [dumped.largeObjects, found.largeObjects]
  if (source.digest === restored.digest) return { result: 'exact', detail: '' }
  return {
    result: 'differs',
    detail:
      `${source.count} with ${source.sizeBytes} bytes in the source, ` +
      `${restored.count} with ${restored.sizeBytes} bytes restored`,
  }
}
