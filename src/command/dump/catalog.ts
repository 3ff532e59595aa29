/** What a dump asks the server's catalogs. */
import { AppError } from '../../base/error.ts'
import { asObject, count, optionalText, text } from '../../format/fields.ts'
import type { DatabaseDefinition, DumpManifest } from '../../format/dump-manifest.ts'
import type { JsonObject, JsonValue } from '../../format/json.ts'
import { readDefinition } from '../../format/read-dump-manifest.ts'
import type { PsqlSession, SqlRow } from '../../postgres/psql.ts'
import type { FoundDatabase } from './choose.ts'
import type { TableSize } from './groups.ts'

/** Tables below this are not worth a place of their own. */
const LARGE_TABLE_BYTES = 1024 * 1024
/** Their names go into arguments of pg_dump, of which there may not be too many. */
const LARGE_TABLES_MAX = 500

export async function listDatabases(session: PsqlSession): Promise<readonly FoundDatabase[]> {
  const rows = await session.rows(
    `select d.datname as name, d.oid::bigint as oid, d.datistemplate as template,
            d.datallowconn as open, d.datconnlimit as limit,
            case when has_database_privilege(d.oid, 'connect') then pg_database_size(d.oid) else 0 end as size
       from pg_database d order by d.datname collate "C"`,
  )
  return rows.map(jsonOf).map((row) => ({
    name: text(row, 'name'),
    oid: count(row, 'oid'),
    sizeBytes: count(row, 'size'),
    isTemplate: row['template'] === true,
    closedBecause:
      row['limit'] === -2
        ? 'left by a DROP DATABASE that was interrupted'
        : row['open'] === false
          ? 'it does not allow connections'
          : undefined,
  }))
}

export type ServerFacts = DumpManifest['server']

export async function serverFacts(session: PsqlSession, version: string): Promise<ServerFacts> {
  const row = await oneRow(
    session,
    `select (select system_identifier::text from pg_control_system()) as system,
            (select timeline_id from pg_control_checkpoint()) as timeline,
            pg_is_in_recovery() as recovery`,
  )
  return {
    version,
    systemId: text(row, 'system'),
    inRecovery: row['recovery'] === true,
    timeline: count(row, 'timeline'),
  }
}

/** Whether this user may read the hashes of passwords. */
export async function mayReadPasswords(session: PsqlSession): Promise<boolean> {
  const row = await oneRow(
    session,
    `select has_table_privilege('pg_catalog.pg_authid', 'select') as may`,
  )
  return row['may'] === true
}

/**
 * Whether the database is as initdb made it: everything that pg_dump would find has an OID of the user's range, a note in
 * pg_shdepend, or privileges that are not the first ones.
 */
export async function isUntouched(session: PsqlSession): Promise<boolean> {
  const catalogs = (
    'am cast class collation conversion default_acl event_trigger extension foreign_data_wrapper ' +
    'foreign_server language largeobject_metadata namespace opclass operator opfamily policy proc ' +
    'publication statistic_ext transform ts_config ts_dict ts_parser ts_template type'
  ).split(' ')
  // What is in information_schema got its first privileges too late for pg_init_privs, and is never dumped.
  const withAcl = [
    { name: 'class', acl: 'relacl', schema: 'relnamespace' },
    { name: 'proc', acl: 'proacl', schema: 'pronamespace' },
    { name: 'type', acl: 'typacl', schema: 'typnamespace' },
    { name: 'namespace', acl: 'nspacl', schema: 'oid' },
    { name: 'language', acl: 'lanacl', schema: '0' },
  ]
  const row = await oneRow(
    session,
    `select not (
       ${catalogs.map((name) => `exists (select from pg_${name} where oid >= 16384)`).join('\n or ')}
       ${withAcl
         .map(
           ({ name, acl, schema }) =>
             `or exists (select from pg_${name} c left join pg_init_privs i
                on i.objoid = c.oid and i.classoid = 'pg_${name}'::regclass and i.objsubid = 0
               where c.${acl} is distinct from i.initprivs
                 and ${schema === '0' ? '0' : `c.${schema}`} <> 'information_schema'::regnamespace)`,
         )
         .join('\n ')}
       or exists (select from pg_namespace where nspname = 'public' and nspowner not in (10, 6171))
       or coalesce(obj_description('public'::regnamespace), '') not in ('', 'standard public schema')
       or exists (select from pg_seclabel)
       or exists (select from pg_subscription s join pg_database d on d.oid = s.subdbid
                   where d.datname = current_database())
       or exists (select from pg_database d where d.datname = current_database()
                  and (d.datacl is not null or d.datdba <> 10 or d.datconnlimit <> -1
                    or d.dattablespace <> (select oid from pg_tablespace where spcname = 'pg_default')
                    or exists (select from pg_db_role_setting s where s.setdatabase = d.oid)
                    or exists (select from pg_shseclabel s where s.objoid = d.oid)
                    or exists (select from pg_shdepend s where s.dbid = d.oid)))
     ) as untouched`,
  )
  return row['untouched'] === true
}

export async function readDatabaseDefinition(
  session: PsqlSession,
  major: number,
): Promise<DatabaseDefinition> {
  const provider = `case d.datlocprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end`
  const locale = major >= 17 ? 'd.datlocale' : major >= 15 ? 'd.daticulocale' : 'null::text'
  return readDefinition(
    await oneRow(
      session,
      `select pg_get_userbyid(d.datdba) as owner, pg_encoding_to_char(d.encoding) as encoding,
              ${major >= 15 ? provider : `'libc'`} as "localeProvider",
              d.datcollate as collate, d.datctype as ctype, ${locale} as locale,
              ${major >= 16 ? 'd.daticurules' : 'null::text'} as "icuRules",
              ${major >= 15 ? 'd.datcollversion' : 'null::text'} as "collationVersion",
              (select spcname from pg_tablespace t where t.oid = d.dattablespace) as tablespace,
              d.datconnlimit as "connectionLimit",
              shobj_description(d.oid, 'pg_database') as comment,
              case when d.datacl is not null then
                (select coalesce(json_agg(json_build_object(
                    'grantee', case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end,
                    'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]')
                   from aclexplode(d.datacl) a) end as grants,
              (select coalesce(json_agg(json_build_object(
                  'role', case s.setrole when 0 then null else pg_get_userbyid(s.setrole) end,
                  'name', split_part(c, '=', 1),
                  'value', substr(c, strpos(c, '=') + 1)) order by s.setrole, n), '[]')
                 from pg_db_role_setting s, unnest(s.setconfig) with ordinality u (c, n)
                where s.setdatabase = d.oid) as settings
         from pg_database d where d.datname = current_database()`,
    ),
  )
}

/** Ordinary tables that nobody else's rules say more about: no extension's, no partitioned ones, only their leaves. */
export async function largeTables(session: PsqlSession): Promise<readonly TableSize[]> {
  const rows = await session.rows(
    `select * from (
       select n.nspname as schema, c.relname as name, pg_relation_size(c.oid)
              + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) as size
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind = 'r' and c.relpersistence = 'p'
          and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                             and d.objid = c.oid and d.deptype = 'e')) t
      where size >= ${LARGE_TABLE_BYTES} order by size desc limit ${LARGE_TABLES_MAX}`,
  )
  return rows.map(jsonOf).map((row) => ({
    schema: text(row, 'schema'),
    name: text(row, 'name'),
    sizeBytes: count(row, 'size'),
  }))
}

/** Undefined for a database that is not there any more. */
export async function findDatabase(session: PsqlSession, oid: number): Promise<string | undefined> {
  const [row] = await session.rows(`select datname as name from pg_database where oid = ${oid}`)
  return row === undefined ? undefined : optionalText(jsonOf(row), 'name')
}

export async function oneRow(session: PsqlSession, query: string): Promise<JsonObject> {
  const [row] = await session.rows(query)
  if (row !== undefined) return jsonOf(row)
  throw new AppError('db-query', 'the server gave no row where there always is one')
}

/** A row came as JSON; this says so. */
function jsonOf(row: SqlRow): JsonObject {
  const value: JsonValue = JSON.parse(JSON.stringify(row))
  return asObject(value)
}
