/**
 * The worker's part of a restore: fetch files, decrypt, decompress, check them against the manifest, place them.
 *
 * Runs in worker threads; everything it is told and everything it answers is plain data.
 */
import { AppError } from '../../base/error.ts'
import type { StoredFile, StoredSet } from '../../repo/stored-file.ts'
import {
  isStorageSpec,
  type OpenStorage,
  openStorage,
  type StorageSpec,
} from '../../storage/open.ts'
import type { Did } from '../../worker/message.ts'
import { placeBatch } from './place-batch.ts'
import type { Target } from './target-file.ts'

/** Told once to each thread. */
export interface PlaceSetup {
  readonly storage: StorageSpec
  readonly set: StoredSet
}

export interface PlaceJob extends Target {
  readonly name: string
  /** `hole`: nothing is read; the file has its size and no content. */
  readonly stored: StoredFile | { readonly kind: 'hole' }
  readonly sizeBytes: number
  readonly checksum: string | undefined
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

/** Worker entry: see worker/thread.ts. */
export async function openJobs(
  setup: unknown,
  did: Did,
  open: OpenStorage = openStorage,
): Promise<(batch: unknown) => Promise<readonly PlaceResult[]>> {
  if (!isPlaceSetup(setup)) throw new AppError('assert', 'invalid set-up for a restore worker')
  const placing = { storage: open(setup.storage), set: setup.set, did }
  return async (batch) => {
    if (!isBatch(batch)) throw new AppError('assert', 'invalid jobs for a restore worker')
    return await placeBatch(placing, batch)
  }
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
