/** Pieces of the queries about catalogs. They are for a session with an empty search_path: `pg_catalog` is found first. */
import { sqlName } from '../postgres/quote.ts'

/** What the system brings is not the database's. */
export const ofUser = (schemaName: string): string =>
  `${schemaName} !~ '^pg_' and ${schemaName} <> 'information_schema'`

/** Schemas of temporary objects: of sessions, not of the database. `text` is SQL for a schema's name, also a quoted one. */
export const isTemporary = (text: string): string => `${text} ~ '^"?pg_temp(_[0-9]+)?"?$'`

/** An extension's fact stands for all that came with it. */
export const notOfExtension = (catalog: string, oid: string): string =>
  `not exists (select from pg_depend e where e.classid = '${catalog}'::regclass and e.objid = ${oid} and e.deptype = 'e')`

/** What another object made for itself is that one's: the constructors of a range, its cast to a multirange. */
export const notInternal = (catalog: string, oid: string): string =>
  `not exists (select from pg_depend i where i.classid = '${catalog}'::regclass and i.objid = ${oid} and i.deptype = 'i')`

/** Name in full, as `pg_identify_object` writes it: the same in every version. */
export const identity = (catalog: string, oid: string, column = '0'): string =>
  `(pg_identify_object('${catalog}'::regclass, ${oid}, ${column})).identity`

/** The same with what it is: `function app.add(integer)`. */
export const typedIdentity = (catalog: string, oid: string, column = '0'): string =>
  `(select o.type || ' ' || o.identity from pg_identify_object(${catalog}, ${oid}, ${column}) o)`

/** A column that older versions do not have: null there. `row` is the alias of the catalog. */
export const ifKnown = (row: string, column: string): string => `(to_jsonb(${row}) ->> '${column}')`

/** Elements in an order that does not depend on who wrote them when. */
export const sorted = (array: string): string =>
  `(select string_agg(x, ', ' order by x collate "C") from unnest(${array}) x)`

/** What may be secret is compared without being told. */
export const digestOf = (options: string): string =>
  `encode(sha256(convert_to(${sorted(options)}, 'UTF8')), 'hex')`

/** Stands for options that the user who asked may not see. Nothing is equal to it, not even itself. */
export const UNREADABLE = 'options not readable'

/** Parts that are there, in one line. */
export const parts = (...each: readonly string[]): string => `concat_ws('; ', ${each.join(', ')})`

/** `words` when `condition` holds, else nothing. */
export const when = (condition: string, words: string): string =>
  `case when ${condition} then ${words} end`

/** `label` and a value, when there is one. */
export const labelled = (label: string, value: string): string => `'${label} ' || ${value}`

/** A name as SQL takes it. */
export function quoted(...names: readonly string[]): string {
  return names.map(sqlName).join('.')
}

/** A name as people write it: quoted only where SQL needs it. */
export function readable(text: string): string {
  return text.replaceAll(/"(?:[^"]|"")*"/g, (name) =>
    /^"[a-z_][a-z0-9_$]*"$/.test(name) ? name.slice(1, -1) : name,
  )
}
