/** Real PostgreSQL clusters, small and fast, that never outlive the test: socket only, no fsync, one folder in /tmp. */
import { readFileSync } from 'node:fs'
import { appendFile, chown, mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { postgresBin, toolsBin } from './peers.ts'
import type { PostgresVersion } from './peers.ts'
import { onExit, runAs, temporaryFolder, unprivileged } from './run.ts'
import type { RunResult } from './run.ts'

export interface ClusterOptions {
  /** Where its folder is made; default as `temporaryFolder` does. */
  readonly root?: string | undefined
  readonly version: PostgresVersion
  /** Data checksums; default `on`. */
  readonly checksums?: 'on' | 'off' | undefined
  /** Values for postgresql.conf, unquoted. They win over the harness's own, such as `fsync=off`. */
  readonly settings?: Readonly<Record<string, string>> | undefined
  /** Default 16, as PostgreSQL's. */
  readonly walSegmentSizeMib?: number | undefined
  /** Where it listens besides its socket; default nowhere. */
  readonly listenAddresses?: string | undefined
  /** `one` makes a tablespace `ts1` outside the data directory; default `none`. */
  readonly tablespace?: 'none' | 'one' | undefined
}

/** A cluster that exists on disk, running or not. */
export interface Cluster extends AsyncDisposable {
  readonly version: PostgresVersion
  /** Folder of `postgres`, `initdb` and `pg_ctl`. */
  readonly bin: string
  readonly dataDir: string
  readonly socketDir: string
  readonly port: number
  /** The superuser; connections need no password. */
  readonly user: 'postgres'
  readonly tablespaceDir?: string
  /** Rows as lines, columns separated by `|`, nulls empty, as `psql -qAt` prints them; trimmed. Throws the driver's error. */
  psql(sql: string, database?: string): Promise<string>
  /** Resolves when connections are accepted. Throws with the server's log when they never are. */
  start(): Promise<void>
  /** Resolves when the server has ended. Default `fast`. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
  isRunning(): boolean
  /** All the server has logged. */
  logText(): Promise<string>
  /** Runs pgbench on database `postgres`. */
  pgbench(args: readonly string[]): Promise<RunResult>
}

export interface ExistingCluster {
  readonly version: PostgresVersion
  readonly dataDir: string
  readonly tablespaceDir?: string | undefined
  readonly listenAddresses?: string | undefined
}

const DEFAULT_SETTINGS = {
  fsync: 'off',
  shared_buffers: '16MB',
  max_wal_senders: '3',
  wal_level: 'replica',
  log_timezone: 'UTC',
  timezone: 'UTC',
} as const

let clusterCount = 0

/** Makes a new cluster and starts it. Disposing stops it and removes every trace. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const root = stack.use(await temporaryFolder('cluster', options.root)).path
  const dataDir = join(root, 'data')
  const tablespaceDir = options.tablespace === 'one' ? join(root, 'ts1') : undefined
  await createDataDir(dataDir, options)
  const { version, listenAddresses } = options
  const cluster = stack.use(await openCluster({ version, dataDir, tablespaceDir, listenAddresses }))
  await cluster.start()
  if (tablespaceDir !== undefined) {
    await makeFolder(tablespaceDir)
    await cluster.psql(`create tablespace ts1 location '${tablespaceDir}'`)
  }
  const owned = stack.move()
  return {
    ...cluster,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

/**
 * A cluster in a data directory that is already there, such as a restored one; not started. It gets a port and a socket
 * folder of its own, whatever its postgresql.conf says. Disposing stops it and leaves the data directory.
 */
export async function openCluster(options: ExistingCluster): Promise<Cluster> {
  const { version, dataDir, tablespaceDir, listenAddresses = '' } = options
  await using stack = new AsyncDisposableStack()
  const root = stack.use(await temporaryFolder('server')).path
  const bin = await postgresBin(version)
  clusterCount += 1
  const port = 20_000 + ((process.pid * 16 + clusterCount) % 40_000)
  const logFile = join(root, 'log')
  const server: Server = { bin, dataDir, port, socketDir: root, listenAddresses, logFile }
  const forget = onExit(() => {
    killNow(server)
  })
  stack.defer(async () => {
    await stopServer(server, 'immediate')
    forget()
  })
  const owned = stack.move()
  return {
    version,
    bin,
    dataDir,
    socketDir: root,
    port,
    user: 'postgres',
    ...(tablespaceDir === undefined ? {} : { tablespaceDir }),
    psql: async (sql, database = 'postgres') => await query(server, sql, database),
    start: async () => {
      await startServer(server)
    },
    stop: async (mode = 'fast') => {
      await stopServer(server, mode)
    },
    isRunning: () => serverPid(server) !== undefined,
    logText: async () => await readFile(server.logFile, 'utf8'),
    pgbench: async (args) =>
      await runAs([join(await toolsBin(), 'pgbench'), ...args], {
        env: {
          PGHOST: root,
          PGPORT: String(port),
          PGUSER: 'postgres',
          PGDATABASE: 'postgres',
        },
      }),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { mode: 0o700 })
  await chown(path, unprivileged.uid, unprivileged.gid)
}

async function createDataDir(dataDir: string, options: ClusterOptions): Promise<void> {
  const { version, checksums = 'on', walSegmentSizeMib = 16, settings = {} } = options
  const checksumArgs = {
    on: ['--data-checksums'],
    // On is the default since PostgreSQL 18, which brought the option to say no.
    off: version === '18' ? ['--no-data-checksums'] : [],
  }[checksums]
  const initdb = join(await postgresBin(version), 'initdb')
  const place = ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '--no-sync']
  const content = ['-E', 'UTF8', '--locale=C', `--wal-segsize=${walSegmentSizeMib}`]
  await runAs([initdb, ...place, ...content, ...checksumArgs])
  const lines = Object.entries({ ...DEFAULT_SETTINGS, ...settings }).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  )
  await appendFile(join(dataDir, 'postgresql.conf'), `\n${lines.join('')}`)
}

interface Server {
  readonly bin: string
  readonly dataDir: string
  readonly port: number
  readonly socketDir: string
  readonly listenAddresses: string
  readonly logFile: string
}

async function startServer(server: Server): Promise<void> {
  const { bin, dataDir, port, socketDir, listenAddresses, logFile } = server
  // On the command line, so that they also hold for a copy of another cluster.
  const overrides = `-p ${port} -k ${socketDir} -c listen_addresses='${listenAddresses}'`
  const options = ['-D', dataDir, '-l', logFile, '-o', overrides, '-w', '-t', '60']
  const result = await runAs([join(bin, 'pg_ctl'), ...options, 'start'], { allowFailure: 'allow' })
  if (result.code === 0) return
  const log = await readFile(logFile, 'utf8').catch(() => '(no log)')
  throw new Error(`PostgreSQL in '${dataDir}' does not start: ${result.stderr}\n${log}`)
}

async function stopServer(server: Server, mode: 'fast' | 'immediate'): Promise<void> {
  if (serverPid(server) === undefined) return
  const options = ['-D', server.dataDir, '-m', mode, '-w', '-t', '60']
  await runAs([join(server.bin, 'pg_ctl'), ...options, 'stop'])
}

/** The postmaster's process id, if it runs. A pid file may be left over, or come with a copied data directory. */
function serverPid(server: Server): number | undefined {
  try {
    const [pid, dataDir] = readFileSync(join(server.dataDir, 'postmaster.pid'), 'utf8').split('\n')
    if (dataDir !== server.dataDir) return undefined
    process.kill(Number(pid), 0)
    return Number(pid)
  } catch {
    return undefined
  }
}

/** For the end of the process: nothing may be awaited any more. */
function killNow(server: Server): void {
  const pid = serverPid(server)
  if (pid === undefined) return
  process.kill(pid, 'SIGQUIT')
  const pause = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < 100 && serverPid(server) !== undefined; tries += 1) {
    Atomics.wait(pause, 0, 0, 20)
  }
}

async function query(server: Server, sql: string, database: string): Promise<string> {
  const { socketDir: host, port } = server
  const client = new Client({ host, port, user: 'postgres', database })
  // The server may be stopped or killed under an open connection; the query's own error tells it.
  client.on('error', () => undefined)
  await client.connect()
  try {
    // Values as the server prints them, not as JavaScript would.
    const types = { getTypeParser: () => (text: string) => text }
    const results: unknown = await client.query({ text: sql, rowMode: 'array', types })
    return [results].flat().map(renderRows).filter(Boolean).join('\n').trim()
  } finally {
    await client.end()
  }
}

function renderRows(result: unknown): string {
  if (typeof result !== 'object' || result === null || !('rows' in result)) return ''
  if (!Array.isArray(result.rows)) return ''
  return result.rows
    .map((row: unknown) => (Array.isArray(row) ? row.map((value) => value ?? '').join('|') : ''))
    .join('\n')
}
