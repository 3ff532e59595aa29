/** Real data that a Debian machine and this checkout have, in schemas such as applications make: what dumps are tried on. */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { checkout } from './run.ts'

export type RealDataSize = 'small' | 'large'

type Value = string | number | null | readonly string[]

/** A script for psql. `small`: installed packages, some seconds; `large`: all that apt knows. */
export function realDataSql(size: RealDataSize): string {
  return [packagesSql(size), filesSql(size), lockSql(), zonesSql()].join('\n')
}

/** Texts with their search vectors, ranges, a partial index and one on an expression, references. */
function packagesSql(size: RealDataSize): string {
  const text =
    size === 'large'
      ? execFileSync('apt-cache', ['dumpavail'], { encoding: 'utf8', maxBuffer: 2 ** 28 })
      : readFileSync('/var/lib/dpkg/status', 'utf8')
  const packages = new Map<string, Value[]>()
  const needs = new Map<string, Value[]>()
  for (const stanza of text.split('\n\n')) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}: (.*(?:\\n .*)*)`, 'm').exec(stanza)?.[1]
    const name = field('Package')
    if (name === undefined) continue
    const tags = field('Tag')?.split(/,\s*/) ?? []
    const sizeKb = field('Installed-Size') ?? null
    const row = [
      field('Version') ?? '',
      field('Section') ?? null,
      sizeKb,
      field('Maintainer') ?? null,
    ]
    packages.set(name, [name, ...row, tags, field('Description') ?? null])
    for (const need of field('Depends')?.split(/[,|]\s*/) ?? []) {
      const [other = '', how = ''] = need.trim().split(/ (.*)/)
      needs.set(`${name} ${need.trim()}`, [name, other, how])
    }
  }
  return `
create schema deb;
create domain deb.version as text collate "C" check (value ~ '^[0-9A-Za-z]');
create table deb.package (
  name text collate "C" primary key,
  version deb.version not null,
  section text,
  installed_kb bigint check (installed_kb >= 0),
  maintainer text,
  tags text[] not null default '{}',
  description text,
  words tsvector generated always as (to_tsvector('english', coalesce(description, ''))) stored,
  size_class int8range generated always as (int8range(installed_kb / 1000, installed_kb / 1000 + 1)) stored
);
create table deb.need (id bigserial, package text not null, other text not null, how text);
${copySql('deb.package', 'name, version, section, installed_kb, maintainer, tags, description', packages)}
${copySql('deb.need', 'package, other, how', needs)}
create index words on deb.package using gin (words);
create index tags on deb.package using gin (tags);
create index size_class on deb.package using gist (size_class);
create index libraries on deb.package (section, lower(name)) where section like '%libs';
alter table deb.need add constraint known foreign key (package) references deb.package on delete cascade;
create index other on deb.need (other) include (how);
create view deb.needed as select other, count(*) as times from deb.need group by other;
create materialized view deb.sections as select section, sum(installed_kb) as kb from deb.package group by section;
create unique index on deb.sections (section);
grant usage on schema deb to data_reader;
grant select on deb.package to data_reader;
`
}

/** A partitioned table that nothing identifies the rows of, and arrays. */
function filesSql(size: RealDataSize): string {
  const lists = globSync('/var/lib/dpkg/info/*.list').toSorted()
  const files = new Map<string, Value[]>()
  for (const list of size === 'large' ? lists : lists.slice(0, 150)) {
    const name = basename(list, '.list')
    for (const path of readFileSync(list, 'utf8').split('\n')) {
      if (path !== '') files.set(`${name} ${path}`, [path, path.split('/').slice(1), name])
    }
  }
  return `
create table deb.file (path text collate "C" not null, parts text[], package text) partition by range (path);
create table deb.file_usr_lib partition of deb.file for values from ('/usr/lib') to ('/usr/lic') partition by hash (package);
create table deb.file_usr_lib_0 partition of deb.file_usr_lib for values with (modulus 2, remainder 0);
create table deb.file_usr_lib_1 partition of deb.file_usr_lib for values with (modulus 2, remainder 1);
create table deb.file_usr_share partition of deb.file for values from ('/usr/share') to ('/usr/sharf');
create table deb.file_rest partition of deb.file default;
${copySql('deb.file', 'path, parts, package', files)}
create index file_path on deb.file (path text_pattern_ops);
create index file_parts on deb.file using gin (parts);
`
}

/** Documents, what is derived from them, and who may see which. */
function lockSql(): string {
  const lock: { readonly packages: Readonly<Record<string, unknown>> } = JSON.parse(
    readFileSync(join(checkout, 'package-lock.json'), 'utf8'),
  )
  const rows = Object.entries(lock.packages).map(
    ([path, entry]) => [path, [path, JSON.stringify(entry)]] as const,
  )
  return `
create schema npm;
create table npm.entry (
  path text primary key,
  entry jsonb not null,
  license text generated always as (entry ->> 'license') stored,
  changed timestamptz
);
create function npm.touch() returns trigger language plpgsql as $$ begin new.changed := now(); return new; end $$;
create trigger touch before insert or update on npm.entry for each row execute function npm.touch();
${copySql('npm.entry', 'path, entry', new Map(rows))}
create index entry_paths on npm.entry using gin (entry jsonb_path_ops);
create index engines on npm.entry ((entry -> 'engines' ->> 'node'));
alter table npm.entry enable row level security;
create policy licensed on npm.entry for select to data_reader using (license is not null);
grant usage on schema npm to data_reader;
grant select (path, license) on npm.entry to data_reader;
`
}

/** Points, exclusion by ranges, an ICU collation. */
function zonesSql(): string {
  const rows = readFileSync('/usr/share/zoneinfo/zone1970.tab', 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line, index) => {
      const [countries = '', place = '', zone = '', remark] = line.split('\t')
      const [, latitude = '', longitude = ''] = /^([+-]\d+)([+-]\d+)$/.exec(place) ?? []
      const at = `(${Number(longitude) / 100},${Number(latitude) / 100})`
      const span = `[${index * 10},${index * 10 + 10})`
      return [zone, [zone, countries.split(','), at, remark ?? null, span]] as const
    })
  return `
create schema tz;
create collation tz.sorted (provider = icu, locale = 'und-u-kn');
create table tz.zone (
  name text collate tz.sorted primary key,
  countries char(2)[] not null,
  place point not null,
  remark text,
  span int4range not null,
  constraint apart exclude using gist (span with &&)
);
${copySql('tz.zone', 'name, countries, place, remark, span', new Map(rows))}
create index place on tz.zone using gist (place);
create index countries on tz.zone using gin (countries);
comment on table tz.zone is 'of the tz database';
`
}

function copySql(
  table: string,
  columns: string,
  rows: ReadonlyMap<string, readonly Value[]>,
): string {
  const lines = [...rows.values()].map((row) => row.map(copyText).join('\t'))
  return `copy ${table} (${columns}) from stdin;\n${lines.join('\n')}\n\\.\n`
}

function copyText(value: Value): string {
  if (value === null) return '\\N'
  const text = typeof value === 'object' ? arrayText(value) : String(value)
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n')
}

function arrayText(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replaceAll(/["\\]/g, '\\$&')}"`).join(',')}}`
}
