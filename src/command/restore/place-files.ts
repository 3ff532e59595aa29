/** The files of a restore: threads fetch them, this tells how far they are. */
import { availableParallelism } from 'node:os'
import { assertThat } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import { formatSize } from '../../base/units.ts'
import { inReadingOrder } from '../../repo/read-together.ts'
import type { StanzaLock } from '../../repo/lock.ts'
import { storageSpec } from '../../repo/repo.ts'
import { storedFile, storedSet } from '../../repo/stored-file.ts'
import { batchesOf } from '../../worker/batch.ts'
import { threadsFor, workerUrl } from '../../worker/worker.ts'
import type { Context } from '../command.ts'
import { parsePlaceResults, type PlaceJob, type PlaceResult } from './copy-job.ts'
import { isLeftOut } from './databases.ts'
import { CONTROL_PENDING_NAME } from './finish.ts'
import { diskPathOf } from './mapping.ts'
import type { OwnerOf } from './place.ts'
import type { RestorePlan } from './plan.ts'
import type { Placed } from './plan-text.ts'

interface Placing {
  readonly plan: RestorePlan
  readonly ownerOf: OwnerOf
  readonly lock: StanzaLock
}

const OUTCOME_TEXTS = { copied: 'restore', kept: 'kept', hole: 'restore zeroed' } as const

export async function placeFiles(
  context: Context,
  { plan, ownerOf, lock }: Placing,
): Promise<Placed> {
  const { config } = context
  await using pool = await context.openPool<readonly PlaceJob[], readonly PlaceResult[]>({
    jobModule: workerUrl('restore-copy', new URL('./copy-job.ts', import.meta.url)),
    threads:
      config.source('process-max') === 'default'
        ? threadsFor(availableParallelism())
        : config.integer('process-max'),
    setup: {
      storage: storageSpec(config, plan.repoKey),
      set: storedSet(plan.stanza, plan.manifest),
    },
    parse: parsePlaceResults,
  })
  let doneBytes = 0
  let keptFiles = 0
  let writtenBytes = 0
  const { totalBytes } = plan
  const show = (): void => {
    const completeBytes = Math.min(totalBytes, doneBytes + pool.underWayBytes)
    lock.progress({ sizeBytes: totalBytes, completeBytes })
    context.progress({ step: 'restore', doneBytes: completeBytes, totalBytes })
  }
  const batches = batchesOf(placeJobs(plan, ownerOf))
  for await (const { job: batch, result } of pool.run(batches, context.signal, show)) {
    for (const [index, job] of batch.entries()) {
      const done = result[index]
      assertThat(done !== undefined, 'a thread answers for every file of a batch')
      if (done.outcome === 'kept') keptFiles += 1
      writtenBytes += done.writtenBytes
      doneBytes += job.sizeBytes
      context.log.detail(
        `${OUTCOME_TEXTS[done.outcome]} file ${toHumanText(job.diskPath)} (${formatSize(job.sizeBytes)}) checksum ${job.checksum ?? '-'}`,
      )
    }
    show()
  }
  context.progress(undefined)
  return { keptFiles, writtenBytes }
}

/** Each is made when it is asked for. */
function* placeJobs(
  { stanza, manifest, mode, leftOut }: RestorePlan,
  ownerOf: OwnerOf,
): Generator<PlaceJob, void, undefined> {
  for (const file of manifest.files.toSorted(inReadingOrder)) {
    const disk = diskPathOf(manifest, file.name)
    const control = file.name === 'pg_data/global/pg_control'
    yield {
      name: file.name,
      stored: isLeftOut(file, leftOut) ? { kind: 'hole' } : storedFile(stanza, manifest, file),
      diskPath: control ? disk.replace(/pg_control$/, CONTROL_PENDING_NAME) : disk,
      sizeBytes: file.sizeBytes,
      checksum: file.checksum,
      mode: file.mode,
      owner: ownerOf(file.user, file.group),
      timestampS: file.timestampS,
      existing: existingOf(mode, file.timestampS < manifest.copyStartS ? 'before' : 'during'),
    }
  }
}

/** A file that changed while it was copied may differ although it has the size and the time. */
function existingOf(mode: RestorePlan['mode'], changed: 'before' | 'during'): PlaceJob['existing'] {
  switch (mode) {
    case 'delta':
    case 'resume':
      return 'keep-if-identical'
    case 'delta-by-time':
      return changed === 'before' ? 'keep-if-dated' : 'keep-if-identical'
    case 'fresh':
    case 'replace':
      return 'replace'
  }
}
