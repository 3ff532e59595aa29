/**
 * The interop gauntlet: who writes x bundles and blocks x compression x encryption x PostgreSQL version, against the real
 * pgBackRest. Each combination is a chain of backups (full, differential, incremental, incremental on incremental, full) that
 * both verify and restore, byte for byte; then one of them expires and the other one finds what is left sound.
 *
 * `PGSURETY_TEST_FULL=1` runs all 256 combinations, which takes most of an hour; else a sample in which every value and every
 * pair of layout and writer occurs over the days: PGSURETY_TEST_SEED, printed, chooses it.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { BackupKind } from '../../src/format/label.ts'
import { restoreDifferences } from './restored-tree.ts'
import {
  buildWhenStale,
  type SharedCluster,
  type SharedRepository,
  startSharedCluster,
  type Tool,
} from './shared-stanza.ts'

const OURS = 'pgsurety'
const THEIRS = '2.60'

const VERSIONS = ['15', '17'] as const
const COMPRESSIONS = ['gz', 'lz4', 'zst', 'none'] as const
const CIPHERS = ['plain', 'encrypted'] as const
/** pgBackRest takes `repo-block` only together with `repo-bundle`. */
const LAYOUTS = {
  neither: ['repo1-bundle=n', 'repo1-block=n'],
  bundle: ['repo1-bundle=y', 'repo1-block=n'],
  'bundle and block': ['repo1-bundle=y', 'repo1-block=y'],
  'small bundles and blocks': [
    'repo1-bundle=y',
    'repo1-block=y',
    'repo1-bundle-size=1MiB',
    'repo1-bundle-limit=64KiB',
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>
/** In turn, one for each backup. */
const WRITERS = {
  'they write': [THEIRS, THEIRS],
  'we write': [OURS, OURS],
  'we build on theirs': [THEIRS, OURS],
  'they build on ours': [OURS, THEIRS],
} as const satisfies Readonly<Record<string, readonly [Tool, Tool]>>

const KINDS: readonly BackupKind[] = ['full', 'diff', 'incr', 'incr', 'full']
const SAMPLE_COUNT = 4

interface Combination {
  readonly version: (typeof VERSIONS)[number]
  readonly writers: keyof typeof WRITERS
  readonly layout: keyof typeof LAYOUTS
  readonly compression: (typeof COMPRESSIONS)[number]
  readonly cipher: (typeof CIPHERS)[number]
}

function allCombinations(): readonly Combination[] {
  return VERSIONS.flatMap((version) =>
    namesOf(WRITERS).flatMap((writers) =>
      namesOf(LAYOUTS).flatMap((layout) =>
        COMPRESSIONS.flatMap((compression) =>
          CIPHERS.map((cipher) => ({ version, writers, layout, compression, cipher })),
        ),
      ),
    ),
  )
}

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): readonly Name[] {
  const isName = (name: string): name is Name => name in table
  return Object.keys(table).filter(isName)
}

function pick<Item>(items: readonly Item[], at: number): Item {
  const item = items[at % items.length]
  assert(item !== undefined)
  return item
}

/** All layouts and all writers, each once; the rest as the seed has it. */
function sample(seed: number): readonly Combination[] {
  return Array.from({ length: SAMPLE_COUNT }, (_, index) => ({
    version: pick(VERSIONS, index + seed),
    writers: pick(namesOf(WRITERS), index + seed),
    layout: pick(namesOf(LAYOUTS), index),
    compression: pick(COMPRESSIONS, index + Math.floor(seed / 4)),
    cipher: pick(CIPHERS, Math.floor(index / 2) + index + seed),
  }))
}

function configLines({ layout, compression, cipher }: Combination): readonly string[] {
  return [
    `compress-type=${compression}`,
    ...LAYOUTS[layout],
    ...(cipher === 'plain'
      ? []
      : ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=a sound pass phrase']),
  ]
}

async function startPrimary(version: Combination['version']): Promise<SharedCluster> {
  const shared = await startSharedCluster({ version, tablespace: 'one' })
  await shared.cluster.psql('update pg_database set datistemplate = false')
  for (const name of ['template0', 'template1']) await shared.cluster.psql(`drop database ${name}`)
  await shared.cluster.psql(
    `create table large as select g, repeat('x', 200) as pad from generate_series(1, 8000) g;
     create table small(id int) tablespace ts1; create table dropped(id int);
     create unlogged table unlogged as select generate_series(1, 100)`,
  )
  return shared
}

/** Changes one row of the large table, grows, drops and makes others. */
async function change(repository: SharedRepository): Promise<void> {
  await repository.cluster.psql(
    `update large set pad = md5(random()::text) where g = 4000;
     insert into small select generate_series(1, 100);
     drop table dropped; create table dropped as select generate_series(1, 100)`,
  )
}

async function backUp(
  repository: SharedRepository,
  writer: Tool,
  kind: BackupKind,
): Promise<string> {
  await repository.archiveWith(writer)
  await change(repository)
  const earlier = await repository.labels()
  await repository.run(writer, [`--type=${kind}`, '--no-expire-auto', 'backup'])
  const made = (await repository.labels()).filter((name) => !earlier.includes(name))
  assert.equal(made.length, 1, made.join())
  return made[0] ?? ''
}

async function assertSound(repository: SharedRepository, labels: readonly string[]): Promise<void> {
  const theirs = await repository.run(THEIRS, ['verify', '--output=text', '--verbose'])
  assert.match(theirs, /^status: ok$/m)
  await repository.run(OURS, ['verify'])
  for (const label of labels) assert(theirs.includes(`  backup: ${label}, status: valid`), theirs)
  const told = await repository.run(OURS, ['info', '--output=json'])
  assert.equal(told, await repository.run(THEIRS, ['info', '--output=json']))
  const listed = [...told.matchAll(/"label":"(\d[^"]*)"/g)].map((match) => match[1])
  assert.deepEqual(listed, labels)
}

async function run(shared: SharedCluster, combination: Combination): Promise<void> {
  const writers = WRITERS[combination.writers]
  await using repository = await shared.openRepository('gauntlet', configLines(combination))
  await repository.run(writers[0], ['stanza-create'])
  const labels: string[] = []
  for (const [index, kind] of KINDS.entries()) {
    labels.push(await backUp(repository, writers[index % 2] ?? OURS, kind))
  }
  await assertSound(repository, labels)
  for (const label of labels) {
    assert.deepEqual(await restoreDifferences(repository, label, [OURS, THEIRS]), [])
  }
  await repository.run(writers[1], ['--repo1-retention-full=1', 'expire'])
  await assertSound(repository, labels.slice(-1))
  const [last = ''] = labels.slice(-1)
  assert.deepEqual(await restoreDifferences(repository, last, [OURS, THEIRS]), [])
}

const seed = Number(process.env['PGSURETY_TEST_SEED'] ?? Math.floor(Math.random() * 64))
const combinations =
  process.env['PGSURETY_TEST_FULL'] === undefined ? sample(seed) : allCombinations()

before(buildWhenStale)

void suite(`S16 S23 S48: the gauntlet, seed ${seed}`, { concurrency: 2 }, () => {
  for (const version of VERSIONS) {
    void suite(`PostgreSQL ${version}`, { concurrency: 1 }, () => {
      let shared: SharedCluster
      before(async () => {
        shared = await startPrimary(version)
      })
      after(async () => {
        await shared[Symbol.asyncDispose]()
      })
      for (const one of combinations.filter((combination) => combination.version === version)) {
        const { writers, layout, compression, cipher } = one
        test(`${writers}, ${layout}, ${compression}, ${cipher}`, async () => {
          await run(shared, one)
        })
      }
    })
  }
})
