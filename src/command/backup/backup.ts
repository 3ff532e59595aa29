/** backup: one full, online backup of a running cluster into one repository. */
import { AppError } from '../../base/error.ts'
import { formatSize, SECOND_MS } from '../../base/units.ts'
import { type BackupInfo, currentBackupHistory, entryOfManifest } from '../../format/backup-info.ts'
import { planLabel } from '../../format/label.ts'
import type { Manifest } from '../../format/manifest.ts'
import { backupHistoryPrefix, backupPrefix, manifestKey } from '../../format/repo-path.ts'
import { formatLsn } from '../../format/wal.ts'
import { generatePassphrase } from '../../pipe/cipher.ts'
import { listDatabases, listTablespaces } from '../../postgres/backup-mode.ts'
import { listCluster } from '../../postgres/data-dir.ts'
import type { StanzaLock } from '../../repo/lock.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { listBackupLabels, reconstruct } from '../../repo/reconstruct.ts'
import { loadBackupInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'
import { matchStanza, openPrimary, type Primary } from '../preflight.ts'
import { lockStanza } from '../stanza-lock.ts'
import { complete, type Completion, saveDraft } from './complete.ts'
import { copyFiles } from './copy-files.ts'
import { backupOptions } from './options.ts'
import { type BackupPlan, planBackup } from './plan.ts'
import { type Running, start, stop } from './running.ts'

export async function backup(context: Context): Promise<number> {
  const { config, log } = context
  const stanza = stanzaOf(context)
  assertNotStopped(config.text('lock-path'), stanza)
  const repo = chooseRepo(context)
  await using lock = await lockStanza(context, ['backup'], [repo.key])
  const { info, warnings } = await reconstruct(repo, stanza, await loadBackupInfo(repo, stanza))
  for (const warning of warnings) log.warn(warning)
  chooseType(context, info)
  const completion: Completion = {
    repo,
    stanza,
    info,
    symlink: config.flag('repo-symlink', repo.key) ? 'on' : 'off',
  }
  const manifest = await takeBackup({ context, completion, lock })
  report(context, manifest)
  return 0
}

interface Work {
  readonly context: Context
  readonly completion: Completion
  readonly lock: StanzaLock
}

/** Connects, copies, stops and commits; PostgreSQL leaves backup mode however this ends. */
async function takeBackup({ context, completion, lock }: Work): Promise<Manifest> {
  const { repo, stanza, info } = completion
  await using primary = await openPrimary(context, 'backup')
  matchStanza(currentBackupHistory(info), primary.control, 'backup-mismatch')
  await removeUnfinished(context, completion)
  await using running = await start(context, primary, repo)
  const { plan, copyFromMs } = await plannedBackup(context, { primary, running, completion })
  await saveDraft(completion, plan.draft)
  const copied = await copyFiles({
    context,
    repo,
    plan,
    lock,
    copyFromMs,
    ping: () => primary.connection.ping(),
  })
  const finished = await stop(context, { running, repo, stanza, manifest: copied })
  await complete(completion, finished)
  return finished
}

/** `--repo`, else the lowest configured repository. */
function chooseRepo(context: Context): Repo {
  const [repo, ...others] = openRepos(context.config, context.openStorage)
  if (repo === undefined) throw new AppError('assert', 'no repository is configured')
  if (others.length > 0)
    context.log.info(`repo option not specified, defaulting to repo${repo.key}`)
  return repo
}

/** Only full backups are taken; asking for another kind is full when there is nothing to build on, else an error. */
function chooseType({ config, log }: Context, info: BackupInfo): void {
  const type = config.text('type')
  if (type === 'full') return
  const current = info.backups.filter(({ historyId }) => historyId === info.currentId)
  if (current.length > 0) {
    throw new AppError('feature-not-supported', `backup type '${type}' is not yet supported`, {
      hint: "use '--type=full'.",
    })
  }
  log.warn(`no prior backup exists, ${type} backup has been changed to full`)
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
  readonly primary: Primary
  readonly running: Running
  readonly completion: Completion
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
  { primary, running, completion }: Planning,
): Promise<Planned> {
  const { config, log } = context
  const { connection, control } = primary
  const { repo, stanza, info } = completion
  const listing = await listCluster({
    dataDir: config.text('pg-path', 1),
    version: control.version,
    catalogVersion: control.catalogVersion,
    online: 'online',
    tablespaces: await listTablespaces(connection),
    exclude: config.list('exclude'),
  })
  for (const warning of listing.warnings) log.warn(warning)
  const databases = await listDatabases(connection)
  const nowMs = await connection.nowMs()
  const copyFromMs = context.clock.nowMs() + SECOND_MS - (nowMs % SECOND_MS)
  const plan = planBackup({
    stanza,
    label: await newLabel(context, completion, running.startS),
    history: currentBackupHistory(info),
    control,
    listing,
    databases,
    options: backupOptions(config, control, log),
    annotations: config.map('annotation'),
    cipherPass: repo.cipherPass === undefined ? undefined : generatePassphrase(),
    startS: running.startS,
    copyStartS: Math.floor(nowMs / SECOND_MS) + 1,
    archiveStart: running.startSegment,
    lsnStart: formatLsn(running.startLsn),
  })
  return { plan, copyFromMs }
}

async function newLabel(
  context: Context,
  { repo, stanza }: Completion,
  startS: number,
): Promise<string> {
  const existing = [
    ...(await listBackupLabels(repo, stanza)),
    ...(await newestHistoryLabels(repo, stanza)),
  ]
  const { label, notBeforeMs } = planLabel({ kind: 'full', startMs: startS * SECOND_MS, existing })
  const earlyMs = notBeforeMs - context.clock.nowMs()
  if (earlyMs > 0) await context.clock.sleep(earlyMs, context.signal)
  return label
}

/** Labels of the newest year in backup.history: expired backups, whose labels are not used again. */
async function newestHistoryLabels(repo: Repo, stanza: string): Promise<readonly string[]> {
  const root = backupHistoryPrefix(stanza)
  const years = await repo.storage.list(root)
  const newest = years.findLast(({ kind }) => kind === 'prefix')
  if (newest === undefined) return []
  const entries = await repo.storage.list(`${root}/${newest.name}`)
  return entries.map(({ name }) => name.replace(/\.manifest\.gz$/, ''))
}

function report({ config, log, print }: Context, manifest: Manifest): void {
  const entry = entryOfManifest(manifest)
  log.info(`new backup label = ${manifest.label}`)
  log.info(
    `full backup size = ${formatSize(entry.sizeBytes)}, file total = ${manifest.files.length}`,
  )
  if (config.has('repo-retention-full', config.indexes('repo')[0])) {
    log.info('expire is not yet supported: older backups and WAL are kept')
  }
  if (config.text('output') !== 'json') return
  print(
    `${JSON.stringify({
      label: manifest.label,
      type: manifest.kind,
      archive: { start: manifest.archiveStart, stop: manifest.archiveStop },
      lsn: { start: manifest.lsnStart, stop: manifest.lsnStop },
      timestamp: { start: manifest.startS, stop: manifest.stopS },
      sizeBytes: entry.sizeBytes,
      repoSizeBytes: entry.repoSizeBytes,
      files: manifest.files.length,
      pageErrors: entry.error === true,
    })}\n`,
  )
}
