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
import { type CopyJob, type CopyResult, type CopyTask, parseCopyResults } from './copy-job.ts'
import { type BackupPlan, copiedFile } from './plan.ts'
import { copySetup } from './running.ts'

/** How often the server is asked for a sign of life: a lost session means a lost backup. */
const PING_INTERVAL_MS = 30 * SECOND_MS

export interface Copying {
  readonly context: Context
  readonly repo: Repo
  readonly plan: BackupPlan
  readonly lock: StanzaLock
  /** Nothing is read before, by our clock. */
  readonly copyFromMs: number
  readonly ping: () => Promise<void>
}

/** The manifest with every file that was there to copy. */
export async function copyFiles(copying: Copying): Promise<Manifest> {
  const { context, repo, plan, lock } = copying
  const files = new Map(plan.draft.files.map((file) => [file.name, file]))
  await using pool = await context.openPool<CopyTask, readonly CopyResult[]>({
    jobModule: workerUrl('backup-copy', new URL('./copy-job.ts', import.meta.url)),
    threads: plan.draft.options.processMax ?? 1,
    setup: copySetup(context, repo, plan),
    parse: parseCopyResults,
  })
  // The threads have started in the meantime.
  await context.clock.sleep(Math.max(0, copying.copyFromMs - context.clock.nowMs()), context.signal)
  let doneBytes = 0
  let pingMs = context.clock.nowMs()
  for await (const { job: task, result } of pool.run(plan.tasks, context.signal)) {
    for (const [index, job] of task.jobs.entries()) {
      const file = settle(context, plan, { job, result: result[index] })
      if (file === undefined) files.delete(job.name)
      else files.set(job.name, file)
      doneBytes += job.sizeBytes
    }
    lock.progress({ sizeBytes: plan.totalBytes, completeBytes: doneBytes })
    context.progress({ step: 'backup', doneBytes, totalBytes: plan.totalBytes })
    if (context.clock.nowMs() - pingMs > PING_INTERVAL_MS) {
      await copying.ping()
      pingMs = context.clock.nowMs()
    }
  }
  context.progress(undefined)
  for (const { name, reference } of files.values()) {
    if (reference !== undefined)
      context.log.detail(`reference ${toHumanText(name)} to ${reference}`)
  }
  return { ...plan.draft, files: [...files.values()] }
}

interface Settled {
  readonly job: CopyJob
  readonly result: CopyResult | undefined
}

function settle(
  { log }: Context,
  plan: BackupPlan,
  { job, result }: Settled,
): ManifestFile | undefined {
  const planned = plan.work.get(job.name)
  if (planned === undefined || result === undefined) {
    throw new AppError('assert', `the workers' answer does not fit file '${job.name}'`)
  }
  const shown = toHumanText(job.diskPath)
  if (result.outcome === 'gone') {
    log.detail(`skip file removed by database ${shown}`)
    return undefined
  }
  const file =
    result.outcome === 'same'
      ? referredFile(planned.file, planned.before, plan.draft.prior)
      : copiedFile(planned.file, result)
  const did = result.outcome === 'same' ? 'match file from prior backup' : 'backup file'
  const where = result.outcome === 'copied' ? bundleText(file) : ''
  log.detail(
    `${did} ${shown} (${where}${formatSize(file.sizeBytes)}) checksum ${file.checksum ?? '-'}`,
  )
  if (file.checksumPage === false) log.warn(badPagesText(shown, file))
  return file
}

function bundleText({ bundleId, bundleOffsetBytes }: ManifestFile): string {
  return bundleId === undefined ? '' : `bundle ${bundleId}/${bundleOffsetBytes}, `
}

function badPagesText(path: string, file: ManifestFile): string {
  if (file.checksumPageErrors === undefined) {
    return `page misalignment in file ${path}: file size ${file.sizeBytes} is not divisible by page size 8192`
  }
  const pages = file.checksumPageErrors.map((range) =>
    typeof range === 'number' ? `${range}` : `${range[0]}-${range[1]}`,
  )
  return `invalid page checksums found in file ${path} at pages ${pages.join(', ')}`
}
