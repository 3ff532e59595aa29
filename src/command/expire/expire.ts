/**
 * expire: removes backups past their retention, and the WAL that only they needed.
 *
 * What goes is decided in retention.ts and wal-retention.ts, before anything is touched. Nothing goes on doubt: both info
 * files must be readable and agree, and every finished backup in the repository must be known.
 */
import { AppError, asAppError, isErrorKind } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import { type ArchiveInfo, assertWritable } from '../../format/archive-info.ts'
import { archivePrefix, backupPrefix } from '../../format/repo-path.ts'
import { parseArchiveId } from '../../format/wal.ts'
import { listDumpSets } from '../../repo/dump-sets.ts'
import { reconstruct, type Reconstructed } from '../../repo/reconstruct.ts'
import { loadArchiveInfo, loadBackupInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import { dumpLabelIn } from '../asked-label.ts'
import { lockStanza } from '../stanza-lock.ts'
import { noChanges, realChanges } from './changes.ts'
import { expireArchive } from './expire-archive.ts'
import { expireBackups } from './expire-backups.ts'
import { expireDumps } from './expire-dumps.ts'
import { expireHistory } from './expire-history.ts'
import { expireLeftOvers } from './expire-left-overs.ts'
import { explain, printExplanations, type RepoExplanation } from './explain.ts'
import { type RepoWork, sayFor } from './repo-work.ts'
import { type ExpireRequest, expireRequest, modeOf, retentionRules } from './request.ts'
import { decideBackups, type RetentionDecision } from './retention.ts'
import { type ArchivePlan, planArchives } from './wal-retention.ts'

export async function expire(context: Context): Promise<number> {
  const { config } = context
  const repos = openRepos(config, context.openStorage)
  const dumpLabel = dumpLabelIn(config)
  if (dumpLabel !== undefined) return await expireOneDump(context, repos, dumpLabel)
  const request = expireRequest(config)
  if (request.mode === 'explain') return await explainAll(context, request, repos)
  assertNotStopped(config.text('lock-path'), stanzaOf(context))
  const keys = repos.map(({ key }) => key)
  await using _lock = await lockStanza(context, ['backup'], keys)
  await expireRepos(context, repos, request)
  return 0
}

/** `--set` of a dump set: nothing but that goes. */
async function expireOneDump(
  context: Context,
  repos: readonly Repo[],
  label: string,
): Promise<number> {
  const { config } = context
  const mode = modeOf(config)
  if (mode !== 'explain') assertNotStopped(config.text('lock-path'), stanzaOf(context))
  const keys = repos.map(({ key }) => key)
  await using _lock = mode === 'explain' ? undefined : await lockStanza(context, ['dump'], keys)
  const explanations: RepoExplanation[] = []
  for (const repo of repos) {
    const dumps = await expireDumps(context, repo, { kind: 'set', label, mode })
    explanations.push({ repo: repo.key, backups: [], archives: [], dumps })
  }
  if (explanations.every(({ dumps }) => dumps?.every((fate) => fate.label !== label) !== false)) {
    throw new AppError('backup-set-invalid', `dump set ${label} does not exist`)
  }
  if (mode === 'explain') printExplanations(context, explanations)
  return 0
}

/** A dump that is running keeps its lock; then the dump sets wait for the next expire, and the backups do not. */
async function expireDumpsLocked({ context, repo, stanza, request }: RepoWork): Promise<void> {
  const { wanted, mode, dumps } = request
  if (dumps === 'not' || wanted.kind !== 'retention') return
  if ((await listDumpSets(repo, stanza)).length === 0) return
  try {
    await using _lock = await lockStanza(context, ['dump'], [repo.key])
    await expireDumps(context, repo, { kind: 'retention', mode })
  } catch (error) {
    if (!isErrorKind(error, 'lock-acquire')) throw error
    context.log.info(`repo${repo.key}: dump sets are not expired while a dump is running`)
  }
}

/**
 * Expires in each of the repositories; the backup lock of each is held. One that fails does not keep the others from their
 * turn; then `command` is thrown.
 */
export async function expireRepos(
  context: Context,
  repos: readonly Repo[],
  request: ExpireRequest = expireRequest(context.config),
): Promise<void> {
  await eachRepo(context, repos, request, async (work) => {
    await expireDumpsLocked(work)
    if (await hasDumpsOnly(work)) return 'done'
    const plan = await planRepo(work)
    if (plan === undefined) return 'absent'
    await expireBackups(work, plan.found, plan.decision)
    for (const archive of plan.archives) await expireArchive(work, archive)
    await expireHistory(work, plan.decision)
    await expireLeftOvers(work)
    await work.changes.refreshArchiveInfo()
    return 'done'
  })
}

async function explainAll(
  context: Context,
  request: ExpireRequest,
  repos: readonly Repo[],
): Promise<number> {
  const explanations: RepoExplanation[] = []
  await eachRepo(context, repos, request, async (work) => {
    const fates = await expireDumps(context, work.repo, { kind: 'retention', mode: 'explain' })
    const dumps = fates.length === 0 ? {} : { dumps: fates }
    if (await hasDumpsOnly(work)) {
      explanations.push({ repo: work.repo.key, backups: [], archives: [], ...dumps })
      return 'done'
    }
    const plan = await planRepo(work)
    if (plan === undefined) return 'absent'
    const { found, decision, archives } = plan
    const explained = await explain(work, { before: found.info.backups, decision, archives })
    explanations.push({ ...explained, ...dumps })
    return 'done'
  })
  printExplanations(context, explanations)
  return 0
}

/** A stanza of which nobody ever made backups here, only dumps. */
async function hasDumpsOnly({ repo, stanza }: RepoWork): Promise<boolean> {
  for (const prefix of [backupPrefix(stanza), archivePrefix(stanza)]) {
    if ((await repo.storage.names(prefix)).length > 0) return false
  }
  return (await listDumpSets(repo, stanza)).length > 0
}

/** `absent`: the backup that was asked for is not in the repository. */
async function eachRepo(
  context: Context,
  repos: readonly Repo[],
  request: ExpireRequest,
  act: (work: RepoWork) => Promise<'done' | 'absent'>,
): Promise<void> {
  const { log, signal } = context
  const stanza = stanzaOf(context)
  let errors = 0
  let absent = 0
  for (const repo of repos) {
    const changes = request.mode === 'do' ? realChanges(repo, stanza) : noChanges
    const say = sayFor(context, request.mode, repo.key)
    try {
      const outcome = await act({ context, request, repo, stanza, changes, say })
      if (outcome === 'absent') absent += 1
    } catch (error) {
      signal.throwIfAborted()
      const failed = asAppError(error)
      log.error(failed.exitCode, `repo${repo.key}: ${failed.text}`)
      errors += 1
    }
  }
  // A typing error must not end as if all was done.
  if (absent === repos.length) throw new AppError('backup-set-invalid', absentText(request))
  if (errors === 0) return
  throw new AppError(
    'command',
    `expire command encountered ${errors} error(s), check the log file for details`,
  )
}

interface RepoPlan {
  readonly found: Reconstructed
  readonly decision: RetentionDecision
  readonly archives: readonly ArchivePlan[]
}

/** Reads what is there and decides; every refusal comes from here. Undefined: what was asked for is not there. */
async function planRepo(work: RepoWork): Promise<RepoPlan | undefined> {
  const { context, repo, stanza, request, say } = work
  const archive = await loadArchiveInfo(repo, stanza)
  const stored = await loadBackupInfo(repo, stanza)
  assertWritable(stored)
  assertSameHistory(archive, stored.history)
  const found = await reconstruct(repo, stanza, stored)
  for (const warning of found.warnings) context.log.warn(warning)
  assertAllKnown(found)
  if (isAbsent(request, found)) {
    say.warn(`${absentText(request)}\nHINT: run the info command and confirm the backup is listed`)
    return undefined
  }
  const decision = decideBackups({
    backups: found.info.backups,
    rules: retentionRules(context.config, repo.key),
    wanted: request.wanted,
    nowS: Math.floor(context.clock.nowMs() / SECOND_MS),
  })
  for (const { level, text } of decision.notes) say[level](text)
  checkPageErrors(work, decision)
  const entries = await repo.storage.names(archivePrefix(stanza))
  const archives = planArchives({
    kept: decision.kept,
    history: archive.history,
    currentId: archive.currentId,
    archiveIds: entries
      .filter(({ kind, name }) => kind === 'prefix' && parseArchiveId(name) !== undefined)
      .map(({ name }) => name),
    rules: decision.rules,
    walBefore: request.walBefore,
  })
  if (decision.rules.archive === undefined) sayWalStays(work, decision)
  return { found, decision, archives }
}

function sayWalStays({ context, repo, say }: RepoWork, { rules }: RetentionDecision): void {
  const unreached =
    rules.fullType === 'time' && rules.archiveType === 'full' && rules.full !== undefined
  const option = `repo${repo.key}-retention-archive`
  if (unreached) {
    say.info('time-based archive retention not met - archive logs will not be expired')
  } else {
    context.log.info(`option '${option}' is not set - archive logs will not be expired`)
  }
}

function assertSameHistory(
  archive: ArchiveInfo,
  history: readonly { readonly id: number; readonly systemId: bigint; readonly version: string }[],
): void {
  const text = (rows: typeof history): string =>
    rows.map(({ id, systemId, version }) => `${version}-${id}:${systemId}`).join(' ')
  if (text(archive.history) === text(history)) return
  throw new AppError(
    'format',
    'archive expiration cannot continue - archive and backup history lists do not match',
    { hint: "is the repository damaged? 'stanza-upgrade' writes both." },
  )
}

/** What an unreadable backup needs is unknown: its WAL could go, and what it builds on. */
function assertAllKnown({ unreadable }: Reconstructed): void {
  if (unreadable.length === 0) return
  throw new AppError(
    'file-invalid',
    `nothing is expired because it is unknown what backup ${unreadable.join(', ')} needs`,
    { hint: 'restore its manifest from backup.history, or remove the backup with repo-rm.' },
  )
}

function isAbsent({ wanted }: ExpireRequest, { info }: Reconstructed): boolean {
  return wanted.kind === 'set' && info.backups.every(({ label }) => label !== wanted.label)
}

function absentText({ wanted }: ExpireRequest): string {
  return `backup ${wanted.kind === 'set' ? wanted.label : ''} does not exist`
}

/** Good backups must not give way to a damaged one without anybody noticing. */
function checkPageErrors({ request, say }: RepoWork, { kept, removals }: RetentionDecision): void {
  const [oldest] = kept
  if (oldest?.error !== true) return
  const text = `oldest retained backup ${oldest.label} contains invalid page checksum(s)`
  const hint = 'use info --set command to get details about errors in the backup.'
  if (request.pageErrors === 'warn' || request.wanted.kind === 'set' || removals.length === 0) {
    say.warn(`${text}\nHINT: ${hint}`)
    return
  }
  throw new AppError('checksum', text, { hint })
}
