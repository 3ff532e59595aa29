/**
 * Every compression, plain and encrypted, without and with a tablespace, on three PostgreSQL versions: pgsurety and the
 * real pgBackRest archive, back up and restore in one repository through one unchanged configuration file. All 60
 * combinations with `PGSURETY_TEST_FULL=1`, else 12 of them.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { COMPRESS_TYPES, type CompressType } from '../../src/pipe/compress-type.ts'
import { answerAfterRecovery, restoreDifferences } from './restored-tree.ts'
import {
  buildWhenStale,
  type SharedCluster,
  type SharedRepository,
  startSharedCluster,
  type Tool,
} from './shared-stanza.ts'

const VERSIONS = ['15', '17', '18'] as const
type Version = (typeof VERSIONS)[number]
const TABLESPACES = ['none', 'one'] as const
type Tablespace = (typeof TABLESPACES)[number]
const CIPHERS = ['none', 'aes-256-cbc'] as const

interface Combination {
  readonly version: Version
  readonly compressType: CompressType
  readonly cipher: (typeof CIPHERS)[number]
  /** Who makes the stanza: each of the two for half of the combinations of every kind. */
  readonly creator: Tool
}

interface Backup {
  readonly writer: Tool
  readonly label: string
}

const DIGEST = `select count(*), md5(string_agg(id || note, ',' order by id)) from note`

/** Of the ten that a cluster can have, unless all are asked for: the six clusters together have each at least once. */
const SAMPLE_COUNT = 2

function combinationsOf(version: Version, tablespace: Tablespace): readonly Combination[] {
  const all = allCombinationsOf(version, tablespace)
  if (process.env['PGSURETY_TEST_FULL'] !== undefined) return all
  const cluster = 2 * VERSIONS.indexOf(version) + TABLESPACES.indexOf(tablespace)
  const first = (cluster * SAMPLE_COUNT) % all.length
  return [...all, ...all].slice(first, first + SAMPLE_COUNT)
}

function allCombinationsOf(version: Version, tablespace: Tablespace): readonly Combination[] {
  const offset = VERSIONS.indexOf(version) + TABLESPACES.indexOf(tablespace)
  return COMPRESS_TYPES.flatMap((compressType, row) =>
    CIPHERS.map((cipher, column) => ({
      version,
      compressType,
      cipher,
      creator: (offset + row + column) % 2 === 0 ? ('pgsurety' as const) : ('2.60' as const),
    })),
  )
}

/** pgBackRest 2.45, Debian 12's, knows PostgreSQL up to 15. */
function writersFor(version: Version): readonly Tool[] {
  return version === '15' ? ['pgsurety', '2.60', '2.45'] : ['pgsurety', '2.60']
}

function restorersFor(version: Version, writer: Tool): readonly [Tool, ...Tool[]] {
  if (writer === 'pgsurety' && version === '15') return ['pgsurety', '2.60', '2.45']
  return ['pgsurety', writer === 'pgsurety' ? '2.60' : writer]
}

function configLines({ compressType, cipher }: Combination): readonly string[] {
  return [
    `compress-type=${compressType}`,
    `repo1-cipher-type=${cipher}`,
    ...(cipher === 'none' ? [] : ['repo1-cipher-pass=a sound pass phrase']),
  ]
}

/** A small database: one table of a few pages to a chunk, one that is never backed up, one without any page. */
async function startPrimary(version: Version, tablespace: Tablespace): Promise<SharedCluster> {
  const shared = await startSharedCluster({ version, tablespace })
  await shared.cluster.psql(`update pg_database set datistemplate = false`)
  for (const name of ['template0', 'template1']) await shared.cluster.psql(`drop database ${name}`)
  const place = tablespace === 'one' ? 'tablespace ts1' : ''
  await shared.cluster.psql(
    `create table note(id serial, note text) ${place}; create index on note(id) ${place};
     create table empty(id int) ${place};
     create unlogged table unlogged(id int) ${place}; insert into unlogged values (1)`,
  )
  return shared
}

async function backUp(repository: SharedRepository, writer: Tool): Promise<Backup> {
  await repository.archiveWith(writer)
  // Without a change there is no segment before the backup's own, and both tools want to see one archived.
  await repository.cluster.psql(
    `insert into note(note) select repeat(md5(random()::text), 9) from generate_series(1, 500)`,
  )
  const earlier = await repository.labels()
  await repository.run(writer, ['--type=full', 'backup'])
  const [label = '', ...more] = (await repository.labels()).filter(
    (name) => !earlier.includes(name),
  )
  assert.deepEqual(more, [])
  return { writer, label }
}

async function assertVerified(
  repository: SharedRepository,
  backups: readonly Backup[],
): Promise<void> {
  const told = await repository.run('2.60', ['verify', '--output=text', '--verbose'])
  assert.match(told, /^status: ok$/m)
  assert.match(told, /^ {2}archiveId: \d+-1, total WAL checked: (\d+), total valid WAL: \1$/m)
  for (const { label } of backups) {
    const found = told.split('\n').find((line) => line.startsWith(`  backup: ${label}, `))
    assert.match(
      found ?? told,
      /, status: valid, total files checked: (\d+), total valid files: \1$/,
    )
  }
}

async function assertInfoAlike(
  repository: SharedRepository,
  backups: readonly Backup[],
): Promise<void> {
  const ours = await repository.run('pgsurety', ['info', '--output=json'])
  const theirs = await repository.run('2.60', ['info', '--output=json'])
  assert.equal(ours, theirs)
  for (const { label } of backups) assert(ours.includes(`"label":"${label}"`), ours)
}

/** All tools give back the segment that the writer pushed during its backup: the bytes that its name promises. */
async function assertWalAlike(
  repository: SharedRepository,
  { writer, label }: Backup,
  tools: readonly Tool[],
): Promise<void> {
  const told = await repository.run('2.60', ['info', `--set=${label}`])
  const segment = /wal start\/stop: (\w{24})/.exec(told)?.[1] ?? ''
  const stored = await readdir(join(repository.path, 'archive/demo'), { recursive: true })
  const name = stored.find((path) => path.includes(`/${segment}-`)) ?? ''
  const promised = /-([0-9a-f]{40})/.exec(name)?.[1]
  for (const tool of tools) {
    const path = join(repository.folder, `segment-by-${tool}`)
    await repository.run(tool, ['archive-get', segment, path])
    const found = createHash('sha1')
      .update(await readFile(path))
      .digest('hex')
    assert.equal(found, promised, `${tool} gets '${segment}', which ${writer} pushed`)
  }
}

/** Every file starts as one that OpenSSL has encrypted. */
async function assertSealed(repository: SharedRepository): Promise<void> {
  const entries = await readdir(repository.path, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter((found) => found.isFile())) {
    await using file = await open(join(entry.parentPath, entry.name))
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0)
    assert.equal(buffer.toString('latin1'), 'Salted__', join(entry.parentPath, entry.name))
  }
}

async function shareRepository(shared: SharedCluster, combination: Combination): Promise<void> {
  const { version, compressType, cipher, creator } = combination
  const lines = configLines(combination)
  await using repository = await shared.openRepository(`${compressType}-${cipher}`, lines)
  await repository.run(creator, ['stanza-create'])
  const backups: Backup[] = []
  for (const writer of writersFor(version)) backups.push(await backUp(repository, writer))

  await assertVerified(repository, backups)
  await assertInfoAlike(repository, backups)
  if (version === '15') await repository.run('2.45', ['info'])
  if (cipher !== 'none') await assertSealed(repository)
  for (const backup of backups) {
    await assertWalAlike(repository, backup, writersFor(version))
    const restorers = restorersFor(version, backup.writer)
    assert.deepEqual(await restoreDifferences(repository, backup.label, restorers), [])
  }
}

async function startRestored(shared: SharedCluster): Promise<void> {
  const lines = ['compress-type=zst', 'repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret']
  await using repository = await shared.openRepository('started', lines)
  await repository.run('pgsurety', ['stanza-create'])
  const backups = [await backUp(repository, 'pgsurety'), await backUp(repository, '2.60')]
  const expected = await repository.cluster.psql(`select false; ${DIGEST}`)

  for (const { label } of backups) {
    for (const tool of ['pgsurety', '2.60'] as const) {
      const found = await answerAfterRecovery(repository, { tool, label }, DIGEST)
      assert.equal(found, expected, `${label} restored by ${tool}`)
    }
  }
}

function titleOf({ compressType, cipher, creator }: Combination): string {
  const seal = cipher === 'none' ? 'plain' : cipher
  const items = cipher === 'none' ? 'S16 S23 S82' : 'S16 S23 S52 S82'
  return `${items}: ${compressType}, ${seal}, stanza made by ${creator}: each lists, verifies and restores what the other wrote`
}

before(buildWhenStale)

// One cluster archives to one repository at a time; two clusters keep a small machine busy.
void suite('pgsurety and pgBackRest on one repository', { concurrency: 2 }, () => {
  for (const version of VERSIONS) {
    for (const tablespace of TABLESPACES) {
      const name = `PostgreSQL ${version} ${tablespace === 'one' ? 'with' : 'without'} a tablespace`
      void suite(name, { concurrency: 1 }, () => {
        let shared: SharedCluster
        before(async () => {
          shared = await startPrimary(version, tablespace)
        })
        after(async () => {
          await shared[Symbol.asyncDispose]()
        })
        for (const combination of combinationsOf(version, tablespace)) {
          test(titleOf(combination), async () => {
            await shareRepository(shared, combination)
          })
        }
        if (tablespace === 'none') return
        test('S16 S23: what either restores of either starts and holds the rows of the primary', async () => {
          await startRestored(shared)
        })
      })
    }
  }
})
