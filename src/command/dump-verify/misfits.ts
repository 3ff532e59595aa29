/** Whether a fingerprint can prove a restore of the dump that it lies beside. Pure. */
import { toOneLine } from '../../base/text.ts'
import type { ArchiveHead } from '../../format/archive-toc.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { DatabaseFingerprint } from '../../format/fingerprint.ts'

export interface DumpedContent {
  readonly database: DumpedDatabase
  /** Of the server. */
  readonly version: string
  /** Of all its archives. */
  readonly heads: readonly ArchiveHead[]
}

/** What does not fit, for people; empty when all does. */
export function misfits(
  { database, version, heads }: DumpedContent,
  { serverMajor, encoding, tables }: DatabaseFingerprint,
): readonly string[] {
  const found: string[] = []
  const major = Number.parseInt(version, 10)
  if (serverMajor !== major) {
    found.push(`it is of PostgreSQL ${serverMajor}, and the dump of ${major}`)
  }
  if (encoding !== database.definition.encoding) {
    found.push(`it is of encoding ${encoding}, and the dump of ${database.definition.encoding}`)
  }
  const dumped = new Map<number, string>()
  const twice: string[] = []
  for (const { kind, oid, schema = '', tag } of heads.flatMap(({ entries }) => entries)) {
    if (kind !== 'TABLE DATA') continue
    if (dumped.has(oid)) twice.push(`${schema}.${tag}`)
    dumped.set(oid, `${schema}.${tag}`)
  }
  const known = new Set(tables.map(({ oid }) => oid))
  return [
    ...found,
    ...listed('rows that are in the dump twice', twice),
    ...listed(
      'rows that are not in the dump',
      tables.filter(({ oid }) => !dumped.has(oid)).map(({ schema, name }) => `${schema}.${name}`),
    ),
    ...listed(
      'rows of which it says nothing',
      [...dumped].filter(([oid]) => !known.has(oid)).map(([, name]) => name),
    ),
  ]
}

const SHOWN_MAX = 5

function listed(what: string, names: readonly string[]): readonly string[] {
  if (names.length === 0) return []
  const more = names.length > SHOWN_MAX ? ` and ${names.length - SHOWN_MAX} more` : ''
  const shown = names.slice(0, SHOWN_MAX).map((name) => `'${toOneLine(name)}'`)
  return [`tables with ${what}: ${shown.join(', ')}${more}`]
}
