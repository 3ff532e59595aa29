/**
 * The roles of a dump set at a server that may have some of them already. What is there is left as it is: a restore must not
 * change the password or the rights of somebody who works there.
 */

export interface GlobalsPlan {
  /** Statements that make roles, and say what they may. */
  readonly statements: readonly string[]
  readonly newRoles: ReadonlySet<string>
  /** What is not done, for people. */
  readonly leftOut: readonly string[]
}

export interface GlobalsTarget {
  readonly isSuperuser: boolean
  /** Those that are there. */
  readonly roles: Pick<ReadonlySet<string>, 'has'>
}

/** `script` as pg_dumpall writes it. Pure. */
export function planGlobals(script: string, target: GlobalsTarget): GlobalsPlan {
  const newRoles = new Set<string>()
  const leftOut = new Set<string>()
  const statements: string[] = []
  for (const statement of statementsOf(script)) {
    const [verb, what, subject] = wordsOf(statement)
    const ofRole = what === 'ROLE' && (verb === 'CREATE' || verb === 'ALTER')
    const role = ofRole ? subject : roleConcerned(statement)
    if (role === undefined) {
      if (what === 'TABLESPACE') leftOut.add(NO_TABLESPACES)
      continue
    }
    if (ofRole && verb === 'CREATE' && !target.roles.has(role)) newRoles.add(role)
    if (newRoles.has(role)) statements.push(withoutUsual(statement))
    else leftOut.add(`role '${role}' is there and stays as it is`)
  }
  const plan = { statements, newRoles, leftOut: [...leftOut] }
  return target.isSuperuser ? plan : withoutGrantors(plan)
}

function withoutGrantors(plan: GlobalsPlan): GlobalsPlan {
  const { statements, leftOut } = plan
  if (!statements.some((statement) => GRANTOR.test(statement))) return plan
  return {
    ...plan,
    statements: statements.map((statement) => statement.replace(GRANTOR, '')),
    leftOut: [...leftOut, NO_GRANTORS],
  }
}

const NO_GRANTORS = 'memberships are granted by this user: only a superuser may name another one'
const NO_TABLESPACES = "tablespaces are not made: their directories are this host's"

const GRANTOR = / GRANTED BY (?:"(?:[^"]|"")*"|[\w$]+)$/

const ATTRIBUTES =
  /^(?<head>ALTER ROLE (?:"(?:[^"]|"")*"|[\w$]+) WITH)(?<words>(?: (?:NO)?(?:SUPERUSER|INHERIT|CREATEROLE|CREATEDB|LOGIN|REPLICATION|BYPASSRLS))+)/
const USUAL_ATTRIBUTES = /^(?:INHERIT|NO(?!INHERIT).*)$/

/** Without the attributes that every new role has: to say even `NOSUPERUSER` takes a superuser. */
function withoutUsual(statement: string): string {
  return statement.replace(ATTRIBUTES, (_all, head: string, words: string) => {
    const left = words.split(' ').filter((word) => word !== '' && !USUAL_ATTRIBUTES.test(word))
    return [head, ...left].join(' ')
  })
}

const NAME = /"(?:[^"]|"")*"|[\w$]+/g

function wordsOf(statement: string): readonly string[] {
  return (statement.match(NAME) ?? []).slice(0, 3).map(plain)
}

/** The member of a membership, or the role of a comment or label. */
function roleConcerned(statement: string): string | undefined {
  const name = String.raw`("(?:[^"]|"")*"|[\w$]+)`
  const patterns = [
    new RegExp(String.raw`^GRANT ${name} TO (?<role>${name})(?: |$)`),
    new RegExp(String.raw`^(?:COMMENT|SECURITY LABEL)\b.*? ?ON ROLE (?<role>${name}) `),
  ]
  for (const pattern of patterns) {
    const role = pattern.exec(statement)?.groups?.['role']
    if (role !== undefined) return plain(role)
  }
  return undefined
}

function plain(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token
}

/** Without comments, and without psql's own commands (`\restrict`, `\connect`), which stand on lines of their own. */
function statementsOf(script: string): readonly string[] {
  const token =
    /\s+|--[^\n]*|^\\[^\n]*|"(?:[^"]|"")*"|[eE]'(?:[^'\\]|\\[^]|'')*'|'(?:[^']|'')*'|;|[^\s"';]+/gm
  const statements: string[] = []
  let statement = ''
  for (const [text] of script.matchAll(token)) {
    if (text === ';') {
      statements.push(statement.trim())
      statement = ''
    } else if (!text.startsWith('--') && !(text.startsWith('\\') && statement.trim() === '')) {
      statement += text
    }
  }
  return statements
}
