import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  currentInsertSegment,
  listDatabases,
  listTablespaces,
  startBackup,
  switchWal,
} from '../../src/postgres/backup-mode.ts'
import { connect, type PgConnection } from '../../src/postgres/connection.ts'
import { listCluster } from '../../src/postgres/data-dir.ts'
import { readControlFile } from '../../src/postgres/read-control-file.ts'
import { editAutoConf } from '../../src/postgres/recovery.ts'
import { startCluster, type Cluster } from '../harness/cluster.ts'

async function connectTo(cluster: Cluster, user = 'postgres'): Promise<PgConnection> {
  return await connect({
    port: cluster.port,
    socketPath: cluster.socketDir,
    user,
    database: 'postgres',
    applicationName: 'pgsurety [test]',
    timeoutMs: 10_000,
  })
}

for (const version of ['14', '15', '17', '18'] as const) {
  test(`PostgreSQL ${version}: a session knows its server, as the control file does`, async () => {
    await using cluster = await startCluster({ version, walSegmentSizeMib: 1 })
    await using connection = await connectTo(cluster)

    const { control } = await readControlFile(cluster.dataDir)

    assert.equal(connection.version, version)
    assert.equal(control.version, version)
    assert.equal(connection.dataDirectory, cluster.dataDir)
    assert.equal(connection.walSegmentSizeBytes, 1024 * 1024)
    assert.equal(control.walSegmentSizeBytes, 1024 * 1024)
    assert.equal(control.dataChecksumVersion, 1)
    assert.equal(connection.archiveMode, 'off')
    assert.equal(connection.checkpointTimeoutMs, 300_000)
    assert.equal(connection.inRecovery, false)
    const systemId = await cluster.psql('select system_identifier from pg_control_system()')
    assert.equal(String(control.systemId), systemId)
    const clockS = Number(await cluster.psql('select extract(epoch from clock_timestamp())'))
    assert.equal(Math.abs((await connection.nowMs()) - clockS * 1000) < 5000, true)
  })

  test(`PostgreSQL ${version}: a backup starts, lists and stops`, async () => {
    await using cluster = await startCluster({ version, tablespace: 'one' })
    await using connection = await connectTo(cluster)
    await cluster.psql('create table t tablespace ts1 as select 1 as a')
    await cluster.psql('create unlogged table u as select 1 as a')
    const unlogged = await cluster.psql(`select pg_relation_filepath('u')`)
    const before = await currentInsertSegment(connection)
    assert.equal(await switchWal(connection), before)

    await using mode = await startBackup(connection, { label: 'a label', checkpoint: 'fast' })
    const { control } = await readControlFile(cluster.dataDir)
    const listing = await listCluster({
      dataDir: cluster.dataDir,
      version,
      catalogVersion: control.catalogVersion,
      online: 'online',
      tablespaces: await listTablespaces(connection),
      exclude: [],
    })
    const stopped = await mode.stop()

    assert.equal(control.checkpointLsn >= mode.startLsn, true)
    assert.equal(stopped.stopLsn > mode.startLsn, true)
    assert.equal(mode.startSegment > before, true)
    assert.equal(stopped.stopSegment >= mode.startSegment, true)
    assert.equal(stopped.stopS >= mode.startS, true)
    assert.match(stopped.backupLabel, /^LABEL: a label$/m)
    assert.match(stopped.tablespaceMap, /^\d+ .*ts1$/m)
    const names = new Set(listing.files.map(({ name }) => name))
    assert.equal(names.has('pg_data/global/pg_control'), true)
    assert.equal(names.has(`pg_data/${unlogged}`), false)
    assert.equal(names.has(`pg_data/${unlogged}_init`), true)
    const [, tablespace] = listing.targets
    assert.equal(tablespace?.kind === 'link' ? tablespace.tablespaceName : '', 'ts1')
    assert.deepEqual(listing.warnings, [])
  })
}

test('giving a backup up takes the server out of backup mode and keeps the session', async () => {
  await using cluster = await startCluster({ version: '15' })
  await using connection = await connectTo(cluster)
  {
    await using _mode = await startBackup(connection, { label: 'first', checkpoint: 'fast' })
  }

  await using again = await startBackup(connection, { label: 'second', checkpoint: 'fast' })

  assert.match((await again.stop()).backupLabel, /^LABEL: second$/m)
})

test('a second start in the same session fails and closes it', async () => {
  await using cluster = await startCluster({ version: '15' })
  await using connection = await connectTo(cluster)
  await using _mode = await startBackup(connection, { label: 'first', checkpoint: 'fast' })

  await assert.rejects(startBackup(connection, { label: 'second', checkpoint: 'fast' }), {
    kind: 'db-query',
  })

  await assert.rejects(connection.ping(), { kind: 'db-connect' })
})

test('databases come with the OID of template0', async () => {
  await using cluster = await startCluster({ version: '15' })
  await using connection = await connectTo(cluster)

  assert.deepEqual(await listDatabases(connection), [
    { name: 'template1', oid: 1, lastSystemOid: 4 },
    { name: 'template0', oid: 4, lastSystemOid: 4 },
    { name: 'postgres', oid: 5, lastSystemOid: 4 },
  ])
})

test('settings of the role change neither the meaning nor the life of the session', async () => {
  await using cluster = await startCluster({ version: '15' })
  await cluster.psql(`alter role postgres set search_path = 'public'`)
  await cluster.psql(`alter role postgres set statement_timeout = '1s'`)
  await cluster.psql(`alter role postgres set idle_session_timeout = '1s'`)

  await using connection = await connectTo(cluster)

  const rows = await connection.rows(
    `select name, setting from pg_settings where name in
       ('search_path', 'statement_timeout', 'idle_session_timeout') order by name`,
  )
  assert.deepEqual(rows, [
    { name: 'idle_session_timeout', setting: '0' },
    { name: 'search_path', setting: 'pg_catalog' },
    { name: 'statement_timeout', setting: '10000' },
  ])
})

test('the error of a query has the message and the SQLSTATE of the server', async () => {
  await using cluster = await startCluster({ version: '15' })
  await using connection = await connectTo(cluster)

  await assert.rejects(connection.rows('select 1 / $1::int', [0]), {
    kind: 'db-query',
    message: "unable to execute query 'select 1 / $1::int': division by zero (SQLSTATE 22012)",
  })

  await connection.ping()
})

test('a role that may not read the settings is told which rights it needs', async () => {
  await using cluster = await startCluster({ version: '15' })
  await cluster.psql('create role weak login')

  await assert.rejects(connectTo(cluster, 'weak'), {
    kind: 'db-query',
    hints: ['Does the role have the rights of pg_read_all_settings?'],
  })
})

test('a server that is not there, a role that is not there, and a lost session are unreachable', async () => {
  await using cluster = await startCluster({ version: '15' })
  await assert.rejects(connectTo(cluster, 'nobody'), { kind: 'db-connect' })
  await using connection = await connectTo(cluster)

  await cluster.stop('immediate')

  await assert.rejects(connection.ping(), { kind: 'db-connect' })
  await assert.rejects(connectTo(cluster), { kind: 'db-connect' })
})

test('a statement that takes too long is ended', async () => {
  await using cluster = await startCluster({ version: '15' })
  await using connection = await connect({
    port: cluster.port,
    socketPath: cluster.socketDir,
    user: 'postgres',
    database: 'postgres',
    applicationName: 'pgsurety [test]',
    timeoutMs: 200,
  })

  await assert.rejects(connection.rows('select pg_sleep(30)'), { kind: 'db-query' })
})

test('a socket path that is not absolute is refused: there is no TCP', async () => {
  await assert.rejects(
    connect({
      port: 5432,
      socketPath: 'localhost',
      user: 'postgres',
      database: 'postgres',
      applicationName: 'pgsurety [test]',
      timeoutMs: 1000,
    }),
    { kind: 'option-invalid-value' },
  )
})

test('a setting written to postgresql.auto.conf is read by PostgreSQL as it was meant', async () => {
  await using cluster = await startCluster({ version: '15' })
  const path = join(cluster.dataDir, 'postgresql.auto.conf')
  const value = String.raw`cp 'a b'\c "%p" é # \n`
  const existing = await readFile(path, 'latin1')
  const edited = editAutoConf(existing, [{ key: 'restore_command', value }], {
    nowText: '2026-11-22 18:20:42',
  })

  await writeFile(path, edited, 'latin1')

  const sql = `select setting from pg_file_settings where name = 'restore_command'`
  assert.equal(await cluster.psql(sql), value)
})
