/** backup: one backup of a cluster, running or shut down, into one repository. */
import { assertWritable } from '../../format/archive-info.ts'
import type { Secret } from '../../base/secret.ts'
import { toHumanText } from '../../base/text.ts'
import { formatSize, SECOND_MS } from '../../base/units.ts'
import { currentBackupHistory, entryOfManifest } from '../../format/backup-info.ts'
import { type BackupKind, fullLabelOf, planLabel } from '../../format/label.ts'
import type { Manifest, ManifestOptions } from '../../format/manifest.ts'
import { backupHistoryPrefix } from '../../format/repo-path.ts'
import { formatLsn } from '../../format/wal.ts'
import { generatePassphrase } from '../../pipe/cipher.ts'
import { listCluster } from '../../postgres/data-dir.ts'
import type { StanzaLock } from '../../repo/lock.ts'
import { listBackupLabels, reconstruct } from '../../repo/reconstruct.ts'
import { loadBackupInfo, loadManifest, type Repo } from '../../repo/repo.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { annotationsOf } from '../annotations.ts'
import { type Context, stanzaOf } from '../command.ts'
import { expireRepos } from '../expire/expire.ts'
import type { ExpireRequest } from '../expire/request.ts'
import { firstRepo } from '../first-repo.ts'
import { matchStanza } from '../preflight.ts'
import { lockStanza } from '../stanza-lock.ts'
import {
  type BackupCluster,
  clusterNowMs,
  databasesOf,
  openCluster,
  tablespacesOf,
} from './cluster.ts'
import { CLOCK_TICK_MS } from './compare.ts'
import { type Completion, complete, saveDraft } from './complete.ts'
import { copyFiles, manifestOf } from './copy-files.ts'
import { type Damage, reportDamage } from './damage.ts'
import { readHabits } from './habits.ts'
import { type Layout, layoutOf } from './layout.ts'
import { backupOptions, kindAsked } from './options.ts'
import { type BackupPlan, planBackup } from './plan.ts'
import { choosePrior } from './prior.ts'
import { cleanLeftover, findLeftover } from './resume.ts'
import { ping, type Running, start, stop } from './running.ts'

export async function backup(context: Context): Promise<number> {
  const { config, log } = context
  const stanza = stanzaOf(context)
  assertNotStopped(config.text('lock-path'), stanza)
  const repo = firstRepo(context)
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
  if (config.flag('expire-auto')) await expireRepos(context, [repo], AFTER_BACKUP)
  return 0
}

/** What expire does by itself: no more than the retention options say, and nothing that makes a damaged backup the oldest. */
const AFTER_BACKUP: ExpireRequest = {
  wanted: { kind: 'retention' },
  mode: 'do',
  dumps: 'not',
  walBefore: undefined,
  pageErrors: 'refuse',
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
  const basis = await chooseBasis(context, completion, cluster)
  await using running = await start(context, cluster, repo)
  const { plan, copyFromMs } = await plannedBackup(context, { running, completion, basis })
  if (basis.leftover !== undefined) await cleanLeftover(completion, basis.leftover, plan)
  await saveDraft(completion, manifestOf(plan))
  const copied = await copyFiles({
    context,
    repo,
    plan,
    lock,
    copyFromMs,
    ping: async () => await ping(running),
    save: async (draft) => {
      await saveDraft(completion, draft)
    },
  })
  const finished = await stop(context, { running, repo, stanza, manifest: copied })
  await complete(completion, finished)
  return { manifest: finished, damage: await reportDamage(context, cluster, finished) }
}

interface Taken {
  readonly manifest: Manifest
  readonly damage: readonly Damage[]
}

/** What the new backup is like, and what there is of it already. */
interface Basis {
  readonly kind: BackupKind
  /** What a differential or incremental backup builds on. */
  readonly prior: Manifest | undefined
  readonly layout: Layout
  readonly options: ManifestOptions
  /** What an interrupted run left and this one goes on with. */
  readonly leftover: Manifest | undefined
}

async function chooseBasis(
  context: Context,
  completion: Completion,
  { control }: BackupCluster,
): Promise<Basis> {
  const { kind, prior } = await chooseKind(context, completion)
  const repoKey = completion.repo.key
  const chosen = { repoKey, kind, prior, habits: await readHabits(context, completion, prior) }
  const options = backupOptions(context, control, chosen)
  const layout = layoutOf(context.config, chosen)
  const historyId = completion.info.currentId
  const resuming = { kind, prior, layout, options, historyId }
  return { ...resuming, leftover: await findLeftover(context, completion, resuming) }
}

/** The kind of backup to take: full when there is nothing to build on. */
async function chooseKind(
  { config, log }: Context,
  { repo, stanza, info }: Completion,
): Promise<Pick<Basis, 'kind' | 'prior'>> {
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

interface Planning {
  readonly running: Running
  readonly completion: Completion
  readonly basis: Basis
}

interface Planned {
  readonly plan: BackupPlan
  /** When the second after the listing begins, by our clock; see copy-order.ts. */
  readonly copyFromMs: number
}

async function plannedBackup(
  context: Context,
  { running, completion, basis }: Planning,
): Promise<Planned> {
  const { config, log } = context
  const { kind, prior, layout, options, leftover } = basis
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
  for (const { name, reason } of listing.skipped) {
    log.detail(`exclude ${toHumanText(name)} from backup: ${reason}`)
  }
  const databases = await databasesOf(cluster)
  const nowMs = await clusterNowMs(context, cluster)
  const copyFromMs = context.clock.nowMs() + SECOND_MS - (nowMs % SECOND_MS) + CLOCK_TICK_MS
  const plan = planBackup({
    stanza,
    kind,
    prior,
    leftover,
    label:
      leftover?.label ??
      (await newLabel(context, completion, { ...basis, startS: running.startS })),
    history: currentBackupHistory(info),
    control,
    dataDir: cluster.dataDir,
    standbyDir: standby?.dataDir,
    listing,
    databases,
    options: { ...options, backupStandby: standby !== undefined },
    layout,
    annotations: annotationsOf(config),
    cipherPass: cipherPassOf(repo, prior ?? leftover),
    startS: running.startS,
    copyStartS: Math.floor(nowMs / SECOND_MS) + 1,
    archiveStart: wal?.startSegment,
    lsnStart: wal === undefined ? undefined : formatLsn(wal.startLsn),
  })
  for (const warning of plan.warnings) log.warn(warning)
  return { plan, copyFromMs }
}

/** The key of the backup set that `begun` belongs to, or of a new one. */
function cipherPassOf(repo: Repo, begun: Manifest | undefined): Secret | undefined {
  if (begun !== undefined) return begun.cipherPass
  return repo.cipherPass === undefined ? undefined : generatePassphrase()
}

async function newLabel(
  context: Context,
  { repo, stanza }: Completion,
  { kind, prior, startS }: Pick<Basis, 'kind' | 'prior'> & { readonly startS: number },
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
  const years = await repo.storage.names(root)
  const year = fullLabel?.slice(0, 4) ?? years.findLast(({ kind }) => kind === 'prefix')?.name
  if (year === undefined) return []
  const entries = await repo.storage.names(`${root}/${year}`)
  return entries.map(({ name }) => name.replace(/\.manifest\.gz$/, ''))
}

function report({ config, log, print }: Context, { manifest, damage }: Taken): void {
  const entry = entryOfManifest(manifest)
  log.info(`new backup label = ${manifest.label}`)
  log.info(
    `${manifest.kind} backup size = ${formatSize(entry.sizeDeltaBytes)}, file total = ${manifest.files.length}`,
  )
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
