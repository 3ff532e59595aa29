/** What an archive's entries need of the server they are restored to. Pure. */
import type { TocEntry } from '../../format/archive-toc.ts'

export interface Needs {
  /** Role → how many objects it owns. */
  readonly owners: ReadonlyMap<string, number>
  /** Roles that are named in grants and default privileges. */
  readonly grantees: ReadonlySet<string>
  /** Roles without which policies and user mappings cannot be made. */
  readonly mentioned: ReadonlySet<string>
  readonly extensions: ReadonlySet<string>
  readonly tablespaces: ReadonlySet<string>
  /** Tables and indexes: who reads all of them in one transaction locks as many. */
  readonly relations: number
}

export function needsOf(entries: readonly TocEntry[]): Needs {
  const owners = new Map<string, number>()
  const grantees = new Set<string>()
  const mentioned = new Set<string>()
  const extensions = new Set<string>()
  const tablespaces = new Set<string>()
  let relations = 0
  for (const { kind, tag, owner, tablespace, definition } of entries) {
    if (isOfDatabase(kind, tag)) continue
    if (owner !== undefined) owners.set(owner, (owners.get(owner) ?? 0) + 1)
    if (tablespace !== undefined) tablespaces.add(tablespace)
    if (RELATIONS.has(kind)) relations += 1
    if (kind === 'EXTENSION') extensions.add(tag)
    if (GRANTING.has(kind)) addAll(grantees, rolesIn(definition))
    if (MENTIONING.has(kind)) addAll(mentioned, rolesIn(beforeConditions(definition)))
  }
  return { owners, grantees, mentioned, extensions, tablespaces, relations }
}

const GRANTING: ReadonlySet<string> = new Set(['ACL', 'DEFAULT ACL'])
const MENTIONING: ReadonlySet<string> = new Set(['POLICY', 'USER MAPPING'])

/** pg_restore leaves these out; the database is made by `database-sql.ts`. */
function isOfDatabase(kind: string, tag: string): boolean {
  return kind === 'DATABASE' || kind === 'DATABASE PROPERTIES' || tag.startsWith('DATABASE ')
}

/** A constraint mostly has an index. */
const RELATIONS: ReadonlySet<string> = new Set(['TABLE', 'INDEX', 'CONSTRAINT', 'SEQUENCE'])

function addAll(set: Set<string>, names: Iterable<string>): void {
  for (const name of names) set.add(name)
}

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
