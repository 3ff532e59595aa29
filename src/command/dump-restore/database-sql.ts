/** SQL that makes a database like the one that was dumped. Pure. */
import { AppError } from '../../base/error.ts'
import type { DatabaseDefinition, DatabaseSetting } from '../../format/dump-manifest.ts'
import { sqlName, sqlText } from '../../postgres/quote.ts'

/** Deviations from the source that were decided, and said, before. */
export interface Deviations {
  /** `undefined`: whoever restores. */
  readonly owner: string | undefined
  /** `undefined`: the server's default. */
  readonly tablespace: string | undefined
  readonly privileges: 'kept' | 'left-out'
  /** Roles that are not there: grants to them and settings of theirs are left out. */
  readonly missingRoles: ReadonlySet<string>
  readonly refusedSettings: readonly DatabaseSetting[]
}

const PROVIDER_SINCE_MAJOR = 15
const ICU_RULES_SINCE_MAJOR = 16
const BUILTIN_SINCE_MAJOR = 17

/** Closed at first, which tells a new one from all others. For a server of version `major`. Throws `version-not-supported` for what it cannot have. */
export function createDatabaseSql(
  name: string,
  definition: DatabaseDefinition,
  { major, deviations }: { readonly major: number; readonly deviations: Deviations },
): string {
  const { owner, tablespace } = deviations
  return [
    `create database ${sqlName(name)} template template0`,
    `encoding ${sqlText(definition.encoding)}`,
    ...localeSql(definition, major),
    ...(owner === undefined ? [] : [`owner ${sqlName(owner)}`]),
    ...(tablespace === undefined ? [] : [`tablespace ${sqlName(tablespace)}`]),
    'allow_connections false',
  ].join(' ')
}

function localeSql(definition: DatabaseDefinition, major: number): readonly string[] {
  const { localeProvider, collate, ctype, locale, icuRules } = definition
  const sql = [`lc_collate ${sqlText(collate)}`, `lc_ctype ${sqlText(ctype)}`]
  if (localeProvider === 'libc')
    return major < PROVIDER_SINCE_MAJOR ? sql : ['locale_provider libc', ...sql]
  const since = localeProvider === 'builtin' ? BUILTIN_SINCE_MAJOR : PROVIDER_SINCE_MAJOR
  if (major < since) {
    throw new AppError(
      'version-not-supported',
      `PostgreSQL ${major} has no databases with locale provider '${localeProvider}'`,
    )
  }
  sql.unshift(`locale_provider ${localeProvider}`)
  if (locale !== null) sql.push(`${localeProvider}_locale ${sqlText(locale)}`)
  if (icuRules !== null && major >= ICU_RULES_SINCE_MAJOR)
    sql.push(`icu_rules ${sqlText(icuRules)}`)
  return sql
}

/** Lists whose elements PostgreSQL keeps quoted, one by one: the text of the setting must not become one element. */
const LISTS_OF_NAMES: ReadonlySet<string> = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
])

/** Settings of the database, and of roles in it. One that this server does not know is no reason not to try the others. */
export function settingsSql(
  name: string,
  { settings }: DatabaseDefinition,
  { missingRoles, refusedSettings }: Deviations,
): readonly string[] {
  return settings
    .filter(({ role }) => role === null || !missingRoles.has(role))
    .filter((setting) => !refusedSettings.includes(setting))
    .map((setting) => settingSql(setting, name))
}

function settingSql({ role, name, value }: DatabaseSetting, database: string): string {
  const where = role === null ? '' : `role ${sqlName(role)} in `
  return `alter ${where}database ${sqlName(database)} set ${sqlName(name)} to ${valueSql(name, value)}`
}

/** To be tried where that database is not there yet: what needs the same rights and takes the same values. */
export function settingTrialSql(setting: DatabaseSetting, database: string): string {
  const { role, name, value } = setting
  if (role !== null) return settingSql(setting, database)
  return `alter role current_user set ${sqlName(name)} to ${valueSql(name, value)}`
}

/** Comment, grants and connection limit: with them others may come in. */
export function openDatabaseSql(
  name: string,
  definition: DatabaseDefinition,
  deviations: Deviations,
): readonly string[] {
  const database = sqlName(name)
  const { connectionLimit, comment } = definition
  return [
    `comment on database ${database} is ${comment === null ? 'null' : sqlText(comment)}`,
    ...grantsSql(name, definition, deviations),
    ...(connectionLimit === -1
      ? []
      : [`alter database ${database} connection limit ${connectionLimit}`]),
  ]
}

function valueSql(name: string, value: string): string {
  if (!LISTS_OF_NAMES.has(name.toLowerCase())) return sqlText(value)
  const elements = [...value.matchAll(/\s*(?:"((?:[^"]|"")*)"|([^,"\s]+))\s*(?:,|$)/g)].map(
    ([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain,
  )
  return elements.length === 0 ? "''" : elements.map(sqlText).join(', ')
}

/** While it is restored nobody else may connect; at the end everybody again who could. */
export function keepOthersOutSql(name: string): string {
  return `revoke all on database ${sqlName(name)} from public`
}

function grantsSql(
  name: string,
  { grants, owner: sourceOwner }: DatabaseDefinition,
  deviations: Deviations,
): readonly string[] {
  const database = sqlName(name)
  if (grants === null || deviations.privileges === 'left-out') {
    return [`grant connect, temporary on database ${database} to public`]
  }
  const ownersOwn = grants.filter(({ grantee }) => grantee === sourceOwner)
  const revoked = ['CREATE', 'CONNECT', 'TEMPORARY'].filter((privilege) =>
    ownersOwn.every((grant) => grant.privilege !== privilege),
  )
  return [
    ...(revoked.length === 0 || deviations.owner === undefined
      ? []
      : [`revoke ${revoked.join(', ')} on database ${database} from ${sqlName(deviations.owner)}`]),
    ...grants
      .filter(({ grantee }) => grantee !== sourceOwner && !deviations.missingRoles.has(grantee))
      .map(
        ({ grantee, privilege, grantable }) =>
          `grant ${privilege} on database ${database} to ${granteeSql(grantee)}${grantable ? ' with grant option' : ''}`,
      ),
  ]
}

function granteeSql(grantee: string): string {
  // The one name that no role can have.
  return grantee === 'public' ? 'public' : sqlName(grantee)
}
