/** A table of more than 1 GiB, which PostgreSQL keeps in several files. Only with PGSURETY_TEST_FULL. */
import assert from 'node:assert/strict'
import { open, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pgBackRest } from '../harness/peers.ts'
import { runAs } from '../harness/run.ts'
import { archiveAll, startArchivedCluster, untilPromoted } from './archived-cluster.ts'

const GIB = 1024 ** 3
const PAGE_BYTES = 8192
const FIRST_BLOCK = GIB / PAGE_BYTES

const options = {
  skip:
    process.env['PGSURETY_TEST_FULL'] === undefined ? 'moves gigabytes: for the full run' : false,
}

test(
  'a table of more than 1 GiB is backed up and restored, and its blocks are counted over all files',
  options,
  async () => {
    const lines = ['repo1-bundle=y', 'repo1-block=y']
    // Not in memory: two copies are more than there may be.
    await using bed = await startArchivedCluster({ version: '17', root: '/tmp', lines })
    const { cluster } = bed
    await cluster.psql('create table t(id int, note text) with (autovacuum_enabled = off)')
    await cluster.psql("insert into t values (0, 'in the first block'); checkpoint")
    const path = join(cluster.dataDir, await cluster.psql("select pg_relation_filepath('t')"))
    // Pages that PostgreSQL has asked the file system for and not used yet.
    await truncate(path, GIB)
    await cluster.psql(
      'insert into t select n, md5(n::text) from generate_series(1, 20000) n; checkpoint',
    )
    assert((await stat(`${path}.1`)).size > 100 * PAGE_BYTES)
    const sums = 'select count(*), sum(hashtext(note)) from t'

    await bed.run('--type=full', 'backup')
    await cluster.psql("update t set note = 'changed' where id % 5000 = 1; checkpoint")
    const expected = await cluster.psql(sums)
    await bed.run('--type=incr', 'backup')
    await archiveAll(cluster)

    const theirs = [await pgBackRest('2.60'), `--config=${bed.config}`, '--stanza=demo']
    const verified = await runAs([...theirs, '--output=text', '--verbose', 'verify'])
    assert.match(verified.stdout, /^status: ok$/m)
    await using restored = await bed.restore('restored')
    await restored.start()
    await untilPromoted(restored)
    assert.equal(await restored.psql(sums), expected)
    await restored.stop()

    await damage(`${path}.1`, 3)
    const told = await bed.run('--type=incr', '--delta', '--output=json', 'backup')
    const found = /"relation":"(.*?)","fork":"main","segment":(\d+),"blocks":\[(\d+)\]/.exec(told)
    assert.deepEqual(found?.slice(1), ['postgres.public.t', '1', String(FIRST_BLOCK + 3)])
  },
)

async function damage(path: string, page: number): Promise<void> {
  const file = await open(path, 'r+')
  await file.write('damaged', page * PAGE_BYTES + 4000)
  await file.close()
}
