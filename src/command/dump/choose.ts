/** Which databases of a server go into a dump set, and why the others do not. */
import { AppError } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'

export interface FoundDatabase {
  readonly name: string
  readonly oid: number
  /** 0 when this user may not ask. */
  readonly sizeBytes: number
  readonly isTemplate: boolean
  /** Undefined: it can be dumped. */
  readonly closedBecause: string | undefined
}

export interface Asked {
  /** Names, or patterns with `*` and `?`; empty: all. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

export interface Skipped {
  readonly name: string
  readonly reason: string
}

export interface Choice {
  readonly chosen: readonly FoundDatabase[]
  readonly skipped: readonly Skipped[]
  /** Wanted, and not to be had. */
  readonly closed: readonly Skipped[]
  /** Patterns of `exclude` that fit nothing. */
  readonly idle: readonly string[]
}

/** Throws `db-missing` when something that was asked for is not there, or nothing is left: that must not look like a complete set. */
export function chooseDatabases(found: readonly FoundDatabase[], asked: Asked): Choice {
  const missing = asked.include.filter((pattern) => !found.some(({ name }) => fits(name, pattern)))
  if (missing.length > 0) {
    const names = missing.map((pattern) => `'${toOneLine(pattern)}'`).join(', ')
    throw new AppError('db-missing', `no database is called ${names}`, {
      hint: `There are: ${found.map(({ name }) => `'${toOneLine(name)}'`).join(', ')}.`,
    })
  }
  const chosen: FoundDatabase[] = []
  const skipped: Skipped[] = []
  const closed: Skipped[] = []
  for (const database of found) {
    const { name, closedBecause } = database
    const reason = reasonAgainst(database, asked)
    if (reason !== undefined) skipped.push({ name, reason })
    else if (closedBecause !== undefined) closed.push({ name, reason: closedBecause })
    else chosen.push(database)
  }
  if (asked.include.length + asked.exclude.length > 0 && chosen.length + closed.length === 0) {
    throw new AppError('db-missing', 'no database is left to dump', {
      hint: skipped.map(({ name, reason }) => `'${toOneLine(name)}': ${reason}`),
    })
  }
  const idle = asked.exclude.filter((pattern) => !found.some(({ name }) => fits(name, pattern)))
  return { chosen, skipped, closed, idle }
}

function reasonAgainst(
  { name, isTemplate }: FoundDatabase,
  { include, exclude }: Asked,
): string | undefined {
  // A template is meant only when it is named.
  if (isTemplate && !include.includes(name)) return 'a template'
  if (include.length > 0 && !include.some((pattern) => fits(name, pattern))) return 'not included'
  return exclude.some((pattern) => fits(name, pattern)) ? 'excluded' : undefined
}

/** `*` stands for any characters, `?` for one. Every name fits itself. */
function fits(name: string, pattern: string): boolean {
  if (name === pattern) return true
  const source = pattern.replaceAll(
    /[^*?]/gu,
    (sign) => `\\u{${sign.codePointAt(0)?.toString(16)}}`,
  )
  return new RegExp(`^${source.replaceAll('*', '[^]*').replaceAll('?', '[^]')}$`, 'u').test(name)
}

/** The beginning of a database's object names. Names are secrets where the repository is encrypted. */
export function objectPrefix(index: number, name: string, secrecy: 'shown' | 'hidden'): string {
  const number = String(index + 1).padStart(4, '0')
  return secrecy === 'hidden' ? number : `${number}-${name.replaceAll(/\W/g, '_').slice(0, 40)}`
}

/** Whether a file of a dump set is called as the objects of databases are. */
export function isObjectName(name: string): boolean {
  return /^\d{4,}[-.]/.test(name)
}
