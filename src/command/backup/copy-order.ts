/**
 * When each file may be read, so that a later backup may trust equal time stamps: in the second after the file's own. What is
 * written to it from then on has a newer time stamp than the listing says. Only what was written just now is waited for.
 */
import type { Clock } from '../../base/clock.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { Manifest } from '../../format/manifest.ts'
import type { CopyJob } from './copy-job.ts'
import type { PlannedFile } from './plan.ts'

interface CopyStart {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** When the second after the listing begins, by our clock: from then on everything may be read. */
  readonly copyFromMs: number
}

/** What is to be known of a BackupPlan. */
interface Planned<Task> {
  readonly tasks: Iterable<Task>
  readonly draft: Pick<Manifest, 'copyStartS'> & {
    readonly options: Pick<Manifest['options'], 'backupStandby'>
  }
  readonly work: ReadonlyMap<string, { readonly file: Pick<PlannedFile['file'], 'timestampS'> }>
}

/** Tasks put back take memory; with so many one may as well wait. */
const PUT_BACK_MAX = 1000

/** The plan's tasks in their order, but those that must not be read yet put back to the end. */
export async function* tasksInTime<
  Task extends { readonly jobs: readonly Pick<CopyJob, 'name'>[] },
>(
  plan: Planned<Task>,
  { clock, signal, copyFromMs }: CopyStart,
): AsyncGenerator<Task, void, undefined> {
  const { copyStartS, options } = plan.draft
  const readableAtMs = ({ jobs }: Task): number => {
    // The listing is the primary's, whose files are not the ones read.
    if (options.backupStandby) return copyFromMs
    const newestS = jobs.reduce(
      (newest, { name }) => Math.max(newest, plan.work.get(name)?.file.timestampS ?? copyStartS),
      0,
    )
    return copyFromMs - Math.max(0, copyStartS - 1 - newestS) * SECOND_MS
  }
  const putBack: Task[] = []
  const waitForAll = async (): Promise<void> => {
    await clock.sleep(Math.max(0, copyFromMs - clock.nowMs()), signal)
  }
  for (const task of plan.tasks) {
    if (clock.nowMs() >= copyFromMs || readableAtMs(task) <= clock.nowMs()) yield task
    else putBack.push(task)
    if (putBack.length === PUT_BACK_MAX) {
      await waitForAll()
      yield* putBack.splice(0)
    }
  }
  if (putBack.length > 0) await waitForAll()
  yield* putBack
}
