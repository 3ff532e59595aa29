/** What makes a server word a part of a definition: something temporary, and the question how it reads. Pure. */
import type { SchemaFact } from '../format/fingerprint.ts'
import { sqlText } from '../postgres/quote.ts'
import type { Part, Scope } from './definition.ts'

export interface Probe {
  /** SQL whose value is the statement that makes it. */
  readonly statement: string
  /** The query for its text. */
  readonly question: string
}

/** In the temporary schema, whatever it is. */
export const TEMPORARY_NAME = 'pg_temp."wording of pgsurety"'

/** `restored`: the fact of the database in which it is asked, whose OIDs are that one's. */
export function probeOf(part: Part, restored: SchemaFact): Probe {
  switch (part.kind) {
    case 'query':
      return probeOfView(sqlText(part.text))
    case 'expression':
      return probeOfView(
        `${sqlText(`select (${part.text}) as value`)} || ${place(part.over, restored)}`,
      )
    case 'rule':
      return {
        statement: `'create temporary table ${TEMPORARY_NAME} (like ' || ${tableName(restored)} || ');' || ${sqlText(
          `${part.head}${TEMPORARY_NAME}${part.text}`,
        )}`,
        question: `select pg_get_ruledef(oid) from pg_rewrite where ev_class = '${TEMPORARY_NAME}'::regclass`,
      }
    case 'routine': {
      const name = `pg_temp.${part.name}`
      return {
        statement: sqlText(`create ${part.what} ${name}${part.head} language sql\n${part.text}`),
        question: `select pg_get_functiondef(${sqlText(name)}::regproc)`,
      }
    }
    case 'locale':
      return {
        statement: sqlText(
          `create collation ${TEMPORARY_NAME} (provider = icu, locale = ${sqlText(part.text)})`,
        ),
        // The column has another name since 17.
        question: `select coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)
from pg_collation c where oid = '${TEMPORARY_NAME}'::regcollation`,
      }
  }
}

const probeOfView = (query: string): Probe => ({
  statement: `'create temporary view ${TEMPORARY_NAME} as ' || ${query}`,
  question: `select pg_get_viewdef('${TEMPORARY_NAME}'::regclass)`,
})

const tableName = ({ oid, tableOid = oid }: SchemaFact): string =>
  `${tableOid ?? 0}::regclass::text`

/** SQL for what follows the expression. */
function place(scope: Scope, restored: SchemaFact): string {
  switch (scope) {
    case 'nothing':
      return "''"
    case 'table':
      return `' from only ' || ${tableName(restored)}`
    case 'old and new row':
      return `format(' from only %1$s as "old", only %1$s as "new"', ${tableName(restored)})`
    case 'published table':
      return `(select ' from only ' || prrelid::regclass from pg_publication_rel where oid = ${restored.oid ?? 0})`
    case 'domain value':
      return `(select format(' from (select null::%s as "value") as "domain"', format_type(t.typbasetype, t.typtypmod))
from pg_constraint k join pg_type t on t.oid = k.contypid where k.oid = ${restored.oid ?? 0})`
  }
}
