/** All that the schema of a database says, as facts: see SchemaFact. */
import { AppError } from '../base/error.ts'
import type { SchemaFact } from '../format/fingerprint.ts'
import type { PsqlSession, SqlRow } from '../postgres/psql.ts'
import { ACCESS_FACTS } from './access-facts.ts'
import { CODE_FACTS } from './code-facts.ts'
import { DATABASE_FACTS, publishedFacts, subscriptionFacts } from './database-facts.ts'
import { RELATION_FACTS } from './relation-facts.ts'
import { readable } from './sql.ts'

/** By kind, then by name, in byte order. The session has the fingerprint's settings. */
export async function readFacts(
  session: PsqlSession,
  serverMajor: number,
): Promise<readonly SchemaFact[]> {
  const queries = [
    ...RELATION_FACTS,
    ...CODE_FACTS,
    ...DATABASE_FACTS,
    ...publishedFacts(serverMajor),
    ...subscriptionFacts(serverMajor),
    ...ACCESS_FACTS,
  ]
  const facts: SchemaFact[] = []
  for (const query of queries) {
    for (const row of await session.rows(query)) facts.push(factOf(row))
  }
  return facts.toSorted(
    (left, right) => compare(left.kind, right.kind) || compare(left.name, right.name),
  )
}

const compare = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

/** In their definitions stand names of others and nothing else in quotes. */
const READABLE: ReadonlySet<string> = new Set(['owner', 'extension table'])

function factOf({ kind, name, definition, oid, tableOid }: SqlRow): SchemaFact {
  if (typeof kind !== 'string' || typeof name !== 'string' || typeof definition !== 'string') {
    throw new AppError('protocol', `the catalog has a fact without a name: '${String(kind)}'`)
  }
  return {
    kind,
    // 18 says "language" where older ones say "on language".
    name: readable(name).replace(/^((?:transform )?for .*) on language /, '$1 language '),
    definition: READABLE.has(kind) ? readable(definition) : definition,
    ...(typeof oid === 'string' ? { oid: Number(oid) } : {}),
    ...(typeof tableOid === 'string' ? { tableOid: Number(tableOid) } : {}),
  }
}
