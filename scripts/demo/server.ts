/** A throw-away PostgreSQL: a cluster with data checksums, reachable only through a socket in its own directory. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { Client } from 'pg'
import type { Place } from './place.ts'
import type { Shell } from './shell.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Server extends Disposable {
  readonly dataDir: string
  readonly logPath: string
  create(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
  /** Runs one statement in a session of its own. */
  query(sql: string): Promise<readonly Row[]>
  connect(): Promise<Client>
}

export const PORT = 5432

/** Full speed, no durability: what is lost in a power cut here is a demo. Everything else is as in production. */
function settings(dir: string): string {
  return `
listen_addresses = ''
unix_socket_directories = '${dir}'
port = ${PORT}
fsync = off
max_wal_size = 4GB
shared_buffers = 256MB
log_line_prefix = '%m '
archive_mode = on
archive_command = 'true'   # nothing is kept until archiving is set up
`
}

/** Starts nothing yet. Disposing ends the server however it stands. */
export function openServer(place: Place, shell: Shell, signal: AbortSignal): Server {
  const dataDir = `${place.dir}/data`
  const logPath = `${place.dir}/postgresql.log`
  const run = async (program: string, ...parameters: readonly string[]): Promise<void> => {
    const argv = [`${place.postgresBin}/${program}`, '-D', dataDir, ...parameters]
    await shell.run(argv, {
      interruption: 'wait',
      ...(program === 'initdb' ? { linesMax: 0 } : {}),
    })
  }
  const connect = async (): Promise<Client> => await openSession(place.dir, signal)
  return {
    dataDir,
    logPath,
    create: async () => {
      await run(
        'initdb',
        '-U',
        'postgres',
        '-A',
        'trust',
        '-k',
        '-E',
        'UTF8',
        '--locale=C.UTF-8',
        '--no-sync',
      )
      await appendFile(`${dataDir}/postgresql.conf`, settings(place.dir))
    },
    start: async () => {
      await run('pg_ctl', '-l', logPath, '-w', '-t', '120', 'start')
    },
    stop: async () => {
      await run('pg_ctl', '-m', 'fast', '-w', '-t', '120', 'stop')
    },
    connect,
    query: async (sql) => {
      const session = await connect()
      try {
        return (await session.query<Row>(sql)).rows
      } finally {
        await session.end()
      }
    },
    [Symbol.dispose]: () => {
      stopNow(place.postgresBin, dataDir)
    },
  }
}

async function openSession(dir: string, signal: AbortSignal): Promise<Client> {
  signal.throwIfAborted()
  const session = new Client({ host: dir, port: PORT, user: 'postgres', database: 'postgres' })
  // A lost session shows up in the query that needs it; without a listener it would end the program.
  session.on('error', () => undefined)
  const end = (): void => void session.end()
  signal.addEventListener('abort', end)
  session.once('end', () => {
    signal.removeEventListener('abort', end)
  })
  await session.connect()
  return session
}

/** Ends the server however it stands, with everything it started; silent, because the demo is over. */
function stopNow(postgresBin: string, dataDir: string): void {
  if (!existsSync(`${dataDir}/postmaster.pid`)) return
  const argv = ['-D', dataDir, '-m', 'immediate', '-w', 'stop']
  spawnSync(`${postgresBin}/pg_ctl`, argv, { stdio: 'ignore' })
}
