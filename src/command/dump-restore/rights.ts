/** What the user who restores may not do. Pure. */
import {
  entryText,
  type Finding,
  isThere,
  refused,
  type Situation,
  warning,
  type Wish,
} from './situation.ts'
import type { TargetServer } from './target.ts'

export function roleFindings(wish: Wish, situation: Situation): Finding[] {
  const { target, needs } = situation
  const found: Finding[] = []
  if (!target.mayCreateDatabases) {
    found.push(refused(`user '${target.user}' may not create databases (alter role … createdb)`))
  }
  if (wish.role !== undefined && target.roles.get(wish.role) !== true) {
    found.push(refused(`user '${target.user}' may not act as role '${wish.role}' (--role)`))
  }
  if (wish.owners === 'kept') found.push(...ownerFindings(wish, situation))
  if (wish.privileges === 'kept') found.push(...privilegeFindings(wish, situation))
  return [
    ...found,
    ...refusedFor(
      absent(needs.mentioned, wish, target),
      (roles) => `${roles} named in policies or user mappings are not there; --globals makes them`,
    ),
  ]
}

function ownerFindings(wish: Wish, { source, needs, target }: Situation): Finding[] {
  const owners = new Set([source.definition.owner, ...needs.owners])
  return [
    ...refusedFor(
      absent(owners, wish, target),
      (roles) =>
        `${roles} that own objects are not there; --globals makes them, --no-owner does without`,
    ),
    ...refusedFor(
      notOurs(owners, wish, target),
      (roles) =>
        `user '${target.user}' may not give objects to ${roles}; be a member of them that inherits their rights, or use --no-owner`,
    ),
  ]
}

function privilegeFindings(wish: Wish, { needs, target }: Situation): Finding[] {
  return [
    ...refusedFor(
      absent(needs.grantees, wish, target),
      (roles) =>
        `${roles} named in grants are not there; --globals makes them, --no-privileges does without`,
    ),
    ...refusedFor(
      notOurs(needs.defaulting, wish, target),
      (roles) =>
        `user '${target.user}' may not set default privileges of ${roles}; be a member of them that inherits their rights, or use --no-privileges`,
    ),
  ]
}

function refusedFor(roles: readonly string[], text: (roles: string) => string): Finding[] {
  if (roles.length === 0) return []
  const names = roles.map((name) => `'${name}'`).join(', ')
  return [refused(text(`${roles.length === 1 ? 'role' : 'roles'} ${names}`))]
}

function absent(roles: ReadonlySet<string>, wish: Wish, target: TargetServer): readonly string[] {
  return [...roles].filter((role) => !isThere(role, wish, target)).toSorted()
}

/** Those that are not there are not counted. */
function notOurs(roles: ReadonlySet<string>, wish: Wish, target: TargetServer): readonly string[] {
  return [...roles]
    .filter((role) =>
      wish.rolesToCome.has(role)
        ? target.newRolesAre === 'not-ours'
        : target.roles.get(role) === false,
    )
    .toSorted()
}

/** It goes on: servers that others run for us may allow more. */
export function superuserFindings({ needs, target }: Situation): Finding[] {
  if (target.isSuperuser || needs.ofSuperusers.length === 0) return []
  const shown = needs.ofSuperusers.slice(0, SHOWN_MAX).map(entryText).join(', ')
  const more = needs.ofSuperusers.length - SHOWN_MAX
  return [
    warning(
      `PostgreSQL lets only superusers make this, and '${target.user}' is none: ${shown}${more > 0 ? ` and ${more} more` : ''}; with errors the database keeps its working name`,
    ),
  ]
}

export function settingFindings({ refusedSettings }: Situation): Finding[] {
  return refusedSettings.map(({ setting: { role, name }, problem }) =>
    warning(
      `setting '${name}' of ${role === null ? 'the database' : `role '${role}' in it`} is left out: ${problem}`,
    ),
  )
}

const SHOWN_MAX = 10
