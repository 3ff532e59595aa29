/** Backups of a cluster that is shut down, through its files alone. */
import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { backup } from '../../src/command/backup/backup.ts'
import { parseManifest } from '../../src/format/manifest-read.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest } from '../harness/peers.ts'
import { runAs, writeAs } from '../harness/run.ts'
import { openCluster } from '../harness/cluster.ts'
import { type ArchivedCluster, refusal, startArchivedCluster, until } from './archived-cluster.ts'
import { dropPrivileges } from './unprivileged.ts'

let bed: ArchivedCluster
let pgBackRest260: string

before(async () => {
  pgBackRest260 = await pgBackRest('2.60')
  bed = await startArchivedCluster({ version: '15', tablespace: 'one' })
  await bed.cluster.psql('create table t tablespace ts1 as select generate_series(1, 1000) g')
  dropPrivileges()
})
after(async () => {
  await bed[Symbol.asyncDispose]()
})

interface Taken {
  readonly label: string
  readonly manifest: Manifest
  readonly log: string
}

async function take(...argv: readonly string[]): Promise<Taken> {
  const options = [`--config=${bed.config}`, '--stanza=demo', '--type=full', '--output=json']
  const ran = testContext({ argv: [...options, '--no-online', ...argv, 'backup'] })
  assert.equal(await backup(ran.context), 0)
  const label = /"label":"(.*?)"/.exec(ran.output())?.[1] ?? ''
  const content = await readFile(join(bed.folder, 'repo/backup/demo', label, 'backup.manifest'))
  return { label, manifest: parseManifest(content), log: ran.logText() }
}

test('a cluster whose server runs is refused, and with --force copied with a warning', async () => {
  assert.match(
    await refusal(take()),
    /^\[038\] --no-online passed but postmaster\.pid exists - looks like PostgreSQL is running\n/,
  )
  const { log, manifest } = await take('--force')
  assert.match(log, /WARN: --no-online passed and postmaster\.pid exists but --force was passed/)
  assert.equal(manifest.options.online, false)
})

test('a server that is started while it is copied spoils the backup', async () => {
  await bed.cluster.stop()
  const pidFile = join(bed.cluster.dataDir, 'postmaster.pid')
  const taking = take('--compress-type=gz', '--compress-level=9', '--process-max=1')
  const lock = join(bed.folder, 'lock/demo-backup-1.lock')
  await until('copying has begun', async () =>
    /"sz"/.test(await readFile(lock, 'utf8').catch(() => '')),
  )
  await writeAs(pidFile, '1\n')

  assert.match(await refusal(taking), /^\[038\] --no-online passed but postmaster\.pid exists/)
  await rm(pidFile)
})

test('a cluster that is shut down is copied with its WAL directory, and either tool restores it', async () => {
  const { label, manifest } = await take()
  const names = manifest.files.map(({ name }) => name)
  assert(names.some((name) => /^pg_data\/pg_wal\/[0-9A-F]{24}$/.test(name)))
  assert(!names.includes('pg_data/backup_label'))
  assert.deepEqual(
    [manifest.archiveStart, manifest.lsnStop, manifest.databases, manifest.options.archiveCheck],
    [undefined, undefined, [], false],
  )
  const target = manifest.targets.find(({ name }) => name.startsWith('pg_tblspc/'))
  assert(target?.kind === 'link')
  assert.equal(target.tablespaceName, `ts${target.tablespaceId}`)

  const common = [`--config=${bed.config}`, '--stanza=demo', `--set=${label}`]
  const info = await runAs([pgBackRest260, ...common, 'info'])
  assert.equal(await bed.run(`--set=${label}`, 'info'), info.stdout)
  await bed.restoreFiles(
    'ours',
    `--set=${label}`,
    '--type=none',
    '--archive-mode=off',
    `--tablespace-map-all=${bed.folder}/ours-ts`,
  )
  const theirs = join(bed.folder, 'theirs')
  await runAs(['mkdir', '-m', '700', theirs])
  await runAs([
    pgBackRest260,
    ...common,
    `--pg1-path=${theirs}`,
    `--tablespace-map-all=${theirs}-ts`,
    '--type=none',
    '--archive-mode=off',
    '--log-level-console=off',
    'restore',
  ])
  for (const dataDir of [join(bed.folder, 'ours'), theirs]) {
    await using cluster = await openCluster({ version: '15', dataDir })
    await cluster.start()
    assert.equal(await cluster.psql('select count(*) from t'), '1000')
    await cluster.stop()
  }
})
