/** What a server that a dump is to be restored to says of itself. */
import { statfs } from 'node:fs/promises'
import { isErrorKind } from '../../base/error.ts'
import type { DatabaseDefinition, DatabaseSetting } from '../../format/dump-manifest.ts'
import type { PsqlSession, SqlRow } from '../../postgres/psql.ts'
import { sqlText } from '../../postgres/quote.ts'
import { integerColumn, textColumn } from '../../postgres/row.ts'
import { settingTrialSql } from './database-sql.ts'

export interface TargetServer {
  /** `17.11`. */
  readonly version: string
  readonly major: number
  readonly inRecovery: boolean
  readonly user: string
  readonly isSuperuser: boolean
  readonly mayCreateDatabases: boolean
  /** The database that the session is in. */
  readonly database: string
  /** Role → whether our user may act as it, and has its rights without doing so. */
  readonly roles: ReadonlyMap<string, boolean>
  /** Whether the same goes for roles that our user makes. */
  readonly newRolesAre: 'ours' | 'not-ours'
  /** Those that our user may use. */
  readonly tablespaces: ReadonlySet<string>
  readonly extensions: ReadonlyMap<string, AvailableExtension>
  readonly databases: ReadonlyMap<string, TargetDatabase>
  /** How many locks it can hold at once, all sessions together. */
  readonly lockSlots: number
  /** Where its files are; undefined when it does not say. */
  readonly dataDirectory: string | undefined
}

export interface AvailableExtension {
  readonly defaultVersion: string
  readonly versions: ReadonlySet<string>
  /** Only a superuser may install the default version. */
  readonly needsSuperuser: boolean
}

export interface TargetDatabase {
  readonly owner: string
  readonly comment: string
  readonly isOpen: boolean
  /** Names of its subscriptions, with which it cannot be dropped. */
  readonly subscriptions: readonly string[]
  /** Who else is connected: `app (psql, pid 123)`. */
  readonly sessions: readonly string[]
}

/** Of `template0`, and hence of every database for which none is named. */
export const DEFAULT_TABLESPACE = 'pg_default'

/** Since which a member need not have the rights of a role, nor be able to act as it. */
const MEMBER_OPTIONS_SINCE_MAJOR = 16

export async function readTarget(session: PsqlSession): Promise<TargetServer> {
  const [row] = await session.rows(`
    select current_setting('server_version_num') as version, current_user::text as user_name,
      rolsuper::text as superuser, (rolsuper or rolcreatedb)::text as createdb, current_database()::text as database,
      pg_is_in_recovery()::text as recovery,
      (current_setting('max_locks_per_transaction')::int8 *
        (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8))::text as locks,
      (rolsuper or coalesce(current_setting('createrole_self_grant', true), '') ~ 'set.*inherit|inherit.*set')::text as self_grant,
      case when pg_has_role('pg_read_all_settings', 'usage') then current_setting('data_directory') end as directory
    from pg_catalog.pg_roles where rolname = current_user`)
  const number = integerColumn(row, 'version')
  const major = Math.floor(number / 10_000)
  const directory = row?.['directory']
  return {
    version: `${Math.floor(number / 10_000)}.${number % 10_000}`,
    major,
    inRecovery: textColumn(row, 'recovery') === 'true',
    user: textColumn(row, 'user_name'),
    isSuperuser: textColumn(row, 'superuser') === 'true',
    mayCreateDatabases: textColumn(row, 'createdb') === 'true',
    database: textColumn(row, 'database'),
    lockSlots: integerColumn(row, 'locks'),
    roles: await readRoles(session, major),
    newRolesAre: textColumn(row, 'self_grant') === 'true' ? 'ours' : 'not-ours',
    tablespaces: new Set([DEFAULT_TABLESPACE, ...(await readTablespaces(session))]),
    extensions: await readExtensions(session),
    databases: await readDatabases(session),
    dataDirectory: typeof directory === 'string' ? directory : undefined,
  }
}

async function readTablespaces(session: PsqlSession): Promise<readonly string[]> {
  const rows = await session.rows(
    "select spcname::text as name from pg_catalog.pg_tablespace where has_tablespace_privilege(oid, 'create')",
  )
  return rows.map((row) => textColumn(row, 'name'))
}

async function readRoles(
  session: PsqlSession,
  major: number,
): Promise<ReadonlyMap<string, boolean>> {
  const mayAct = major >= MEMBER_OPTIONS_SINCE_MAJOR ? "and pg_has_role(oid, 'set')" : ''
  const rows = await session.rows(
    `select rolname::text as name, (pg_has_role(oid, 'usage') ${mayAct})::text as usable from pg_catalog.pg_roles`,
  )
  return new Map(rows.map((row) => [textColumn(row, 'name'), textColumn(row, 'usable') === 'true']))
}

async function readExtensions(
  session: PsqlSession,
): Promise<ReadonlyMap<string, AvailableExtension>> {
  const rows = await session.rows(`
    select e.name::text as name, coalesce(e.default_version, '') as version,
      string_agg(v.version, E'\\n') as versions,
      coalesce(bool_or(v.version = e.default_version and v.superuser and not v.trusted), true)::text as superuser
    from pg_catalog.pg_available_extensions e join pg_catalog.pg_available_extension_versions v on v.name = e.name
    group by 1, 2`)
  return new Map(
    rows.map((row) => [
      textColumn(row, 'name'),
      {
        defaultVersion: textColumn(row, 'version'),
        versions: new Set(textColumn(row, 'versions').split('\n')),
        needsSuperuser: textColumn(row, 'superuser') === 'true',
      },
    ]),
  )
}

async function readDatabases(session: PsqlSession): Promise<ReadonlyMap<string, TargetDatabase>> {
  const rows = await session.rows(`
    select d.datname::text as name, pg_get_userbyid(d.datdba)::text as owner, d.datallowconn::text as open, coalesce(shobj_description(d.oid, 'pg_database'), '') as comment,
      (select coalesce(json_agg(format('%s (%s, pid %s)', a.usename, coalesce(nullif(a.application_name, ''), '-'), a.pid)
        order by a.pid), '[]') from pg_catalog.pg_stat_activity a
        where a.datid = d.oid and a.pid <> pg_backend_pid() and a.usesysid is not null) as sessions,
      (select coalesce(json_agg(s.subname order by s.subname), '[]') from pg_catalog.pg_subscription s
        where s.subdbid = d.oid) as subscriptions
    from pg_catalog.pg_database d`)
  return new Map(
    rows.map((row) => {
      return [
        textColumn(row, 'name'),
        {
          owner: textColumn(row, 'owner'),
          comment: textColumn(row, 'comment'),
          isOpen: textColumn(row, 'open') === 'true',
          sessions: textsIn(row, 'sessions'),
          subscriptions: textsIn(row, 'subscriptions'),
        },
      ]
    }),
  )
}

function textsIn(row: SqlRow, column: string): readonly string[] {
  const value = row[column]
  return Array.isArray(value) ? value.map(String) : []
}

export interface LocaleAnswer {
  /** In the server's words, why it cannot have such a database. */
  readonly problem: string | undefined
  /** Of the collation, as the server has it; undefined when it has none or was not asked. */
  readonly version: string | undefined
}

/**
 * Whether the server knows the locale: tried with a collation in a transaction that is rolled back. Where only CREATE DATABASE
 * itself can tell, there is no problem yet.
 */
export async function tryLocale(
  session: PsqlSession,
  { localeProvider, collate, ctype, locale }: DatabaseDefinition,
): Promise<LocaleAnswer> {
  const libc =
    ALWAYS_THERE.has(collate) && ALWAYS_THERE.has(ctype) ? undefined : libcSql(collate, ctype)
  const own =
    localeProvider === 'libc' || locale === null
      ? undefined
      : `provider = ${localeProvider}, locale = ${sqlText(locale)}`
  const answers: LocaleAnswer[] = []
  for (const options of [libc, own]) {
    if (options !== undefined) answers.push(await tryCollation(session, options))
  }
  return {
    problem: answers.find(({ problem }) => problem !== undefined)?.problem,
    version: answers.at(-1)?.version,
  }
}

const ALWAYS_THERE: ReadonlySet<string> = new Set(['C', 'POSIX'])

function libcSql(collate: string, ctype: string): string {
  return `provider = libc, lc_collate = ${sqlText(collate)}, lc_ctype = ${sqlText(ctype)}`
}

async function tryCollation(session: PsqlSession, options: string): Promise<LocaleAnswer> {
  try {
    await session.run('begin', `create collation pg_temp.pgsurety_tried (${options})`)
    const [row] = await session.rows(
      `select pg_collation_actual_version(oid) as version from pg_catalog.pg_collation
       where collname = 'pgsurety_tried' and collnamespace = pg_my_temp_schema()`,
    )
    const version = row?.['version']
    return { problem: undefined, version: typeof version === 'string' ? version : undefined }
  } catch (error) {
    if (!isErrorKind(error, 'db-query')) throw error
    // 42501, 42P17 and so on: the try itself was not possible here, which says nothing about the locale.
    const isUnknownLocale = /SQLSTATE 22023|SQLSTATE 42704/.test(error.message)
    return { problem: isUnknownLocale ? error.message : undefined, version: undefined }
  } finally {
    await session.run('rollback')
  }
}

export interface RefusedSetting {
  readonly setting: DatabaseSetting
  /** In the server's words. */
  readonly problem: string
}

/** 42501: it may not be set by this user; 42704: it is not known; 22023: it does not take this value. */
const REFUSES_SETTING = /SQLSTATE (?:42501|42704|22023)/

/** Tries each in a transaction that is rolled back, but those of roles that are not there. */
export async function trySettings(
  session: PsqlSession,
  { settings }: DatabaseDefinition,
  { database, roles }: Pick<TargetServer, 'database' | 'roles'>,
): Promise<readonly RefusedSetting[]> {
  const refused: RefusedSetting[] = []
  for (const setting of settings) {
    if (setting.role !== null && !roles.has(setting.role)) continue
    try {
      await session.run('begin', settingTrialSql(setting, database))
    } catch (error) {
      if (!isErrorKind(error, 'db-query') || !REFUSES_SETTING.test(error.message)) throw error
      refused.push({ setting, problem: error.message })
    } finally {
      await session.run('rollback')
    }
  }
  return refused
}

/** Free bytes where a server on this host has its files; undefined when that cannot be told. */
export async function freeBytesAt(
  dataDirectory: string | undefined,
  host: string | undefined,
): Promise<number | undefined> {
  if (dataDirectory === undefined || host?.startsWith('/') !== true) return undefined
  try {
    const { bavail, bsize } = await statfs(dataDirectory)
    return bavail * bsize
  } catch {
    return undefined
  }
}

/** The lock on a name that a restore works under, held until its session ends. */
export async function lockName(session: PsqlSession, name: string): Promise<'locked' | 'held'> {
  const [row] = await session.rows(`select pg_try_advisory_lock(${lockKey(name)})::text as locked`)
  return textColumn(row, 'locked') === 'true' ? 'locked' : 'held'
}

/** The same, for who waits until the holder's session has ended: the server finishes its statement first. Throws `db-query` after that. */
export async function lockNameWithin(
  session: PsqlSession,
  name: string,
  patience: `${number}s`,
): Promise<void> {
  await session.run(`set lock_timeout = '${patience}'`, `select pg_advisory_lock(${lockKey(name)})`)
}

const lockKey = (name: string): string => `hashtextextended(${sqlText(`pgsurety ${name}`)}, 0)`
