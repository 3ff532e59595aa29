/** Rows of a source and a restored table, by their digests. Pure. */
import type { DatabaseFingerprint, TableFingerprint } from '../format/fingerprint.ts'
import { type RowBucket, unpackRowBuckets } from '../format/row-buckets.ts'
import { quoted, readable } from './sql.ts'
import { withSpreadJoined } from './spread.ts'

export interface TableComparison {
  readonly name: string
  readonly result:
    | 'exact'
    | 'sampled-equal'
    | 'counted-equal'
    | 'differs'
    | 'missing'
    | 'extra'
    | 'not-comparable'
  /** Empty when nothing differs. */
  readonly detail: string
}

type Outcome = Omit<TableComparison, 'name'>

const nameOf = ({ schema, name }: TableFingerprint): string => readable(quoted(schema, name))

/** In the source's order; then what the source does not have. */
export function compareTables(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): readonly TableComparison[] {
  const { source: ours, restored: theirs } = withSpreadJoined(source, restored)
  const there = new Map(theirs.map((table) => [nameOf(table), table] as const))
  const unreadThere = new Set(restored.uncovered.map(({ name }) => name))
  const unreadHere = new Set(source.uncovered.map(({ name }) => name))
  const outcomeOf = (table: TableFingerprint, name: string): Outcome => {
    const other = there.get(name)
    there.delete(name)
    if (other !== undefined) return compareTable(table, other, source, restored)
    return unreadThere.has(name)
      ? notComparable('its restored rows cannot be read')
      : { result: 'missing', detail: `${table.rows} rows in the source` }
  }
  const compared = ours.map((table) => {
    const name = nameOf(table)
    const { result, detail } = outcomeOf(table, name)
    return { name, result, detail }
  })
  const extra = [...there.entries()]
    .filter(([name]) => !unreadHere.has(name))
    .map(([name, { rows }]) => ({ name, result: 'extra' as const, detail: `${rows} rows` }))
  return [...compared, ...extra]
}

const notComparable = (detail: string): Outcome => ({ result: 'not-comparable', detail })

function compareTable(
  source: TableFingerprint,
  restored: TableFingerprint,
  { encoding }: DatabaseFingerprint,
  { encoding: restoredEncoding }: DatabaseFingerprint,
): Outcome {
  const [ours, theirs] = [source, restored].map(({ columns }) => columns.join(', '))
  if (ours !== theirs) {
    return notComparable(`its columns are ${ours} in the source and ${theirs} restored`)
  }
  const { kind } = source.coverage
  if (coverageText(source) !== coverageText(restored)) {
    return notComparable(
      `${coverageText(source)} in the source and ${coverageText(restored)} restored`,
    )
  }
  if (source.rows !== restored.rows || source.digest !== restored.digest) {
    // A sample is chosen by the bytes of the key.
    if (kind === 'sampled' && source.rows === restored.rows && encoding !== restoredEncoding) {
      return notComparable(`samples of '${encoding}' and '${restoredEncoding}' text`)
    }
    return { result: 'differs', detail: differenceText(source, restored) }
  }
  return { result: EQUAL_RESULTS[kind], detail: '' }
}

const EQUAL_RESULTS = {
  full: 'exact',
  sampled: 'sampled-equal',
  counted: 'counted-equal',
} as const

function coverageText({ coverage }: TableFingerprint): string {
  switch (coverage.kind) {
    case 'full':
      return 'all rows were read'
    case 'sampled':
      return `${coverage.percent} percent of the rows were read`
    case 'counted':
      return 'rows were only counted'
  }
}

/**
 * Buckets with other counts, or the same count and another sum, hold rows that the other side does not: at least so many. Less
 * than the truth when several differ in one bucket.
 */
function differenceText(source: TableFingerprint, restored: TableFingerprint): string {
  const [lost, added] =
    source.buckets === undefined || restored.buckets === undefined
      ? [0n, 0n]
      : rowsLostAndAdded(unpackRowBuckets(source.buckets), unpackRowBuckets(restored.buckets))
  return [
    `${source.rows} rows in the source, ${restored.rows} restored`,
    ...(lost > 0n ? [`at least ${lost} of the source's are missing or changed`] : []),
    ...(added > 0n ? [`at least ${added} restored ones are not the source's`] : []),
  ].join('; ')
}

const EMPTY: RowBucket = { count: 0n, sum: 0n }

function rowsLostAndAdded(
  source: ReadonlyMap<number, RowBucket>,
  restored: ReadonlyMap<number, RowBucket>,
): readonly [lost: bigint, added: bigint] {
  let lost = 0n
  let added = 0n
  for (const number of new Set([...source.keys(), ...restored.keys()])) {
    const ours = source.get(number) ?? EMPTY
    const theirs = restored.get(number) ?? EMPTY
    if (ours.count > theirs.count) lost += ours.count - theirs.count
    else if (ours.count < theirs.count) added += theirs.count - ours.count
    else if (ours.sum !== theirs.sum) {
      lost += 1n
      added += 1n
    }
  }
  return [lost, added]
}
