/** Clusters of unusual shape, backed up full, differential and incremental, restored and recovered. */
import assert from 'node:assert/strict'
import { open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { backup } from '../../src/command/backup/backup.ts'
import { toBytes } from '../../src/base/text.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { parseManifest } from '../../src/format/manifest-read.ts'
import type { Cluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { toolsBin } from '../harness/peers.ts'
import { launcher, runAs } from '../harness/run.ts'
import {
  type ArchivedCluster,
  archiveAll,
  startArchivedCluster,
  untilPromoted,
} from './archived-cluster.ts'
import { dropPrivileges } from './unprivileged.ts'

/** 1 MiB segments without data checksums, 64 MiB segments with them. */
let small: ArchivedCluster
let large: ArchivedCluster

before(async () => {
  small = await startArchivedCluster({
    version: '15',
    walSegmentSizeMib: 1,
    checksums: 'off',
    tablespace: 'one',
  })
  large = await startArchivedCluster({
    version: '15',
    walSegmentSizeMib: 64,
    settings: { min_wal_size: '128MB', max_wal_size: '256MB' },
  })
  await toolsBin()
  dropPrivileges()
})
after(async () => {
  await large[Symbol.asyncDispose]()
  await small[Symbol.asyncDispose]()
})

async function take(bed: ArchivedCluster, type: string): Promise<Manifest> {
  const options = [`--config=${bed.config}`, '--stanza=demo', `--type=${type}`, '--output=json']
  const ran = testContext({ argv: [...options, 'backup'] })
  assert.equal(await backup(ran.context), 0)
  const label = /"label":"(.*?)"/.exec(ran.output())?.[1] ?? ''
  const path = join(bed.folder, 'repo/backup/demo', label, 'backup.manifest')
  return parseManifest(await readFile(path))
}

/** Statements as raw bytes (latin1), for names that are not UTF-8. */
async function psqlBytes(cluster: Cluster, database: string, sql: string): Promise<string> {
  const program = join(await toolsBin(), 'psql')
  const place = ['-h', cluster.socketDir, '-p', String(cluster.port), '-U', 'postgres']
  const ran = await runAs([program, '-qAtX', '-v', 'ON_ERROR_STOP=1', ...place, database], {
    input: Buffer.from(sql, 'latin1'),
    env: { PGCLIENTENCODING: 'SQL_ASCII' },
  })
  return ran.stdout.trim()
}

test('1 MiB segments, no checksums, empty and sparse files, unlogged relations, names that are not UTF-8', async () => {
  const { cluster, folder } = small
  await cluster.psql(
    "create database ascii encoding 'SQL_ASCII' template template0 strategy file_copy",
  )
  await psqlBytes(cluster, 'ascii', 'create database "caf\xe9" strategy file_copy')
  await psqlBytes(cluster, 'ascii', 'create table "gr\xfc\xdfe" tablespace ts1 as select 7 as n')
  await cluster.psql('create table empty (n int); create unlogged table fleeting as select 1')
  await cluster.psql('create table t as select generate_series(1, 1000) n; checkpoint')
  await writeFile(toBytes(`${cluster.dataDir}/na\xefve`), 'x')
  await writeFile(join(cluster.dataDir, 'sparse'), '')
  await truncate(join(cluster.dataDir, 'sparse'), 8 * 1024 * 1024)
  const paths = await cluster.psql(
    "select pg_relation_filepath('empty'), pg_relation_filepath('fleeting')",
  )
  const [empty = '', fleeting = ''] = paths.split('|')

  const full = await take(small, 'full')
  await cluster.psql('insert into t select generate_series(1001, 50000)')
  await take(small, 'diff')
  await cluster.psql('insert into empty values (1)')
  const incr = await take(small, 'incr')

  const sizes = new Map(full.files.map(({ name, sizeBytes }) => [name, sizeBytes]))
  assert.equal(sizes.get(`pg_data/${empty}`), 0)
  assert.deepEqual(
    [sizes.has(`pg_data/${fleeting}`), sizes.has(`pg_data/${fleeting}_init`)],
    [false, true],
  )
  assert.equal(sizes.get('pg_data/na\xefve'), 1)
  assert.equal(sizes.get('pg_data/sparse'), 8 * 1024 * 1024)
  assert(full.databases.some(({ name }) => name === 'caf\xe9'))
  assert(full.files.every(({ checksumPage }) => checksumPage === undefined))
  assert.equal(incr.files.find(({ name }) => name === 'pg_data/sparse')?.reference, full.label)

  await cluster.psql('update t set n = n + 1')
  await archiveAll(cluster)
  await using restored = await small.restore('restored', `--tablespace-map-all=${folder}/ts`)
  await restored.start()
  await untilPromoted(restored)
  assert.equal(
    await restored.psql('select count(*), min(n), (select n from empty) from t'),
    '50000|2|1',
  )
  assert.equal(await restored.psql('select count(*) from fleeting'), '0')
  const named = "select count(*) from pg_database where datname = 'caf\xe9'"
  assert.equal(await psqlBytes(restored, 'ascii', named), '1')
  assert.equal(await psqlBytes(restored, 'ascii', 'select n from "gr\xfc\xdfe"'), '7')
  assert.equal((await stat(toBytes(`${restored.dataDir}/na\xefve`))).size, 1)
  await using sparse = await open(join(restored.dataDir, 'sparse'))
  const content = await sparse.readFile()
  assert.equal(content.equals(Buffer.alloc(8 * 1024 * 1024)), true)
})

test('a recovery tells how far it is in the archived WAL, in the log of the server', async () => {
  const { folder, config } = small
  const name = (await readdir(join(folder, 'lock'))).find((one) => one.includes('-replay-')) ?? ''
  const path = join(folder, 'lock', name)
  const text = await readFile(path, 'utf8')
  const found = /"firstLsn":"(\d+)","endLsn":"(\d+)","atLsn":"(\d+)"/.exec(text) ?? []
  const [first = 0, end = 0, at = 0] = found.slice(1).map(Number)
  const size = 1024 * 1024
  assert(end - first >= 4 * size, 'many segments were replayed')
  assert.equal(at, end - size)

  await writeFile(
    path,
    text.replace(/"shownMs":\d+/, '"shownMs":0').replace(`"atLsn":"${at}"`, `"atLsn":"${first}"`),
  )
  const middle = first + Math.floor((end - first) / size / 2) * size
  const segment = `00000001${'0'.repeat(8)}${(middle / size).toString(16).toUpperCase().padStart(8, '0')}`
  const argv = [`--config=${config}`, '--stanza=demo', `--pg1-path=${folder}/restored`]
  const ran = await runAs([launcher(), ...argv, 'archive-get', segment, join(folder, 'segment')])

  assert.match(
    ran.stderr,
    /^recovery (?:[34]\d|50)% \d+MB of \d+MB, [\d.]+[KM]?B\/s, [\dhms.]+ left\n$/,
  )
})

test('64 MiB segments with checksums', async () => {
  const { cluster } = large
  await cluster.psql('create table t as select generate_series(1, 1000) n')
  const full = await take(large, 'full')
  assert(full.files.some(({ checksumPage }) => checksumPage === true))
  await cluster.psql('insert into t select generate_series(1001, 2000)')
  await take(large, 'incr')
  await cluster.psql('insert into t select generate_series(2001, 3000)')
  await archiveAll(cluster)
  await using restored = await large.restore('restored')
  await restored.start()
  await untilPromoted(restored)
  assert.equal(await restored.psql('select count(*) from t'), '3000')
})
