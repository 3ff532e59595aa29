/**
 * The worker's part of a restore: fetch one file, decrypt, decompress, check it against the manifest, place it.
 *
 * Runs in worker threads; everything it is told and everything it answers is plain data.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  fsync,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { AppError } from '../../base/error.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import { type ByteSource, measure, through } from '../../pipe/pipe.ts'
import { readStored } from '../../repo/read-stored.ts'
import type { StoredFile, StoredSet } from '../../repo/stored-file.ts'
import {
  isStorageSpec,
  type OpenStorage,
  openStorage,
  type StorageSpec,
} from '../../storage/open.ts'
import { attempt, systemError } from '../../storage/posix-error.ts'
import type { Storage } from '../../storage/storage.ts'
import { together } from '../../worker/batch.ts'
import type { Did } from '../../worker/message.ts'
import { patchBlocks } from './patch-blocks.ts'

/** Told once to each thread. */
export interface PlaceSetup {
  readonly storage: StorageSpec
  readonly set: StoredSet
}

export interface PlaceJob {
  readonly name: string
  /** Byte string; where the file goes. */
  readonly diskPath: string
  /** `hole`: nothing is read; the file has its size and no content. */
  readonly stored: StoredFile | { readonly kind: 'hole' }
  readonly sizeBytes: number
  readonly checksum: string | undefined
  readonly mode: number
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly timestampS: number
  /**
   * `keep-if-identical`: read what is there first, and leave it, or those of its blocks, that are right; `keep-if-dated`:
   * leave it unread when it has the right size and time.
   */
  readonly existing: 'keep-if-identical' | 'keep-if-dated' | 'replace'
}

const OUTCOMES = ['copied', 'kept', 'hole'] as const

export interface PlaceResult {
  readonly outcome: (typeof OUTCOMES)[number]
  /** Less than the file's size when some of it was right already. */
  readonly writtenBytes: number
}

const READ_BYTES = MIB
/** A large file goes to the disk in pieces of this size while the next one is made, not all at its end. */
const FLUSH_BYTES = 64 * MIB

/** Waits for the disk aside, so that the files of a batch share one commit. */
const sync = promisify(fsync)

/** Places one batch; results in the order of its jobs. A file counts as placed when it is on disk. */
export function placeJobs(
  storage: Storage,
  { set }: PlaceSetup,
  did: Did = () => undefined,
): (batch: readonly PlaceJob[]) => Promise<readonly PlaceResult[]> {
  return async (batch) =>
    await together(batch, async (job) => {
      const doing = `unable to write file '${toHumanText(job.diskPath)}'`
      return await attempt('file-write', doing, async () => await place(storage, { set, did }, job))
    })
}

interface Placing {
  readonly set: StoredSet
  readonly did: Did
}

async function place(storage: Storage, { set, did }: Placing, job: PlaceJob): Promise<PlaceResult> {
  if (job.stored.kind === 'hole') return await placeHole(job)
  const found = job.existing === 'replace' ? 'nothing' : inspect(job)
  if (found === 'identical') {
    using file = openTarget(job, 'r+')
    // Whoever wrote it, an interrupted restore or a server that was killed, may not have come to that.
    await sync(file.descriptor)
    dress(file.descriptor, job)
    return { outcome: 'kept', writtenBytes: 0 }
  }
  const { stored, sizeBytes } = job
  using file = openTarget(job, found === 'different' && stored.kind === 'blocks' ? 'r+' : 'w')
  const { descriptor } = file
  let writtenBytes = sizeBytes
  if (found === 'different' && stored.kind === 'blocks') {
    writtenBytes = await patchBlocks(storage, { set, file: stored, descriptor, sizeBytes })
    assertRight(storage, job, measureFile(descriptor))
  } else {
    assertRight(storage, job, await fill(descriptor, readStored(storage, set, stored), did))
  }
  dress(descriptor, job)
  await sync(descriptor)
  return { outcome: 'copied', writtenBytes }
}

async function placeHole(job: PlaceJob): Promise<PlaceResult> {
  using file = openTarget(job, 'w')
  ftruncateSync(file.descriptor, job.sizeBytes)
  dress(file.descriptor, job)
  await sync(file.descriptor)
  return { outcome: 'hole', writtenBytes: 0 }
}

/** Worker entry: see worker/thread.ts. */
export async function openJobs(
  setup: unknown,
  did: Did,
  open: OpenStorage = openStorage,
): Promise<(batch: unknown) => Promise<readonly PlaceResult[]>> {
  if (!isPlaceSetup(setup)) throw new AppError('assert', 'invalid set-up for a restore worker')
  const run = placeJobs(open(setup.storage), setup, did)
  return async (batch) => {
    if (!isBatch(batch)) throw new AppError('assert', 'invalid jobs for a restore worker')
    return await run(batch)
  }
}

interface Content {
  readonly sizeBytes: number
  readonly checksum: string
}

/** Writes a new file; what was written. */
async function fill(descriptor: number, source: ByteSource, did: Did): Promise<Content> {
  const content = measure()
  let unsyncedBytes = 0
  let flushing = Promise.resolve()
  for await (const chunk of through(source, content)) {
    let written = 0
    while (written < chunk.length) written += writeSync(descriptor, chunk, written)
    did(chunk.length)
    unsyncedBytes += chunk.length
    if (unsyncedBytes < FLUSH_BYTES) continue
    unsyncedBytes = 0
    await flushing
    flushing = sync(descriptor)
    // Its failure is thrown when it is awaited.
    flushing.catch(() => undefined)
  }
  await flushing
  return { sizeBytes: content.sizeBytes, checksum: content.sha1() }
}

function assertRight(storage: Storage, job: PlaceJob, { sizeBytes, checksum }: Content): void {
  if (isRight(job, { sizeBytes, checksum })) return
  const stored = 'key' in job.stored ? job.stored.key : job.name
  throw new AppError(
    'checksum',
    `error restoring '${toHumanText(job.diskPath)}': actual checksum '${checksum}' (${sizeBytes} bytes) ` +
      `does not match expected checksum '${job.checksum}' (${job.sizeBytes} bytes)`,
    {
      hint: `the stored file '${storage.location}/${stored}' is damaged; restore from another backup with --set.`,
    },
  )
}

function isRight(job: PlaceJob, { sizeBytes, checksum }: Content): boolean {
  return sizeBytes === job.sizeBytes && (sizeBytes === 0 || checksum === job.checksum)
}

/** What is at the place of a file. `nothing` also when it cannot be read: writing it anew reports what is wrong. */
function inspect(job: PlaceJob): 'nothing' | 'identical' | 'different' {
  let descriptor: number
  try {
    descriptor = openSync(toBytes(job.diskPath), 'r')
  } catch {
    return 'nothing'
  }
  try {
    const { size, mtimeMs } = fstatSync(descriptor)
    if (size !== job.sizeBytes) return size === 0 ? 'nothing' : 'different'
    if (job.existing === 'keep-if-dated') {
      return Math.floor(mtimeMs / SECOND_MS) === job.timestampS ? 'identical' : 'different'
    }
    return isRight(job, measureFile(descriptor)) ? 'identical' : 'different'
  } finally {
    closeSync(descriptor)
  }
}

function measureFile(descriptor: number): Content {
  const hash = createHash('sha1')
  const buffer = Buffer.allocUnsafeSlow(
    Math.max(1, Math.min(READ_BYTES, fstatSync(descriptor).size)),
  )
  let sizeBytes = 0
  for (;;) {
    const got = readSync(descriptor, buffer, 0, buffer.length, sizeBytes)
    if (got === 0) return { sizeBytes, checksum: hash.digest('hex') }
    sizeBytes += got
    hash.update(buffer.subarray(0, got))
  }
}

interface OpenFile extends Disposable {
  readonly descriptor: number
}

function openTarget(job: PlaceJob, flags: 'w' | 'r+'): OpenFile {
  try {
    const descriptor = openSync(toBytes(job.diskPath), flags, job.mode)
    if (flags === 'w') ftruncateSync(descriptor, 0)
    return {
      descriptor,
      [Symbol.dispose]: () => {
        closeSync(descriptor)
      },
    }
  } catch (error) {
    const doing = `unable to open file '${toHumanText(job.diskPath)}' for write`
    throw systemError('file-open', doing, error)
  }
}

/** Owner, mode and time stamp as the manifest says, whatever the umask and the old file were. */
function dress(descriptor: number, job: PlaceJob): void {
  if (job.owner !== undefined) fchownSync(descriptor, job.owner.uid, job.owner.gid)
  fchmodSync(descriptor, job.mode)
  futimesSync(descriptor, job.timestampS, job.timestampS)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isPlaceSetup(value: unknown): value is PlaceSetup {
  return isRecord(value) && isStorageSpec(value['storage']) && isRecord(value['set'])
}

function isBatch(value: unknown): value is readonly PlaceJob[] {
  return Array.isArray(value) && value.every(isPlaceJob)
}

function isPlaceJob(value: unknown): value is PlaceJob {
  return isRecord(value) && isRecord(value['stored']) && typeof value['diskPath'] === 'string'
}

/** For the pool: proves that what a thread answered are the results of a batch. */
export function parsePlaceResults(value: unknown): readonly PlaceResult[] {
  if (Array.isArray(value) && value.every(isPlaceResult)) return value
  throw new AppError('protocol', 'invalid answer from a restore worker')
}

function isPlaceResult(value: unknown): value is PlaceResult {
  return (
    isRecord(value) &&
    OUTCOMES.some((outcome) => outcome === value['outcome']) &&
    typeof value['writtenBytes'] === 'number'
  )
}
