import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { openCluster, startCluster } from './cluster.ts'
import { POSTGRES_VERSIONS } from './peers.ts'
import { runAs, temporaryFolder, writeAs } from './run.ts'

for (const version of POSTGRES_VERSIONS) {
  test(`PostgreSQL ${version} starts, answers, and is gone without a trace when disposed`, async () => {
    const cluster = await startCluster({ version })

    const found = await cluster.psql('show server_version_num; show data_checksums')

    assert.equal(found.replace(/^(\d\d)\d{4}$/m, '$1'), `${version}\non`)
    await cluster[Symbol.asyncDispose]()
    assert.equal(cluster.isRunning(), false)
    assert.equal(existsSync(dirname(cluster.dataDir)), false)
    assert.equal(existsSync(cluster.socketDir), false)
  })
}

test('a cluster is made as asked: settings, segment size, checksums, tablespace', async () => {
  await using cluster = await startCluster({
    version: '18',
    checksums: 'off',
    settings: { archive_mode: 'on', archive_command: "echo '%p'", fsync: 'on' },
    walSegmentSizeMib: 1,
    tablespace: 'one',
  })

  const found = await cluster.psql(
    `select name, setting from pg_settings where name in
     ('archive_command', 'data_checksums', 'fsync', 'wal_segment_size') order by 1;
     select pg_tablespace_location(oid), null, true from pg_tablespace where spcname = 'ts1'`,
  )

  const { tablespaceDir } = cluster
  assert.equal(
    found,
    `archive_command|echo '%p'\ndata_checksums|off\nfsync|on\nwal_segment_size|1048576\n${tablespaceDir}||t`,
  )
})

test('a copied data directory opens as a second cluster beside the running first', async () => {
  await using first = await startCluster({ version: '15' })
  await first.pgbench(['--initialize', '--quiet'])
  await first.stop()
  await using folder = await temporaryFolder('copy')
  const dataDir = join(folder.path, 'data')
  await runAs(['cp', '-a', first.dataDir, dataDir])
  await first.start()

  await using second = await openCluster({ version: '15', dataDir })
  await second.start()

  const count = 'select count(*) from pgbench_accounts'
  assert.equal(await second.psql(count), '100000')
  await second.psql('drop table pgbench_accounts')
  assert.equal(await first.psql(count), '100000')
})

test('a cluster that cannot start says why, and leaves nothing running', async () => {
  await assert.rejects(
    startCluster({ version: '15', settings: { wal_level: 'nonsense' } }),
    /invalid value for parameter "wal_level"/,
  )
})

test('a process that ends by SIGINT takes its cluster along', async () => {
  await using folder = await temporaryFolder('copy')
  const cluster = JSON.stringify(join(import.meta.dirname, 'cluster.ts'))
  const script = join(folder.path, 'script.mjs')
  await writeAs(
    script,
    `import { startCluster } from ${cluster}
    const { dataDir } = await startCluster({ version: '15' })
    process.stdout.write(dataDir)
    process.kill(process.pid, 'SIGINT')
    setInterval(() => undefined, 1000)`,
  )

  const ended = await runAs([process.execPath, script], { allowFailure: 'allow' })

  assert.equal(ended.signal, 'SIGINT')
  assert.match(ended.stdout, /^\/(?:tmp|dev\/shm)\/pgsurety-cluster-/)
  assert.equal(existsSync(dirname(ended.stdout)), false)
  // A server removes its pid file a moment before it ends.
  await until(async () => {
    const servers = await runAs(['pgrep', '-f', ended.stdout], { allowFailure: 'allow' })
    return servers.stdout === ''
  })
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    if (await holds()) return
    await setTimeout(50)
  }
  assert.fail('it never held')
}
