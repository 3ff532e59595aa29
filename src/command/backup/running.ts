/** A backup in progress on the server: started, stopped, and its WAL accounted for. */
import { AppError, isErrorKind } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import { type Manifest, type ManifestFile, newFile } from '../../format/manifest.ts'
import { fileKey } from '../../format/repo-path.ts'
import {
  formatLsn,
  parseLsn,
  parseSegmentName,
  type SegmentName,
  segmentsBetween,
  timelineOf,
} from '../../format/wal.ts'
import { single } from '../../pipe/pipe.ts'
import {
  type BackupMode,
  currentInsertSegment,
  startBackup,
  switchWal,
} from '../../postgres/backup-mode.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'
import { type ArchivedFile, readArchived } from '../../repo/archive.ts'
import { type Repo, storageSpec } from '../../repo/repo.ts'
import { storedSet } from '../../repo/stored-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import type { Server, Servers } from '../preflight.ts'
import type { PgConnection } from '../../postgres/connection.ts'
import { compareBytes } from '../../base/text.ts'
import type { CopySetup } from './copy-job.ts'
import type { BackupPlan } from './plan.ts'
import { assertShutDown, type BackupCluster } from './cluster.ts'
import { assertStillFollowing, awaitStandby, type BackupStart } from './standby.ts'
import { type Stored, storeSource } from './store-file.ts'
import { archivePlace, awaitSegments } from './wal.ts'

/** Disposing without `stop` ends the mode and gives the backup up. */
export interface Running extends AsyncDisposable {
  readonly cluster: BackupCluster
  /** Seconds since the epoch: the server's clock, ours when the cluster is shut down. */
  readonly startS: number
  /** What the server says of the start; undefined when the cluster is shut down. */
  readonly wal: RunningWal | undefined
  /** What replication keeps equal is copied from here; undefined: from the primary too. */
  readonly standby: Server | undefined
}

interface RunningWal extends Pick<BackupMode, 'startLsn' | 'startSegment' | 'stop'> {
  readonly timeline: number
}

/**
 * Puts the cluster in backup mode, proves that archiving works before a byte is copied, and waits for the standby when
 * one is to be copied from. Nothing of that for a cluster that is shut down.
 */
export async function start(
  context: Context,
  cluster: BackupCluster,
  repo: Repo,
): Promise<Running> {
  const { servers } = cluster
  if (servers !== undefined) return await startOnline(context, { ...cluster, servers }, repo)
  const startS = Math.floor(context.clock.nowMs() / SECOND_MS)
  return {
    cluster,
    startS,
    wal: undefined,
    standby: undefined,
    [Symbol.asyncDispose]: async () => undefined,
  }
}

async function startOnline(
  context: Context,
  cluster: BackupCluster & { readonly servers: Servers },
  repo: Repo,
): Promise<Running> {
  const { config, log } = context
  const { connection } = cluster.servers.primary
  const fast = config.flag('start-fast')
  warnOfSlowCheckpoint(context, connection)
  const prior = config.flag('archive-check')
    ? parseSegmentName(await currentInsertSegment(connection))
    : undefined
  log.info(
    `execute non-exclusive backup start: backup begins after the ${fast ? 'requested immediate' : 'next regular'} checkpoint completes`,
  )
  const mode = await startBackup(connection, {
    label: `pgSurety backup started at ${new Date(context.clock.nowMs()).toISOString()}`,
    checkpoint: fast ? 'fast' : 'spread',
  })
  try {
    log.info(`backup start archive = ${mode.startSegment}, lsn = ${formatLsn(mode.startLsn)}`)
    await assertSameCluster(cluster.dataDir, mode)
    if (prior === mode.startSegment) await switchWal(connection)
    const timeline = timelineOf(parseSegmentName(mode.startSegment))
    const standby = await readyStandby(context, cluster.servers, { ...mode, timeline })
    if (prior !== undefined) {
      log.info(`check archive for prior segment ${prior}`)
      await awaitSegments(context, await archivePlace(context, repo), [prior])
    }
    return {
      cluster,
      startS: mode.startS,
      wal: { ...mode, timeline },
      standby,
      [Symbol.asyncDispose]: async () => {
        await mode[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await mode[Symbol.asyncDispose]()
    throw error
  }
}

function warnOfSlowCheckpoint({ config, log }: Context, connection: PgConnection): void {
  const { checkpointTimeoutMs } = connection
  if (config.flag('start-fast') || checkpointTimeoutMs < config.timeMs('db-timeout')) return
  log.warn(
    `start-fast is disabled and db-timeout (${config.timeMs('db-timeout')}ms) is smaller than the PostgreSQL ` +
      `checkpoint_timeout (${checkpointTimeoutMs}ms) - timeout may occur before the backup starts`,
  )
}

/** The standby once its files may be read; undefined, with backup-standby=prefer, when it does not get there. */
async function readyStandby(
  context: Context,
  { standby }: Servers,
  begin: BackupStart,
): Promise<Server | undefined> {
  if (standby === undefined) return undefined
  try {
    await awaitStandby(context, standby, begin)
    return standby
  } catch (error) {
    const mayGoOn = context.config.text('backup-standby') === 'prefer'
    if (!mayGoOn || !isErrorKind(error, 'archive-timeout', 'db-connect')) throw error
    context.log.warn(`${error.text}\nthe primary is copied instead`)
    return undefined
  }
}

/** The files under its path must be those of the server that answered: its checkpoint is on their disk by now. */
async function assertSameCluster(dataDir: string, mode: BackupMode): Promise<void> {
  const { control } = await readControlFile(dataDir)
  const timeline = timelineOf(parseSegmentName(mode.startSegment))
  if (control.checkpointLsn < mode.startLsn) {
    throw new AppError(
      'db-mismatch',
      `pg_control in '${dataDir}' has checkpoint ${formatLsn(control.checkpointLsn)}, before the backup's start ${formatLsn(mode.startLsn)}`,
      { hint: 'is pg1-path the data directory of the server at pg1-port, on this host?' },
    )
  }
  if (control.timeline !== timeline) {
    throw new AppError(
      'db-mismatch',
      `pg_control in '${dataDir}' is on timeline ${control.timeline}, the server on ${timeline}`,
      { hint: 'is pg1-path the data directory of the server at pg1-port, on this host?' },
    )
  }
}

/** Throws when a session is lost: without the primary's there is no backup. */
export async function ping({ cluster, standby }: Running): Promise<void> {
  await cluster.servers?.primary.connection.ping()
  await standby?.connection.ping()
}

export interface Stopping {
  readonly running: Running
  readonly repo: Repo
  readonly stanza: string
  /** Every file copied. */
  readonly manifest: Manifest
}

/** Leaves backup mode, stores what PostgreSQL gives for it, and waits for the WAL that makes the copy consistent. */
export async function stop(context: Context, stopping: Stopping): Promise<Manifest> {
  const { running, manifest } = stopping
  const { config, log } = context
  const { wal, cluster } = running
  if (wal === undefined) {
    await assertShutDown(context, cluster.dataDir)
    return { ...manifest, stopS: Math.floor(context.clock.nowMs() / SECOND_MS) }
  }
  if (running.standby !== undefined) await assertStillFollowing(running.standby, wal)
  log.info('execute non-exclusive backup stop and wait for all WAL segments to archive')
  const stopped = await wal.stop()
  log.info(`backup stop archive = ${stopped.stopSegment}, lsn = ${formatLsn(stopped.stopLsn)}`)
  const ended: Manifest = {
    ...manifest,
    archiveStop: stopped.stopSegment,
    lsnStop: formatLsn(stopped.stopLsn),
    stopS: stopped.stopS,
  }
  const setup = copySetup(context, stopping.repo, {
    draft: manifest,
    dataDir: cluster.dataDir,
    pageSizeBytes: cluster.control.blockSizeBytes,
  })
  const added: ManifestFile[] = []
  const labels = [
    { name: 'pg_data/backup_label', text: stopped.backupLabel },
    { name: 'pg_data/tablespace_map', text: stopped.tablespaceMap },
  ]
  for (const { name, text } of labels) {
    if (text.trim() === '') continue
    const source = single(Buffer.from(text, 'latin1'))
    const file = addedFile(ended, name)
    const key = fileKey(stopping.stanza, file, ended.label, setup.compressType)
    const copied = await storeSource(stopping.repo.storage, setup, { key, source })
    log.detail(`wrote '${name}' file returned from backup stop function`)
    added.push(storedFile(file, copied))
  }
  if (config.flag('archive-check')) {
    added.push(...(await accountForWal(context, stopping, { wal, ended, setup })))
  }
  const files = [...ended.files, ...added].toSorted((left, right) =>
    compareBytes(left.name, right.name),
  )
  return { ...ended, files }
}

interface Ended {
  readonly wal: RunningWal
  readonly ended: Manifest
  readonly setup: CopySetup
}

async function accountForWal(
  context: Context,
  { running, repo, stanza }: Stopping,
  { wal, ended, setup }: Ended,
): Promise<readonly ManifestFile[]> {
  const segments = segmentsBetween({
    startLsn: wal.startLsn,
    stopLsn: parseLsn(ended.lsnStop ?? ''),
    timeline: wal.timeline,
    segmentSizeBytes: running.cluster.control.walSegmentSizeBytes,
  })
  context.log.info(`check archive for segment(s) ${segments[0]}:${segments.at(-1)}`)
  const place = await archivePlace(context, repo)
  const archived = await awaitSegments(context, place, segments)
  if (!context.config.flag('archive-copy')) return []
  const files: ManifestFile[] = []
  for (const [segment, file] of archived) {
    const entry = addedFile(ended, `pg_data/pg_wal/${segment}`)
    const key = fileKey(stanza, entry, ended.label, setup.compressType)
    const copied = await storeSource(repo.storage, setup, {
      key,
      source: readArchived(place, file),
    })
    assertChecksum(segment, file, copied)
    files.push(storedFile(entry, copied))
  }
  return files
}

function assertChecksum(segment: SegmentName, file: ArchivedFile, copied: Stored): void {
  if (file.checksum === copied.checksum) return
  throw new AppError(
    'checksum',
    `archived WAL segment ${segment} has checksum '${copied.checksum}' but its name says '${file.checksum}'`,
    { hint: 'the repository is damaged; this backup would not be consistent.' },
  )
}

/** An entry for a file that backup itself adds: owner and directory mode of the data directory. */
function addedFile(manifest: Manifest, name: string): ManifestFile {
  const dataDir = manifest.paths.find((path) => path.name === 'pg_data')
  if (dataDir === undefined) throw new AppError('assert', 'the manifest has no pg_data path')
  const { user, group, mode } = dataDir
  return newFile({
    name,
    sizeBytes: 0,
    timestampS: manifest.stopS,
    user,
    group,
    mode: mode & 0o644,
  })
}

function storedFile(file: ManifestFile, copied: Stored): ManifestFile {
  return {
    ...file,
    sizeBytes: copied.sizeBytes,
    checksum: copied.checksum,
    repoSizeBytes: copied.repoSizeBytes,
    repoChecksum: copied.repoChecksum,
  }
}

/** What the workers, and the files stored here, are compressed and encrypted with. */
export function copySetup(
  context: Context,
  repo: Repo,
  {
    draft: manifest,
    dataDir,
    pageSizeBytes,
  }: Pick<BackupPlan, 'draft' | 'dataDir' | 'pageSizeBytes'>,
): CopySetup {
  return {
    storage: storageSpec(context.config, repo.key),
    dataDir,
    ...storedSet(stanzaOf(context), manifest),
    compressLevel: manifest.options.compressLevel ?? 0,
    pageSizeBytes,
    headerCheck: context.config.flag('page-header-check') ? 'on' : 'off',
    bufferBytes: context.config.bytes('buffer-size'),
  }
}
