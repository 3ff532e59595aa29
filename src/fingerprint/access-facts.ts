/**
 * Facts about who owns what, who may do what, and what people said about it.
 *
 * A grant is a difference from what the object would allow without any: the built-in default, or for what the system or an
 * extension brought, what it brought. That is what pg_dump keeps; a privilege list that was never touched says nothing.
 */
import { isTemporary, notInternal, notOfExtension, ofUser, typedIdentity } from './sql.ts'

interface Owned {
  readonly catalog: string
  readonly owner: string
  /** Which rows are of the user, and not of an extension. */
  readonly where: string
}

const inSchema = (catalog: string, namespace: string): string =>
  `exists (select from pg_namespace n where n.oid = o.${namespace} and ${ofUser('n.nspname')})
   and ${notOfExtension(catalog, 'o.oid')}`
const anywhere = (catalog: string): string =>
  `o.oid >= 16384 and ${notOfExtension(catalog, 'o.oid')}`

const OWNED: readonly Owned[] = [
  {
    catalog: 'pg_class',
    owner: 'relowner',
    where: `o.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and o.relpersistence <> 't' and ${inSchema('pg_class', 'relnamespace')}`,
  },
  {
    catalog: 'pg_type',
    owner: 'typowner',
    where: `o.typtype <> 'm' and (o.typrelid = 0 or exists (select from pg_class c where c.oid = o.typrelid and c.relkind = 'c'))
      and not exists (select from pg_type element where element.typarray = o.oid) and ${inSchema('pg_type', 'typnamespace')}`,
  },
  {
    catalog: 'pg_namespace',
    owner: 'nspowner',
    where: `${ofUser('o.nspname')} and ${notOfExtension('pg_namespace', 'o.oid')}`,
  },
  ...(
    [
      ['pg_proc', 'proowner', 'pronamespace'],
      ['pg_operator', 'oprowner', 'oprnamespace'],
      ['pg_opclass', 'opcowner', 'opcnamespace'],
      ['pg_opfamily', 'opfowner', 'opfnamespace'],
      ['pg_collation', 'collowner', 'collnamespace'],
      ['pg_conversion', 'conowner', 'connamespace'],
      ['pg_ts_dict', 'dictowner', 'dictnamespace'],
      ['pg_ts_config', 'cfgowner', 'cfgnamespace'],
    ] as const
  ).map(([catalog, owner, namespace]) => ({
    catalog,
    owner,
    where: `${inSchema(catalog, namespace)} and ${notInternal(catalog, 'o.oid')}`,
  })),
  {
    catalog: 'pg_statistic_ext',
    owner: 'stxowner',
    where: `${inSchema('pg_statistic_ext', 'stxnamespace')}
      and exists (select from pg_class c where c.oid = o.stxrelid and c.relpersistence <> 't')`,
  },
  ...(
    [
      ['pg_language', 'lanowner'],
      ['pg_foreign_data_wrapper', 'fdwowner'],
      ['pg_foreign_server', 'srvowner'],
      ['pg_event_trigger', 'evtowner'],
      ['pg_publication', 'pubowner'],
    ] as const
  ).map(([catalog, owner]) => ({ catalog, owner, where: anywhere(catalog) })),
]

/** There may be millions of large objects: one fact for each owner. */
const OWNERS = [
  ...OWNED.map(
    ({ catalog, owner, where }) => `
select 'owner' as kind, ${typedIdentity(`'${catalog}'::regclass`, 'o.oid')} as name,
  quote_ident(pg_get_userbyid(o.${owner})) as definition, o.oid::text as oid
from ${catalog} o where ${where}`,
  ),
  `
select 'owner' as kind, 'large objects of ' || quote_ident(pg_get_userbyid(lomowner)) as name,
  count(*) || ', sum of numbers ' || sum(oid::int8) as definition
from pg_largeobject_metadata group by lomowner`,
  `
select 'owner' as kind, 'subscription ' || quote_ident(o.subname) as name,
  quote_ident(pg_get_userbyid(o.subowner)) as definition
from pg_subscription o join pg_database d on d.oid = o.subdbid and d.datname = current_database()`,
]

interface Granted {
  readonly catalog: string
  readonly acl: string
  readonly owner: string
  /** As acldefault knows the kind of object. */
  readonly kind: string
  /** Of the row, where it has one. */
  readonly schema?: string
}

const GRANTED: readonly Granted[] = [
  {
    catalog: 'pg_class',
    acl: 'relacl',
    owner: 'relowner',
    kind: `case o.relkind when 'S' then 's'::"char" else 'r' end`,
    schema: 'relnamespace',
  },
  { catalog: 'pg_proc', acl: 'proacl', owner: 'proowner', kind: `'f'`, schema: 'pronamespace' },
  { catalog: 'pg_type', acl: 'typacl', owner: 'typowner', kind: `'T'`, schema: 'typnamespace' },
  { catalog: 'pg_namespace', acl: 'nspacl', owner: 'nspowner', kind: `'n'`, schema: 'oid' },
  { catalog: 'pg_language', acl: 'lanacl', owner: 'lanowner', kind: `'l'` },
  { catalog: 'pg_foreign_data_wrapper', acl: 'fdwacl', owner: 'fdwowner', kind: `'F'` },
  { catalog: 'pg_foreign_server', acl: 'srvacl', owner: 'srvowner', kind: `'S'` },
]

/** The owner is not named: a dump may be restored for another one. */
const grantee = `case when g.grantee = 0 then 'public' when g.grantee = o.owner then '(owner)'
  else quote_ident(pg_get_userbyid(g.grantee)) end`

const exploded = (acl: string): string =>
  `select grantee, privilege_type, bool_or(is_grantable) as grantable from aclexplode(${acl}) group by 1, 2`

/** No privileges, in the form aclexplode takes: a column's default. */
const nothing = (owner: string): string => `acldefault('c', ${owner})`

/** What differs between a list of privileges and the one that would be no news. */
const DIFFERENCES = `
cross join lateral (
  select grantee, privilege_type as privilege,
    case when now.grantable is null then 'revoked' when now.grantable then 'with grant option' else 'granted' end as how
  from (${exploded('o.acl')}) now full join (${exploded('o.base')}) base using (grantee, privilege_type)
  where now.grantable is distinct from base.grantable) g`

/** `objects`: rows of class, oid, sub, owner, acl and base, the privileges that are no news. */
const grants = (objects: string): string => `
select 'grant' as kind, ${typedIdentity('o.class', 'o.oid', 'o.sub')} || ' to ' || ${grantee} || ': ' || g.privilege as name, g.how as definition,
  o.oid::text as oid
from (${objects}) o ${DIFFERENCES}`

/** pg_dump keeps privileges on what is in pg_catalog too. Default privileges are given to temporary objects as well. */
const grantsKept = (schemaOid: string): string =>
  `not exists (select from pg_namespace n where n.oid = ${schemaOid}
    and (n.nspname = 'information_schema' or ${isTemporary('n.nspname')}))`

/**
 * What initdb says about `public` is not taken: it has changed in 15, and the new owner's default is the same everywhere. Types
 * of tables and arrays have the privileges of what they are of.
 */
const GRANTS = [
  ...GRANTED.map(({ catalog, acl, owner, kind, schema }) =>
    grants(`
  select '${catalog}'::regclass as class, o.oid, 0 as sub, o.${owner} as owner, o.${acl} as acl,
    coalesce(i.initprivs, acldefault(${kind}, o.${owner})) as base
  from ${catalog} o left join pg_init_privs i on i.classoid = '${catalog}'::regclass and i.objoid = o.oid and i.objsubid = 0
    and not (i.classoid = 'pg_namespace'::regclass and i.objoid = 'public'::regnamespace)
  where o.${acl} is not null${schema === undefined ? '' : ` and ${grantsKept(`o.${schema}`)}`}`),
  ),
  grants(`
  select 'pg_class'::regclass as class, a.attrelid as oid, a.attnum::int as sub, c.relowner as owner, a.attacl as acl,
    coalesce(i.initprivs, ${nothing('c.relowner')}) as base
  from pg_attribute a join pg_class c on c.oid = a.attrelid
  left join pg_init_privs i on i.classoid = 'pg_class'::regclass and i.objoid = a.attrelid and i.objsubid = a.attnum
  where a.attacl is not null and not a.attisdropped and ${grantsKept('c.relnamespace')}`),
  `
select 'grant' as kind, 'large objects to ' || case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end
    || ': ' || x.privilege_type as name,
  count(*) || ', with grant option ' || count(*) filter (where x.is_grantable) || ', sum of numbers ' || sum(m.oid::int8) as definition
from pg_largeobject_metadata m cross join aclexplode(m.lomacl) x where x.grantee <> m.lomowner group by 1, 2`,
]

const DEFAULT_PRIVILEGES = `
select 'default privilege' as kind, concat_ws(' ', 'of', quote_ident(pg_get_userbyid(o.owner)), 'in ' || quote_ident(n.nspname),
    'on', o.objtype, 'to', ${grantee} || ':', g.privilege) as name, g.how as definition
from (select d.oid, d.defaclrole as owner, d.defaclnamespace as namespace, d.defaclobjtype::text as objtype, d.defaclacl as acl,
    case d.defaclnamespace when 0
      then acldefault(case d.defaclobjtype when 'S' then 's'::"char" else d.defaclobjtype end, d.defaclrole)
      else ${nothing('d.defaclrole')} end as base
  from pg_default_acl d) o
left join pg_namespace n on n.oid = o.namespace ${DIFFERENCES}`

/** On what the user made, who may choose the number of a large object; on extensions, and on the schema `public`. */
const described = (notes: string): string => `
from ${notes} d cross join lateral pg_identify_object(d.classoid, d.objoid, d.objsubid) o
cross join lateral pg_identify_object_as_address(d.classoid, d.objoid, d.objsubid) a
where (d.objoid >= 16384 or d.classoid = 'pg_largeobject'::regclass
    or (d.classoid = 'pg_namespace'::regclass and d.objoid = 'public'::regnamespace))
  and not exists (select from pg_depend e where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')
  and not coalesce(${isTemporary('o.schema')}, false)
  and not (cardinality(a.object_names) > 1 and ${isTemporary('a.object_names[1]')})`

const COMMENTS = `
select 'comment' as kind, o.type || ' ' || o.identity as name, d.description as definition ${described('pg_description')}`

const SECURITY_LABELS = `
select 'security label' as kind, d.provider || ' on ' || o.type || ' ' || o.identity as name, d.label as definition
${described('pg_seclabel')}`

export const ACCESS_FACTS: readonly string[] = [
  ...OWNERS,
  ...GRANTS,
  DEFAULT_PRIVILEGES,
  COMMENTS,
  SECURITY_LABELS,
]
