/** What restore's options make of one backup, beside what the real pgBackRest makes of it: the same tree, the same refusals. */
import assert from 'node:assert/strict'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { openCluster } from '../harness/cluster.ts'
import { runAs } from '../harness/run.ts'
import { until } from '../scenario/archived-cluster.ts'
import { overDifferences, restoreDifferences } from './restored-tree.ts'
import {
  buildWhenStale,
  type SharedCluster,
  type SharedRepository,
  startSharedCluster,
} from './shared-stanza.ts'

let shared: SharedCluster
let repository: SharedRepository
let label: string

before(async () => {
  await buildWhenStale()
  shared = await startSharedCluster({
    version: '17',
    tablespace: 'one',
    settings: { autovacuum: 'off' },
  })
  const { cluster } = shared
  for (const name of ['kept', 'other']) {
    await cluster.psql(`create database ${name}`)
    await cluster.psql(
      `create table rows as select n, md5(n::text) from generate_series(1, 20000) n;
       create table far tablespace ts1 as select generate_series(1, 1000) n`,
      name,
    )
  }
  await cluster.stop()
  // A directory and a file of the data directory, each behind a link.
  await runAs([
    'sh',
    '-ec',
    `cd ${cluster.dataDir}; mkdir -m 700 ../out; mv pg_xact pg_ident.conf ../out/
     ln -s ${join(cluster.dataDir, '../out/pg_xact')} pg_xact; ln -s ../out/pg_ident.conf pg_ident.conf`,
  ])
  await cluster.start()
  repository = await shared.openRepository('options', ['compress-type=lz4', 'repo1-hardlink=y'])
  await repository.run('pgsurety', ['stanza-create'])
  await repository.archiveWith('pgsurety')
  await repository.run('pgsurety', ['--type=full', 'backup'])
  await cluster.psql('insert into far select generate_series(1, 9)', 'kept')
  await repository.run('pgsurety', ['--type=incr', 'backup'])
  label = (await repository.labels()).at(-1) ?? ''
})

after(async () => {
  await repository[Symbol.asyncDispose]()
  await shared[Symbol.asyncDispose]()
})

async function differences(...argv: readonly string[]): Promise<readonly string[]> {
  return await restoreDifferences(repository, label, ['2.60', 'pgsurety'], argv)
}

/** The first number and line of what both say when they refuse: `080 database to include ...`. */
async function refusals(...argv: readonly string[]): Promise<readonly string[]> {
  const place = join(repository.folder, 'refused')
  const said: string[] = []
  for (const tool of ['2.60', 'pgsurety'] as const) {
    const failed = await repository
      .run(tool, [...argv, `--pg1-path=${place}`, `--tablespace-map-all=${place}-ts`, 'restore'])
      .then(
        () => 'it was not refused',
        (error: unknown) => String(error),
      )
    said.push(/\[(\d+)\]: (.*)/.exec(failed)?.slice(1).join(' ') ?? failed)
    await rm(place, { recursive: true, force: true })
  }
  return said
}

for (const argv of [
  ['--db-include=kept'],
  ['--db-exclude=other', '--db-exclude=postgres'],
  ['--db-include=kept', '--db-exclude=template1'],
  ['--type=immediate', '--target-action=promote', '--recovery-option=max-connections=200'],
  ['--type=standby', '--recovery-option=primary-conninfo=host=10.0.0.1 user=repl'],
  ['--type=xid', '--target=900', '--target-exclusive', '--target-timeline=current'],
]) {
  test(`${argv.join(' ')} makes what pgBackRest makes`, async () => {
    assert.deepEqual(await differences(...argv), [])
  })
}

test('links that are kept and moved lead where pgBackRest has them lead', async () => {
  const xact = join(repository.folder, 'restored/xact')

  assert.deepEqual(await differences('--link-all', `--link-map=pg_xact=${xact}`), [])
})

test('over a directory with links and changes --delta and --delta --force make what pgBackRest makes', async () => {
  const place = join(repository.folder, 'restored')
  const links = ['--link-all', `--link-map=pg_xact=${place}/xact`]
  const change = `
    printf 16 | dd of=base/1/PG_VERSION conv=notrunc status=none; touch -r base/4/PG_VERSION base/1/PG_VERSION
    printf x | dd of=postgresql.conf conv=notrunc status=none; touch pg_hba.conf
    truncate -s 100 base/1/1259; truncate -s +8192 base/4/1259; rm base/5/1259; echo >core; mkdir -p base/77/deep
    echo >>../out/pg_ident.conf; mkdir ../elsewhere; ln -sfn ../elsewhere pg_xact; rm -r pg_subtrans; mkfifo pipe; chmod 755 base`
  const ways = [['--delta'], ['--delta', '--force']]

  const found = await overDifferences(repository, label, { links, change, ways })

  assert.deepEqual(found, [[], []])
})

test('a database that is left out takes no space and can be dropped; the others are complete', async () => {
  const dataDir = join(repository.folder, 'selective')
  await repository.run('pgsurety', [
    `--pg1-path=${dataDir}`,
    `--tablespace-map-all=${dataDir}-ts`,
    '--db-include=kept',
    '--archive-mode=off',
    'restore',
  ])
  const { cluster } = shared
  const path = await cluster.psql("select pg_relation_filepath('rows')", 'other')
  const hole = await stat(join(dataDir, path))

  assert.equal(hole.size, Number(await cluster.psql("select pg_relation_size('rows')", 'other')))
  assert.equal(hole.blocks, 0)
  await using restored = await openCluster({ version: '17', dataDir })
  await restored.start()
  await until('recovery has ended', async () => {
    return (await restored.psql('select pg_is_in_recovery()')) === 'f'
  })
  assert.equal(await restored.psql('select count(*) from rows', 'kept'), '20000')
  await restored.psql('drop database other')
})

for (const argv of [
  ['--db-include=nobody'],
  ['--db-exclude=nobody'],
  ['--db-include=postgres'],
  ['--db-include=1'],
  ['--db-include=kept', '--db-exclude=kept'],
]) {
  test(`${argv.join(' ')} is refused as pgBackRest refuses it`, async () => {
    const [theirs, ours] = await refusals(...argv)
    assert.match(theirs ?? '', /^08[01] /)
    // Where pgBackRest has forgotten the name that it was given, we say it.
    const oid = await shared.cluster.psql("select oid from pg_database where datname = 'kept'")
    assert.equal(ours, theirs?.replace(`'${oid}'`, "'kept'"))
  })
}
