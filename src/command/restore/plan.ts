/** Everything a restore will do, resolved before it does anything: what is printed, refused or carried out. */
import { AppError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import type { Manifest } from '../../format/manifest.ts'
import { collect } from '../../pipe/pipe.ts'
import {
  CONTROL_FILE_PADDED_BYTES,
  type ControlFile,
  parseControlFile,
} from '../../postgres/control-file.ts'
import { loadManifest, type Repo } from '../../repo/repo.ts'
import { readStored } from '../../repo/read-stored.ts'
import { storedFile, storedSet } from '../../repo/stored-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import { type Archives, readArchives } from './archives.ts'
import { forgottenSettings, readAutoConf } from './auto-conf.ts'
import { assertTargetAfter } from './choose.ts'
import { findRemovals, type Removal } from './clean.ts'
import { databasesLeftOut } from './databases.ts'
import {
  assertNotRunning,
  assertSameCluster,
  type Destination,
  inspectDestination,
} from './destination.ts'
import { findBackup } from './find-backup.ts'
import { assertNamesInside } from './manifest-names.ts'
import { mapManifest, type MappingOptions } from './mapping.ts'
import { assertNoSurprisePromotion, readRequest, type RestoreRequest } from './request.ts'
import { assertRoom } from './room.ts'
import { timelinePath } from './timeline.ts'
import { walRange, type WalRange } from './wal-range.ts'

export interface RestorePlan {
  readonly stanza: string
  readonly repo: Repo
  readonly repoKey: number
  readonly why: string
  readonly request: RestoreRequest
  /** The backup's manifest, moved to where this restore puts it. */
  readonly manifest: Manifest
  /** Undefined for a backup that was taken offline. */
  readonly wal: WalRange | undefined
  readonly mode: 'fresh' | 'delta' | 'delta-by-time' | 'resume' | 'replace'
  readonly removals: readonly Removal[]
  readonly totalBytes: number
  /** Settings of a standby that is rebuilt, which it will not have any more. */
  readonly forgotten: readonly string[]
  /** Oids of the databases whose files become holes. */
  readonly leftOut: ReadonlySet<number>
  readonly remaps: readonly string[]
  readonly dissolved: readonly string[]
  /** The server that runs in the data directory, as postmaster.pid says; a restore waits for its end. */
  readonly serverPid: string | undefined
}

/** Resolves the plan. Reads only; throws the reason when the restore must not be done. */
export async function planRestore(context: Context): Promise<RestorePlan> {
  const { config } = context
  const destination = await inspectDestination(config.text('pg-path', 1))
  // A plan only looks: it may be asked for while the server still runs, and says so.
  if (!config.flag('plan')) assertNotRunning(destination)
  const asked = readRequest(config)
  assertNoSurprisePromotion(config, asked, destination)
  const { repo, info, choice } = await findBackup(context, asked.choice)
  assertTargetAfter(choice.backup, asked.choice)
  const stored = await loadManifest(repo, stanzaOf(context), choice.backup.label, info.cipherPass)
  const request = offlineRequest(asked, stored)
  const leftOut = databasesLeftOut(stored, {
    include: config.list('db-include'),
    exclude: config.list('db-exclude'),
  })
  assertNamesInside(stored)
  assertSameCluster(destination, stored.db.systemId)
  const wal = await walOf(context, repo, { manifest: stored, request })
  const mapped = mapManifest(withoutTablespaceMap(stored), mappingOptions(context))
  const manifest = request.type === 'preserve' ? keepAutoConf(mapped.manifest) : mapped.manifest
  const mode = modeOf(context, destination)
  const want = mode === 'fresh' ? 'empty' : 'reuse'
  await assertRoom(manifest, { stored, want, type: request.type })
  return {
    stanza: stanzaOf(context),
    repo,
    repoKey: repo.key,
    why: choice.why,
    request,
    manifest,
    wal,
    mode,
    removals: await findRemovals(manifest, request.type),
    totalBytes: manifest.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    leftOut,
    forgotten:
      request.type === 'standby' && destination.content === 'cluster'
        ? forgottenSettings(await readAutoConf(destination.dataDir), config.map('recovery-option'))
        : [],
    remaps: mapped.remaps,
    dissolved: mapped.dissolved,
    serverPid: destination.postmasterPid,
  }
}

/** An offline backup needs no recovery unless it was asked for. */
function offlineRequest(request: RestoreRequest, manifest: Manifest): RestoreRequest {
  if (manifest.options.online || request.typeFrom !== 'default') return request
  return { ...request, type: 'none' }
}

async function walOf(
  context: Context,
  repo: Repo,
  { manifest, request }: Pick<RestorePlan, 'manifest' | 'request'>,
): Promise<WalRange | undefined> {
  const { archiveStart, lsnStart, lsnStop } = manifest
  if (archiveStart === undefined || lsnStart === undefined || lsnStop === undefined)
    return undefined
  const { walSegmentSizeBytes: segmentSizeBytes } = await storedControl(context, repo, manifest)
  const archives = await readArchives(context, manifest.db, archiveStart)
  const path = timelinePath({
    label: manifest.label,
    archiveStart,
    lsnStart,
    wanted: request.timeline ?? (request.type === 'immediate' ? 'current' : 'latest'),
    histories: archives.histories,
  })
  const wal = walRange({
    path,
    segmentSizeBytes,
    lsnStart,
    lsnStop,
    archived: archives.segments,
    inBackup: new Set(
      manifest.files
        .filter(({ name }) => /^pg_data\/pg_wal\/[0-9A-F]{24}$/.test(name))
        .map(({ name }) => name.slice(-24)),
    ),
    targetLsn: request.target?.kind === 'lsn' ? request.target.lsn : undefined,
  })
  if (request.type === 'none') return wal
  if (wal.usable === 'no') throw cannotBeConsistent(manifest.label, wal, archives)
  warnOfUnasked(context, repo, { request, unasked: archives.unasked })
  return wal
}

/** In recovery archive-get will not say "not there" while a repository cannot be asked (decision 015). */
function warnOfUnasked(
  { log }: Context,
  repo: Repo,
  { request, unasked }: Pick<RestorePlan, 'request'> & Pick<Archives, 'unasked'>,
): void {
  for (const [key, error] of unasked) {
    log.warn(`repo${key}: [${error.exitCode}] ${error.text}`)
    if (request.type === 'standby' || request.type === 'preserve') continue
    log.warn(
      `recovery will stop when it needs WAL that no other repository has, even at its end; with --repo=${repo.key} it does without repo${key}`,
    )
  }
}

function cannotBeConsistent(
  label: string,
  { missing, first, consistent }: WalRange,
  { unasked }: Archives,
): AppError {
  const what = `backup '${label}' cannot be made consistent: WAL segment ${missing} is not in the archive`
  if (unasked.size === 0) {
    return new AppError('archive-timeout', what, {
      hint: [
        `it needs ${first} to ${consistent}; was WAL expired, or never archived?`,
        'choose another backup with --set.',
      ],
    })
  }
  const why = [...unasked].map(([key, error]) => `repo${key}: [${error.exitCode}] ${error.text}`)
  return new AppError('repo-invalid', `${what} that can be read:\n${why.join('\n')}`, {
    hint: `it needs ${first} to ${consistent}; make every repository reachable, or choose another backup with --set.`,
  })
}

/** pg_control as it lies in the backup: the cluster's facts, and a first proof that the backup can be read. */
async function storedControl(
  context: Context,
  { storage }: Repo,
  manifest: Manifest,
): Promise<ControlFile> {
  const stanza = stanzaOf(context)
  const file = manifest.files.find(({ name }) => name === 'pg_data/global/pg_control')
  if (file === undefined) {
    throw new AppError('format', `backup '${manifest.label}' has no pg_control`)
  }
  const content = readStored(
    storage,
    storedSet(stanza, manifest),
    storedFile(stanza, manifest, file),
  )
  return parseControlFile(await collect(content, CONTROL_FILE_PADDED_BYTES))
}

/** Links of tablespaces are made by restore; the server must not make them again from the map. */
function withoutTablespaceMap(manifest: Manifest): Manifest {
  return {
    ...manifest,
    files: manifest.files.filter(({ name }) => name !== 'pg_data/tablespace_map'),
  }
}

/** `--type=preserve` leaves the recovery settings that are there. */
function keepAutoConf(manifest: Manifest): Manifest {
  return {
    ...manifest,
    files: manifest.files.filter(({ name }) => name !== 'pg_data/postgresql.auto.conf'),
  }
}

function mappingOptions({ config }: Context): MappingOptions {
  return {
    dataDir: config.text('pg-path', 1),
    tablespaceMap: config.map('tablespace-map'),
    tablespaceMapAll: config.optionalText('tablespace-map-all'),
    linkMap: config.map('link-map'),
    linkAll: config.flag('link-all') ? 'keep' : 'dissolve',
  }
}

function askedMode(config: Config): 'fresh' | 'delta' | 'delta-by-time' | 'replace' {
  if (config.flag('delta')) return config.flag('force') ? 'delta-by-time' : 'delta'
  return config.flag('force') ? 'replace' : 'fresh'
}

/** How existing files are treated. `--delta` and `--force` count only where there is a cluster to compare with. */
function modeOf({ config, log }: Context, destination: Destination): RestorePlan['mode'] {
  if (destination.unfinished === 'yes') return 'resume'
  const asked = askedMode(config)
  if (asked === 'fresh' || destination.content === 'cluster') return asked
  if (destination.content === 'other') {
    log.warn(
      `--delta or --force specified but unable to find 'PG_VERSION' or 'backup.manifest' in '${destination.dataDir}' ` +
        'to confirm that this is a valid data directory; they have been disabled and if any files exist in the destination the restore will be aborted',
    )
  }
  return 'fresh'
}
