/** What a restore is asked for and what it meets there, and what a preflight says of it. Pure. */
import type { TocEntry } from '../../format/archive-toc.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { Needs } from './needs.ts'
import type { Selection } from './selection.ts'
import type { LocaleAnswer, RefusedSetting, TargetServer } from './target.ts'

export interface Wish {
  /** The name the database shall have. */
  readonly name: string
  /** `--replace`, if it was given. */
  readonly replace: string | undefined
  readonly owners: 'kept' | 'left-out'
  readonly privileges: 'kept' | 'left-out'
  /** `--role`. */
  readonly role: string | undefined
  /** Roles that `--globals` makes. */
  readonly rolesToCome: ReadonlySet<string>
}

export interface Situation {
  readonly source: DumpedDatabase
  readonly sourceMajor: number
  /** Of the pg_dump that made the archives, and of the pg_restore that reads them. */
  readonly clients: { readonly dump: string; readonly restore: string }
  readonly needs: Needs
  readonly selection: Selection
  readonly target: TargetServer
  readonly locale: LocaleAnswer
  /** Settings that the server does not let our user make. */
  readonly refusedSettings: readonly RefusedSetting[]
  readonly freeBytes: number | undefined
}

export function isThere(role: string, { rolesToCome }: Wish, { roles }: TargetServer): boolean {
  return roles.has(role) || rolesToCome.has(role)
}

export interface Finding {
  readonly severity: 'refused' | 'warning'
  readonly text: string
}

export function refused(text: string): Finding {
  return { severity: 'refused', text }
}

export function warning(text: string): Finding {
  return { severity: 'warning', text }
}

export function entryText({ kind, schema, tag }: TocEntry): string {
  return `${kind.toLowerCase()} '${schema === undefined ? '' : `${schema}.`}${tag}'`
}
