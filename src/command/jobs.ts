/** How many jobs suit a dump or a restore when nobody has said how many. Pure. */
import { formatSize, MIB } from '../base/units.ts'

export interface Jobs {
  readonly jobs: number
  /** `half of the 8 processors here`. */
  readonly why: string
}

/** More gain little: then the storage or the network is what is waited for. */
const JOBS_MAX = 8
/** Below this a job is done in less time than another one takes to start. */
const JOB_BYTES_MIN = 64 * MIB

interface Limit {
  readonly most: number
  readonly why: string
}

/** What was asked for, or else what suits. */
export function jobsOr(asked: number | undefined, suited: () => Jobs): Jobs {
  return asked === undefined ? suited() : { jobs: asked, why: 'asked for' }
}

/**
 * `tables`: sizes of those that are large enough for an archive of their own. Each job keeps more than one processor busy: that
 * of the server that reads, and one here that compresses; the fingerprint another one. The server has its own work to do.
 */
export function jobsForDump(processors: number, tables: readonly number[]): Jobs {
  const totalBytes = tables.reduce((sum, bytes) => sum + bytes, 0)
  const largestBytes = Math.max(0, ...tables)
  return least([
    { most: Math.floor(processors / 2), why: `half of the ${processorsText(processors)}` },
    {
      most: Math.floor(totalBytes / JOB_BYTES_MIN),
      why: `its large tables have only ${formatSize(totalBytes)}`,
    },
    {
      // A table is the work of one job: beside the largest the others need no more than this.
      most: largestBytes === 0 ? 1 : Math.ceil(totalBytes / largestBytes),
      why: `one table has ${formatSize(largestBytes)} of ${formatSize(totalBytes)}`,
    },
  ])
}

export interface RestoreWork {
  readonly sizeBytes: number
  /** Archives that can be read at the same time. */
  readonly archives: number
  /** Indexes, constraints, and what else comes after the data. */
  readonly afterwards: number
}

/** The server is busy with nothing else, as long as nobody uses what is restored: here all processors may work. */
export function jobsForRestore(processors: number, work: RestoreWork): Jobs {
  const { sizeBytes, archives, afterwards } = work
  return least([
    { most: processors, why: `the ${processorsText(processors)}` },
    { most: Math.floor(sizeBytes / JOB_BYTES_MIN), why: `only ${formatSize(sizeBytes)} to read` },
    {
      most: Math.max(archives, afterwards),
      why: `there are ${archives} archives, and ${afterwards} objects to make after the data`,
    },
  ])
}

/** To compare only: sessions that read, and this process, which hashes. */
export function jobsForProof(processors: number): Jobs {
  return least([{ most: processors - 1, why: `the ${processorsText(processors)}` }])
}

function processorsText(processors: number): string {
  return processors === 1 ? 'one processor here' : `${processors} processors here`
}

/** The smallest limit decides, and says why. */
function least(limits: readonly Limit[]): Jobs {
  const all = [...limits, { most: JOBS_MAX, why: `more than ${JOBS_MAX} gain little` }]
  const { most, why } = all.reduce((low, limit) => (limit.most < low.most ? limit : low))
  return { jobs: Math.max(1, most), why }
}
