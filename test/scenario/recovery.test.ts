/** Recovery stops exactly where it was told to: what was committed by then is there, and nothing else. */
import assert from 'node:assert/strict'
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { parseLsn } from '../../src/format/wal.ts'
import type { Cluster } from '../harness/cluster.ts'
import {
  type ArchivedCluster,
  archiveAll,
  startArchivedCluster,
  until,
  untilPaused,
  untilPromoted,
} from './archived-cluster.ts'
import { balanceIn, type Commit, commit, idsIn, prepareLedger, startLoad } from './ledger.ts'

const SETTINGS = { track_commit_timestamp: 'on', autovacuum: 'off' } as const

let source: ArchivedCluster
/** In the order of the commits. */
const ledger: Commit[] = []
/** A commit with others before and after it. */
let boundary: Commit
/** Transactions that overlap: `slow` got its id before `quick` did, and committed after it. */
let slow: Commit
let quick: Commit
/** The last commit before the restore point `pre_migration`. */
let beforePoint: Commit

async function add(): Promise<Commit> {
  const added = await commit(source.cluster, ledger.length + 1)
  ledger.push(added)
  return added
}

before(async () => {
  source = await startArchivedCluster({ version: '17', settings: SETTINGS })
  await prepareLedger(source.cluster)
  await using _load = await startLoad(source.cluster)
  await add()
  await backUpUnderLoad()
  await add()
  boundary = await add()
  await add()
  await addOverlapping()
  beforePoint = await add()
  await source.cluster.psql("select pg_create_restore_point('pre_migration')")
  await add()
  await archiveAll(source.cluster)
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

async function backUpUnderLoad(): Promise<void> {
  const ended = new AbortController()
  const backup = source.run('--type=full', 'backup').finally(() => {
    ended.abort()
  })
  while (!ended.signal.aborted) {
    await add()
    await setTimeout(20)
  }
  await backup
}

async function addOverlapping(): Promise<void> {
  const id = ledger.length + 1
  const starting = commit(source.cluster, id + 1, 0.3)
  await setTimeout(100)
  quick = await commit(source.cluster, id)
  slow = await starting
  ledger.push(quick, slow)
}

function idsUpTo(last: Commit): readonly number[] {
  return idsOf(ledger.slice(0, ledger.indexOf(last) + 1))
}

function idsBefore(first: Commit): readonly number[] {
  return idsOf(ledger.slice(0, ledger.indexOf(first)))
}

function idsOf(commits: readonly Commit[]): readonly number[] {
  return commits.map(({ id }) => id).toSorted((left, right) => left - right)
}

async function promoted(cluster: Cluster): Promise<readonly number[]> {
  await cluster.start()
  await untilPromoted(cluster)
  assert.equal(await balanceIn(cluster), 'balanced')
  return await idsIn(cluster)
}

test('a time just before a commit leaves that commit out, its type inferred and its backup chosen', async () => {
  const args = [`--target=${boundary.justBefore}`, '--target-action=promote']
  await using cluster = await source.restore('time-before', ...args)

  assert.deepEqual(await promoted(cluster), idsBefore(boundary))
})

test('the very time of a commit takes that commit in and nothing after it', async () => {
  const args = [`--target=${boundary.at}`, '--target-action=promote']
  await using cluster = await source.restore('time-at', ...args)

  assert.deepEqual(await promoted(cluster), idsUpTo(boundary))
})

test('the very time of a commit, exclusive and in another zone, leaves that commit out', async () => {
  const inKolkata = await source.cluster.psql(
    `select to_char(timestamptz '${boundary.at}' at time zone 'Asia/Kolkata', 'YYYY-MM-DD HH24:MI:SS.US+05:30')`,
  )
  const args = [`--target=${inKolkata}`, '--target-exclusive', '--target-action=promote']
  await using cluster = await source.restore('time-exclusive', ...args)

  assert.deepEqual(await promoted(cluster), idsBefore(boundary))
  assert.match(await cluster.logText(), /recovery stopping before commit of transaction/)
})

test('a time just after a commit takes that commit in, also exclusive; recovery pauses by default', async () => {
  const args = ['--type=time', `--target=${boundary.justAfter}`, '--target-exclusive']
  await using cluster = await source.restore('time-after', ...args)

  await cluster.start()
  await untilPaused(cluster)

  assert.deepEqual(await idsIn(cluster), idsUpTo(boundary))
  await cluster.psql('select pg_wal_replay_resume()')
  await untilPromoted(cluster)
  assert.equal(await balanceIn(cluster), 'balanced')
})

test('a transaction id takes in that transaction and all that committed before it', async () => {
  const args = ['--type=xid', `--target=${slow.xid}`, '--target-action=promote']
  await using cluster = await source.restore('xid', ...args)

  assert.deepEqual(await promoted(cluster), idsUpTo(slow))
  const log = await cluster.logText()
  assert(log.includes(`recovery stopping after commit of transaction ${slow.xid}`), log)
})

test('a transaction id, exclusive, keeps a later transaction that committed earlier (W19)', async () => {
  assert(Number(slow.xid) < Number(quick.xid))
  const args = ['--type=xid', `--target=${slow.xid}`, '--target-exclusive']
  await using cluster = await source.restore('xid-exclusive', ...args, '--target-action=promote')

  assert.deepEqual(await promoted(cluster), idsUpTo(quick))
})

test('an LSN takes in the commit that begins there', async () => {
  const args = [`--target=${boundary.lsn}`, '--target-action=promote']
  await using cluster = await source.restore('lsn', ...args)

  assert.deepEqual(await promoted(cluster), idsUpTo(boundary))
})

test('an LSN, exclusive, leaves out the commit that begins there', async () => {
  const args = ['--type=lsn', `--target=${boundary.lsn}`, '--target-exclusive']
  await using cluster = await source.restore('lsn-exclusive', ...args, '--target-action=promote')

  assert.deepEqual(await promoted(cluster), idsBefore(boundary))
})

test('a restore point is a target by its name', async () => {
  const args = ['--type=name', '--target=pre_migration', '--target-action=promote']
  await using cluster = await source.restore('name', ...args)

  assert.deepEqual(await promoted(cluster), idsUpTo(beforePoint))
})

test('the action shutdown ends the server at the target, with everything up to it', async () => {
  const args = ['--type=name', '--target=pre_migration', '--target-action=shutdown']
  await using cluster = await source.restore('shutdown', ...args)

  // Whether the server was ready before it came to its target is a matter of time.
  await cluster.start().catch(() => undefined)
  await until('the server has ended', async () => await Promise.resolve(!cluster.isRunning()))

  assert.match(await cluster.logText(), /shutdown at recovery target/)
  const settings = join(cluster.dataDir, 'postgresql.auto.conf')
  await appendFile(settings, "recovery_target_action = 'promote'\n")
  assert.deepEqual(await promoted(cluster), idsUpTo(beforePoint))
})

test('immediate stops where the backup was complete', async () => {
  const info = await source.run('--output=json', 'info')
  const stopLsn = parseLsn(/"stop":"([0-9A-F]+\/[0-9A-F]+)"/.exec(info)?.[1] ?? '')
  await using cluster = await source.restore('immediate', '--type=immediate')

  await cluster.start()
  await untilPaused(cluster)

  const wanted = ledger.filter(({ lsn }) => parseLsn(lsn) < stopLsn)
  assert(wanted.length > 1)
  assert.deepEqual(await idsIn(cluster), idsOf(wanted))
})

test('without a target everything that was archived comes back', async () => {
  await using cluster = await source.restore('default')

  assert.deepEqual(await promoted(cluster), idsOf(ledger))
})

test('deleted rows come back in place, life goes on on timeline 2, and both timelines can be restored', async () => {
  const { cluster } = source
  const [lost] = (await cluster.psql('delete from ledger where id <= 3; select now()')).split('\n')
  await archiveAll(cluster)
  await cluster.stop()
  assert(lost !== undefined)
  const lastGood = ledger.at(-1)
  assert(lastGood !== undefined)
  const inPlace = [`--target=${lastGood.justAfter}`, '--target-action=promote', '--delta']
  await source.run(...inPlace, 'restore')
  assert.deepEqual(await promoted(cluster), idsOf(ledger))
  assert.equal(await timelineOf(cluster), '2')
  const before2 = idsOf(ledger)
  const onTimeline2 = await add()
  await add()
  await archiveAll(cluster)

  await using second = await source.restore(
    'timeline-2',
    `--target=${onTimeline2.at}`,
    '--target-action=promote',
  )
  assert.deepEqual(await promoted(second), idsUpTo(onTimeline2))
  assert.equal(await timelineOf(second), '3')
  await using first = await source.restore('timeline-1', '--target-timeline=current')
  assert.deepEqual(await promoted(first), before2.slice(3))
})

async function timelineOf(cluster: Cluster): Promise<string> {
  await cluster.psql('checkpoint')
  return await cluster.psql('select timeline_id from pg_control_checkpoint()')
}

/** A cluster of another version with one backup, two commits after it, and all of it archived. */
async function startOlderOrNewer(
  version: '13' | '18',
): Promise<{ readonly other: ArchivedCluster; readonly last: Commit }> {
  const other = await startArchivedCluster({ version, settings: SETTINGS })
  await prepareLedger(other.cluster)
  await other.run('--type=full', 'backup')
  await commit(other.cluster, 1)
  const last = await commit(other.cluster, 2)
  await archiveAll(other.cluster)
  return { other, last }
}

test('PostgreSQL 13 stops before a transaction', async () => {
  const { other, last } = await startOlderOrNewer('13')
  await using _other = other
  const args = ['--type=xid', `--target=${last.xid}`, '--target-exclusive']
  await using cluster = await other.restore('xid', ...args, '--target-action=promote')

  assert.deepEqual(await promoted(cluster), [1])
})

test('PostgreSQL 18 pauses at a time', async () => {
  const { other, last } = await startOlderOrNewer('18')
  await using _other = other
  await using cluster = await other.restore('time', `--target=${last.justBefore}`)

  await cluster.start()
  await untilPaused(cluster)

  assert.deepEqual(await idsIn(cluster), [1])
})
