/** The cluster to back up: a running one, through its servers, or one that is shut down, through its files alone. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, errnoOf } from '../../base/error.ts'
import { type Database, listDatabases, listTablespaces } from '../../postgres/backup-mode.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'
import type { Context } from '../command.ts'
import { openServers, type Servers } from '../preflight.ts'

/** Disposing closes the sessions. */
export interface BackupCluster extends AsyncDisposable {
  readonly control: ControlFile
  readonly dataDir: string
  /** Undefined: the cluster is shut down. */
  readonly servers: Servers | undefined
}

/** Throws as `openServers`; with --no-online `pg-running`, unless --force. */
export async function openCluster(context: Context): Promise<BackupCluster> {
  const { config } = context
  if (config.flag('online')) {
    const wanted = standbyWanted(config.text('backup-standby'))
    const servers = await openServers(context, 'backup', wanted)
    if (wanted === 'prefer' && servers.standby === undefined)
      context.log.warn('unable to find a standby to perform the backup, using primary instead')
    const { control, dataDir } = servers.primary
    return {
      control,
      dataDir,
      servers,
      [Symbol.asyncDispose]: async () => {
        await servers[Symbol.asyncDispose]()
      },
    }
  }
  const dataDir = config.text('pg-path', 1)
  await assertShutDown(context, dataDir)
  const { control } = await readControlFile(dataDir, context.clock)
  return { control, dataDir, servers: undefined, [Symbol.asyncDispose]: async () => undefined }
}

function standbyWanted(text: string): 'n' | 'prefer' | 'y' {
  if (text === 'n' || text === 'prefer' || text === 'y') return text
  throw new AppError('assert', `unknown value '${text}' of backup-standby`)
}

/** Also when the backup ends: a server that was started meanwhile has changed files that were copied already. */
export async function assertShutDown({ config, log }: Context, dataDir: string): Promise<void> {
  if (!(await hasPostmaster(dataDir))) return
  if (!config.flag('force')) {
    throw new AppError(
      'pg-running',
      '--no-online passed but postmaster.pid exists - looks like PostgreSQL is running',
      { hint: 'shut down PostgreSQL and try again, or use --force.' },
    )
  }
  log.warn(
    '--no-online passed and postmaster.pid exists but --force was passed so backup will continue though it looks ' +
      'like PostgreSQL is running and the backup will probably not be consistent',
  )
}

async function hasPostmaster(dataDir: string): Promise<boolean> {
  const path = join(dataDir, 'postmaster.pid')
  try {
    await stat(path)
    return true
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return false
    throw new AppError('file-open', `unable to look at '${path}': ${errnoOf(cause) ?? ''}`, {
      cause,
    })
  }
}

/** The server's clock, or ours when it is shut down; milliseconds since the epoch. */
export async function clusterNowMs(
  { clock }: Context,
  { servers }: BackupCluster,
): Promise<number> {
  return servers === undefined ? clock.nowMs() : await servers.primary.connection.nowMs()
}

/** By OID; none when the server is shut down. */
export async function databasesOf({ servers }: BackupCluster): Promise<readonly Database[]> {
  return servers === undefined ? [] : await listDatabases(servers.primary.connection)
}

/** Names by OID; none when the server is shut down. */
export async function tablespacesOf({
  servers,
}: BackupCluster): Promise<ReadonlyMap<number, string>> {
  return servers === undefined ? new Map() : await listTablespaces(servers.primary.connection)
}
