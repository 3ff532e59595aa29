/** Facts about what lies in no schema: extensions, casts, languages, publications, foreign servers. */
import {
  digestOf,
  identity,
  ifKnown,
  labelled,
  notInternal,
  notOfExtension,
  parts,
  sorted,
  typedIdentity,
  UNREADABLE,
  when,
} from './sql.ts'

/** What initdb makes has lower numbers. */
const FIRST_USER_OID = 16_384

const objects = (catalog: string): string =>
  `${catalog} o where o.oid >= ${FIRST_USER_OID} and ${notOfExtension(catalog, 'o.oid')}`

const head = (kind: string, catalog: string): string =>
  `select '${kind}' as kind, ${identity(catalog, 'o.oid')} as name, o.oid::text as oid`

const proc = (column: string): string => `nullif(o.${column}, 0)::regproc::text`

const EXTENSIONS = `
select 'extension' as kind, quote_ident(o.extname) as name, o.oid::text as oid,
  'schema ' || quote_ident(n.nspname) as definition
from pg_extension o join pg_namespace n on n.oid = o.extnamespace where o.oid >= ${FIRST_USER_OID}
union all
select 'extension version', quote_ident(o.extname), o.oid::text, o.extversion
from pg_extension o where o.oid >= ${FIRST_USER_OID}`

const CASTS = `
${head('cast', 'pg_cast')}, ${parts(
  "'method ' || o.castmethod::text || ' context ' || o.castcontext::text",
  labelled('function', 'nullif(o.castfunc, 0)::regprocedure::text'),
)} as definition from ${objects('pg_cast')} and ${notInternal('pg_cast', 'o.oid')}`

const LANGUAGES = `
${head('language', 'pg_language')}, ${parts(
  when('o.lanpltrusted', "'trusted'"),
  labelled('handler', proc('lanplcallfoid')),
  labelled('inline', proc('laninline')),
  labelled('validator', proc('lanvalidator')),
)} as definition from ${objects('pg_language')}`

const TRANSFORMS = `
${head('transform', 'pg_transform')}, ${parts(
  labelled('from', proc('trffromsql')),
  labelled('to', proc('trftosql')),
)} as definition from ${objects('pg_transform')}`

const ACCESS_METHODS = `
${head('access method', 'pg_am')}, o.amtype::text || ' ' || o.amhandler::regproc as definition from ${objects('pg_am')}`

const EVENT_TRIGGERS = `
${head('event trigger', 'pg_event_trigger')}, ${parts(
  "'on ' || o.evtevent || ' execute ' || o.evtfoid::regproc",
  labelled('tags', sorted('o.evttags')),
  "'enabled ' || o.evtenabled::text",
)} as definition from ${objects('pg_event_trigger')}`

/** Columns of `pubgencols` have been there since 18, where it says that none are published. */
const PUBLICATIONS = `
${head('publication', 'pg_publication')}, ${parts(
  when('o.puballtables', "'all tables'"),
  when('o.pubinsert', "'insert'"),
  when('o.pubupdate', "'update'"),
  when('o.pubdelete', "'delete'"),
  when('o.pubtruncate', "'truncate'"),
  when('o.pubviaroot', "'via root'"),
  labelled('generated columns', `nullif(${ifKnown('o', 'pubgencols')}, 'n')`),
)} as definition from ${objects('pg_publication')}`

const publishedTables = (definition: string): string => `
select 'published table' as kind, quote_ident(p.pubname) || ': ' || ${identity('pg_class', 'o.prrelid')} as name,
  o.oid::text as oid, ${definition} as definition
from pg_publication_rel o join pg_publication p on p.oid = o.prpubid`

/** Columns, conditions and schemas since 15. */
export function publishedFacts(serverMajor: number): readonly string[] {
  if (serverMajor < 15) return [publishedTables("''")]
  const definition = parts(
    `(select 'columns ' || string_agg(quote_ident(a.attname), ', ' order by a.attname collate "C")
      from pg_attribute a where a.attrelid = o.prrelid and a.attnum = any (o.prattrs))`,
    labelled('where', 'pg_get_expr(o.prqual, o.prrelid)'),
  )
  const schemas = `
select 'published schema' as kind, quote_ident(p.pubname) || ': ' || quote_ident(n.nspname) as name, '' as definition
from pg_publication_namespace o join pg_publication p on p.oid = o.pnpubid join pg_namespace n on n.oid = o.pnnspid`
  return [publishedTables(definition), schemas]
}

/**
 * A restored subscription is disabled on purpose, and how it connects is a secret. Options are named when they are not as they
 * were before there was such an option. Only these columns may be read by everybody, and before 14 fewer.
 */
export function subscriptionFacts(serverMajor: number): readonly string[] {
  const since = (major: number, ...each: readonly string[]): readonly string[] =>
    serverMajor >= major ? each : []
  const own = `from pg_subscription o join pg_database d on d.oid = o.subdbid and d.datname = current_database()`
  const options = parts(
    labelled('publications', sorted('o.subpublications')),
    labelled('slot', 'quote_ident(o.subslotname)'),
    ...since(14, when('o.subbinary', "'binary'")),
    ...since(
      15,
      when("o.subtwophasestate <> 'd'", "'two phase'"),
      when('o.subdisableonerr', "'disabled on error'"),
    ),
    ...since(
      16,
      labelled('origin', "nullif(o.suborigin, 'any')"),
      when('not o.subpasswordrequired', "'no password required'"),
    ),
    ...since(17, when('o.subfailover', "'failover'")),
  )
  const mode = parts(
    serverMajor >= 14
      ? "'streaming ' || case o.substream::text when 'p' then 'parallel' when 't' then 'on' when 'true' then 'on' else 'off' end"
      : "'streaming off'",
    serverMajor >= 16 ? when('o.subrunasowner', "'run as owner'") : "'run as owner'",
  )
  return [
    `select 'subscription' as kind, quote_ident(o.subname) as name, ${options} as definition ${own}`,
    `select 'subscription mode' as kind, quote_ident(o.subname) as name, ${mode} as definition ${own}`,
    ...since(
      14,
      `select 'subscription commit' as kind, quote_ident(o.subname) as name, o.subsynccommit as definition ${own}`,
    ),
  ]
}

/** pg_dump leaves it out, whoever made it. Not `information_schema` when somebody has made that anew. */
const IN_SYSTEM_SCHEMAS = (
  [
    ['pg_class', 'relnamespace', `o.relkind in ('r', 'p', 'v', 'm', 'S', 'f')`],
    ['pg_proc', 'pronamespace', 'true'],
    ['pg_type', 'typnamespace', `o.typtype in ('b', 'd', 'e', 'r') and o.typelem = 0`],
    ['pg_operator', 'oprnamespace', 'true'],
  ] as const
).map(
  ([catalog, namespace, condition]) => `
select 'object in a system schema' as kind, ${typedIdentity(`'${catalog}'::regclass`, 'o.oid')} as name, '' as definition, o.oid::text as oid
from ${objects(catalog)} and ${condition} and ${notInternal(catalog, 'o.oid')}
  and o.${namespace} in (select n.oid from pg_namespace n where n.nspname in ('pg_catalog', 'information_schema') and n.oid < ${FIRST_USER_OID})`,
)

const EXTENSION_DEPENDENCIES = `
select 'extension dependency' as kind, ${typedIdentity('o.classid', 'o.objid', 'o.objsubid')} || ' on ' || quote_ident(x.extname) as name, '' as definition
from pg_depend o join pg_extension x on x.oid = o.refobjid
where o.refclassid = 'pg_extension'::regclass and o.deptype = 'x'`

/** The dump does not make the database: who does may choose another one. */
const LOCALE = `
select 'locale' as kind, 'the database' as name, ${parts(
  'pg_encoding_to_char(o.encoding)',
  `'provider ' || coalesce(${ifKnown('o', 'datlocprovider')}, 'c')`,
  "'collate ' || o.datcollate",
  "'ctype ' || o.datctype",
  labelled('locale', `coalesce(${ifKnown('o', 'datlocale')}, ${ifKnown('o', 'daticulocale')})`),
  labelled('rules', ifKnown('o', 'daticurules')),
)} as definition from pg_database o where o.datname = current_database()`

const FOREIGN_WRAPPERS = `
${head('foreign data wrapper', 'pg_foreign_data_wrapper')}, ${parts(
  labelled('handler', proc('fdwhandler')),
  labelled('validator', proc('fdwvalidator')),
  labelled('options digest', digestOf('o.fdwoptions')),
)} as definition from ${objects('pg_foreign_data_wrapper')}`

const FOREIGN_SERVERS = `
${head('foreign server', 'pg_foreign_server')}, ${parts(
  labelled('type', 'o.srvtype'),
  labelled('version', 'o.srvversion'),
  labelled(
    'wrapper',
    '(select quote_ident(w.fdwname) from pg_foreign_data_wrapper w where w.oid = o.srvfdw)',
  ),
  labelled('options digest', digestOf('o.srvoptions')),
)} as definition from ${objects('pg_foreign_server')}`

/** By the rules of pg_user_mappings, which has no options for who may not see them. */
const maySeeOptions = `o.umoptions is not null or current_setting('is_superuser')::bool
  or case o.umuser when 0 then pg_has_role(s.srvowner, 'usage')
    else o.usename = current_user and (pg_has_role(s.srvowner, 'usage') or has_server_privilege(s.oid, 'usage')) end`

const USER_MAPPINGS = `
select 'user mapping' as kind, quote_ident(o.usename) || ' on ' || quote_ident(o.srvname) as name, o.umid::text as oid,
  case when ${maySeeOptions} then ${parts("''", labelled('options digest', digestOf('o.umoptions')))}
    else '${UNREADABLE}' end as definition
from pg_user_mappings o join pg_foreign_server s on s.oid = o.srvid where ${notOfExtension('pg_user_mapping', 'o.umid')}`

export const DATABASE_FACTS: readonly string[] = [
  EXTENSIONS,
  CASTS,
  LANGUAGES,
  TRANSFORMS,
  ACCESS_METHODS,
  EVENT_TRIGGERS,
  PUBLICATIONS,
  ...IN_SYSTEM_SCHEMAS,
  EXTENSION_DEPENDENCIES,
  LOCALE,
  FOREIGN_WRAPPERS,
  FOREIGN_SERVERS,
  USER_MAPPINGS,
]
