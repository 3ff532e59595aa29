/** One file out of a backup: the bytes that a restore would put there, wherever they are stored, or nothing. */
import assert from 'node:assert/strict'
import { existsSync, globSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileGet } from '../../src/command/file-get.ts'
import { testContext } from '../harness/context.ts'
import {
  type ArchivedCluster,
  refusal,
  type RestoreRun,
  startArchivedCluster,
} from './archived-cluster.ts'

let source: ArchivedCluster
/** What `--set=<label> restore` makes of the older backup, and of the latest one. */
let older: RestoreRun
let latest: RestoreRun
let olderLabel: string
/** Paths in the data directory: a relation that changed in a few blocks, one that did not change, one in a tablespace. */
let changed: string
let unchanged: string
let spread: string

before(async () => {
  source = await startArchivedCluster({
    version: '17',
    tablespace: 'one',
    settings: { autovacuum: 'off' },
    lines: ['repo1-bundle=y', 'repo1-block=y'],
  })
  const { cluster } = source
  const rows = 'as select n, md5(n::text) from generate_series(1, 20000) n'
  await cluster.psql(
    `create table changed ${rows}; create table unchanged ${rows};
     create table spread tablespace ts1 as select generate_series(1, 100) n; checkpoint`,
  )
  const pathOf = async (table: string): Promise<string> =>
    await cluster.psql(`select pg_relation_filepath('${table}')`)
  changed = await pathOf('changed')
  unchanged = await pathOf('unchanged')
  spread = await pathOf('spread')
  await source.run('--type=full', 'backup')
  olderLabel =
    /\d{8}-\d{6}F/.exec(
      globSync('*F', { cwd: join(source.folder, 'repo/backup/demo') }).join(),
    )?.[0] ?? ''
  await cluster.psql("update changed set md5 = 'x' where n = 10000; checkpoint")
  await source.run('--type=incr', 'backup')
  older = await source.restoreFiles(
    'older',
    `--set=${olderLabel}`,
    `--tablespace-map-all=${source.folder}/a`,
  )
  latest = await source.restoreFiles('latest', `--tablespace-map-all=${source.folder}/b`)
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

async function get(file: string, to: string, ...argv: readonly string[]): Promise<Buffer> {
  const path = join(source.folder, to)
  const common = [`--config=${source.config}`, '--stanza=demo', ...argv]
  assert.equal(await fileGet(testContext({ argv: [...common, 'file-get', file, path] }).context), 0)
  return await readFile(path)
}

test('files come out of blocks, bundles, other backups and tablespaces as a restore makes them', async () => {
  const files = { changed, unchanged, spread, version: 'base/5/PG_VERSION', empty: 'global/6100' }
  for (const [name, file] of Object.entries(files)) {
    const expected = await readFile(join(latest.dataDir, file))
    assert((await get(file, name)).equals(expected), name)
  }
})

test('an older backup has the file as it was then', async () => {
  const then = await get(changed, 'then', `--set=${olderLabel}`)

  assert(then.equals(await readFile(join(older.dataDir, changed))))
  assert(!then.equals(await readFile(join(latest.dataDir, changed))))
})

test('what the backup does not have, and what would overwrite a file, is refused', async () => {
  await writeFile(join(source.folder, 'mine'), 'mine')

  assert.match(
    await refusal(get('base/5/nothing', 'nothing')),
    /^\[055\] backup '.*' has no file 'base\/5\/nothing'\n/,
  )
  assert.match(await refusal(get(changed, 'mine')), /exists already and is not overwritten/)
  assert.equal(await readFile(join(source.folder, 'mine'), 'utf8'), 'mine')
  assert(!existsSync(join(source.folder, 'nothing')))
})

test('a file that is damaged in the repository is not left half read', async () => {
  const bundles = join(source.folder, 'repo/backup/demo', olderLabel, 'bundle')
  for (const name of globSync('*', { cwd: bundles })) {
    const content = await readFile(join(bundles, name))
    await writeFile(join(bundles, name), content.fill(0x55))
  }

  assert.match(await refusal(get(unchanged, 'damaged')), /^\[0(?:26|29)\] /)
  assert(!existsSync(join(source.folder, 'damaged')))
})
