/** Backups that build on an earlier one, or go on with an interrupted one: what is stored anew, and what is not. */
import assert from 'node:assert/strict'
import { appendFile, chmod, open, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { backup } from '../../src/command/backup/backup.ts'
import { fullLabelOf } from '../../src/format/label.ts'
import type { Manifest, ManifestFile } from '../../src/format/manifest.ts'
import { loadBackupInfo, loadManifest, type Repo } from '../../src/repo/repo.ts'
import { testContext } from '../harness/context.ts'
import { postgresBin } from '../harness/peers.ts'
import {
  archiveAll,
  type ArchivedCluster,
  refusal,
  startArchivedCluster,
  untilPromoted,
} from './archived-cluster.ts'
import { backupFolder, openRepo, provenBackups } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

let bed: ArchivedCluster
let common: readonly string[]
let repo: Repo
/** In the data directory: larger than what is hashed before it is copied, and small. */
let large: string
let small: string

before(async () => {
  await postgresBin('17')
  // Without the template databases, which a cluster can live without: half the files, half the time.
  const excludes = ['exclude=base/1/', 'exclude=base/4/']
  const lines = ['manifest-save-threshold=1', 'repo1-bundle=n', ...excludes]
  bed = await startArchivedCluster({ version: '17', lines })
  common = [`--config=${bed.config}`, '--stanza=demo']
  await bed.cluster.psql('create table t as select g from generate_series(1, 1000) g')
  dropPrivileges()
  repo = openRepo(common)
  large = join(bed.cluster.dataDir, 'large')
  small = join(bed.cluster.dataDir, 'small')
  await writeFile(large, Buffer.alloc(5_000_000, 'large'))
  await writeFile(small, 'small')
})
after(async () => {
  await bed[Symbol.asyncDispose]()
})

interface Taken {
  readonly manifest: Manifest
  readonly log: string
}

/** Takes a backup inside this process. */
async function take(...argv: readonly string[]): Promise<Taken> {
  const ran = testContext({ argv: [...common, '--output=json', ...argv, 'backup'] })
  assert.equal(await backup(ran.context), 0)
  const label = /"label":"(.*?)"/.exec(ran.output())?.[1] ?? ''
  const manifest = await loadManifest(repo, 'demo', label, undefined)
  await provenBackups(repo, 'demo')
  return { manifest, log: ran.logText() }
}

/** A backup that ends at a file it may not read, after it has copied nearly all others. */
async function interrupt(...argv: readonly string[]): Promise<void> {
  const unreadable = join(bed.cluster.dataDir, 'unreadable')
  await writeFile(unreadable, 'x')
  await chmod(unreadable, 0)
  try {
    const ran = testContext({ argv: [...common, '--process-max=1', ...argv, 'backup'] })
    const told = await refusal(backup(ran.context))
    assert.match(told, /^\[041\] unable to open file '.*\/unreadable'/)
  } finally {
    await rm(unreadable)
  }
}

function entry({ files }: Manifest, name: string): ManifestFile {
  const file = files.find((one) => one.name === `pg_data/${name}`)
  assert(file !== undefined, name)
  return file
}

const own = ({ files }: Manifest): readonly string[] =>
  files.filter(({ reference }) => reference === undefined).map(({ name }) => name)

async function listedLabels(): Promise<readonly string[]> {
  return (await loadBackupInfo(repo, 'demo')).backups.map(({ label }) => label)
}

async function bringTimeTo(path: string, date: string): Promise<void> {
  await utimes(path, new Date(date), new Date(date))
}

test('without a backup to build on an incremental one is full, and says so', async () => {
  const { manifest, log } = await take()
  assert.equal(manifest.kind, 'full')
  assert.match(log, /WARN: no prior backup exists, incr backup has been changed to full\n/)
})

test('only what has changed is stored; each kind builds on the right one, and says how much it stored', async () => {
  const full = (await take('--type=full')).manifest
  await appendFile(small, ' and more')
  const incr = (await take()).manifest
  const again = (await take('--type=incr')).manifest
  const diff = (await take('--type=diff')).manifest

  assert.deepEqual([incr.prior, again.prior, diff.prior], [full.label, incr.label, full.label])
  assert.deepEqual(again.references, [full.label, incr.label, again.label])
  assert.deepEqual(diff.references, [full.label, diff.label])
  assert(own(incr).includes('pg_data/small') && own(diff).includes('pg_data/small'))
  assert.equal(entry(again, 'small').reference, incr.label)
  assert.equal(entry(again, 'large').reference, full.label)
  assert(own(again).length < 10, own(again).join(' '))
  const { backups } = await loadBackupInfo(repo, 'demo')
  const listed = backups.find(({ label }) => label === again.label)
  assert(listed !== undefined && listed.sizeDeltaBytes < 100_000 && listed.sizeBytes > 10_000_000)
})

test('what was touched but not changed is not stored again, whatever its size', async () => {
  const { manifest } = await take('--type=full')
  for (const path of [large, small]) await utimes(path, new Date(), new Date())
  const { manifest: incr } = await take()
  for (const name of ['large', 'small']) {
    assert.equal(entry(incr, name).reference, manifest.label, name)
    assert(entry(incr, name).timestampS > entry(manifest, name).timestampS)
  }
  const stored = await repo.storage.listAll(`backup/demo/${incr.label}`)
  assert.deepEqual(
    stored.filter(({ name }) => /large|small/.test(name)),
    [],
  )
})

test('--delta finds a change that size and time hide', async () => {
  const { mtime } = await stat(large)
  const hidden = await open(large, 'r+')
  await hidden.write('changed', 1_500_000)
  await hidden.close()
  await utimes(large, mtime, mtime)
  assert.notEqual(entry((await take()).manifest, 'large').reference, undefined)
  const { manifest } = await take('--delta')
  assert.equal(entry(manifest, 'large').reference, undefined)
  assert.notEqual(entry(manifest, 'small').reference, undefined)
  assert.equal(manifest.options.delta, true)
})

test('a time that went back makes backup compare contents by itself', async () => {
  await bringTimeTo(small, '2001-01-01')
  const { manifest, log } = await take()
  assert.match(
    log,
    /WARN: file 'small' has timestamp earlier than prior backup \(prior \d+, current 978307200\), enabling delta checksum\n/,
  )
  assert.equal(manifest.options.delta, true)
  assert.notEqual(entry(manifest, 'small').reference, undefined)
  assert(own(manifest).length < 10)
})

test('a file from the future makes backup compare contents by itself', async () => {
  await bringTimeTo(small, '2040-01-01')
  const { log } = await take()
  assert.match(
    log,
    /WARN: file 'small' has timestamp \(2208988800\) in the future \(relative to copy start \d+\), enabling delta checksum\n/,
  )
  await bringTimeTo(small, '2002-01-01')
})

const LAYOUTS: Readonly<Record<string, readonly string[]>> = {
  'each file by itself': [],
  'bundles and blocks': ['--repo1-bundle', '--repo1-block', '--repo1-bundle-size=1MiB'],
}

for (const [layout, options] of Object.entries(LAYOUTS)) {
  for (const kind of ['full', 'incr'] as const) {
    test(`an interrupted ${kind} backup (${layout}) is gone on with: what is stored is checked, not copied again`, async () => {
      if (kind === 'incr') await writeFile(large, Buffer.alloc(5_000_000, layout))
      const argv = [`--type=${kind}`, ...options]
      await interrupt(...argv)
      const { manifest, log } = await take(...argv)
      const [, label = ''] = /WARN: resumable backup (\S+) of same type exists/.exec(log) ?? []
      assert.equal(manifest.label, label)
      assert.match(log, /DETAIL: checksum resumed file .*\/large /)
      assert.doesNotMatch(log, /DETAIL: backup file .*\/large /)
      assert.equal(entry(manifest, 'large').reference, undefined)
      assert.match(log, /DETAIL: backup file .*\/pg_control /)
      await using restored = await bed.restore(`resumed-${label}`, `--set=${label}`)
      await restored.start()
      await untilPromoted(restored)
      assert.equal(await restored.psql('select count(*) from t'), '1000')
      assert.deepEqual(await readFile(join(restored.dataDir, 'large')), await readFile(large))
    })
  }
}

test('a file that changed after the interruption, or whose stored copy is damaged, is copied again', async () => {
  await interrupt('--type=full')
  const [label = ''] = (await repo.storage.list('backup/demo'))
    .map(({ name }) => name)
    .filter((name) => name.endsWith('F'))
    .slice(-1)
  await writeFile(small, 'grown since')
  const folder = backupFolder(repo, 'demo', label)
  await writeFile(join(folder, 'pg_data/large.zst'), 'damaged')
  const killedSave = join(folder, 'backup.manifest.copy.0a1b2c3d.pgbackrest.tmp')
  await writeFile(killedSave, 'half')
  const { manifest, log } = await take('--type=full')
  assert.equal(manifest.label, label)
  await assert.rejects(stat(killedSave), { code: 'ENOENT' })
  assert.match(
    log,
    /WARN: resumed backup file .*\/large did not have expected checksum [0-9a-f]{40}\./,
  )
  assert.match(log, /DETAIL: backup file .*\/small /)
  await bed.restoreFiles('repaired', `--set=${label}`)
})

test('an interrupted backup that another kind is taken over, or that may not be resumed, goes', async () => {
  await interrupt('--type=full')
  const { manifest, log } = await take('--type=incr')
  assert.match(
    log,
    /WARN: backup '\S+F' cannot be resumed: new backup type 'incr' does not match resumable backup type 'full'\n/,
  )
  await interrupt('--type=incr')
  const { log: unresumed } = await take('--type=incr', '--no-resume')
  assert.match(unresumed, /WARN: backup '\S+I' cannot be resumed: resume is disabled\n/)
  const labels = (await repo.storage.list('backup/demo')).map(({ name }) => name)
  assert.deepEqual(
    labels.filter((name) => /^\d/.test(name)),
    await listedLabels(),
  )
  assert.equal(fullLabelOf(manifest.label), manifest.references[0])
})

test('--repo-hardlink makes the folder of an incremental backup complete by itself, at no cost', async () => {
  const full = await take('--type=full')
  const { manifest } = await take('--repo1-hardlink')
  assert.equal(manifest.options.hardlink, true)
  const folder = backupFolder(repo, 'demo', manifest.label)
  const names = manifest.files.map(({ name }) => `${name}.zst`)
  const stored = (await repo.storage.listAll(`backup/demo/${manifest.label}`)).map(
    ({ name }) => name,
  )
  assert.deepEqual(
    stored.filter((name) => !name.startsWith('backup.manifest')),
    names,
  )
  const { ino } = await stat(join(folder, 'pg_data/large.zst'))
  const first = await stat(
    join(backupFolder(repo, 'demo', full.manifest.label), 'pg_data/large.zst'),
  )
  assert.equal(ino, first.ino)
  const { manifest: next } = await take()
  assert.equal(entry(next, 'large').reference, full.manifest.label)
  await bed.restoreFiles('linked', `--set=${next.label}`)
})

test('after a switch of the timeline contents are compared, and the backup restores', async () => {
  await bed.cluster.psql('create table late as select 1')
  await archiveAll(bed.cluster)
  await bed.cluster.stop()
  await bed.restoreFiles(bed.cluster.dataDir, '--delta', '--target-timeline=current', '--force')
  await bed.cluster.start()
  await untilPromoted(bed.cluster)
  const { manifest, log } = await take()
  assert.match(
    log,
    /WARN: a timeline switch has occurred since the \S+ backup, enabling delta checksum\n/,
  )
  assert.equal(manifest.options.delta, true)
  assert.equal(manifest.archiveStart?.slice(0, 8), '00000002')
  await using restored = await bed.restore('switched', `--set=${manifest.label}`)
  await restored.start()
  await untilPromoted(restored)
  assert.equal(await restored.psql('select count(*) from t'), '1000')
})

test('afterwards what is past its retention goes; with --no-expire-auto nothing does', async () => {
  const earlier = await listedLabels()
  const kept = await take('--type=full', '--repo1-retention-full=1', '--no-expire-auto')
  assert.deepEqual(await listedLabels(), [...earlier, kept.manifest.label])
  const { manifest } = await take('--type=full', '--repo1-retention-full=1')
  assert.deepEqual(await listedLabels(), [manifest.label])
})
