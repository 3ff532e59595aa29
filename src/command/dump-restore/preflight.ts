/** What stands against a restore, or must be known before it: all of it at once, before anything is made. Pure. */
import { formatSize } from '../../base/units.ts'
import type { TocEntry } from '../../format/archive-toc.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { Deviations } from './database-sql.ts'
import { NAME_BYTES_MAX } from './names.ts'
import type { Needs } from './needs.ts'
import type { Selection } from './selection.ts'
import type { LocaleAnswer, TargetServer } from './target.ts'

export interface Finding {
  readonly severity: 'refused' | 'warning'
  readonly text: string
}

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
  readonly freeBytes: number | undefined
}

export function findings(wish: Wish, situation: Situation): readonly Finding[] {
  return [
    ...versionFindings(situation),
    ...nameFindings(wish, situation.target),
    ...roleFindings(wish, situation),
    ...extensionFindings(situation),
    ...localeFindings(situation),
    ...tablespaceFindings(situation),
    ...roomFindings(situation),
    ...lockFindings(situation),
    ...selectionFindings(situation.selection),
  ]
}

/** What the restored database will not have as the source had it. */
export function deviationsFor(wish: Wish, { source, target }: Situation): Deviations {
  const { owner, tablespace, grants, settings } = source.definition
  const named = [
    ...(grants ?? []).map(({ grantee }) => grantee),
    ...settings.map(({ role }) => role),
  ]
  const missing = named.filter(
    (role): role is string => role !== null && role !== 'public' && !isThere(role, wish, target),
  )
  return {
    // Who owns all that is in it must be able to make it: schema public is for the database's owner.
    owner: wish.owners === 'kept' ? owner : wish.role,
    tablespace: target.tablespaces.has(tablespace) ? tablespace : undefined,
    privileges: wish.privileges,
    missingRoles: new Set(missing),
  }
}

function isThere(role: string, { rolesToCome }: Wish, { roles }: TargetServer): boolean {
  return roles.has(role) || rolesToCome.has(role)
}

function refused(text: string): Finding {
  return { severity: 'refused', text }
}

function warning(text: string): Finding {
  return { severity: 'warning', text }
}

function majorOf(version: string): number {
  return Number.parseInt(version, 10)
}

function versionFindings({ sourceMajor, clients, target }: Situation): Finding[] {
  const found: Finding[] = []
  if (target.major < sourceMajor) {
    found.push(
      refused(
        `the server is PostgreSQL ${target.version}, older than the ${sourceMajor} the dump is from; restore to ${sourceMajor} or newer`,
      ),
    )
  }
  if (majorOf(clients.restore) < majorOf(clients.dump)) {
    found.push(
      refused(
        `pg_restore ${clients.restore} is older than the pg_dump ${clients.dump} of this dump set; install ${majorOf(clients.dump)} or newer (pg-client-path)`,
      ),
    )
  }
  if (majorOf(clients.dump) > target.major) {
    found.push(
      warning(
        `the dump was made by pg_dump ${clients.dump}: PostgreSQL ${target.version} may not understand all of it`,
      ),
    )
  }
  if (target.inRecovery) found.push(refused('the server is a standby: it takes no new databases'))
  return found
}

function nameFindings({ name, replace }: Wish, target: TargetServer): Finding[] {
  const found: Finding[] = []
  const existing = target.databases.get(name)
  if (Buffer.byteLength(name) > NAME_BYTES_MAX) {
    found.push(refused(`the name '${name}' has more than ${NAME_BYTES_MAX} bytes`))
  }
  if (replace === undefined && existing !== undefined) {
    found.push(
      refused(
        `database '${name}' exists; give another name (--to-database) or say that it goes (--replace='${name}')`,
      ),
    )
  }
  if (replace === undefined) return found
  if (replace !== name) {
    found.push(refused(`--replace names '${replace}', but the database to restore to is '${name}'`))
  } else if (existing === undefined) {
    found.push(refused(`--replace names '${name}', which does not exist`))
  } else if (name === target.database) {
    found.push(
      refused(
        `'${name}' is the database this session is in; connect to another one (pg1-database)`,
      ),
    )
  } else if (existing.subscriptions.length > 0) {
    found.push(
      refused(
        `'${name}' has subscriptions and cannot be dropped: ${existing.subscriptions.join(', ')}`,
      ),
    )
  } else if (existing.sessions.length > 0) {
    found.push(refused(`others are connected to '${name}': ${existing.sessions.join(', ')}`))
  }
  return found
}

function roleFindings(wish: Wish, { source, needs, target }: Situation): Finding[] {
  const found: Finding[] = []
  const missing = (names: Iterable<string>): string[] =>
    [...names].filter((role) => !isThere(role, wish, target)).toSorted()
  if (!target.mayCreateDatabases) {
    found.push(refused(`user '${target.user}' may not create databases (alter role … createdb)`))
  }
  if (wish.role !== undefined && target.roles.get(wish.role) !== true) {
    found.push(refused(`user '${target.user}' may not act as role '${wish.role}' (--role)`))
  }
  if (wish.owners === 'kept') {
    const owners = [source.definition.owner, ...needs.owners.keys()]
    const absent = missing(new Set(owners))
    if (absent.length > 0) {
      found.push(
        refused(
          `${rolesText(absent)} that own objects are not there; --globals makes them, --no-owner does without`,
        ),
      )
    }
    const notOurs = [...new Set(owners)]
      .filter((role) => target.roles.get(role) === false)
      .toSorted()
    if (notOurs.length > 0) {
      found.push(
        refused(
          `user '${target.user}' may not give objects to ${rolesText(notOurs)}; be a member of them, or use --no-owner`,
        ),
      )
    }
  }
  if (wish.privileges === 'kept') {
    const absent = missing(needs.grantees)
    if (absent.length > 0) {
      found.push(
        refused(
          `${rolesText(absent)} named in grants are not there; --globals makes them, --no-privileges does without`,
        ),
      )
    }
  }
  const absent = missing(needs.mentioned)
  if (absent.length > 0) {
    found.push(
      refused(
        `${rolesText(absent)} named in policies or user mappings are not there; --globals makes them`,
      ),
    )
  }
  return found
}

function rolesText(names: readonly string[]): string {
  return `${names.length === 1 ? 'role' : 'roles'} ${names.map((name) => `'${name}'`).join(', ')}`
}

function extensionFindings({ needs, target }: Situation): Finding[] {
  const found: Finding[] = []
  for (const name of [...needs.extensions].toSorted()) {
    const available = target.extensions.get(name)
    if (available === undefined) {
      found.push(refused(`extension '${name}' is not installed on the server's host`))
    } else if (available.needsSuperuser && !target.isSuperuser) {
      found.push(
        refused(
          `extension '${name}' can only be made by a superuser, and '${target.user}' is none`,
        ),
      )
    }
  }
  return found
}

function localeFindings({ source, locale }: Situation): Finding[] {
  const { collate, locale: ownLocale, collationVersion } = source.definition
  if (locale.problem !== undefined) {
    return [
      refused(`the server does not know the locale '${ownLocale ?? collate}': ${locale.problem}`),
    ]
  }
  if (
    collationVersion === null ||
    locale.version === undefined ||
    locale.version === collationVersion
  )
    return []
  return [
    warning(
      `locale '${ownLocale ?? collate}' has version ${locale.version} here and ${collationVersion} at the source: texts may sort differently; every index is built anew, what depends on order by itself (ranges, partition bounds) is worth a look`,
    ),
  ]
}

function tablespaceFindings({ source, needs, target }: Situation): Finding[] {
  const missing = [...new Set([source.definition.tablespace, ...needs.tablespaces])]
    .filter((name) => !target.tablespaces.has(name))
    .toSorted()
  if (missing.length === 0) return []
  const shown = missing.map((name) => `'${name}'`).join(', ')
  return [
    warning(`tablespace ${shown} is not there: everything goes to the database's own tablespace`),
  ]
}

/** Data and indexes of the source are a good estimate: bloat goes, WAL comes. */
function roomFindings({ source, selection, freeBytes, target }: Situation): Finding[] {
  if (selection.extent === 'some') return []
  const need = formatSize(source.sizeBytes)
  if (freeBytes === undefined) {
    return [warning(`could not tell whether there is room: about ${need} are needed`)]
  }
  if (freeBytes >= source.sizeBytes) return []
  return [
    refused(
      `about ${need} are needed, and at '${target.dataDirectory ?? ''}' there are ${formatSize(freeBytes)} left`,
    ),
  ]
}

/** pg_restore locks little at a time; the comparison reads everything in one transaction. */
function lockFindings({ needs, target }: Situation): Finding[] {
  if (needs.relations < target.lockSlots) return []
  return [
    warning(
      `to compare ${needs.relations} tables and indexes at once the server has ${target.lockSlots} locks: raise max_locks_per_transaction, or use --no-prove`,
    ),
  ]
}

function selectionFindings({ unknown, leftOut }: Selection): Finding[] {
  return [
    ...unknown.map((what) => refused(`${what} is not in the dump`)),
    ...leftOut.map(({ entry, needs, askedFor }) => {
      const text = `${entryText(entry)} needs ${entryText(needs)}, which is not selected`
      return askedFor === 'by-name' ? refused(text) : warning(`${text}: left out`)
    }),
  ]
}

function entryText({ kind, schema, tag }: TocEntry): string {
  return `${kind.toLowerCase()} '${schema === undefined ? '' : `${schema}.`}${tag}'`
}
