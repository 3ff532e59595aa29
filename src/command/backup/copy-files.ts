/** The bulk of a backup: every file through the workers, results into the manifest. */
import { AppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import { formatSize, SECOND_MS } from '../../base/units.ts'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import type { StanzaLock } from '../../repo/lock.ts'
import type { Repo } from '../../repo/repo.ts'
import { workerUrl } from '../../worker/worker.ts'
import type { Context } from '../command.ts'
import { referredFile } from './compare.ts'
import { collectGarbage } from './collect-garbage.ts'
import {
  type CopyJob,
  type CopyResult,
  type CopyTask,
  type Gone,
  parseCopyResults,
} from './copy-job.ts'
import { badPagesText } from './damage.ts'
import { tasksInTime } from './copy-order.ts'
import { type BackupPlan, copiedFile, type PlannedFile } from './plan.ts'
import { keptFile } from './resume.ts'
import { copySetup } from './running.ts'

/** How often the server is asked for a sign of life: a lost session means a lost backup. */
const PING_INTERVAL_MS = 30 * SECOND_MS

/** From here on planning leaves tens of megabytes behind. */
const MANY_FILES = 20_000

export interface Copying {
  readonly context: Context
  readonly repo: Repo
  readonly plan: BackupPlan
  readonly lock: StanzaLock
  /** Files that were written just now are not read before, by our clock. */
  readonly copyFromMs: number
  readonly ping: () => Promise<void>
  /** Stores the manifest of what is copied so far, for a run that goes on when this one is interrupted. */
  readonly save: (draft: Manifest) => Promise<void>
}

/** The manifest with every file that was there to copy. */
export async function copyFiles(copying: Copying): Promise<Manifest> {
  const { context, repo, plan, lock } = copying
  await using pool = await context.openPool<CopyTask, readonly CopyResult[]>({
    jobModule: workerUrl('backup-copy', new URL('./copy-job.ts', import.meta.url)),
    threads: plan.draft.options.processMax ?? 1,
    setup: copySetup(context, repo, plan),
    parse: parseCopyResults,
  })
  if (plan.files.length >= MANY_FILES) await collectGarbage()
  let doneBytes = 0
  const show = (): void => {
    const completeBytes = Math.min(plan.totalBytes, doneBytes + pool.underWayBytes)
    lock.progress({ sizeBytes: plan.totalBytes, completeBytes })
    context.progress({ step: 'backup', doneBytes: completeBytes, totalBytes: plan.totalBytes })
  }
  const { clock, signal } = context
  const tasks = tasksInTime(plan, { clock, signal, copyFromMs: copying.copyFromMs })
  const saveAfterBytes = Math.max(
    plan.totalBytes / 100,
    context.config.bytes('manifest-save-threshold'),
  )
  let savedBytes = 0
  let pingMs = clock.nowMs()
  for await (const { job: task, result } of pool.run(tasks, signal, show)) {
    for (const [index, job] of task.jobs.entries()) {
      settle(context, plan, { job, result: result[index] })
      doneBytes += job.sizeBytes
    }
    show()
    if (clock.nowMs() - pingMs > PING_INTERVAL_MS) {
      await copying.ping()
      pingMs = clock.nowMs()
    }
    if (doneBytes - savedBytes >= saveAfterBytes) {
      await copying.save(manifestOf(plan))
      savedBytes = doneBytes
    }
  }
  context.progress(undefined)
  const manifest = manifestOf(plan)
  for (const { name, reference } of manifest.files) {
    if (reference !== undefined)
      context.log.detail(`reference ${toHumanText(name)} to ${reference}`)
  }
  return manifest
}

/** As far as it is done. */
export function manifestOf({ draft, files }: BackupPlan): Manifest {
  return { ...draft, files: files.filter((file) => file !== undefined) }
}

interface Settled {
  readonly job: CopyJob
  readonly result: CopyResult | undefined
}

function settle(context: Context, plan: BackupPlan, { job, result }: Settled): void {
  const { log } = context
  const planned = plan.work.get(job.name)
  if (planned === undefined || result === undefined) {
    throw new AppError('assert', `the workers' answer does not fit file '${job.name}'`)
  }
  plan.work.delete(job.name)
  const shown = toHumanText(job.diskPath)
  if (result.outcome === 'gone') {
    log.detail(`skip file removed by database ${shown}`)
    plan.files[planned.at] = undefined
    return
  }
  const { file, did } = settled(plan, planned, result)
  const where = result.outcome === 'copied' ? bundleText(file) : ''
  log.detail(
    `${did} ${shown} (${where}${formatSize(file.sizeBytes)}) checksum ${file.checksum ?? '-'}`,
  )
  if (result.outcome === 'copied' && result.instead === 'of-damaged')
    log.warn(damagedText(shown, planned))
  // What the prior backup has was told then.
  if (file.checksumPage === false && file.reference === undefined) {
    tellDamage(context, badPagesText(shown, file, plan.pageSizeBytes))
  }
  plan.files[planned.at] = file
}

function tellDamage({ config, log }: Context, text: string): void {
  if (!config.flag('checksum-page-error')) {
    log.warn(text)
    return
  }
  throw new AppError('checksum', text, {
    hint: 'with --no-checksum-page-error the backup goes on, and names the damaged relations.',
  })
}

function bundleText({ bundleId, bundleOffsetBytes }: ManifestFile): string {
  return bundleId === undefined ? '' : `bundle ${bundleId}/${bundleOffsetBytes}, `
}

interface Deed {
  readonly file: ManifestFile
  /** For the log. */
  readonly did: string
}

function settled(
  { draft }: BackupPlan,
  { file, before, stored }: PlannedFile,
  result: Exclude<CopyResult, Gone>,
): Deed {
  switch (result.outcome) {
    case 'same':
      return { file: referredFile(file, before, draft.prior), did: 'match file from prior backup' }
    case 'kept':
      return { file: keptFile(file, stored), did: 'checksum resumed file' }
    case 'copied':
      return { file: copiedFile(file, result), did: 'backup file' }
  }
}

function damagedText(path: string, { stored }: PlannedFile): string {
  return (
    `resumed backup file ${path} did not have expected checksum ${stored?.checksum}. The file was recopied and backup ` +
    'will continue but this may be an issue unless the resumed backup path in the repository is known to be corrupted.'
  )
}
