/** A cluster of version 15 is replaced by one of version 17 in the same stanza; and what info says of windows and gaps. */
import assert from 'node:assert/strict'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Cluster, openCluster, startCluster } from '../harness/cluster.ts'
import { pgBackRest } from '../harness/peers.ts'
import { launcher, runAs } from '../harness/run.ts'
import { archiveAll, type ArchivedCluster, startArchivedCluster } from './archived-cluster.ts'

let bed: ArchivedCluster
let newer: Cluster
/** Options that name the new cluster. */
let newOptions: readonly string[]
/** Label of the backup of the old cluster. */
let oldLabel = ''
let program = ''

before(async () => {
  program = await pgBackRest('2.60')
  bed = await startArchivedCluster({ version: '15', walSegmentSizeMib: 1 })
  await bed.cluster.psql('create table t as select 15 as version')
  await bed.run('--type=full', 'backup')
  oldLabel = (await labels())[0] ?? ''
  await archiveAll(bed.cluster)
  await archiveAll(bed.cluster)
  const common = `--config=${bed.config} --stanza=demo`
  newer = await startCluster({
    version: '17',
    walSegmentSizeMib: 1,
    settings: {
      archive_mode: 'on',
      // Until the stanza is upgraded, WAL of the new cluster is refused and waits.
      archive_command: `${launcher()} ${common} --pg1-path=$(pwd) archive-push %p`,
    },
  })
  newOptions = [
    `--pg1-path=${newer.dataDir}`,
    `--pg1-port=${newer.port}`,
    `--pg1-socket-path=${newer.socketDir}`,
  ]
})

after(async () => {
  await newer[Symbol.asyncDispose]()
  await bed[Symbol.asyncDispose]()
})

async function labels(): Promise<readonly string[]> {
  const names = await readdir(join(bed.folder, 'repo/backup/demo'))
  return names.filter((name) => /^\d{8}-\d{6}F/.test(name)).toSorted()
}

async function theirInfo(...argv: readonly string[]): Promise<string> {
  const line = [program, `--config=${bed.config}`, '--stanza=demo', ...argv, 'info']
  return (await runAs(line)).stdout
}

interface Told {
  readonly recovery: readonly {
    readonly 'archive-id': string
    readonly reachable: readonly { readonly 'wal-start': string; readonly 'wal-stop': string }[]
    readonly gap: readonly { readonly cause: string; readonly count: number }[]
    readonly backup: readonly { readonly label: string; readonly usable: boolean }[]
  }[]
}

async function told(): Promise<Told['recovery']> {
  const stanzas: readonly Told[] = JSON.parse(await bed.run('--gaps', '--output=json', 'info'))
  return stanzas[0]?.recovery ?? []
}

test('info tells on request where recovery can get to, and nothing of it unasked', async () => {
  const [recovery] = await told()

  assert.deepEqual(
    recovery?.backup.map(({ label, usable }) => [label, usable]),
    [[oldLabel, true]],
  )
  assert.equal(recovery.reachable.length, 1)
  assert.deepEqual(recovery.gap, [])
  assert.equal(await bed.run('info'), await theirInfo())
  assert.equal(await bed.run('--output=json', 'info'), await theirInfo('--output=json'))
  const text = await bed.run('--gaps', 'info')
  assert.ok(text.startsWith((await theirInfo()).trimEnd()))
  assert.match(text, /\n {4}recovery \(repo1, 15-1\)\n {8}timeline 1: 2.* to about 2.*, WAL 0+1/)
})

test('a segment that is lost is a gap that ends what can be reached', async () => {
  const folder = join(bed.folder, 'repo/archive/demo/15-1/0000000100000000')
  const segments = (await readdir(folder)).filter((name) => !name.endsWith('.backup')).toSorted()
  const lost = segments.at(-2) ?? ''
  await rm(join(folder, lost))

  const [recovery] = await told()

  assert.deepEqual(recovery?.gap, [
    { 'wal-start': lost.slice(0, 24), 'wal-stop': lost.slice(0, 24), count: 1, cause: 'missing' },
  ])
  assert.equal(recovery.reachable[0]?.['wal-stop'], segments.at(-3)?.slice(0, 24))
  assert.match(
    await bed.run('--gaps', 'info'),
    new RegExp(
      `gap: WAL ${lost.slice(0, 24)}/${lost.slice(0, 24)} \\(1 segments\\): never archived`,
    ),
  )
})

test('after stanza-upgrade the new cluster archives under an id of its own, and its first backup is a full one', async () => {
  await bed.cluster.stop()
  const output = await bed.run(...newOptions, '--output=json', 'stanza-upgrade')
  assert.equal(output, '{"stanza":"demo","repos":[{"repo":1,"outcome":"upgraded"}]}\n')
  await newer.psql('create table t as select 17 as version')

  await bed.run(...newOptions, '--archive-timeout=30', 'check')
  await bed.run(...newOptions, '--type=incr', 'backup')

  const all = await labels()
  assert.equal(all.length, 2)
  assert.match(all[1] ?? '', /^\d{8}-\d{6}F$/)
  const archives = await readdir(join(bed.folder, 'repo/archive/demo'))
  assert.deepEqual(archives.filter((name) => !name.startsWith('archive.info')).toSorted(), [
    '15-1',
    '17-2',
  ])
  assert.equal(await bed.run('--output=json', 'info'), await theirInfo('--output=json'))
  assert.deepEqual(
    (await told()).map((recovery) => [
      recovery['archive-id'],
      recovery.backup.map(({ label }) => label),
    ]),
    [
      ['15-1', [oldLabel]],
      ['17-2', [all[1]]],
    ],
  )
  const again = await runAs([
    program,
    `--config=${bed.config}`,
    '--stanza=demo',
    ...newOptions,
    '--log-level-console=info',
    'stanza-upgrade',
  ])
  assert.match(again.stdout, /stanza 'demo' on repo1 is already up to date/)
})

test('the backups of both clusters restore, each with its own version', async () => {
  const [older = '', newest = ''] = await labels()
  for (const [label, version] of [[older, '15'] as const, [newest, '17'] as const]) {
    const { dataDir } = await bed.restoreFiles(
      `restored-${version}`,
      `--set=${label}`,
      '--type=immediate',
      '--archive-mode=off',
    )
    await using restored = await openCluster({ version, dataDir })
    await restored.start()
    assert.equal(await restored.psql('select version from t'), version)
  }
})
