/** Two fingerprints of which only some tables are to be compared. Pure. */
import type { DatabaseFingerprint, SchemaFact } from '../../format/fingerprint.ts'
import type { Selection } from './selection.ts'

/** Of both: the selected tables and sequences, and what belongs to these tables. */
export function scoped(
  dumped: DatabaseFingerprint,
  restored: DatabaseFingerprint,
  { tableOids, sequences, leftOut }: Selection,
): readonly [DatabaseFingerprint, DatabaseFingerprint] {
  const gone = new Set(leftOut.map(({ entry }) => entry.oid))
  const facts = dumped.facts.filter(
    (fact) => isOf(fact, tableOids) && (fact.oid === undefined || !gone.has(fact.oid)),
  )
  const names = new Set(facts.map(({ kind, name }) => `${kind}\0${name}`))
  const oidsThere = new Set(
    restored.facts
      .filter(({ kind, name, tableOid }) => tableOid === undefined && names.has(`${kind}\0${name}`))
      .map(({ oid }) => oid ?? 0),
  )
  const tables = dumped.tables.filter(({ oid }) => tableOids.has(oid))
  const tableNames = new Set(tables.map(({ schema, name }) => `${schema}\0${name}`))
  const things = new Set(facts.map(({ name }) => name))
  const isSelected = ({ schema, name }: { schema: string; name: string }): boolean =>
    sequences.has(`${schema}\0${name}`)
  return [
    {
      ...dumped,
      tables,
      sequences: dumped.sequences.filter(isSelected),
      // They belong to no table.
      largeObjects: restored.largeObjects,
      facts,
      uncovered: dumped.uncovered.filter(({ name }) => things.has(name)),
    },
    {
      ...restored,
      tables: restored.tables.filter(({ schema, name }) => tableNames.has(`${schema}\0${name}`)),
      sequences: restored.sequences.filter(isSelected),
      facts: restored.facts.filter((fact) => isOf(fact, oidsThere)),
      uncovered: restored.uncovered.filter(({ kind }) => kind !== 'large objects'),
    },
  ]
}

/** The table itself, or what says which table it belongs to. */
function isOf({ oid, tableOid }: SchemaFact, tableOids: ReadonlySet<number>): boolean {
  const own = tableOid ?? oid
  return own !== undefined && tableOids.has(own)
}
