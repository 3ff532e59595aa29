/** What a restore makes: files kept, repaired and removed, links and tablespaces moved, settings written. */
import assert from 'node:assert/strict'
import {
  appendFile,
  lstat,
  mkdir,
  readFile,
  readlink,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { toBytes } from '../../src/base/text.ts'
import { parseManifest } from '../../src/format/manifest-read.ts'
import { openCluster } from '../harness/cluster.ts'
import { runAs } from '../harness/run.ts'
import {
  type ArchivedCluster,
  archiveAll,
  refusal,
  startArchivedCluster,
  until,
} from './archived-cluster.ts'

/** Where the links of the source lead. */
let outside: string
let source: ArchivedCluster
let oid: string

before(async () => {
  source = await startArchivedCluster({
    version: '15',
    tablespace: 'one',
    settings: { autovacuum: 'off' },
  })
  const { cluster, folder } = source
  outside = join(folder, 'outside')
  await cluster.stop()
  const links = ['pg_wal', 'postgresql.conf'].map(
    (name) =>
      `mv ${cluster.dataDir}/${name} ${outside}/ && ln -s ${outside}/${name} ${cluster.dataDir}/${name}`,
  )
  await runAs(['sh', '-ec', `mkdir -m 700 ${outside}; ${links.join('; ')}`])
  await cluster.start()
  await cluster.psql('create table spread tablespace ts1 as select generate_series(1, 100) as n')
  oid = await cluster.psql("select oid from pg_tablespace where spcname = 'ts1'")
  await source.run('--type=full', 'backup')
  await archiveAll(cluster)
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

function at(name: string): string {
  return join(source.folder, name)
}

/** Inode and modification time. */
async function identityOf(path: string): Promise<string> {
  const { ino, mtimeMs } = await stat(path)
  return `${ino} ${mtimeMs}`
}

async function autoConf(dataDir: string): Promise<string> {
  return await readFile(join(dataDir, 'postgresql.auto.conf'), 'utf8')
}

test('tablespaces go where --tablespace-map says, by name, by oid, or all of them', async () => {
  const byName = await source.restoreFiles('by-name', `--tablespace-map=ts1=${at('name-ts')}`)
  await source.restoreFiles('by-oid', `--tablespace-map=${oid}=${at('oid-ts')}`)
  await source.restoreFiles('by-all', `--tablespace-map-all=${at('all')}/`)

  assert.equal(await readlink(at(`by-name/pg_tblspc/${oid}`)), at('name-ts'))
  assert.equal(await readlink(at(`by-oid/pg_tblspc/${oid}`)), at('oid-ts'))
  assert.equal(await readlink(at(`by-all/pg_tblspc/${oid}`)), at('all/ts1'))
  assert(byName.log.includes(`directory to '${at('name-ts')}'`), byName.log)
  await using cluster = await openCluster({ version: '15', dataDir: at('by-all') })
  await appendFile(at('by-all/postgresql.auto.conf'), "archive_mode = 'off'\n")
  await cluster.start()
  assert.equal(await cluster.psql('select count(*) from spread'), '100')
})

test('a tablespace that the backup does not have, or a relative path, is refused', async () => {
  const unknown = `--tablespace-map=ts2=${at('x')}`

  assert.match(
    await refusal(source.restoreFiles('unmapped', unknown)),
    /^\[076\] unable to remap invalid tablespace 'ts2'\nHINT: .*did you mean 'ts1'\?/,
  )
  assert.match(
    await refusal(source.restoreFiles('unmapped', '--tablespace-map=ts1=relative')),
    /^\[076\] path 'relative' of tablespace/,
  )
})

test('a copy beside the cluster does not take its tablespaces, not even with --delta', async () => {
  assert.match(await refusal(source.restoreFiles('beside')), /^\[040\] unable to restore to path/)
  await source.restoreFiles('beside', `--tablespace-map-all=${at('beside-ts')}`)

  assert.match(
    await refusal(source.restoreFiles('beside', '--delta')),
    /^\[040\] tablespace directory '.*' contains files that may belong to another cluster\n/,
  )
})

test('links become ordinary files and directories, with a warning each', async () => {
  const { log } = await source.restoreFiles('dissolved', `--tablespace-map-all=${at('d-ts')}`)

  assert.equal((await lstat(at('dissolved/pg_wal'))).isDirectory(), true)
  assert.equal((await lstat(at('dissolved/postgresql.conf'))).isFile(), true)
  assert.match(log, /WARN: contents of link 'pg_data\/pg_wal' will be restored inside/)
  assert.match(log, /WARN: contents of link 'pg_data\/postgresql\.conf' will be restored inside/)
})

test('--link-map leads links elsewhere', async () => {
  await source.restoreFiles(
    'linked',
    `--tablespace-map-all=${at('linked-ts')}`,
    `--link-map=pg_wal=${at('linked-wal')}`,
    `--link-map=postgresql.conf=${at('linked-etc/main.conf')}`,
  )

  assert.equal(await readlink(at('linked/pg_wal')), at('linked-wal'))
  assert.equal((await stat(at('linked-wal/archive_status'))).isDirectory(), true)
  assert.equal(await readlink(at('linked/postgresql.conf')), at('linked-etc/main.conf'))
  assert.match(await readFile(at('linked-etc/main.conf'), 'utf8'), /archive_mode/)
})

test('--link-all keeps links, and does not overwrite what they lead to unasked', async () => {
  const argv = ['--link-all', `--tablespace-map-all=${at('all-ts')}`]

  assert.match(
    await refusal(source.restoreFiles('all-links', ...argv)),
    /^\[040\] unable to restore to path '.*\/outside\/pg_wal' because it contains files/,
  )
  await source.cluster.stop()
  await runAs(['mv', outside, `${outside}.kept`])
  await source.restoreFiles('all-links', ...argv)
  assert.equal(await readlink(at('all-links/pg_wal')), join(outside, 'pg_wal'))
  assert.equal(await readlink(at('all-links/postgresql.conf')), join(outside, 'postgresql.conf'))
  assert.match(await readFile(join(outside, 'postgresql.conf'), 'utf8'), /archive_mode/)
  await rm(outside, { recursive: true })
  await runAs(['mv', `${outside}.kept`, outside])
  await source.cluster.start()
})

test('modes and modification times are those of the backup', async () => {
  const label = await runAs(['readlink', at('repo/backup/demo/latest')])
  const path = at(`repo/backup/demo/${label.stdout.trim()}/backup.manifest`)
  const manifest = parseManifest(await readFile(path))
  await source.restoreFiles('modes', `--tablespace-map-all=${at('modes-ts')}`)

  // Rewritten by every restore, or left out by it.
  const own = new Set(['pg_data/postgresql.auto.conf', 'pg_data/tablespace_map'])
  const files = manifest.files.filter(({ name }) => !own.has(name))
  const wanted = files.map(({ name, mode, timestampS }) => `${name} ${mode} ${timestampS}`)
  const found = await Promise.all(
    files.map(async ({ name }) => {
      const disk = name
        .replace(/^pg_data\//, 'modes/')
        .replace(/^pg_tblspc\/\d+\//, 'modes-ts/ts1/')
      const { mode, mtimeMs } = await lstat(toBytes(at(disk)))
      return `${name} ${mode & 0o7777} ${mtimeMs / 1000}`
    }),
  )
  assert.deepEqual(found, wanted)
})

test('--delta keeps what is right, repairs what is not, and removes what the backup does not have', async () => {
  const { dataDir } = await source.restoreFiles('delta', `--tablespace-map-all=${at('delta-ts')}`)
  const right = join(dataDir, 'global/pg_filenode.map')
  const changed = join(dataDir, 'PG_VERSION')
  const short = join(dataDir, 'postgresql.conf')
  const missing = join(dataDir, 'pg_hba.conf')
  const texts = await Promise.all(
    [changed, short, missing].map(async (path) => await readFile(path)),
  )
  const identity = await identityOf(right)
  await writeFile(changed, '16\n')
  await truncate(short, 100)
  await rm(missing)
  await mkdir(join(dataDir, 'base/77/deep'), { recursive: true })
  await writeFile(join(dataDir, 'core'), 'dumped')
  const argv = ['--delta', `--tablespace-map-all=${at('delta-ts')}`]

  const plan = await source.restoreFiles('delta', ...argv, '--plan', '--output=json')
  const { log } = await source.restoreFiles('delta', ...argv)

  assert(plan.output.includes(`"${dataDir}/base/77"`) && plan.output.includes(`"${dataDir}/core"`))
  assert.equal(await identityOf(right), identity)
  assert.deepEqual(
    await Promise.all([changed, short, missing].map(async (path) => await readFile(path))),
    texts,
  )
  await assert.rejects(stat(join(dataDir, 'base/77')), { code: 'ENOENT' })
  await assert.rejects(stat(join(dataDir, 'core')), { code: 'ENOENT' })
  assert.match(log, /file total = \d+, \d+ already right/)
})

test('--force writes every file again', async () => {
  const argv = ['--force', `--tablespace-map-all=${at('delta-ts')}`]
  await writeFile(at('delta/pg_hba.conf'), 'changed')

  const { log, output } = await source.restoreFiles('delta', ...argv)

  assert.match(output, /^ {2}mode +force: every file is written again$/m)
  assert.match(log, /file total = \d+$/m)
  assert.match(await readFile(at('delta/pg_hba.conf'), 'utf8'), /^local/m)
})

test('recovery settings are written as asked: options, timeline, archive_mode', async () => {
  const { dataDir } = await source.restoreFiles(
    'settings',
    `--tablespace-map-all=${at('settings-ts')}`,
    '--recovery-option=recovery-min-apply-delay=5min',
    "--recovery-option=archive_cleanup_command=echo '%r'",
    '--target-timeline=current',
    '--archive-mode=off',
  )

  const settings = (await autoConf(dataDir)).split('\n').filter((line) => /^\w/.test(line))
  assert.deepEqual(
    settings.filter((line) => !line.startsWith('restore_command')),
    [
      "archive_cleanup_command = 'echo ''%r'''",
      "recovery_min_apply_delay = '5min'",
      "archive_mode = 'off'",
      "recovery_target_timeline = 'current'",
    ],
  )
  assert.equal((await stat(join(dataDir, 'recovery.signal'))).size, 0)
})

test('--type=preserve leaves the recovery settings, --type=none writes none', async () => {
  const mapped = [`--tablespace-map-all=${at('settings-ts')}`, '--delta']
  await appendFile(at('settings/postgresql.auto.conf'), '# mine\n')
  const kept = await autoConf(at('settings'))

  await source.restoreFiles('settings', ...mapped, '--type=preserve')
  assert.equal(await autoConf(at('settings')), kept)
  assert.equal((await stat(at('settings/recovery.signal'))).size, 0)

  await source.restoreFiles('settings', ...mapped, '--type=none')
  assert.doesNotMatch(await autoConf(at('settings')), /^(?:restore_command|recovery_)/m)
  await assert.rejects(stat(at('settings/recovery.signal')), { code: 'ENOENT' })
})

test('the restore_command works from any directory', async () => {
  const { dataDir } = await source.restoreFiles('elsewhere', `--tablespace-map-all=${at('e-ts')}`)
  const written = /^restore_command = '(.*)'$/m.exec(await autoConf(dataDir))?.[1] ?? ''
  const command = written
    .replaceAll("''", "'")
    .replace('%f', '000000010000000000000002')
    .replace('%p', 'segment')
  await runAs(['mkdir', at('cwd')])

  await runAs(['sh', '-c', command], { cwd: at('cwd') })

  assert.equal((await stat(at('cwd/segment'))).size, 16 * 1024 * 1024)
})

test('a standby is rebuilt as a standby: it follows, and does not promote (W32)', async () => {
  const { cluster } = source
  const primary = `host=${cluster.socketDir} port=${cluster.port} user=postgres`
  const asStandby = [
    '--type=standby',
    `--tablespace-map-all=${at('standby-ts')}`,
    `--recovery-option=primary_conninfo=${primary}`,
  ]
  await using standby = await source.restore('standby', ...asStandby)
  await standby.start()
  await cluster.psql('create table followed as select 1')
  await until('the standby follows', async () => {
    return (await standby.psql("select to_regclass('followed')")) === 'followed'
  })
  await standby.stop()

  assert.match(
    await refusal(
      source.restoreFiles('standby', '--delta', `--tablespace-map-all=${at('standby-ts')}`),
    ),
    /^\[031\] '.*\/standby' is a standby \(it has standby\.signal\); this restore would promote itself/,
  )
  await source.restoreFiles('standby', '--delta', '--archive-mode=off', ...asStandby)
  await standby.start()
  await cluster.psql('create table followed_again as select 1')
  await until('the rebuilt standby follows', async () => {
    return (await standby.psql("select to_regclass('followed_again')")) === 'followed_again'
  })
  assert.equal(
    await standby.psql(
      'select pg_is_in_recovery(), (select timeline_id from pg_control_checkpoint())',
    ),
    't|1',
  )
  assert.equal((await stat(at('standby/standby.signal'))).size, 0)
})
