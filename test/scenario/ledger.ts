/**
 * A record, outside of the database, of transactions that were acknowledged as committed, and what is there of them.
 *
 * While such a transaction commits no other can: it holds a lock that every pgbench transaction needs. So the order of the
 * commits in the WAL is that of their time stamps, and the position before a commit is that of its commit record.
 */
import { once } from 'node:events'
import { join } from 'node:path'
import type { Cluster } from '../harness/cluster.ts'
import { toolsBin } from '../harness/peers.ts'
import { spawnAs } from '../harness/run.ts'

export interface Commit {
  readonly id: number
  readonly xid: string
  /** Where the commit record begins. */
  readonly lsn: string
  /** Where WAL was written to when the commit had been acknowledged. */
  readonly endLsn: string
  /** As the server recorded it, and a microsecond before and after; with offset. */
  readonly at: string
  readonly justBefore: string
  readonly justAfter: string
}

/** Makes what `commit` needs: tables of pgbench, and the table `ledger`. */
export async function prepareLedger(cluster: Cluster): Promise<void> {
  await cluster.pgbench(['--initialize', '--quiet', '--no-vacuum'])
  await cluster.psql('create table ledger (id int primary key)')
}

/** Commits one row to `ledger`, `delayS` seconds after its transaction got its id; resolves when that is acknowledged. */
export async function commit(cluster: Cluster, id: number, delayS = 0): Promise<Commit> {
  const found = await cluster.psql(
    `begin;
     insert into ledger values (${id});
     do 'begin perform pg_sleep(${delayS}); end';
     lock table pgbench_accounts in exclusive mode;
     select pg_current_xact_id(), pg_current_wal_insert_lsn();
     commit;
     select pg_current_wal_lsn();
     select at, at - interval '1 microsecond', at + interval '1 microsecond'
     from ledger, pg_xact_commit_timestamp(xmin) as at where id = ${id}`,
  )
  const [xid = '', lsn = '', endLsn = '', at = '', justBefore = '', justAfter = ''] =
    found.split(/[|\n]/)
  return { id, xid, lsn, endLsn, at, justBefore, justAfter }
}

/** Ids in `ledger`, ascending. */
export async function idsIn(cluster: Cluster): Promise<readonly number[]> {
  const text = await cluster.psql('select id from ledger order by id')
  return text === '' ? [] : text.split('\n').map(Number)
}

/** Writes with pgbench until disposed. */
export async function startLoad(cluster: Cluster): Promise<AsyncDisposable> {
  const program = join(await toolsBin(), 'pgbench')
  const args = ['--no-vacuum', '--client=2', '--rate=100', '--time=600']
  const child = spawnAs([program, ...args], {
    env: {
      PGHOST: cluster.socketDir,
      PGPORT: String(cluster.port),
      PGUSER: cluster.user,
      PGDATABASE: 'postgres',
    },
  })
  child.stdout.resume()
  child.stderr.resume()
  const ended = once(child, 'close')
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** `balanced` when all that pgbench wrote adds up, which no half of a transaction does. */
export async function balanceIn(cluster: Cluster): Promise<string> {
  return await cluster.psql(
    `select case when count(distinct total) = 1 then 'balanced' else string_agg(total::text, ' ') end
     from (select sum(abalance) as total from pgbench_accounts
           union all select sum(tbalance) from pgbench_tellers
           union all select sum(bbalance) from pgbench_branches
           union all select coalesce(sum(delta), 0) from pgbench_history) as totals`,
  )
}
