/** Facts about types, functions, operators, text search and what else a schema holds besides relations. */
import {
  identity,
  ifKnown,
  labelled,
  notInternal,
  notOfExtension,
  ofUser,
  parts,
  when,
} from './sql.ts'

/** Rows of a catalog that lie in a schema of the user: `namespace` is its column that says which. */
const objects = (catalog: string, namespace: string): string =>
  `${catalog} o join pg_namespace n on n.oid = o.${namespace} and ${ofUser('n.nspname')} and ${notOfExtension(catalog, 'o.oid')}`

const head = (kind: string, catalog: string): string =>
  `select '${kind}' as kind, ${identity(catalog, 'o.oid')} as name, o.oid::text as oid`

const proc = (column: string): string => `nullif(${column}, 0)::regprocedure::text`
const SCHEMAS = `
select 'schema' as kind, quote_ident(n.nspname) as name, '' as definition, n.oid::text as oid
from pg_namespace n where ${ofUser('n.nspname')} and ${notOfExtension('pg_namespace', 'n.oid')}`

const FUNCTIONS = `
select case o.prokind when 'p' then 'procedure' else 'function' end as kind, ${identity('pg_proc', 'o.oid')} as name,
  o.oid::text as oid, pg_get_functiondef(o.oid) as definition
from ${objects('pg_proc', 'pronamespace')} and o.prokind <> 'a'
  and ${notInternal('pg_proc', 'o.oid')}`

const AGGREGATES = `
${head('aggregate', 'pg_proc')}, ${parts(
  "'kind ' || a.aggkind::text || ' ' || a.aggnumdirectargs",
  "'arguments ' || pg_get_function_arguments(o.oid)",
  labelled('parallel', 'o.proparallel::text'),
  ...(['aggtransfn', 'aggfinalfn', 'aggcombinefn', 'aggserialfn', 'aggdeserialfn'] as const).map(
    (column) => labelled(column, proc(`a.${column}`)),
  ),
  ...(['aggmtransfn', 'aggminvtransfn', 'aggmfinalfn'] as const).map((column) =>
    labelled(column, proc(`a.${column}`)),
  ),
  "'final ' || a.aggfinalextra || a.aggmfinalextra || a.aggfinalmodify::text || a.aggmfinalmodify::text",
  labelled('sort operator', 'nullif(a.aggsortop, 0)::regoperator::text'),
  "'state ' || format_type(a.aggtranstype, null) || ' ' || a.aggtransspace",
  labelled(
    'moving state',
    "format_type(nullif(a.aggmtranstype, 0), null) || ' ' || a.aggmtransspace",
  ),
  labelled('initially', 'quote_literal(a.agginitval)'),
  labelled('moving initially', 'quote_literal(a.aggminitval)'),
)} as definition
from ${objects('pg_proc', 'pronamespace')} join pg_aggregate a on a.aggfnoid = o.oid`

/** Arrays, multiranges and the row types of relations come with what they are of. */
const TYPES = `
${head('type', 'pg_type')}, case
  when not o.typisdefined then 'shell'
  when o.typtype = 'e' then 'enum ' || coalesce((select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
    from pg_enum e where e.enumtypid = o.oid), '')
  when o.typtype = 'c' then 'composite ' || coalesce((select string_agg(concat_ws(' ', quote_ident(a.attname),
      format_type(a.atttypid, a.atttypmod),
      case when a.attcollation <> t.typcollation then ${labelled('collate', identity('pg_collation', 'a.attcollation'))} end), ', '
      order by a.attnum) from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = o.typrelid and a.attnum > 0 and not a.attisdropped), '')
  when o.typtype = 'd' then ${parts(
    "'domain over ' || format_type(o.typbasetype, o.typtypmod)",
    labelled(
      'collate',
      when(
        'o.typcollation <> (select b.typcollation from pg_type b where b.oid = o.typbasetype)',
        identity('pg_collation', 'o.typcollation'),
      ),
    ),
    labelled(
      'default',
      "coalesce(pg_get_expr(o.typdefaultbin, 'pg_type'::regclass), o.typdefault)",
    ),
    when('o.typnotnull', "'not null'"),
  )}
  when o.typtype = 'r' then (select ${parts(
    "'range of ' || format_type(r.rngsubtype, null)",
    labelled('operator class', identity('pg_opclass', 'r.rngsubopc')),
    labelled('collate', identity('pg_collation', 'nullif(r.rngcollation, 0)')),
    labelled('canonical', proc('r.rngcanonical')),
    labelled('difference', proc('r.rngsubdiff')),
  )} from pg_range r where r.rngtypid = o.oid)
  else ${parts(
    "'base ' || o.typlen || ' ' || o.typbyval || ' ' || o.typalign::text || ' ' || o.typstorage::text",
    "'category ' || o.typcategory::text || o.typispreferred || ' ' || o.typdelim::text",
    ...(
      [
        'typinput',
        'typoutput',
        'typreceive',
        'typsend',
        'typmodin',
        'typmodout',
        'typanalyze',
      ] as const
    ).map((column) => labelled(column, proc(`o.${column}`))),
    labelled('element', 'format_type(nullif(o.typelem, 0), null)'),
    labelled('default', 'quote_literal(o.typdefault)'),
    when('o.typcollation <> 0', "'collatable'"),
  )} end as definition
from ${objects('pg_type', 'typnamespace')} where o.typtype <> 'm'
  and (o.typrelid = 0 or exists (select from pg_class c where c.oid = o.typrelid and c.relkind = 'c'))
  and not exists (select from pg_type element where element.typarray = o.oid)`

const MULTIRANGES = `
select 'multirange type' as kind, format_type(r.rngtypid, null) as name,
  format_type(${ifKnown('r', 'rngmultitypid')}::oid, null) as definition
from pg_range r join pg_type o on o.oid = r.rngtypid join pg_namespace n on n.oid = o.typnamespace
where ${ofUser('n.nspname')} and ${notOfExtension('pg_type', 'o.oid')} and ${ifKnown('r', 'rngmultitypid')} is not null`

const DOMAIN_CONSTRAINTS = `
select 'domain constraint' as kind, format_type(o.oid, null) || '.' || quote_ident(k.conname) as name,
  pg_get_constraintdef(k.oid) as definition, k.oid::text as oid
from ${objects('pg_type', 'typnamespace')} join pg_constraint k on k.contypid = o.oid and k.contype = 'c'`

const OPERATORS = `
${head('operator', 'pg_operator')}, ${parts(
  labelled('function', proc('o.oprcode')),
  labelled('commutator', 'nullif(o.oprcom, 0)::regoperator::text'),
  labelled('negator', 'nullif(o.oprnegate, 0)::regoperator::text'),
  labelled('restrict', proc('o.oprrest')),
  labelled('join', proc('o.oprjoin')),
  when('o.oprcanhash', "'hashes'"),
  when('o.oprcanmerge', "'merges'"),
)} as definition
from ${objects('pg_operator', 'oprnamespace')}`

const OPERATOR_CLASSES = `
${head('operator class', 'pg_opclass')}, ${parts(
  when('o.opcdefault', "'default'"),
  "'for ' || format_type(o.opcintype, null)",
  labelled('family', identity('pg_opfamily', 'o.opcfamily')),
  labelled('storage', 'format_type(nullif(o.opckeytype, 0), null)'),
)} as definition
from ${objects('pg_opclass', 'opcnamespace')}`

const OPERATOR_FAMILIES = `
${head('operator family', 'pg_opfamily')}, ${parts(
  `(select string_agg(concat_ws(' ', 'operator', p.amopstrategy, p.amopopr::regoperator, ${labelled(
    'order by',
    identity('pg_opfamily', 'nullif(p.amopsortfamily, 0)'),
  )}), ', ' order by p.amoplefttype::regtype::text collate "C", p.amoprighttype::regtype::text collate "C", p.amopstrategy)
      from pg_amop p where p.amopfamily = o.oid)`,
  `(select string_agg(concat_ws(' ', 'function', p.amprocnum, format_type(p.amproclefttype, null),
      format_type(p.amprocrighttype, null), p.amproc::regprocedure), ', '
      order by p.amproclefttype::regtype::text collate "C", p.amprocrighttype::regtype::text collate "C", p.amprocnum)
      from pg_amproc p where p.amprocfamily = o.oid)`,
)} as definition
from ${objects('pg_opfamily', 'opfnamespace')}`

/** The locale's column has had three names. */
const locale = `coalesce(${ifKnown('o', 'colllocale')}, ${ifKnown('o', 'colliculocale')}, o.collcollate)`
const COLLATIONS = `
${head('collation', 'pg_collation')}, ${parts(
  "'provider ' || o.collprovider::text",
  labelled('locale', locale),
  labelled('ctype', when("o.collprovider = 'c'", 'o.collctype')),
  labelled('rules', ifKnown('o', 'collicurules')),
  when('not o.collisdeterministic', "'not deterministic'"),
)} as definition
from ${objects('pg_collation', 'collnamespace')}
union all
select 'collation version', ${identity('pg_collation', 'o.oid')}, o.oid::text, o.collversion
from ${objects('pg_collation', 'collnamespace')} where o.collversion is not null`

const CONVERSIONS = `
${head('conversion', 'pg_conversion')}, ${parts(
  when('o.condefault', "'default'"),
  "'from ' || pg_encoding_to_char(o.conforencoding) || ' to ' || pg_encoding_to_char(o.contoencoding)",
  labelled('function', 'o.conproc::regproc::text'),
)} as definition
from ${objects('pg_conversion', 'connamespace')}`

const TEXT_SEARCH = [
  `${head('text search parser', 'pg_ts_parser')}, ${parts(
    ...(['prsstart', 'prstoken', 'prsend', 'prsheadline', 'prslextype'] as const).map((column) =>
      labelled(column, `nullif(o.${column}, 0)::regproc::text`),
    ),
  )} as definition from ${objects('pg_ts_parser', 'prsnamespace')}`,
  `${head('text search template', 'pg_ts_template')}, ${parts(
    labelled('init', 'nullif(o.tmplinit, 0)::regproc::text'),
    labelled('lexize', 'nullif(o.tmpllexize, 0)::regproc::text'),
  )} as definition from ${objects('pg_ts_template', 'tmplnamespace')}`,
  `${head('text search dictionary', 'pg_ts_dict')}, ${parts(
    labelled('template', identity('pg_ts_template', 'o.dicttemplate')),
    labelled('options', 'o.dictinitoption'),
  )} as definition from ${objects('pg_ts_dict', 'dictnamespace')}`,
  `${head('text search configuration', 'pg_ts_config')}, ${parts(
    labelled('parser', identity('pg_ts_parser', 'o.cfgparser')),
    `(select string_agg(token.alias || ' with ' || ${identity('pg_ts_dict', 'm.mapdict')}, ', '
        order by token.alias collate "C", m.mapseqno)
      from pg_ts_config_map m join ts_token_type(o.cfgparser) token on token.tokid = m.maptokentype where m.mapcfg = o.oid)`,
  )} as definition from ${objects('pg_ts_config', 'cfgnamespace')}`,
]

export const CODE_FACTS: readonly string[] = [
  SCHEMAS,
  FUNCTIONS,
  AGGREGATES,
  TYPES,
  MULTIRANGES,
  DOMAIN_CONSTRAINTS,
  OPERATORS,
  OPERATOR_CLASSES,
  OPERATOR_FAMILIES,
  COLLATIONS,
  CONVERSIONS,
  ...TEXT_SEARCH,
]
