/**
 * The copy of a small file, without streams: one call each to read, hash, check, compress and encrypt it. A cluster has tens
 * of thousands of such files, and setting up a stream for each takes several times as long as the work.
 */
import { hash } from 'node:crypto'
import { closeSync, readSync } from 'node:fs'
import { KIB } from '../../base/units.ts'
import { findBadPages, lendBuffer } from '../../pipe/codecs.ts'
import type { Container } from '../../pipe/compress.ts'
import type { CopyJob, CopySetup } from './copy-job.ts'
import { type Place, type SmallStored, storeSmall, storeSmallBlocks } from './store-file.ts'

/** Larger ones gain little: 128 KiB take a millisecond to compress. */
const SMALL_BYTES_MAX = 128 * KIB

/** Used by one file at a time: nothing waits between reading it and storing what was read. */
let content: Buffer | undefined

export interface SmallFile {
  readonly job: CopyJob
  /** A descriptor. */
  readonly file: number
  readonly place: Place
  readonly container: Container
}

/** Whether there is nothing special about the file. */
export function isSmall({ sizeBytes, extent, kind, stored, block }: CopyJob): boolean {
  return (
    sizeBytes > 0 &&
    sizeBytes <= SMALL_BYTES_MAX &&
    extent === 'exact' &&
    kind === 'file' &&
    stored === undefined &&
    (block === undefined || (block.prior === undefined && sizeBytes <= block.superBlockBytes))
  )
}

/**
 * Closes the file. `same`: it is what the prior backup has. Undefined when it is not as expected, shorter or with a page that
 * looks wrong: look closer.
 */
export function copySmall(
  setup: CopySetup,
  { job, file, place, container }: SmallFile,
): SmallStored | 'same' | undefined {
  content ??= lendBuffer(SMALL_BYTES_MAX).buffer
  const bytes = content.subarray(0, job.sizeBytes)
  try {
    if (readSync(file, bytes, 0, bytes.length, 0) !== bytes.length) return undefined
  } catch {
    // Whoever looks closer meets the error again, and says more about it.
    return undefined
  } finally {
    closeSync(file)
  }
  const checksum = hash('sha1', bytes)
  if (checksum === job.prior?.checksum) return 'same'
  if (job.firstBlock !== undefined && !arePagesRight(setup, bytes, job.firstBlock)) return undefined
  const read = { bytes, checksum }
  return job.block === undefined
    ? storeSmall(setup, container, read)
    : storeSmallBlocks(setup, { job: job.block, place }, read)
}

function arePagesRight(
  { pageSizeBytes, headerCheck }: CopySetup,
  bytes: Buffer,
  firstBlock: number,
): boolean {
  if (bytes.length % pageSizeBytes !== 0) return false
  return findBadPages(bytes, { pageSizeBytes, headerCheck, firstBlock }).length === 0
}
