/**
 * Real pgBackRest and PostgreSQL of several versions: from the system, from npm (13, 14, 16), else from Debian by
 * `scripts/peers.sh`, which fetches what its cache lacks (10 to 20 seconds each, once a machine).
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { checkout } from './run.ts'

export type PgBackRestVersion = '2.45' | '2.55' | '2.60'

export type PostgresVersion = '13' | '14' | '15' | '16' | '17' | '18'

export const POSTGRES_VERSIONS = ['13', '14', '15', '16', '17', '18'] as const

const PGBACKREST_PRESETS = {
  '2.45': 'pgbackrest-bookworm',
  '2.55': 'pgbackrest-trixie',
  '2.60': 'pgbackrest',
} as const satisfies Record<PgBackRestVersion, string>

/** Debian's unstable suite moves: what we call 2.60 may be newer, and must not be older than this. */
const NEWEST_MINOR_MIN = 58

const run = promisify(execFile)
const peersScript = join(checkout, 'scripts/peers.sh')
const folders = new Map<string, Promise<string>>()

/** Folder of a preset of `scripts/peers.sh`. */
async function peer(preset: string): Promise<string> {
  const folder = folders.get(preset) ?? fetchPeer(preset)
  folders.set(preset, folder)
  return await folder
}

async function fetchPeer(preset: string): Promise<string> {
  const { stdout } = await run('bash', [peersScript, 'get', preset])
  return stdout.trim()
}

/**
 * Path of a real pgBackRest. `2.60` means the newest one: the version in Debian's unstable suite, or, when that cannot be
 * fetched or is too old, 2.55 (with a line on stderr).
 */
export async function pgBackRest(version: PgBackRestVersion): Promise<string> {
  const folder =
    version === '2.60' ? await newestPgBackRest() : await peer(PGBACKREST_PRESETS[version])
  return join(folder, 'usr/bin/pgbackrest')
}

async function newestPgBackRest(): Promise<string> {
  const preset = PGBACKREST_PRESETS['2.60']
  try {
    const folder = await peer(preset)
    const { stdout } = await run('bash', [peersScript, 'version', preset])
    const minor = Number(/^2\.(\d+)/.exec(stdout)?.[1])
    if (minor >= NEWEST_MINOR_MIN) return folder
    process.stderr.write(`pgBackRest ${stdout.trim()} is too old, taking 2.55\n`)
  } catch (error) {
    process.stderr.write(`the newest pgBackRest cannot be fetched, taking 2.55: ${String(error)}\n`)
  }
  return await peer(PGBACKREST_PRESETS['2.55'])
}

/** Folder with `postgres`, `initdb` and `pg_ctl`; for 15, 17 and 18 with every client program too. */
export async function postgresBin(version: PostgresVersion): Promise<string> {
  const installed = `/usr/lib/postgresql/${version}/bin`
  if (existsSync(join(installed, 'initdb'))) return installed
  switch (version) {
    case '13':
    case '14':
    case '16':
      return join(checkout, `node_modules/pg${version}/native/bin`)
    case '15':
    case '17':
    case '18':
      return join(await peer(`pg${version}`), 'usr/lib/postgresql', version, 'bin')
  }
}

/** Folder with psql, pgbench and the other client programs, good for servers of every version. */
export async function toolsBin(): Promise<string> {
  return await postgresBin('15')
}
