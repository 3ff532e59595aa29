/** Asks the restored server to word the source's definitions itself, where the two texts differ. */
import { isErrorKind } from '../base/error.ts'
import type { DatabaseFingerprint, SchemaFact } from '../format/fingerprint.ts'
import type { PsqlSession } from '../postgres/psql.ts'
import { factKey, type Wordings } from './compare-facts.ts'
import { onlyRow, textOf } from './contents.ts'
import { SETTINGS_STATEMENT } from './settings.ts'
import { withFlatChains } from './wording.ts'

/**
 * For the facts whose definition is a query or an expression over one table. The session is of the restored server, may write,
 * and is in no transaction; nothing of what is tried remains. Facts that the server does not take are left out.
 */
export async function findWordings(
  session: PsqlSession,
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): Promise<Wordings> {
  const there = new Map(restored.facts.map((fact) => [factKey(fact), fact] as const))
  const wordings = new Map<string, 'same' | 'different'>()
  await session.run('begin')
  try {
    await session.run(SETTINGS_STATEMENT)
    for (const fact of source.facts) {
      const other = there.get(factKey(fact))
      if (other === undefined || other.definition === fact.definition) continue
      const [ours, theirs] = [queriesOf(fact, other), queriesOf(other, other)]
      if (ours === undefined || theirs === undefined) continue
      const mine = await word(session, ours)
      const its = await word(session, theirs)
      if (mine === undefined || its === undefined) continue
      wordings.set(factKey(fact), mine === its ? 'same' : 'different')
    }
  } finally {
    await session.run('rollback')
  }
  return wordings
}

/** A definition as one query, and what of it is no query and must be equal as it is. */
interface Query {
  readonly query: string
  /** The table whose name goes behind the query. */
  readonly tableOid?: number
  readonly rest: string
}

const CHECK = /^CHECK \((?<expression>.*)\)(?<rest>(?: NO INHERIT| NOT VALID| NOT ENFORCED)*)$/s
const PARTIAL_INDEX = /^(?<rest>.*) WHERE (?<expression>\(.*\))$/s

/** `restored` tells the table's OID in the restored database. */
function queriesOf({ kind, definition }: SchemaFact, restored: SchemaFact): Query | undefined {
  switch (kind) {
    case 'view':
    case 'materialized view':
      return { query: definition.replace(/;\s*$/, ''), rest: '' }
    case 'default':
    case 'generation':
      return expressionOver(restored.tableOid, definition, '')
    case 'constraint':
    case 'index': {
      const found = (kind === 'index' ? PARTIAL_INDEX : CHECK).exec(definition)?.groups
      return expressionOver(restored.tableOid, found?.['expression'], found?.['rest'] ?? '')
    }
    default:
      return undefined
  }
}

function expressionOver(
  tableOid: number | undefined,
  expression: string | undefined,
  rest: string,
): Query | undefined {
  if (tableOid === undefined || expression === undefined) return undefined
  return { query: `select (${expression}) as value from only`, rest, tableOid }
}

const NAME = 'pg_temp."wording of pgsurety"'

/** Undefined when the server does not take it: it may need what is not there. */
async function word(
  session: PsqlSession,
  { query, tableOid, rest }: Query,
): Promise<string | undefined> {
  await session.run('savepoint wording')
  try {
    const table = tableOid === undefined ? '' : await tableName(session, tableOid)
    await session.run(`create temporary view ${NAME} as ${query} ${table}`)
    const row = await onlyRow(session, `select pg_get_viewdef('${NAME}'::regclass) as text`)
    return `${rest}\n${withFlatChains(textOf(row, 'text'))}`
  } catch (error) {
    if (isErrorKind(error, 'db-query')) return undefined
    throw error
  } finally {
    await session.run('rollback to savepoint wording')
  }
}

async function tableName(session: PsqlSession, oid: number): Promise<string> {
  return textOf(await onlyRow(session, `select ${oid}::oid::regclass::text as name`), 'name')
}
