/** How a database is divided among several pg_dump of one snapshot, so that nothing can fall between them. */
import type { DumpArchive } from '../../format/dump-manifest.ts'
import { sqlName } from '../../postgres/quote.ts'

export interface TableSize {
  readonly schema: string
  readonly name: string
  readonly sizeBytes: number
}

export interface ArchivePlan {
  readonly part: DumpArchive['part']
  /** Between the database's prefix and `.dump`. */
  readonly suffix: string
  /** For pg_dump. */
  readonly args: readonly string[]
}

const WHOLE: ArchivePlan = { part: 'whole', suffix: '', args: [] }

/**
 * The schema, the large tables in at most `jobs` groups of like size, and the rest, which is told what to leave out and not
 * what to take: sequences, large objects, tables of extensions and whatever later versions bring is in it. Largest first.
 */
export function planArchives(tables: readonly TableSize[], jobs: number): readonly ArchivePlan[] {
  if (jobs === 1 || tables.length === 0) return [WHOLE]
  const groups = Array.from({ length: Math.min(jobs, tables.length) }, () => ({
    sizeBytes: 0,
    names: new Array<string>(),
  }))
  for (const { schema, name, sizeBytes } of tables.toSorted(bySize)) {
    const smallest = groups.reduce((least, group) =>
      group.sizeBytes < least.sizeBytes ? group : least,
    )
    smallest.sizeBytes += sizeBytes
    // In patterns of pg_dump nothing inside quotes has a meaning but the quote.
    smallest.names.push(`${sqlName(schema)}.${sqlName(name)}`)
  }
  const data = groups.map(({ names }, index): ArchivePlan => {
    // A name that fits nothing must be an error: the rest leaves that table out.
    const args = ['--section=data', '--strict-names', ...names.map((name) => `--table=${name}`)]
    return { part: 'data', suffix: `-data-${index + 1}`, args }
  })
  const named = groups.flatMap(({ names }) => names)
  const rest = ['--section=data', ...named.map((name) => `--exclude-table-data=${name}`)]
  return [
    ...data,
    { part: 'data', suffix: `-data-${data.length + 1}`, args: rest },
    { part: 'schema', suffix: '-schema', args: ['--section=pre-data', '--section=post-data'] },
  ]
}

function bySize(left: TableSize, right: TableSize): number {
  return right.sizeBytes - left.sizeBytes
}
