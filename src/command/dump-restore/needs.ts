/** What an archive's entries need of the server they are restored to. Pure. */
import type { TocEntry } from '../../format/archive-toc.ts'

export interface Needs {
  /** Roles that own objects. */
  readonly owners: ReadonlySet<string>
  /** Roles that are named in grants and default privileges. */
  readonly grantees: ReadonlySet<string>
  /** Roles whose default privileges are set. */
  readonly defaulting: ReadonlySet<string>
  /** Roles without which policies and user mappings cannot be made. */
  readonly mentioned: ReadonlySet<string>
  readonly extensions: ReadonlySet<string>
  readonly tablespaces: ReadonlySet<string>
  /** Tables and indexes: who reads all of them in one transaction locks as many. */
  readonly relations: number
  /** What PostgreSQL lets only superusers make; extensions say that themselves. */
  readonly ofSuperusers: readonly TocEntry[]
}

export function needsOf(entries: readonly TocEntry[]): Needs {
  const own = entries.filter(({ kind, tag }) => !isOfDatabase(kind, tag))
  const of = (kinds: ReadonlySet<string>): readonly TocEntry[] =>
    own.filter(({ kind }) => kinds.has(kind))
  return {
    owners: setOf(own.filter(({ kind }) => !OF_OTHERS.has(kind)).map(({ owner }) => owner)),
    grantees: setOf(of(GRANTING).flatMap(({ definition }) => rolesIn(definition))),
    defaulting: setOf(of(DEFAULTING).map(({ owner }) => owner)),
    mentioned: setOf(
      of(MENTIONING).flatMap(({ definition }) => rolesIn(beforeConditions(definition))),
    ),
    extensions: setOf(of(EXTENSIONS).map(({ tag }) => tag)),
    tablespaces: setOf(own.map(({ tablespace }) => tablespace)),
    relations: of(RELATIONS).length,
    ofSuperusers: own.filter(isOfSuperusers),
  }
}

function setOf(names: readonly (string | undefined)[]): ReadonlySet<string> {
  return new Set(names.filter((name) => name !== undefined))
}

/** Said of roles, or of objects that have an entry of their own, or that every database has: schema `public` belongs to nobody's role. */
const OF_OTHERS: ReadonlySet<string> = new Set(['ACL', 'COMMENT', 'DEFAULT ACL', 'SECURITY LABEL'])
const DEFAULTING: ReadonlySet<string> = new Set(['DEFAULT ACL'])
const EXTENSIONS: ReadonlySet<string> = new Set(['EXTENSION'])
const GRANTING: ReadonlySet<string> = new Set(['ACL', 'DEFAULT ACL'])
const MENTIONING: ReadonlySet<string> = new Set(['POLICY', 'USER MAPPING'])

/** pg_restore leaves these out; the database is made by `database-sql.ts`. */
function isOfDatabase(kind: string, tag: string): boolean {
  return kind === 'DATABASE' || kind === 'DATABASE PROPERTIES' || tag.startsWith('DATABASE ')
}

const SUPERUSER_KINDS: ReadonlySet<string> = new Set([
  'ACCESS METHOD',
  'EVENT TRIGGER',
  'FOREIGN DATA WRAPPER',
  'OPERATOR CLASS',
  'OPERATOR FAMILY',
  'PROCEDURAL LANGUAGE',
  'PUBLICATION TABLES IN SCHEMA',
  'SHELL TYPE',
  'SUBSCRIPTION',
  'TEXT SEARCH PARSER',
  'TEXT SEARCH TEMPLATE',
])

/** By what pg_dump writes, and before anything that a user wrote. */
const SUPERUSER_WORDS: ReadonlyMap<string, RegExp> = new Map([
  ['ACL', /^SET SESSION AUTHORIZATION /m],
  ['AGGREGATE', /^ +STYPE = "?internal"?,?$/m],
  ['CAST', /\bWITHOUT FUNCTION\b/],
  ['FUNCTION', /^[^$]*?\n +LANGUAGE (?:"?(?:c|internal)"?[ \n]|[^\n]*\b(?:LEAKPROOF|SUPPORT)\b)/],
  ['PUBLICATION', /\bFOR ALL TABLES\b/],
  ['TYPE', /^CREATE TYPE [^\n]*\(\n +INTERNALLENGTH = /],
])

function isOfSuperusers({ kind, definition }: TocEntry): boolean {
  return SUPERUSER_KINDS.has(kind) || SUPERUSER_WORDS.get(kind)?.test(definition) === true
}

/** A constraint mostly has an index. */
const RELATIONS: ReadonlySet<string> = new Set(['TABLE', 'INDEX', 'CONSTRAINT', 'SEQUENCE'])

const TOKEN = /"(?:[^"]|"")*"|'(?:[^']|'')*'|[\w$]+|\S/g
const NO_ROLES: ReadonlySet<string> = new Set([
  'PUBLIC',
  'CURRENT_USER',
  'CURRENT_ROLE',
  'SESSION_USER',
])

/** The conditions of a policy are SQL of its owner, where anything may stand. */
function beforeConditions(definition: string): string {
  const tokens = definition.match(TOKEN) ?? []
  const end = tokens.findIndex((token) => token === 'USING' || token === 'WITH')
  return (end < 0 ? tokens : tokens.slice(0, end)).join(' ')
}

/** Names behind TO, FROM, FOR, and FOR ROLE. pg_dump quotes every name that is a reserved word, so these are none. */
function rolesIn(sql: string): readonly string[] {
  const roles: string[] = []
  const tokens = sql.match(TOKEN) ?? []
  for (const [index, token] of tokens.entries()) {
    if (
      !['TO', 'FROM', 'ROLE'].includes(token) &&
      !(token === 'FOR' && tokens[index - 1] === 'MAPPING')
    ) {
      continue
    }
    for (let at = index + 1; ; at += 2) {
      const name = tokens[at]
      if (name !== undefined && !isNoRole(name)) roles.push(plainName(name))
      if (tokens[at + 1] !== ',') break
    }
  }
  return roles
}

/** PUBLIC is that in quotes, too. */
function isNoRole(token: string): boolean {
  return NO_ROLES.has(token.toUpperCase()) || plainName(token) === 'public'
}

function plainName(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token
}
