/** What stands against a restore, or must be known before it: all of it at once, before anything is made. Pure. */
import { formatSize } from '../../base/units.ts'
import type { Deviations } from './database-sql.ts'
import { NAME_BYTES_MAX } from './names.ts'
import { roleFindings, settingFindings, superuserFindings } from './rights.ts'
import type { Selection } from './selection.ts'
import {
  entryText,
  type Finding,
  isThere,
  refused,
  type Situation,
  warning,
  type Wish,
} from './situation.ts'
import { DEFAULT_TABLESPACE, type TargetServer } from './target.ts'

export function findings(wish: Wish, situation: Situation): readonly Finding[] {
  return [
    ...versionFindings(situation),
    ...nameFindings(wish, situation.target),
    ...roleFindings(wish, situation),
    ...superuserFindings(situation),
    ...settingFindings(situation),
    ...extensionFindings(situation),
    ...localeFindings(situation),
    ...tablespaceFindings(situation),
    ...roomFindings(situation),
    ...lockFindings(situation),
    ...selectionFindings(situation.selection),
  ]
}

/** What the restored database will not have as the source had it. */
export function deviationsFor(
  wish: Wish,
  { source, target, refusedSettings }: Situation,
): Deviations {
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
    tablespace: isNamed(tablespace, target) ? tablespace : undefined,
    privileges: wish.privileges,
    missingRoles: new Set(missing),
    refusedSettings: refusedSettings.map(({ setting }) => setting),
  }
}

/** To name the usual one takes a right that nobody has who is no superuser. */
function isNamed(tablespace: string, { tablespaces }: TargetServer): boolean {
  return tablespace !== DEFAULT_TABLESPACE && tablespaces.has(tablespace)
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
  } else if (target.roles.get(existing.owner) === false) {
    found.push(
      refused(
        `database '${name}' belongs to '${existing.owner}', and user '${target.user}' may not drop it`,
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
    warning(
      `tablespace ${shown} is not there, or not for '${target.user}': everything goes to the database's own tablespace`,
    ),
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
