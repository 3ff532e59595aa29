/**
 * Bundles and block-incremental files: what pgBackRest 2.60 wrote is restored by pgsurety, and the other way round, byte
 * for byte, along chains of backups that both have made.
 */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { deltaDifferences, restoreDifferences } from './restored-tree.ts'
import {
  buildWhenStale,
  type SharedCluster,
  type SharedRepository,
  startSharedCluster,
  type Tool,
} from './shared-stanza.ts'

const BLOCKS = ['repo1-bundle=y', 'repo1-block=y'] as const
const CIPHER = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=a sound pass phrase'] as const

let shared: SharedCluster

before(async () => {
  await buildWhenStale()
  shared = await startSharedCluster({ version: '17', tablespace: 'one' })
  // One table that is stored by itself (in blocks of 16 KiB), one in a bundle, one in a tablespace that shrinks.
  await shared.cluster.psql(
    `create table large(id int, note text);
     insert into large select n, repeat(md5(n::text), 20) from generate_series(1, 18000) n;
     create table small(id int, note text);
     insert into small select n, repeat(md5(n::text), 20) from generate_series(1, 100) n;
     create table shrinking(id int, note text) tablespace ts1;
     insert into shrinking select n, repeat(md5(n::text), 20) from generate_series(1, 1000) n;
     checkpoint`,
  )
})

after(async () => {
  await shared[Symbol.asyncDispose]()
})

/** Every way that a file may have changed since the backup before: in places, at its end, cut short, not at all. */
async function change(repository: SharedRepository, step: number): Promise<void> {
  await repository.cluster.psql(
    `update large set note = repeat('${step}', 600) where id = any(array[${step * 97}, 9000, ${17_000 - step}]);
     insert into large select n, repeat(md5(n::text), 20) from generate_series(1, 40) n;
     insert into small select n, repeat(md5(n::text), 20) from generate_series(1, ${step * 50}) n;
     delete from shrinking where id > ${1000 - step * 200}`,
  )
  await repository.cluster.psql('vacuum shrinking')
  await repository.cluster.psql('checkpoint')
}

async function labelsOf(repository: SharedRepository): Promise<readonly string[]> {
  const names = await readdir(join(repository.path, 'backup/demo'))
  return names.filter((name) => /^\d{8}-\d{6}F/.test(name)).toSorted()
}

type Step = readonly [Tool, 'full' | 'diff' | 'incr']

/** Backs up once for each step, with changes before it; the labels in their order. */
async function backUp(
  repository: SharedRepository,
  steps: readonly Step[],
): Promise<readonly string[]> {
  const labels: string[] = []
  for (const [index, [tool, type]] of steps.entries()) {
    await repository.archiveWith(tool)
    await change(repository, index + 1)
    const earlier = await labelsOf(repository)
    await repository.run(tool, [`--type=${type}`, 'backup'])
    labels.push(...(await labelsOf(repository)).filter((label) => !earlier.includes(label)))
  }
  assert.equal(labels.length, steps.length)
  return labels
}

async function assertRestoredAlike(
  repository: SharedRepository,
  labels: readonly string[],
): Promise<void> {
  for (const label of labels) {
    assert.deepEqual(await restoreDifferences(repository, label, ['2.60', 'pgsurety']), [])
  }
}

async function assertVerified(
  repository: SharedRepository,
  labels: readonly string[],
): Promise<void> {
  const told = await repository.run('2.60', ['verify', '--output=text', '--verbose'])
  assert.match(told, /^status: ok$/m)
  for (const label of labels) {
    const found = told.split('\n').find((line) => line.startsWith(`  backup: ${label}, `))
    assert.match(
      found ?? told,
      /, status: valid, total files checked: (\d+), total valid files: \1$/,
    )
  }
  const [ours, theirs] = [
    await repository.run('pgsurety', ['info', '--output=json']),
    await repository.run('2.60', ['info', '--output=json']),
  ]
  assert.equal(ours, theirs)
}

void suite('bundles and blocks on PostgreSQL 17', { concurrency: 1 }, () => {
  test('S48: what pgBackRest wrote, full to incremental on incremental, is restored alike', async () => {
    await using repository = await shared.openRepository('theirs', [...BLOCKS, 'compress-type=zst'])
    await repository.run('2.60', ['stanza-create'])
    const labels = await backUp(repository, [
      ['2.60', 'full'],
      ['2.60', 'incr'],
      ['2.60', 'diff'],
      ['2.60', 'incr'],
    ])
    const [full = '', , , newest = ''] = labels

    await assertRestoredAlike(repository, labels)
    const delta = { over: full, fresh: '2.60', delta: 'pgsurety' } as const
    assert.deepEqual(await deltaDifferences(repository, newest, delta), [])
    const back = { ...delta, over: newest }
    assert.deepEqual(await deltaDifferences(repository, full, back), [])
  })

  test('S48: on our full backup pgBackRest builds, and we on what it built', async () => {
    await using repository = await shared.openRepository('ours', [...BLOCKS, 'compress-type=zst'])
    await repository.run('pgsurety', ['stanza-create'])
    const labels = await backUp(repository, [
      ['pgsurety', 'full'],
      ['2.60', 'incr'],
      ['pgsurety', 'incr'],
      ['2.60', 'diff'],
      ['pgsurety', 'diff'],
      ['2.60', 'incr'],
    ])

    await assertVerified(repository, labels)
    await assertRestoredAlike(repository, labels)
  })

  test('S48: on its full backup, gz and encrypted, we build, and it on what we built', async () => {
    const lines = [...BLOCKS, ...CIPHER, 'compress-type=gz']
    await using repository = await shared.openRepository('theirs-sealed', lines)
    await repository.run('2.60', ['stanza-create'])
    const labels = await backUp(repository, [
      ['2.60', 'full'],
      ['pgsurety', 'incr'],
      ['2.60', 'incr'],
      ['pgsurety', 'incr'],
    ])

    await assertVerified(repository, labels)
    await assertRestoredAlike(repository, labels)
  })
})
