/** The settings under which two servers print the same value in the same way, whatever a role or a database has set. */
import { sqlText } from '../postgres/quote.ts'

/** Why each: values of these types, or the words of definitions, are printed differently under another setting. */
const FINGERPRINT_SETTINGS = {
  // Names in full.
  search_path: '',
  // Words that are reserved in one version only are quoted in both.
  quote_all_identifiers: 'on',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  // The shortest text that gives the same number back.
  extra_float_digits: '3',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  xmloption: 'content',
  lc_monetary: 'C',
  // Who may not see all rows gets an error instead of some of them.
  row_security: 'off',
  // As pg_dump does: nothing that somebody prepared is run by mistake.
  restrict_nonsystem_relation_kind: 'view, foreign-table',
  statement_timeout: '0',
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  // For queries that nobody waits for.
  max_parallel_workers_per_gather: '0',
  jit: 'off',
} as const

/** For a session in a transaction, until its end: those that the server knows. */
export const SETTINGS_STATEMENTS: readonly string[] = [
  "set local search_path = ''",
  `select pg_catalog.set_config(wanted.name, wanted.value, true)
from (values ${Object.entries(FINGERPRINT_SETTINGS)
    .map(([name, value]) => `(${sqlText(name)}, ${sqlText(value)})`)
    .join(', ')}) wanted (name, value)
join pg_catalog.pg_settings known on pg_catalog.lower(known.name) = pg_catalog.lower(wanted.name)`,
]
