/** A replica, and later the old primary, are restored where they lie, as standbys: they follow, and do not promote (S102). */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Cluster } from '../harness/cluster.ts'
import { makeReplica } from '../harness/replica.ts'
import { launcher } from '../harness/run.ts'
import {
  type ArchivedCluster,
  archiveAll,
  refusal,
  type RestoreRun,
  startArchivedCluster,
  until,
  untilPromoted,
} from './archived-cluster.ts'

let source: ArchivedCluster
let primary: Cluster
let replica: Cluster

before(async () => {
  source = await startArchivedCluster({ version: '17', settings: { autovacuum: 'off' } })
  primary = source.cluster
  await primary.psql('create table big as select n, md5(n::text) from generate_series(1, 100000) n')
  await source.run('--type=full', 'backup')
  replica = await makeReplica(primary)
  await replica.start()
})

after(async () => {
  await replica[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

function connection({ socketDir, port }: Cluster): string {
  return `--recovery-option=primary_conninfo=host=${socketDir} port=${port} user=postgres`
}

async function rebuild(over: Cluster, ...argv: readonly string[]): Promise<RestoreRun> {
  return await source.restoreFiles(over.dataDir, '--type=standby', '--delta', ...argv)
}

/** Resolves when `standby` has what its primary writes now, and says on which timeline it gets it. */
async function follows(standby: Cluster, from: Cluster, table: string): Promise<string> {
  await from.psql(`create table ${table} as select 1`)
  await until('the standby follows', async () => {
    return (await standby.psql(`select to_regclass('${table}')`)) === table
  })
  return await standby.psql('select pg_is_in_recovery(), received_tli from pg_stat_wal_receiver')
}

test('a replica that runs is not restored over', async () => {
  assert.match(
    await refusal(rebuild(replica)),
    /^\[038\] unable to restore while PostgreSQL is running/,
  )
})

test('a stopped replica is rebuilt from what is still right, and follows through its slot', async () => {
  await primary.psql("select pg_create_physical_replication_slot('rebuilt')")
  await replica.stop()
  const { log } = await rebuild(
    replica,
    connection(primary),
    '--recovery-option=primary_slot_name=rebuilt',
  )

  assert.match(log, /restore size = .*, \d+ already right, .* written/)
  assert.doesNotMatch(log, /is not kept/)
  await replica.start()
  assert.equal(await follows(replica, primary, 'first'), 't|1')
  assert.equal(
    await primary.psql('select slot_name, active from pg_replication_slots'),
    'rebuilt|t',
  )
  await replica.stop()
  await replica.start()
  assert.equal(await follows(replica, primary, 'restarted'), 't|1')
})

test('a replica that would forget its primary is told so, and follows through the archive', async () => {
  await replica.stop()
  const { log } = await rebuild(replica)

  assert.match(
    log,
    /WARN: primary_conninfo and primary_slot_name of the standby in '.*' is not kept/,
  )
  await replica.start()
  await primary.psql('create table by_archive as select 1')
  await archiveAll(primary)
  await until('the archive is replayed', async () => {
    return (await replica.psql("select to_regclass('by_archive')")) === 'by_archive'
  })
  assert.equal(await replica.psql('select pg_is_in_recovery()'), 't')
})

test('the old primary becomes a standby of the promoted one, on its timeline', async () => {
  await archiveAll(primary)
  await primary.stop()
  const push = `${launcher()} --config=${source.config} --stanza=demo --pg1-path=${replica.dataDir} archive-push "%p"`
  await replica.psql(`alter system set archive_command = '${push}'`)
  await replica.psql('select pg_reload_conf()')
  await replica.psql('select pg_promote()')
  await untilPromoted(replica)
  await replica.psql('create table after_failover as select 1')
  await archiveAll(replica)
  await rebuild(primary, connection(replica), '--archive-mode=off')

  await primary.start()
  assert.equal(await follows(primary, replica, 'second'), 't|2')
  assert.equal(await primary.psql('select count(*) from after_failover'), '1')
})
