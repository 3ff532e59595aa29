/** backup: one backup of a cluster, running or shut down, into one repository. */
import { assertWritable } from '../../format/archive-info.ts'
import { AppError } from '../../base/error.ts'
import type { Secret } from '../../base/secret.ts'
import { formatSize, SECOND_MS } from '../../base/units.ts'
import { currentBackupHistory, entryOfManifest } from '../../format/backup-info.ts'
import { type BackupKind, fullLabelOf, planLabel } from '../../format/label.ts'
import type { Manifest } from '../../format/manifest.ts'
import { backupHistoryPrefix, backupPrefix, manifestKey } from '../../format/repo-path.ts'
import { formatLsn } from '../../format/wal.ts'
import { generatePassphrase } from '../../pipe/cipher.ts'
import { listCluster } from '../../postgres/data-dir.ts'
import type { StanzaLock } from '../../repo/lock.ts'
import { listBackupLabels, reconstruct } from '../../repo/reconstruct.ts'
import { loadBackupInfo, loadManifest, openRepos, type Repo } from '../../repo/repo.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { annotationsOf } from '../annotations.ts'
import { type Context, stanzaOf } from '../command.ts'
import { matchStanza } from '../preflight.ts'
import { lockStanza } from '../stanza-lock.ts'
import { clusterNowMs, databasesOf, openCluster, tablespacesOf } from './cluster.ts'
import { type Completion, complete, saveDraft } from './complete.ts'
import { copyFiles } from './copy-files.ts'
import { type Damage, reportDamage } from './damage.ts'
import { type Habits, readHabits } from './habits.ts'
import { layoutOf } from './layout.ts'
import { backupOptions, kindAsked } from './options.ts'
import { type BackupPlan, planBackup } from './plan.ts'
import { choosePrior } from './prior.ts'
import { ping, type Running, start, stop } from './running.ts'

export async function backup(context: Context): Promise<number> {
  const { config, log } = context
  const stanza = stanzaOf(context)
  assertNotStopped(config.text('lock-path'), stanza)
  const repo = chooseRepo(context)
  await using lock = await lockStanza(context, ['backup'], [repo.key])
  const stored = await loadBackupInfo(repo, stanza)
  assertWritable(stored)
  const { info, warnings } = await reconstruct(repo, stanza, stored)
  for (const warning of warnings) log.warn(warning)
  const completion: Completion = {
    repo,
    stanza,
    info,
    symlink: config.flag('repo-symlink', repo.key) ? 'on' : 'off',
  }
  report(context, await takeBackup({ context, completion, lock }))
  return 0
}

interface Work {
  readonly context: Context
  readonly completion: Completion
  readonly lock: StanzaLock
}

/** Connects, copies, stops and commits; PostgreSQL leaves backup mode however this ends. */
async function takeBackup({ context, completion, lock }: Work): Promise<Taken> {
  const { repo, stanza, info } = completion
  await using cluster = await openCluster(context)
  matchStanza(currentBackupHistory(info), cluster.control, 'backup-mismatch')
  const chosen = await chooseBasis(context, completion)
  const basis = { ...chosen, habits: await readHabits(context, completion, chosen.prior) }
  await removeUnfinished(context, completion)
  await using running = await start(context, cluster, repo)
  const { plan, copyFromMs } = await plannedBackup(context, { running, completion, basis })
  await saveDraft(completion, plan.draft)
  const copied = await copyFiles({
    context,
    repo,
    plan,
    lock,
    copyFromMs,
    ping: async () => await ping(running),
  })
  const finished = await stop(context, { running, repo, stanza, manifest: copied })
  await complete(completion, finished)
  return { manifest: finished, damage: await reportDamage(context, cluster, finished) }
}

interface Taken {
  readonly manifest: Manifest
  readonly damage: readonly Damage[]
}

/** `--repo`, else the lowest configured repository. */
function chooseRepo(context: Context): Repo {
  const [repo, ...others] = openRepos(context.config, context.openStorage)
  if (repo === undefined) throw new AppError('assert', 'no repository is configured')
  if (others.length > 0)
    context.log.info(`repo option not specified, defaulting to repo${repo.key}`)
  return repo
}

interface Basis {
  readonly kind: BackupKind
  /** What a differential or incremental backup builds on. */
  readonly prior: Manifest | undefined
  /** What goes for options that are not set. */
  readonly habits: Habits
}

/** The kind of backup to take: full when there is nothing to build on. */
async function chooseBasis(
  { config, log }: Context,
  { repo, stanza, info }: Completion,
): Promise<Omit<Basis, 'habits'>> {
  const kind = kindAsked(config)
  if (kind === 'full') return { kind, prior: undefined }
  const entry = choosePrior(info, kind)
  if (entry === undefined) {
    log.warn(`no prior backup exists, ${kind} backup has been changed to full`)
    return { kind: 'full', prior: undefined }
  }
  log.info(`last backup label = ${entry.label}, version = ${entry.version}`)
  return { kind, prior: await loadManifest(repo, stanza, entry.label, info.cipherPass) }
}

/** A directory without backup.manifest is what an interrupted run left; nothing refers to it. */
async function removeUnfinished(context: Context, { repo, stanza }: Completion): Promise<void> {
  for (const label of await listBackupLabels(repo, stanza)) {
    if ((await repo.storage.stat(manifestKey(stanza, label))) !== undefined) continue
    context.log.warn(`unfinished backup '${label}' was left by an interrupted run, removing it`)
    await repo.storage.removeAll(backupPrefix(stanza, label))
  }
}

interface Planning {
  readonly running: Running
  readonly completion: Completion
  readonly basis: Basis
}

interface Planned {
  readonly plan: BackupPlan
  /**
   * When copying may begin: in the second after the files were listed, by the database's clock. A file changed from then on
   * has a newer time stamp than anything listed, so a later backup may trust equal ones. By our clock.
   */
  readonly copyFromMs: number
}

async function plannedBackup(
  context: Context,
  { running, completion, basis }: Planning,
): Promise<Planned> {
  const { config, log } = context
  const { kind, prior } = basis
  const { cluster, standby, wal } = running
  const { control } = cluster
  const { repo, stanza, info } = completion
  const listing = await listCluster({
    dataDir: cluster.dataDir,
    version: control.version,
    catalogVersion: control.catalogVersion,
    online: wal === undefined ? 'offline' : 'online',
    tablespaces: await tablespacesOf(cluster),
    exclude: config.list('exclude'),
  })
  for (const warning of listing.warnings) log.warn(warning)
  const databases = await databasesOf(cluster)
  const nowMs = await clusterNowMs(context, cluster)
  const copyFromMs = context.clock.nowMs() + SECOND_MS - (nowMs % SECOND_MS)
  const plan = planBackup({
    stanza,
    kind,
    prior,
    label: await newLabel(context, completion, { ...basis, startS: running.startS }),
    history: currentBackupHistory(info),
    control,
    dataDir: cluster.dataDir,
    standbyDir: standby?.dataDir,
    listing,
    databases,
    options: { ...backupOptions(context, control, basis), backupStandby: standby !== undefined },
    layout: layoutOf(config, { ...basis, repoKey: repo.key }),
    annotations: annotationsOf(config),
    cipherPass: prior === undefined ? newCipherPass(repo) : prior.cipherPass,
    startS: running.startS,
    copyStartS: Math.floor(nowMs / SECOND_MS) + 1,
    archiveStart: wal?.startSegment,
    lsnStart: wal === undefined ? undefined : formatLsn(wal.startLsn),
  })
  for (const warning of plan.warnings) log.warn(warning)
  return { plan, copyFromMs }
}

/** The key of a new backup set. */
function newCipherPass(repo: Repo): Secret | undefined {
  return repo.cipherPass === undefined ? undefined : generatePassphrase()
}

async function newLabel(
  context: Context,
  { repo, stanza }: Completion,
  { kind, prior, startS }: Omit<Basis, 'habits'> & { readonly startS: number },
): Promise<string> {
  const fullLabel = prior === undefined ? undefined : fullLabelOf(prior.label)
  const existing = [
    ...(await listBackupLabels(repo, stanza)),
    ...(await historyLabels(repo, stanza, fullLabel)),
  ]
  const startMs = startS * SECOND_MS
  const { label, notBeforeMs } = planLabel({ kind, startMs, fullLabel, existing })
  const earlyMs = notBeforeMs - context.clock.nowMs()
  if (earlyMs > 0) await context.clock.sleep(earlyMs, context.signal)
  return label
}

/** Labels of backups that may have expired, and are not used again: of the newest year of fulls, or of the set's. */
async function historyLabels(
  repo: Repo,
  stanza: string,
  fullLabel: string | undefined,
): Promise<readonly string[]> {
  const root = backupHistoryPrefix(stanza)
  const years = await repo.storage.list(root)
  const year = fullLabel?.slice(0, 4) ?? years.findLast(({ kind }) => kind === 'prefix')?.name
  if (year === undefined) return []
  const entries = await repo.storage.list(`${root}/${year}`)
  return entries.map(({ name }) => name.replace(/\.manifest\.gz$/, ''))
}

function report({ config, log, print }: Context, { manifest, damage }: Taken): void {
  const entry = entryOfManifest(manifest)
  log.info(`new backup label = ${manifest.label}`)
  log.info(
    `${manifest.kind} backup size = ${formatSize(entry.sizeDeltaBytes)}, file total = ${manifest.files.length}`,
  )
  if (config.has('repo-retention-full', config.indexes('repo')[0])) {
    log.info('expire is not yet supported: older backups and WAL are kept')
  }
  if (config.text('output') !== 'json') return
  print(
    `${JSON.stringify({
      label: manifest.label,
      type: manifest.kind,
      prior: manifest.prior ?? null,
      archive: { start: manifest.archiveStart, stop: manifest.archiveStop },
      lsn: { start: manifest.lsnStart, stop: manifest.lsnStop },
      timestamp: { start: manifest.startS, stop: manifest.stopS },
      sizeBytes: entry.sizeBytes,
      sizeDeltaBytes: entry.sizeDeltaBytes,
      repoSizeBytes: entry.repoSizeBytes,
      repoSizeDeltaBytes: entry.repoSizeDeltaBytes,
      files: manifest.files.length,
      pageErrors: entry.error === true,
      damage,
    })}\n`,
  )
}
