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
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { promisify } from 'node:util'
import { AppError, errnoOf } from '../../base/error.ts'
import { Secret } from '../../base/secret.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import { MIB } from '../../base/units.ts'
import { decryptor } from '../../pipe/cipher.ts'
import { type Container, decompressor } from '../../pipe/compress.ts'
import type { CompressType } from '../../pipe/compress-type.ts'
import { type Filter, measure, through } from '../../pipe/pipe.ts'
import { isStorageSpec, openStorage, type StorageSpec } from '../../storage/open.ts'
import type { GetRange, Storage } from '../../storage/storage.ts'
import { together } from '../../worker/batch.ts'

/** Told once to each thread. */
export interface PlaceSetup {
  readonly storage: StorageSpec
  readonly compressType: CompressType
  /** The backup set's key; undefined when the repository is not encrypted. */
  readonly cipherPass: string | undefined
}

export interface PlaceJob {
  readonly name: string
  /** Byte string; where the file goes. */
  readonly diskPath: string
  readonly key: string
  /** Where in the stored object it lies; undefined for all of it. */
  readonly range: GetRange | undefined
  readonly container: Container
  readonly sizeBytes: number
  readonly checksum: string | undefined
  readonly mode: number
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly timestampS: number
  /** `keep-if-identical`: read what is there first, and leave it when size and checksum are right. */
  readonly existing: 'keep-if-identical' | 'replace'
}

export interface PlaceResult {
  readonly outcome: 'copied' | 'kept'
}

const READ_BYTES = MIB
/** A large file goes to the disk in pieces of this size while the next one is made, not all at its end. */
const FLUSH_BYTES = 64 * MIB

/** Waits for the disk aside, so that the files of a batch share one commit. */
const sync = promisify(fsync)

/** Places one batch; results in the order of its jobs. A file counts as placed when it is on disk. */
export function placeJobs(
  storage: Storage,
  setup: PlaceSetup,
): (batch: readonly PlaceJob[]) => Promise<readonly PlaceResult[]> {
  return async (batch) =>
    await together(batch, async (job) => {
      if (job.existing === 'keep-if-identical' && isIdentical(job)) {
        using file = openTarget(job, 'r+')
        dress(file.descriptor, job)
        return { outcome: 'kept' }
      }
      using file = openTarget(job, 'w')
      if (job.sizeBytes > 0) await fill({ storage, setup, job, descriptor: file.descriptor })
      dress(file.descriptor, job)
      await sync(file.descriptor)
      return { outcome: 'copied' }
    })
}

/** Worker entry: see worker/thread.ts. */
export async function openJobs(
  setup: unknown,
): Promise<(batch: unknown) => Promise<readonly PlaceResult[]>> {
  if (!isPlaceSetup(setup)) throw new AppError('assert', 'invalid set-up for a restore worker')
  const run = placeJobs(openStorage(setup.storage), setup)
  return async (batch) => {
    if (!isBatch(batch)) throw new AppError('assert', 'invalid jobs for a restore worker')
    return await run(batch)
  }
}

interface Filling {
  readonly storage: Storage
  readonly setup: PlaceSetup
  readonly job: PlaceJob
  readonly descriptor: number
}

async function fill({ storage, setup, job, descriptor }: Filling): Promise<void> {
  const filters: Filter[] = []
  if (setup.cipherPass !== undefined) {
    filters.push(decryptor(new Secret(setup.cipherPass), job.container))
  }
  if (setup.compressType !== 'none') filters.push(decompressor(setup.compressType, job.container))
  const content = measure()
  let unsyncedBytes = 0
  let flushing = Promise.resolve()
  for await (const chunk of through(storage.get(job.key, job.range), ...filters, content)) {
    let written = 0
    while (written < chunk.length) written += writeSync(descriptor, chunk, written)
    unsyncedBytes += chunk.length
    if (unsyncedBytes < FLUSH_BYTES) continue
    unsyncedBytes = 0
    await flushing
    flushing = sync(descriptor)
    // Its failure is thrown when it is awaited.
    flushing.catch(() => undefined)
  }
  await flushing
  const checksum = content.sha1()
  if (checksum === job.checksum && content.sizeBytes === job.sizeBytes) return
  throw new AppError(
    'checksum',
    `error restoring '${toHumanText(job.diskPath)}': actual checksum '${checksum}' (${content.sizeBytes} bytes) ` +
      `does not match expected checksum '${job.checksum}' (${job.sizeBytes} bytes)`,
    {
      hint: `the stored file '${storage.location}/${job.key}' is damaged; restore from another backup with --set.`,
    },
  )
}

function isIdentical(job: PlaceJob): boolean {
  let descriptor: number
  try {
    descriptor = openSync(toBytes(job.diskPath), 'r')
  } catch {
    // Not there or not readable: it is written anew, and that reports what is wrong.
    return false
  }
  try {
    return matches(descriptor, job)
  } finally {
    closeSync(descriptor)
  }
}

function matches(descriptor: number, job: PlaceJob): boolean {
  const hash = createHash('sha1')
  const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, job.sizeBytes + 1))
  let sizeBytes = 0
  for (;;) {
    const got = readSync(descriptor, buffer, 0, buffer.length, sizeBytes)
    if (got === 0) break
    sizeBytes += got
    if (sizeBytes > job.sizeBytes) return false
    hash.update(buffer.subarray(0, got))
  }
  if (sizeBytes !== job.sizeBytes) return false
  return sizeBytes === 0 || hash.digest('hex') === job.checksum
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
    throw new AppError(
      'file-open',
      `unable to open file '${toHumanText(job.diskPath)}' for write: ${errnoOf(error) ?? String(error)}`,
      { cause: error },
    )
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
  return isRecord(value) && isStorageSpec(value['storage'])
}

function isBatch(value: unknown): value is readonly PlaceJob[] {
  return Array.isArray(value) && value.every(isPlaceJob)
}

function isPlaceJob(value: unknown): value is PlaceJob {
  return (
    isRecord(value) && typeof value['key'] === 'string' && typeof value['diskPath'] === 'string'
  )
}

/** For the pool: proves that what a thread answered are the results of a batch. */
export function parsePlaceResults(value: unknown): readonly PlaceResult[] {
  if (Array.isArray(value) && value.every(isPlaceResult)) return value
  throw new AppError('protocol', 'invalid answer from a restore worker')
}

function isPlaceResult(value: unknown): value is PlaceResult {
  return isRecord(value) && (value['outcome'] === 'copied' || value['outcome'] === 'kept')
}
