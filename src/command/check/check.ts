/**
 * check: proves that WAL gets from the server into every repository, by closing a segment and waiting for it to arrive.
 * When it does not, or cannot, it says why: one verdict and one command (diagnose.ts). Without a stanza it checks all.
 */
import { AppError, asAppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import { formatDuration, MINUTE_MS, SECOND_MS } from '../../base/units.ts'
import { parseSegmentName, type SegmentName } from '../../format/wal.ts'
import { switchWal } from '../../postgres/backup-mode.ts'
import type { PgConnection } from '../../postgres/connection.ts'
import { loadArchiveInfo, loadBackupInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { readArchiveStory, tellArchiveStory } from '../archive-story.ts'
import { archivePlace, awaitSegments } from '../backup/wal.ts'
import { type Context, stanzaOf } from '../command.ts'
import { type ClusterIdentity, matchInfoFiles, openPrimary } from '../preflight.ts'
import { useArchiveCommand } from '../program-call.ts'
import { describeFacts, diagnose, type Verdict } from './diagnose.ts'
import { gatherFacts, measureWalSpace } from './gather.ts'
import { describeSpace, type WalSpace } from './wal-space.ts'

export async function check(context: Context): Promise<number> {
  const { config } = context
  const stanzas = config.stanza === undefined ? config.stanzas.toSorted() : [config.stanza]
  if (stanzas.length === 0) {
    throw new AppError('option-required', 'check command requires option: stanza', {
      hint: 'no stanza has a section in the configuration files either.',
    })
  }
  const results: Result[] = []
  for (const stanza of stanzas) {
    context.log.info(`check stanza '${stanza}'`)
    const own = config.stanza === undefined ? config.forStanza(stanza) : config
    results.push(await checkStanza({ ...context, config: own }))
  }
  const asJson = config.text('output') === 'json'
  context.print(asJson ? `${JSON.stringify(results.map(toJson))}\n` : results.map(toText).join(''))
  const failed = results.flatMap((result) => (result.status === 'error' ? [result] : []))
  const [only] = failed
  if (only === undefined) return 0
  if (results.length === 1) throw only.error
  for (const { stanza, error } of failed) {
    context.log.error(error.exitCode, `stanza '${stanza}': ${error.text}`)
  }
  throw new AppError('command', `check failed for ${failed.length} of ${results.length} stanzas`)
}

type Result = Proved | Failed

interface Proved {
  readonly status: 'ok'
  readonly stanza: string
  readonly segment: string
  readonly proofs: readonly Proof[]
  readonly space: WalSpace | undefined
}

/** One repository that holds the segment. */
interface Proof {
  readonly repo: number
  /** Full path of the stored segment. */
  readonly path: string
}

interface Failed {
  readonly status: 'error'
  readonly stanza: string
  /** Its hints are the verdict and the facts. */
  readonly error: AppError
  /** Undefined when there was no server to ask. */
  readonly verdict: Verdict | undefined
  readonly space: WalSpace | undefined
}

async function checkStanza(context: Context): Promise<Result> {
  const stanza = stanzaOf(context)
  try {
    await warnOfHoles(context, stanza)
    await using primary = await openPrimary(context, 'check')
    const dataDir = context.config.text('pg-path', 1)
    return await checkCluster(context, { ...primary, dataDir })
  } catch (error) {
    context.signal.throwIfAborted()
    return {
      status: 'error',
      stanza,
      error: asAppError(error),
      verdict: undefined,
      space: undefined,
    }
  }
}

/** What the archives are known to lack, whether or not WAL arrives now. */
async function warnOfHoles({ config, log, openStorage }: Context, stanza: string): Promise<void> {
  const repos = openRepos(config, openStorage)
  const story = await readArchiveStory(repos, stanza, config.indexes('repo'))
  for (const line of tellArchiveStory(story)) log.warn(line)
}

interface Cluster {
  readonly connection: PgConnection
  readonly control: ClusterIdentity
  readonly dataDir: string
}

async function checkCluster(context: Context, cluster: Cluster): Promise<Result> {
  const stanza = stanzaOf(context)
  const { connection, dataDir } = cluster
  const repos = openRepos(context.config, context.openStorage)
  const archiving: { segment: SegmentName | undefined } = { segment: undefined }
  try {
    const proofs = await proveArchiving(context, { cluster, repos, archiving })
    const space = await measureWalSpace(cluster, context.clock.nowMs())
    return { status: 'ok', stanza, segment: archiving.segment ?? '', proofs, space }
  } catch (error) {
    context.signal.throwIfAborted()
    const failure = asAppError(error)
    const space = await measureWalSpace(cluster, context.clock.nowMs())
    const facts = await gatherFacts({
      stanza,
      useCommand: useArchiveCommand(context.config),
      connection,
      dataDir,
      repos: repos.filter(({ key }) => context.config.text('repo-type', key) === 'posix'),
      segment: archiving.segment,
      failure,
    })
    const verdict = diagnose(facts)
    const explained = new AppError(failure.kind, failure.message, {
      hint: [
        `${verdict.summary}.`,
        `to fix it: ${verdict.fix}`,
        ...describeFacts(facts),
        ...(space === undefined ? [] : [`${describeSpace(space)}.`]),
      ],
      cause: failure,
    })
    return { status: 'error', stanza, error: explained, verdict, space }
  }
}

interface Proving {
  readonly cluster: Cluster
  readonly repos: readonly Repo[]
  /** Gets the segment as soon as there is one, for the diagnosis. */
  readonly archiving: { segment: SegmentName | undefined }
}

async function proveArchiving(
  context: Context,
  { cluster, repos, archiving }: Proving,
): Promise<readonly Proof[]> {
  const { log } = context
  const stanza = stanzaOf(context)
  const nowMs = context.clock.nowMs()
  assertClock('the server', (await cluster.connection.nowMs()) - nowMs)
  for (const repo of repos) {
    log.info(`check repo${repo.key} configuration (primary)`)
    const archive = await loadArchiveInfo(repo, stanza)
    const backup = await loadBackupInfo(repo, stanza)
    matchInfoFiles(archive, backup, cluster.control)
    const newestS = Math.max(0, ...backup.backups.map(({ stopS }) => stopS))
    assertClock(`the newest backup in repo${repo.key}`, Math.max(0, newestS * SECOND_MS - nowMs))
  }
  const segment = parseSegmentName(await switchWal(cluster.connection))
  archiving.segment = segment
  const proofs: Proof[] = []
  for (const repo of repos) {
    log.info(`check repo${repo.key} archive for WAL (primary)`)
    const found = await awaitSegments(context, await archivePlace(context, repo), [segment])
    const path = `${repo.storage.location}/${found.get(segment)?.key ?? ''}`
    log.info(`WAL segment ${segment} successfully archived to '${path}' on repo${repo.key}`)
    proofs.push({ repo: repo.key, path })
  }
  return proofs
}

/** Labels, retention by time and targets of recovery all rest on clocks that agree. */
const CLOCK_TOLERANCE_MS = MINUTE_MS

function assertClock(whose: string, aheadMs: number): void {
  if (Math.abs(aheadMs) <= CLOCK_TOLERANCE_MS) return
  const direction = aheadMs > 0 ? 'ahead of' : 'behind'
  throw new AppError(
    'clock',
    `${whose} is ${formatDuration(Math.abs(aheadMs))} ${direction} the clock of this host`,
  )
}

function toText(result: Result): string {
  if (result.status === 'error') {
    const { stanza, error, verdict } = result
    const lines = verdict === undefined ? [error.message] : [verdict.summary, `fix: ${verdict.fix}`]
    return toHumanText(
      `stanza '${stanza}': archiving is not proved\n${lines.map((line) => `  ${line}\n`).join('')}`,
    )
  }
  const { stanza, segment, proofs, space } = result
  const lines = [
    ...proofs.map(({ repo, path }) => `repo${repo}: ${path}`),
    ...(space === undefined ? [] : [describeSpace(space)]),
  ]
  return `stanza '${stanza}': WAL segment ${segment} is archived\n${lines.map((line) => `  ${line}\n`).join('')}`
}

function toJson(result: Result): object {
  const { status, stanza } = result
  const wal = spaceToJson(result.space)
  if (result.status === 'ok') {
    return { stanza, status, segment: result.segment, repos: result.proofs, wal }
  }
  const { exitCode, message } = result.error
  return {
    stanza,
    status,
    error: { code: exitCode, message },
    verdict: result.verdict ?? null,
    wal,
  }
}

function spaceToJson(space: WalSpace | undefined): object | null {
  if (space === undefined) return null
  const { freeBytes, bytesPerSecond, fullInMs } = space
  return {
    freeBytes,
    bytesPerSecond: bytesPerSecond === undefined ? null : Math.round(bytesPerSecond),
    fullInSeconds: fullInMs === undefined ? null : Math.round(fullInMs / SECOND_MS),
  }
}
