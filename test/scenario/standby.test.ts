/** Backups that copy from a streaming replica, and what happens when it is missing, late or not a replica any more. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { parseManifest } from '../../src/format/manifest-read.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { backup } from '../../src/command/backup/backup.ts'
import type { Cluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest } from '../harness/peers.ts'
import { makeReplica } from '../harness/replica.ts'
import { runAs } from '../harness/run.ts'
import {
  type ArchivedCluster,
  archiveAll,
  refusal,
  startArchivedCluster,
  until,
  untilPromoted,
} from './archived-cluster.ts'
import { dropPrivileges } from './unprivileged.ts'

let bed: ArchivedCluster
let replica: Cluster
let pgBackRest260: string

before(async () => {
  pgBackRest260 = await pgBackRest('2.60')
  bed = await startArchivedCluster({ version: '15', tablespace: 'one' })
  await bed.cluster.psql(
    'create table t as select g from generate_series(1, 1000) g; create table spread tablespace ts1 as select 1',
  )
  replica = await makeReplica(bed.cluster)
  await replica.start()
  dropPrivileges()
})
after(async () => {
  await replica[Symbol.asyncDispose]()
  await bed[Symbol.asyncDispose]()
})

function serverOptions(index: number, { dataDir, port, socketDir }: Cluster): readonly string[] {
  const values = { path: dataDir, port, 'socket-path': socketDir, user: 'postgres' }
  return Object.entries(values).map(([name, value]) => `--pg${index}-${name}=${value}`)
}

function common(): readonly string[] {
  return [`--config=${bed.config}`, '--stanza=demo']
}

interface Taken {
  readonly label: string
  readonly manifest: Manifest
  readonly log: string
}

/** Takes a full backup inside this process. */
async function take(...argv: readonly string[]): Promise<Taken> {
  const options = ['--type=full', '--output=json', ...argv]
  const ran = testContext({ argv: [...common(), ...options, 'backup'] })
  assert.equal(await backup(ran.context), 0)
  const label = /"label":"(.*?)"/.exec(ran.output())?.[1] ?? ''
  const content = await readFile(join(bed.folder, 'repo/backup/demo', label, 'backup.manifest'))
  return { label, manifest: parseManifest(content), log: ran.logText() }
}

/** The files a log says were copied from below `dataDir`, relative to it. */
function copiedFrom({ log }: Taken, dataDir: string): readonly string[] {
  return [...log.matchAll(/DETAIL: backup file (\S+) /g)]
    .map(([, path = '']) => path)
    .filter((path) => path.startsWith(`${dataDir}/`))
    .map((path) => path.slice(dataDir.length + 1))
}

test('relations come from the standby, once it has them, what was just written and all else from the primary', async () => {
  await replica.psql('select pg_wal_replay_pause()')
  await bed.cluster.psql(
    "create table late as select generate_series(1, 5000) n; create table still with (fillfactor = 50) as select 'old' as v; checkpoint",
  )
  await setTimeout(2000)
  const taking = take('--backup-standby=y', ...serverOptions(2, replica))
  await replica.psql('select pg_sleep(0.5), pg_wal_replay_resume()')
  const taken = await taking

  const fromStandby = copiedFrom(taken, replica.dataDir)
  const fromPrimary = copiedFrom(taken, bed.cluster.dataDir)
  const replicated = /^(?:base|global|pg_xact|pg_multixact|pg_tblspc)\//
  const written = fromPrimary.filter((name) => replicated.test(name))
  assert.deepEqual(
    fromStandby.filter((name) => !replicated.test(name)),
    [],
  )
  assert(written.includes('global/pg_control'))
  assert(written.length < 20, written.join())
  assert(fromStandby.includes(await bed.cluster.psql("select pg_relation_filepath('late')")))
  assert(fromStandby.some((name) => name.startsWith('pg_tblspc/')))
  assert.equal(taken.manifest.options.backupStandby, true)
  const verified = await runAs([pgBackRest260, ...common(), 'verify'])
  assert.equal(verified.code, 0)
})

test('what the primary writes between start and copy is in the next incremental backup too', async () => {
  const { cluster } = bed
  const archiving = await cluster.psql('show archive_command')
  const setCommand = async (command: string): Promise<void> => {
    await cluster.psql(`alter system set archive_command = '${command}'`)
    await cluster.psql('select pg_reload_conf()')
  }
  await setCommand('false pgsurety')
  const argv = [...common(), '--type=incr', '--backup-standby=y', ...serverOptions(2, replica)]
  const ran = testContext({ argv: [...argv, 'backup'] })
  const taking = backup(ran.context)
  // The standby is ready, and the segment before the backup's start is missing.
  await until('the archive is waited for', async () => ran.logText().includes('check archive for'))
  await replica.psql('select pg_wal_replay_pause()')
  await cluster.psql("update still set v = 'new'; checkpoint")
  await setCommand(archiving)
  assert.equal(await taking, 0)
  await replica.psql('select pg_wal_replay_resume()')
  assert.equal(
    await backup(testContext({ argv: [...common(), '--type=incr', 'backup'] }).context),
    0,
  )
  await archiveAll(cluster)
  const map = `--tablespace-map-all=${join(bed.folder, 'restored-ts')}`
  await using restored = await bed.restore('restored', map)
  await restored.start()
  await untilPromoted(restored)

  assert.equal(await restored.psql('select v from still'), 'new')
  assert.equal(await restored.psql('select count(*) from t, spread'), '1000')
  assert.equal(await restored.psql('select count(*) from late'), '5000')
})

test('a standby that does not get there ends the backup, or with prefer leaves it to the primary', async () => {
  await replica.psql('select pg_wal_replay_pause()')
  await bed.cluster.psql('create table later as select 1')
  const options = [...serverOptions(2, replica), '--archive-timeout=2']
  try {
    assert.match(
      await refusal(take('--backup-standby=y', ...options)),
      /^\[082\] timeout before standby replayed to .* - only reached .*\nHINT: is replication running/,
    )
    const { manifest, log } = await take('--backup-standby=prefer', ...options)
    assert.equal(manifest.options.backupStandby, false)
    assert.match(log, /WARN: timeout before standby replayed[^]*the primary is copied instead/)
  } finally {
    await replica.psql('select pg_wal_replay_resume()')
  }
})

test('the primary is found behind any pg number, and the standby is left alone unless asked for', async () => {
  const swapped = [...serverOptions(1, replica), ...serverOptions(2, bed.cluster)]

  const taken = await take('--backup-standby=n', ...swapped)

  assert.deepEqual(copiedFrom(taken, replica.dataDir), [])
  assert(copiedFrom(taken, bed.cluster.dataDir).includes('global/pg_filenode.map'))
  assert.equal(taken.manifest.options.backupStandby, false)
})

test('without a standby, y is an error and prefer a warning', async () => {
  await replica.stop()
  const options = serverOptions(2, replica)

  assert.match(
    await refusal(take('--backup-standby=y', ...options)),
    /^\[056\] unable to find standby cluster - cannot proceed\n/,
  )
  const { log, manifest } = await take('--backup-standby=prefer', ...options)
  assert.match(log, /WARN: unable to check pg2: \[056\] unable to connect/)
  assert.match(log, /WARN: unable to find a standby to perform the backup, using primary instead/)
  assert.equal(manifest.options.backupStandby, false)
})

test('two primaries are refused', async () => {
  await replica.start()
  await replica.psql('select pg_promote()')

  assert.match(
    await refusal(take(...serverOptions(2, replica))),
    /^\[056\] more than one primary cluster found/,
  )
})
