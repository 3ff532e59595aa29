/**
 * Backups that build on each other, each made by pgsurety or by the real pgBackRest on what the other one made: both tools
 * list them alike, find them sound and restore the same bytes.
 */
import assert from 'node:assert/strict'
import { chmod, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { BackupKind } from '../../src/format/label.ts'
import { writeAs } from '../harness/run.ts'
import { restoreDifferences } from './restored-tree.ts'
import {
  buildWhenStale,
  type SharedCluster,
  type SharedRepository,
  startSharedCluster,
  type Tool,
} from './shared-stanza.ts'

interface Link {
  readonly writer: Tool
  readonly kind: BackupKind
}

const OURS = 'pgsurety'
const THEIRS = '2.60'

/** Each of them builds on the other's backup and on its own. */
const CHAIN: readonly Link[] = [
  { writer: OURS, kind: 'full' },
  { writer: THEIRS, kind: 'diff' },
  { writer: OURS, kind: 'incr' },
  { writer: THEIRS, kind: 'full' },
  { writer: OURS, kind: 'incr' },
  { writer: OURS, kind: 'incr' },
  { writer: THEIRS, kind: 'incr' },
  { writer: OURS, kind: 'diff' },
]

const LAYOUTS: Readonly<Record<string, readonly string[]>> = {
  plain: ['compress-type=lz4', 'manifest-save-threshold=1', 'repo1-bundle=n'],
  bundled: [
    'compress-type=gz',
    'manifest-save-threshold=1',
    'repo1-bundle=y',
    'repo1-block=y',
    'repo1-bundle-size=1MiB',
    'repo1-cipher-type=aes-256-cbc',
    'repo1-cipher-pass=secret',
  ],
}

let shared: SharedCluster

before(async () => {
  await buildWhenStale()
  shared = await startSharedCluster({ version: '17', tablespace: 'one' })
  await shared.cluster.psql(
    `create table large as select g, repeat('x', 200) as pad from generate_series(1, 8000) g;
     create table small(id int) tablespace ts1; create table dropped(id int)`,
  )
})
after(async () => {
  await shared[Symbol.asyncDispose]()
})

/** Changes a page of the large table, grows and drops others, and takes a backup; its label. */
async function addBackup(repository: SharedRepository, { writer, kind }: Link): Promise<string> {
  await repository.archiveWith(writer)
  await repository.cluster.psql(
    `update large set pad = md5(random()::text) where g = 4000;
     insert into small select generate_series(1, 100);
     drop table dropped; create table dropped as select generate_series(1, 100)`,
  )
  const earlier = await repository.labels()
  await repository.run(writer, [`--type=${kind}`, 'backup'])
  const [label = '', ...more] = (await repository.labels()).filter(
    (name) => !earlier.includes(name),
  )
  assert.deepEqual(more, [])
  return label
}

async function assertSound(repository: SharedRepository, labels: readonly string[]): Promise<void> {
  const told = await repository.run(THEIRS, ['verify', '--output=text', '--verbose'])
  assert.match(told, /^status: ok$/m)
  for (const label of labels) assert(told.includes(`  backup: ${label}, status: valid`), told)
  const ours = await repository.run(OURS, ['info', '--output=json'])
  assert.equal(ours, await repository.run(THEIRS, ['info', '--output=json']))
  for (const label of labels) assert(ours.includes(`"label":"${label}"`), ours)
}

void suite('S23 S49 S50: backups of pgsurety and pgBackRest build on each other', () => {
  test('full, differential and incremental ones of both, in turn', async () => {
    const lines = ['compress-type=gz', 'repo1-bundle=n']
    await using repository = await shared.openRepository('chain', lines)
    await repository.run(OURS, ['stanza-create'])
    const labels: string[] = []
    for (const link of CHAIN) labels.push(await addBackup(repository, link))

    await assertSound(repository, labels)
    for (const label of [labels[2], ...labels.slice(-2)]) {
      assert.deepEqual(await restoreDifferences(repository, label ?? '', [OURS, THEIRS]), [])
    }
  })

  for (const [layout, lines] of Object.entries(LAYOUTS)) {
    test(`their interrupted full backup (${layout}) is finished by us, ours is begun anew by them`, async () => {
      await using repository = await shared.openRepository(`resumed-${layout}`, lines)
      await repository.run(OURS, ['stanza-create'])
      const begun = await interrupt(repository, THEIRS)
      await repository.archiveWith(OURS)
      await repository.run(OURS, ['--type=full', 'backup'])
      assert.deepEqual(await repository.labels(), [begun])
      const left = await interrupt(repository, OURS)
      const theirs = await addBackup(repository, { writer: THEIRS, kind: 'full' })
      assert.deepEqual([theirs > left, await repository.labels()], [true, [begun, theirs]])

      await assertSound(repository, [begun, theirs])
      assert.deepEqual(await restoreDifferences(repository, begun, [OURS, THEIRS]), [])
    })
  }
})

/** A full backup that ends at a file it may not read, after it has copied others; its label. */
async function interrupt(repository: SharedRepository, tool: Tool): Promise<string> {
  await repository.archiveWith(tool)
  const unreadable = join(shared.cluster.dataDir, 'unreadable')
  await writeAs(unreadable, 'x')
  await chmod(unreadable, 0)
  const earlier = await repository.labels()
  const retry = tool === OURS ? [] : ['--job-retry=0']
  const argv = [...retry, '--type=full', '--process-max=1', 'backup']
  await assert.rejects(repository.run(tool, argv), /unable to open file '.*\/unreadable'/)
  await rm(unreadable)
  const [label = '', ...more] = (await repository.labels()).filter((one) => !earlier.includes(one))
  assert.deepEqual(more, [])
  return label
}
