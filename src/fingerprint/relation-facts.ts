/** Facts about tables, views and sequences, and what belongs to them. */
import { identity, ifKnown, labelled, notOfExtension, ofUser, parts, sorted, when } from './sql.ts'

/** Relations of the user, by one letter each as in pg_class: `rp`. */
const relations = (
  kinds: string,
): string => `pg_class c join pg_namespace n on n.oid = c.relnamespace
    and ${ofUser('n.nspname')} and strpos('${kinds}', c.relkind::text) > 0 and c.relpersistence <> 't'
    and ${notOfExtension('pg_class', 'c.oid')}`

/** As pg_identify_object writes them, without a call for each. */
const name = `quote_ident(n.nspname) || '.' || quote_ident(c.relname)`
const columnName = `${name} || '.' || quote_ident(a.attname)`

const OPTIONS = labelled('options', sorted('c.reloptions'))
const PERSISTENCE = when("c.relpersistence = 'u'", "'unlogged'")
const ACCESS_METHOD = `'access method ' || (select amname from pg_am a where a.oid = c.relam)`

const TABLES = `
select case c.relkind when 'f' then 'foreign table' else 'table' end as kind, ${name} as name, ${parts(
  PERSISTENCE,
  ACCESS_METHOD,
  OPTIONS,
  labelled(
    'toast options',
    `(select ${sorted('t.reloptions')} from pg_class t where t.oid = c.reltoastrelid)`,
  ),
  labelled('of type', 'nullif(c.reloftype, 0)::regtype'),
  labelled('partitioned by', "case c.relkind when 'p' then pg_get_partkeydef(c.oid) end"),
  `(select case when c.relispartition then 'partition of ' else 'inherits ' end
      || string_agg(${identity('pg_class', 'i.inhparent')}, ', ' order by i.inhseqno) from pg_inherits i where i.inhrelid = c.oid)`,
  `pg_get_expr(c.relpartbound, c.oid)`,
  when("c.relreplident = 'f'", "'replica identity full'"),
  when("c.relreplident = 'n' and c.relkind <> 'f'", "'replica identity nothing'"),
  when('c.relrowsecurity', "'row security'"),
  when('c.relforcerowsecurity', "'row security forced'"),
  `(select ${parts(
    labelled('server', 's.srvname'),
    labelled('foreign options', sorted('f.ftoptions')),
  )} from pg_foreign_table f join pg_foreign_server s on s.oid = f.ftserver where f.ftrelid = c.oid)`,
)} as definition, c.oid::text as oid
from ${relations('rpf')}`

const TABLESPACES = `
select 'tablespace' as kind, ${name} as name, t.spcname::text as definition
from ${relations('rpmiI')} join pg_tablespace t on t.oid = c.reltablespace`

/**
 * A child's columns may come in another order than the parent's, which pg_dump does not keep: there the position is not a fact.
 * Statistics targets are -1 or null when nobody set one, as the version has it. Since 17 a partition has its parent's identity.
 */
const COLUMNS = `
select 'column' as kind, ${columnName} as name, ${parts(
  when(
    'c.relispartition or not exists (select from pg_inherits i where i.inhrelid = c.oid)',
    `'number ' || row_number() over (partition by a.attrelid order by a.attnum)`,
  ),
  'format_type(a.atttypid, a.atttypmod)',
  labelled(
    'collate',
    when('a.attcollation <> t.typcollation', identity('pg_collation', 'a.attcollation')),
  ),
  when('a.attnotnull', "'not null'"),
  when(
    'not c.relispartition',
    "case a.attidentity when 'a' then 'identity always' when 'd' then 'identity by default' end",
  ),
  "case a.attgenerated when 's' then 'generated stored' when 'v' then 'generated virtual' end",
  labelled('storage', when('a.attstorage <> t.typstorage', 'a.attstorage::text')),
  labelled('compression', `nullif(${ifKnown('a', 'attcompression')}, '')`),
  labelled('statistics', when('a.attstattarget >= 0', 'a.attstattarget::text')),
  labelled('options', sorted('a.attoptions')),
  labelled('foreign options', sorted('a.attfdwoptions')),
)} as definition, c.oid::text as "tableOid"
from ${relations('rpfvm')} join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid`

const DEFAULTS = `
select case a.attgenerated when '' then 'default' else 'generation' end as kind,
  ${columnName} as name, pg_get_expr(d.adbin, d.adrelid) as definition,
  d.oid::text as oid, c.oid::text as "tableOid"
from ${relations('rpfv')} join pg_attrdef d on d.adrelid = c.oid
join pg_attribute a on a.attrelid = c.oid and a.attnum = d.adnum`

/** Foreign keys that a partition has from its parent get their names anew. NOT NULL is named since 18 only. */
const CONSTRAINTS = `
select case k.contype when 'n' then 'not-null constraint' else 'constraint' end as kind,
  ${name} || '.' || quote_ident(k.conname) as name, pg_get_constraintdef(k.oid) as definition,
  k.oid::text as oid, c.oid::text as "tableOid"
from ${relations('rpf')} join pg_constraint k on k.conrelid = c.oid
where k.contype in ('c', 'f', 'p', 'u', 'x', 'n') and not (k.contype = 'f' and k.conparentid <> 0)`

/** Those that pg_dump keeps: one that could not be built is not. */
const INDEXES = `
select 'index' as kind, ${identity('pg_class', 'x.indexrelid')} as name, ${parts(
  'pg_get_indexdef(x.indexrelid)',
  when('x.indisclustered', "'clustered'"),
  when('x.indisreplident', "'replica identity'"),
  when('not x.indisvalid', "'invalid'"),
  `(select 'part of ' || string_agg(${identity('pg_class', 'i.inhparent')}, ', ') from pg_inherits i where i.inhrelid = x.indexrelid)`,
  `(select 'statistics ' || string_agg(a.attnum || ' ' || a.attstattarget, ', ' order by a.attnum)
      from pg_attribute a where a.attrelid = x.indexrelid and a.attstattarget >= 0)`,
)} as definition, x.indexrelid::text as oid, c.oid::text as "tableOid"
from ${relations('rpm')} join pg_index x on x.indrelid = c.oid
where x.indisready and (x.indisvalid or c.relkind = 'p')`

/** Of a partitioned table's trigger each partition has its own, internal before 15. */
const TRIGGERS = `
select 'trigger' as kind, ${name} || '.' || quote_ident(t.tgname) as name, ${parts(
  'pg_get_triggerdef(t.oid)',
  "case t.tgenabled when 'D' then 'disabled' when 'R' then 'on replica' when 'A' then 'always' end",
)} as definition, t.oid::text as oid, c.oid::text as "tableOid"
from ${relations('rpfv')} join pg_trigger t on t.tgrelid = c.oid
left join pg_trigger above on above.oid = t.tgparentid
where not t.tgisinternal or (above.oid is not null and not above.tgisinternal)
  or exists (select from pg_trigger top where top.oid = above.tgparentid and not top.tgisinternal)`

const RULES = `
select 'rule' as kind, ${name} || '.' || quote_ident(r.rulename) as name, ${parts(
  'pg_get_ruledef(r.oid)',
  "case r.ev_enabled when 'D' then 'disabled' when 'R' then 'on replica' when 'A' then 'always' end",
)} as definition, r.oid::text as oid, c.oid::text as "tableOid"
from ${relations('rpvm')} join pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'`

const POLICIES = `
select 'policy' as kind, ${name} || '.' || quote_ident(p.polname) as name, ${parts(
  when('not p.polpermissive', "'restrictive'"),
  "'for ' || p.polcmd::text",
  `'to ' || (select string_agg(case r when 0 then 'public' else quote_ident(pg_get_userbyid(r)) end, ', '
      order by pg_get_userbyid(r) collate "C") from unnest(p.polroles) r)`,
  labelled('using', 'pg_get_expr(p.polqual, p.polrelid)'),
  labelled('with check', 'pg_get_expr(p.polwithcheck, p.polrelid)'),
)} as definition, p.oid::text as oid, c.oid::text as "tableOid"
from ${relations('rp')} join pg_policy p on p.polrelid = c.oid`

const VIEWS = `
select case c.relkind when 'v' then 'view' else 'materialized view' end as kind, ${name} as name,
  pg_get_viewdef(c.oid) as definition, c.oid::text as oid
from ${relations('vm')}
union all
select 'view options', ${name}, ${parts(
  OPTIONS,
  when("c.relkind = 'm'", ACCESS_METHOD),
  when('not c.relispopulated', "'not populated'"),
)}, c.oid::text
from ${relations('vm')}`

const SEQUENCES = `
select 'sequence' as kind, ${name} as name, ${parts(
  PERSISTENCE,
  'format_type(s.seqtypid, null)',
  `'start ' || s.seqstart || ' increment ' || s.seqincrement || ' from ' || s.seqmin || ' to ' || s.seqmax || ' cache ' || s.seqcache`,
  when('s.seqcycle', "'cycle'"),
  `(select case d.deptype when 'i' then 'identity of ' else 'owned by ' end || ${identity('pg_class', 'd.refobjid', 'd.refobjsubid')}
      from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
      and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i'))`,
)} as definition, c.oid::text as oid
from ${relations('S')} join pg_sequence s on s.seqrelid = c.oid`

const STATISTICS = `
select 'statistics' as kind, ${identity('pg_statistic_ext', 's.oid')} as name, ${parts(
  'pg_get_statisticsobjdef(s.oid)',
  labelled('target', when('s.stxstattarget >= 0', 's.stxstattarget::text')),
)} as definition, s.oid::text as oid, s.stxrelid::text as "tableOid"
from pg_statistic_ext s join pg_namespace n on n.oid = s.stxnamespace and ${ofUser('n.nspname')}
join pg_class c on c.oid = s.stxrelid and c.relpersistence <> 't' where ${notOfExtension('pg_statistic_ext', 's.oid')}`

/** What somebody hangs on an extension's table is no part of the extension, and pg_dump leaves it out. */
const EXTENSION_TABLES = `
select 'extension table' as kind, ${name} as name, concat_ws('; ', 'of ' || quote_ident(x.extname),
  ${[
    [
      'columns',
      `quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)`,
      'pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped',
    ],
    [
      'constraints',
      'quote_ident(k.conname)',
      `pg_constraint k where k.conrelid = c.oid and k.contype in ('c', 'f', 'p', 'u', 'x')`,
    ],
    ['indexes', 'i.indexrelid::regclass::text', 'pg_index i where i.indrelid = c.oid'],
    [
      'triggers',
      'quote_ident(t.tgname)',
      'pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal',
    ],
    ['rules', 'quote_ident(r.rulename)', 'pg_rewrite r where r.ev_class = c.oid'],
    ['policies', 'quote_ident(p.polname)', 'pg_policy p where p.polrelid = c.oid'],
  ]
    .map(
      ([label, each, rows]) =>
        `(select '${label} ' || string_agg(text, ', ' order by text collate "C") from (select ${each} as text from ${rows}) each)`,
    )
    .join(',\n  ')}) as definition, c.oid::text as oid
from pg_class c join pg_namespace n on n.oid = c.relnamespace and c.relkind in ('r', 'p')
join pg_depend e on e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'
join pg_extension x on x.oid = e.refobjid`

export const RELATION_FACTS: readonly string[] = [
  TABLES,
  TABLESPACES,
  COLUMNS,
  DEFAULTS,
  CONSTRAINTS,
  INDEXES,
  TRIGGERS,
  RULES,
  POLICIES,
  VIEWS,
  SEQUENCES,
  STATISTICS,
  EXTENSION_TABLES,
]
