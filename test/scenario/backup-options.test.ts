import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFile, mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parseBackupInfo } from '../../src/format/backup-info.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { parseManifest } from '../../src/format/manifest-read.ts'
import { backup } from '../../src/command/backup/backup.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest, postgresBin } from '../harness/peers.ts'
import { launcher, runAs, spawnAs } from '../harness/run.ts'
import {
  type ArchivedCluster,
  archiveAll,
  refusal,
  startArchivedCluster,
  untilPromoted,
} from './archived-cluster.ts'
import { dropPrivileges } from './unprivileged.ts'

let bed: ArchivedCluster
let pgBackRest260: string

before(async () => {
  for (const version of ['13', '14', '16', '18'] as const) await postgresBin(version)
  pgBackRest260 = await pgBackRest('2.60')
  bed = await startArchivedCluster({ version: '17' })
  await bed.cluster.psql('create table t as select g from generate_series(1, 1000) g')
  await bed.cluster.psql('checkpoint')
  // What backup writes in here must be the server's, whose archive_command reads it.
  dropPrivileges()
})
after(async () => {
  await bed[Symbol.asyncDispose]()
})

interface Taken {
  readonly label: string
  readonly manifest: Manifest
  readonly log: string
  /** Standard output. */
  readonly output: string
}

/** Takes a full backup inside this process. */
async function take(...argv: readonly string[]): Promise<Taken> {
  const options = [`--config=${bed.config}`, '--stanza=demo', '--type=full', '--output=json']
  const ran = testContext({ argv: [...options, ...argv, 'backup'] })
  assert.equal(await backup(ran.context), 0)
  const label = /"label":"(.*?)"/.exec(ran.output())?.[1] ?? ''
  const content = await readFile(join(bed.folder, 'repo/backup/demo', label, 'backup.manifest'))
  return { label, manifest: parseManifest(content), log: ran.logText(), output: ran.output() }
}

const bytesOf = (manifest: Manifest, name: string): number | undefined =>
  manifest.files.find((file) => file.name === name)?.sizeBytes

test('--archive-copy makes a backup that needs no archive', async () => {
  const { label, manifest } = await take('--archive-copy')
  const wal = manifest.files.filter(({ name }) => /^pg_data\/pg_wal\/[0-9A-F]{24}$/.test(name))
  assert.equal(wal.length >= 1, true)
  await using copy = await bed.restore(
    'copied',
    `--set=${label}`,
    '--type=immediate',
    '--target-action=promote',
  )
  await appendFile(join(copy.dataDir, 'postgresql.auto.conf'), "restore_command = 'false'\n")
  await copy.start()
  await untilPromoted(copy)
  assert.equal(await copy.psql('select count(*) from t'), '1000')
})

test('annotations are stored, and shown by both programs', async () => {
  const { label, manifest } = await take('--annotation=why=before upgrade', '--annotation=who=me')
  assert.deepEqual(
    [...manifest.annotations],
    [
      ['who', 'me'],
      ['why', 'before upgrade'],
    ],
  )
  const common = [`--config=${bed.config}`, '--stanza=demo', `--set=${label}`, 'info']
  const theirs = await runAs([pgBackRest260, ...common])
  assert.match(theirs.stdout, /why: before upgrade/)
  assert.equal(await bed.run(`--set=${label}`, 'info'), theirs.stdout)
})

test('what is excluded is not in the backup, and the rest is', async () => {
  const directory = join(bed.cluster.dataDir, 'extra')
  await mkdir(directory)
  await writeFile(join(directory, 'large'), 'x')
  await writeFile(join(bed.cluster.dataDir, 'note'), 'y')
  const { manifest } = await take('--exclude=extra/', '--exclude=note')
  const names = manifest.paths.map(({ name }) => name)
  assert(names.includes('pg_data/extra'), 'a directory given with / stays, empty')
  assert.equal(bytesOf(manifest, 'pg_data/extra/large'), undefined)
  assert.equal(bytesOf(manifest, 'pg_data/note'), undefined)
  assert.equal(bytesOf((await take()).manifest, 'pg_data/note'), 1)
  await rm(directory, { recursive: true })
  await rm(join(bed.cluster.dataDir, 'note'))
})

test('a damaged page is told with its number and relation, marked, and stops the backup only when asked to', async () => {
  const path = await bed.cluster.psql("select pg_relation_filepath('t')")
  await bed.cluster.psql('checkpoint')
  const file = await open(join(bed.cluster.dataDir, path), 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, 8192 + 4000)
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, 8192 + 4000)
  try {
    const { label, manifest, log, output } = await take()
    const entry = manifest.files.find(({ name }) => name === `pg_data/${path}`)
    assert.deepEqual([entry?.checksumPage, entry?.checksumPageErrors], [false, [1]])
    assert.match(log, new RegExp(`WARN: invalid page checksum found in file .*${path} at page 1\n`))
    assert(
      log.includes(
        `WARN: damaged relation postgres.public.t: block 1 (main fork, segment 0, file pg_data/${path})\n`,
      ),
    )
    assert(output.includes('"damage":[{"file":"pg_data/base/'))
    assert(
      output.includes('"relation":"postgres.public.t","fork":"main","segment":0,"blocks":[1]}]'),
    )
    const content = await readFile(join(bed.folder, 'repo/backup/demo/backup.info'))
    const listed = parseBackupInfo(content).backups.find((one) => one.label === label)
    assert.equal(listed?.error, true)
    assert.match(
      await refusal(take('--checksum-page-error')),
      /^\[026\] invalid page checksum found in file .* at page 1\n/,
    )
    const unchecked = await take('--no-checksum-page')
    assert.equal(unchecked.manifest.options.checksumPage, false)
  } finally {
    await file.write(byte, 0, 1, 8192 + 4000)
    await file.close()
  }
})

test('two backups of one stanza exclude each other, ours and pgBackRest alike', async () => {
  const common = [`--config=${bed.config}`, '--stanza=demo', '--type=full']
  const first = spawnAs([launcher(), ...common, '--no-start-fast', 'backup'])
  first.stdin.end()
  const lock = join(bed.folder, 'lock/demo-backup-1.lock')
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await readFile(lock, 'utf8').catch(() => '')) !== '') break
    await new Promise((resolve) => {
      setTimeout(resolve, 20)
    })
  }
  const ours = await runAs([launcher(), ...common, 'backup'], { allowFailure: 'allow' })
  const theirs = await runAs([pgBackRest260, ...common, 'backup'], {
    allowFailure: 'allow',
  })
  first.kill('SIGTERM')
  const [code] = await once(first, 'close')
  assert.deepEqual([ours.code, theirs.code, code], [50, 50, 63])
  assert.match(ours.stdout, /unable to acquire lock on file/)
})

test('after a signal the server is out of backup mode and the next backup works', async () => {
  const sessions = "select count(*) from pg_stat_activity where application_name like 'pgsurety%'"
  assert.equal(await bed.cluster.psql(sessions), '0')
  const { label, log } = await take()
  assert.match(label, /^\d{8}-\d{6}F$/)
  assert.match(log, /execute non-exclusive backup stop/)
})

for (const version of ['13', '14', '16', '18'] as const) {
  test(`PostgreSQL ${version} is backed up while it is written to, and restored`, async () => {
    await using other = await startArchivedCluster({ version })
    await other.cluster.psql('create table t(a int)')
    const writing = other.cluster.psql(
      'insert into t select generate_series(1, 200000); insert into t select generate_series(1, 200000)',
    )
    await other.run('--type=full', 'backup')
    await writing
    await archiveAll(other.cluster)
    await using restored = await other.restore('restored')
    await restored.start()
    await untilPromoted(restored)
    assert.equal(await restored.psql('select count(*) from t'), '400000')
  })
}
