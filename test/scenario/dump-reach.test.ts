/** Dumps of servers that are reached in other ways, or are standbys; kept in every compression; and while a stop file is there. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { start } from '../../src/command/start.ts'
import { stop } from '../../src/command/stop.ts'
import type { Cluster } from '../harness/cluster.ts'
import type { TestContext } from '../harness/context.ts'
import { makeReplica } from '../harness/replica.ts'
import { unprivileged } from '../harness/run.ts'
import { refusal, until } from './archived-cluster.ts'
import { type DumpedCluster, startDumpedCluster } from './dumped-cluster.ts'

const run = promisify(execFile)
const SHOP = '--db-include=shop'

let source: DumpedCluster
/** Streams from the source's cluster, and gives way to it at once. */
let standby: Cluster

before(async () => {
  source = await startDumpedCluster({ listenAddresses: 'localhost' })
  const { cluster } = source
  await cluster.psql('create database shop')
  await cluster.psql(
    `create table t (id serial primary key, word text);
     insert into t (word) select md5(n::text) from generate_series(1, 3000) n;
     create unlogged table fast as select 1 as n;
     create unlogged sequence counter;
     create table held (n int);
     select lo_from_bytea(0, 'a large object')`,
    'shop',
  )
  standby = await makeReplica(cluster)
  await writeFile(
    join(standby.dataDir, 'postgresql.auto.conf'),
    `primary_conninfo = 'host=${cluster.socketDir} port=${cluster.port} user=postgres'
     max_standby_streaming_delay = '1ms'\n`,
  )
  await standby.start()
})

after(async () => {
  await standby[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

/** Restores the newest set's `shop` under another name, which must be proved, and drops that. What was printed. */
async function provedCopy(): Promise<string> {
  const ran = source.context(['--to-database=copy', 'dump-restore'])
  const code = await dumpRestore(ran.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${ran.output()}`),
  )
  assert.equal(code, 0)
  assert.match(ran.output(), /^ {2}proof +proved exact/m)
  await source.cluster.psql('drop database copy')
  return ran.output()
}

test('a dump in any compression is right, comes out with its stock tool, and is proved', async () => {
  const tools = [
    ['gz', 'gzip -dc', '.gz'],
    ['lz4', 'lz4 -dcq', '.lz4'],
    ['bz2', 'bzip2 -dc', '.bz2'],
  ] as const
  for (const [type, tool, extension] of tools) {
    const { label, databases } = await source.dump(SHOP, `--compress-type=${type}`)
    const archive = databases[0]?.archives[0]?.name ?? ''
    assert.equal(archive, `0001-shop.dump${extension}`)
    const path = join(source.repoPath, 'dump/demo', label, archive)
    const script = `${tool} "$1" | "${source.bin}/pg_restore" -f - -t t | grep -cE '^[0-9]+\t'`
    const { stdout } = await run('bash', ['-c', script, 'bash', path])
    assert.equal(stdout.trim(), '3000', type)
  }
  await provedCopy()
  const verifying = source.context(['dump-verify'])
  assert.equal(await dumpVerify(verifying.context), 0, verifying.output())
})

function onStandby(...argv: readonly string[]): TestContext {
  const { socketDir, port } = standby
  return source.context([`--pg1-socket-path=${socketDir}`, `--pg1-port=${port}`, ...argv])
}

async function caughtUp(): Promise<void> {
  const lsn = await source.cluster.psql('select pg_current_wal_lsn()')
  await until('the standby has caught up', async () => {
    const there = await standby.psql(`select pg_last_wal_replay_lsn() >= '${lsn}'`)
    return there === 't'
  })
}

test('a hot standby is dumped without what it does not have, and the dump is proved on its primary', async () => {
  await caughtUp()
  const ran = onStandby(SHOP, 'dump')
  assert.equal(await dump(ran.context), 0)
  assert.match(ran.logText(), /INFO: the server is a standby: the content of unlogged tables/)

  assert.match(await provedCopy(), /unlogged/)
  const proving = onStandby('--prove-only', 'dump-restore')
  await dumpRestore(proving.context).catch((error: unknown) =>
    assert.fail(`${String(error)}\n${proving.output()}`),
  )
  assert.match(proving.output(), /proved exact/)
})

test('a dump that a standby ends for its primary leaves nothing, and says what to set there', async (context) => {
  const { cluster } = source
  const earlier = await source.labels()
  const blocker = new Client({
    host: cluster.socketDir,
    port: cluster.port,
    user: cluster.user,
    database: 'shop',
  })
  blocker.on('error', () => undefined)
  context.after(async () => {
    await blocker.end()
  })
  await blocker.connect()
  await blocker.query('begin; lock table held in access exclusive mode')
  // A commit: without one the server need not send what it has in memory.
  await cluster.psql('insert into t default values', 'shop')
  await until('the standby has the lock, too', async () => {
    const locks = await standby.psql(
      `select count(*) from pg_locks where mode = 'AccessExclusiveLock' and locktype = 'relation'`,
    )
    return locks === '1'
  })
  const running = refusal(dump(onStandby(SHOP, 'dump').context))
  await until('the dump waits for the lock', async () => {
    const waiting = await standby.psql(
      `select count(*) from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and a.application_name like 'pgsurety%'`,
    )
    return waiting !== '0'
  })
  await cluster.psql('alter table t add more int', 'shop')

  const told = await running
  assert.match(told, /conflict with recovery[^]*HINT: [^]*max_standby_streaming_delay/)
  assert.deepEqual(await source.labels(), earlier)
})

test('a service file tells where the server is, and may not choose the database', async () => {
  const { cluster, folder } = source
  const file = join(folder, 'services')
  const service = `host=${cluster.socketDir}\nport=${cluster.port}\nuser=postgres\n`
  await writeFile(file, `[backup]\n${service}\n[bad]\n${service}dbname=shop\n`)
  const env = { PATH: '/usr/bin:/bin', HOME: folder, PGSERVICEFILE: file }
  const by = (name: string): TestContext =>
    source.context([`--pg1-conninfo=service=${name}`, SHOP, 'dump'], { env })

  assert.equal(await dump(by('backup').context), 0)
  assert.match(await refusal(dump(by('bad').context)), /and got 'shop'[^]*service file/)
  assert.match(await refusal(dump(by('none').context)), /^\[056\] [^]*service "none" not found/)
})

test('over TLS with a password file the server must be the one its certificate names', async () => {
  const { cluster, folder } = source
  const [crt, key] = ['crt', 'key'].map((name) => join(cluster.dataDir, `server.${name}`))
  const certificate =
    'req -new -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -addext subjectAltName=DNS:localhost'
  await run('openssl', [...certificate.split(' '), '-out', crt ?? '', '-keyout', key ?? ''])
  await chown(key ?? '', unprivileged.uid, unprivileged.gid)
  await chmod(key ?? '', 0o600)
  await cluster.psql(`create role tls superuser login password 'hunter2'`)
  await cluster.psql('alter system set ssl = on')
  await writeFile(
    join(cluster.dataDir, 'pg_hba.conf'),
    'local all postgres trust\nlocal replication postgres trust\nhostssl all tls all scram-sha-256\n',
  )
  await cluster.psql('select pg_reload_conf()')
  const passfile = join(folder, 'pass')
  await writeFile(passfile, 'localhost:*:*:tls:hunter2\n', { mode: 0o600 })
  const to = (host: string, rest: string): TestContext =>
    source.context([
      `--pg1-conninfo=host=${host} port=${cluster.port} user=tls passfile=${passfile} ${rest}`,
      SHOP,
      'dump',
    ])
  const sure = `sslmode=verify-full sslrootcert=${crt}`

  assert.equal(await dump(to('localhost', sure).context), 0)
  const other = await refusal(dump(to('127.0.0.1', sure).context))
  assert.match(other, /^\[056\] [^]*server certificate/)
  const plain = await refusal(dump(to('localhost', 'sslmode=disable').context))
  assert.match(plain, /^\[056\] [^]*no encryption/)
})

test('stop forbids dumps, not restores, of which no note is taken then; start allows them again', async () => {
  const notes = async (): Promise<number> => {
    const listed = await run('find', [join(source.repoPath, 'dump'), '-name', 'proof*'])
    return listed.stdout.split('\n').length
  }
  const earlier = await source.labels()
  await source.dump(SHOP)
  const noted = await notes()
  await stop(source.context(['stop']).context)
  assert.match(await refusal(dump(source.context(['dump']).context)), /^\[062\] stop file exists/)
  const ran = source.context(['--prove-only', 'dump-restore'])
  assert.equal(await dumpRestore(ran.context), 0)
  assert.match(ran.logText(), /WARN: the proof could not be noted .* stop file exists/)
  assert.equal(await notes(), noted)
  assert.equal((await source.labels()).length, earlier.length + 1)

  await start(source.context(['start']).context)
  await source.dump(SHOP)
  assert.equal((await source.labels()).length, earlier.length + 2)
})
