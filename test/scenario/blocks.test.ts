/** Backups in bundles and blocks, of a server that nobody told how to store them. */
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { restore } from '../../src/command/restore/restore.ts'
import { parseManifest } from '../../src/format/manifest-read.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { startCluster, type Cluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest } from '../harness/peers.ts'
import { type Folder, launcher, pgsurety, runAs, temporaryFolder, writeAs } from '../harness/run.ts'
import { compareTrees } from '../harness/tree.ts'
import { dropPrivileges } from './unprivileged.ts'

/** A gigabyte in the long run, else enough for blocks of 16 KiB. */
const TABLE_MIB = process.env['PGSURETY_TEST_FULL'] === undefined ? 24 : 1024

let folder: Folder
let cluster: Cluster
let config = ''
let program = ''

before(async () => {
  program = await pgBackRest('2.60')
  folder = await temporaryFolder('blocks')
  config = join(folder.path, 'pgsurety.conf')
  const push = `${launcher()} --config=${config} --stanza=demo archive-push "%p"`
  const settings = { archive_mode: 'on', archive_command: push, autovacuum: 'off' }
  cluster = await startCluster({ version: '17', settings })
  const lines = [
    '[global]',
    `repo1-path=${folder.path}/repo`,
    `lock-path=${folder.path}/lock`,
    'log-level-file=off',
    'repo1-retention-full=9',
    'start-fast=y',
    // A gigabyte of WAL comes before the first backup.
    'archive-timeout=600',
    '[demo]',
    `pg1-path=${cluster.dataDir}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDir}`,
    `pg1-user=postgres`,
    '',
  ]
  await writeAs(config, lines.join('\n'))
  // Half a kilobyte to a row, which hardly compresses.
  await cluster.psql(
    `create table large as select n as id, (select string_agg(md5(n::text || k), '') from generate_series(1, 14) k) as note
     from generate_series(1, ${TABLE_MIB * 2048}) n`,
  )
  await cluster.psql('vacuum freeze large')
  await cluster.psql('checkpoint')
  await run('stanza-create')
  dropPrivileges()
})

after(async () => {
  await cluster[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const common = (): readonly string[] => [`--config=${config}`, '--stanza=demo']

async function run(...argv: readonly string[]): Promise<string> {
  return (await pgsurety([...common(), ...argv], { timeoutMs: 400_000 })).stdout
}

async function take(type: 'full' | 'incr', ...argv: readonly string[]): Promise<Taken> {
  const told: unknown = JSON.parse(await run(`--type=${type}`, '--output=json', ...argv, 'backup'))
  assert(typeof told === 'object' && told !== null && 'label' in told)
  assert('repoSizeDeltaBytes' in told && typeof told.repoSizeDeltaBytes === 'number')
  const label = String(told.label)
  const path = join(folder.path, 'repo/backup/demo', label, 'backup.manifest')
  return {
    label,
    storedBytes: told.repoSizeDeltaBytes,
    manifest: parseManifest(await readFile(path)),
  }
}

interface Taken {
  readonly label: string
  readonly storedBytes: number
  readonly manifest: Manifest
}

/** How a backup is stored. */
const styleOf = ({ manifest }: Taken): readonly (string | boolean | undefined)[] => [
  manifest.options.compressType,
  manifest.bundle,
  manifest.blockIncr,
]

let full: Taken
let incr: Taken

test('W34: the first backup of a repository, without options, is zst in bundles and blocks', async () => {
  full = await take('full')

  assert.deepEqual(styleOf(full), ['zst', true, true])
  assert.equal(full.manifest.bundleRaw, true)
})

test(`S48: one changed row in a table of ${TABLE_MIB} MiB adds less than a megabyte`, async (context) => {
  await cluster.psql(`update large set note = 'changed' where id = 77; checkpoint`)

  incr = await take('incr')

  context.diagnostic(
    `full backup ${full.storedBytes} bytes, incremental after one row ${incr.storedBytes} bytes`,
  )
  assert(full.storedBytes > (TABLE_MIB * 1024 * 1024) / 3)
  assert(incr.storedBytes < 1024 * 1024, String(incr.storedBytes))
})

/** Restores a backup into a folder, its path. */
async function into(name: string, label: string, ...argv: readonly string[]): Promise<string> {
  const dataDir = join(folder.path, name)
  const place = [`--set=${label}`, `--pg1-path=${dataDir}`, '--type=none', ...argv, 'restore']
  assert.equal(await restore(testContext({ argv: [...common(), ...place] }).context), 0)
  return dataDir
}

test('S48: a restore over an older state gives the same as one afresh', async () => {
  const fresh = await into('fresh', incr.label)
  const over = await into('over', full.label)
  const table = `base/5/${await cluster.psql("select pg_relation_filenode('large')")}`
  const damaged = await readFile(join(over, table))
  await writeFile(join(over, table), damaged.fill('x', 30_000, 60_000))

  await into('over', incr.label, '--delta')

  const ignore = [/^(?:postgresql\.auto\.conf|backup\.manifest)$/]
  assert.deepEqual(await compareTrees(fresh, over, { ignore, modifiedTimes: 'compare' }), [])
})

test('W34: later backups do as the newest did, whoever took it', async () => {
  await runAs([program, ...common(), '--type=full', '--no-archive-check', 'backup'])

  assert.deepEqual(styleOf(await take('full')), ['gz', false, false])
  assert.deepEqual(styleOf(await take('full', '--repo1-bundle', '--compress-type=zst')), [
    'zst',
    true,
    false,
  ])
})

test('W34: a newest backup that cannot be read is no reason not to take one', async () => {
  const { label } = await take('full')
  for (const name of ['backup.manifest', 'backup.manifest.copy']) {
    await writeFile(join(folder.path, 'repo/backup/demo', label, name), 'damaged')
  }

  const told = await run('--type=full', '--log-level-console=warn', 'backup')

  assert.match(told, /WARN: the newest backup cannot be asked for what no option says/)
})
