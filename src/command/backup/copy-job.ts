/**
 * The worker's part of a backup: read one cluster file, check its pages, hash, compress, encrypt, store.
 *
 * Runs in worker threads; everything it is told and everything it answers is plain data.
 */
import { closeSync, readSync } from 'node:fs'
import { AppError, assertThat } from '../../base/error.ts'
import { KIB } from '../../base/units.ts'
import type { MapBlock } from '../../format/block-map.ts'
import type { Container } from '../../pipe/compress.ts'
import { type ByteSource, single, through, unlessEmpty } from '../../pipe/pipe.ts'
import { type PageCheck, pageCheck } from '../../postgres/page.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'
import { fullSuperBlockBytes } from '../../repo/block-filter.ts'
import { loadBlockMap } from '../../repo/stored-blocks.ts'
import {
  isStorageSpec,
  type OpenStorage,
  openStorage,
  type StorageSpec,
} from '../../storage/open.ts'
import type { Storage } from '../../storage/storage.ts'
import { together } from '../../worker/batch.ts'
import type { Did } from '../../worker/message.ts'
import { firstTimeTold, openClusterFile, readClusterFile } from './cluster-file.ts'
import { copySmall, isSmall } from './copy-small.ts'
import { known, type PriorContent, type StoredCopy } from './known-content.ts'
import {
  type BlockJob,
  type Place,
  storeBlocks,
  type Stored,
  type StoreSetup,
  storeWhole,
} from './store-file.ts'

/** Told once to each thread. */
export interface CopySetup extends StoreSetup {
  readonly storage: StorageSpec
  readonly dataDir: string
  readonly pageSizeBytes: number
  readonly headerCheck: 'on' | 'off'
  /** How much is read at once. */
  readonly bufferBytes: number
}

/** Files that are stored one after the other as one object, or each by itself. */
export interface CopyTask {
  readonly bundle: Bundle | undefined
  readonly jobs: readonly CopyJob[]
}

export interface Bundle {
  readonly id: number
  readonly key: string
  readonly container: Container
}

export interface CopyJob {
  /** Manifest name. */
  readonly name: string
  /** Byte string; where the file is read. */
  readonly diskPath: string
  /** Where it is stored by itself. */
  readonly key: string
  /** Size when the manifest was built. */
  readonly sizeBytes: number
  /** `exact`: no byte past `sizeBytes` (replay restores what was added); `to-end`: as long as the file is now. */
  readonly extent: 'exact' | 'to-end'
  /** pg_control is read by its own rules: retried until its checksum is right. */
  readonly kind: 'file' | 'control'
  /** The prior backup's content of the same size, when the file may still be that. */
  readonly prior: PriorContent | undefined
  /** Set when the file was stored by an interrupted run, and may still be that. */
  readonly stored: StoredCopy | undefined
  /** Relation-wide number of the file's first page; undefined when its pages are not checked. */
  readonly firstBlock: number | undefined
  /** Undefined: it is stored as a whole. */
  readonly block: BlockJob | undefined
}

export interface Copied extends Stored {
  readonly outcome: 'copied'
  readonly pages: { readonly bad: readonly number[]; readonly misaligned: boolean } | undefined
  /** Undefined: an object of its own or, for an empty file, nothing. */
  readonly bundle: Place | undefined
  /** Set when an interrupted run had stored the file, but what lies there is not what it stored. */
  readonly instead?: 'of-damaged'
}

/** The file vanished between the walk and now: PostgreSQL dropped it, replay will drop it too. */
export interface Gone {
  readonly outcome: 'gone'
}

/** The content is that of the prior backup: nothing is stored. */
export interface Same {
  readonly outcome: 'same'
}

/** The file is what an interrupted run has stored. */
export interface Kept {
  readonly outcome: 'kept'
}

export type CopyResult = Copied | Gone | Same | Kept

const SAME: Same = { outcome: 'same' }
const KEPT: Kept = { outcome: 'kept' }

const EMPTY: Copied = {
  outcome: 'copied',
  sizeBytes: 0,
  checksum: '',
  repoSizeBytes: 0,
  repoChecksum: undefined,
  block: undefined,
  bundle: undefined,
  pages: undefined,
}

/** What is stored of small files is written together. */
const GATHERED_BYTES = 256 * KIB

const ALONE: Place = { bundleId: 0, offsetBytes: 0 }

/** Does one task; results in the order of its jobs. */
export function copyTasks(
  storage: Storage,
  setup: CopySetup,
  did: Did = () => undefined,
): (task: CopyTask) => Promise<readonly CopyResult[]> {
  return async ({ bundle, jobs }) => {
    if (bundle !== undefined) return await copyBundle({ storage, setup, did, bundle }, jobs)
    return await together(jobs, async (job) => await copyAlone({ storage, setup, did }, job))
  }
}

interface Copying {
  readonly storage: Storage
  readonly setup: CopySetup
  readonly did: Did
  readonly bundle?: Bundle
}

async function copyAlone(copying: Copying, job: CopyJob): Promise<CopyResult> {
  const { storage } = copying
  const small = trySmall(copying, job, ALONE)
  if (small !== undefined) {
    if (small.bytes.length > 0) await storage.put(job.key, small.bytes, { durable: 'on-sync' })
    return small.result
  }
  const results: CopyResult[] = []
  const begun = await unlessEmpty(collecting(copyFile(copying, job, ALONE), results))
  if (begun !== undefined) await storage.put(job.key, begun, { durable: 'on-sync' })
  const [result] = results
  assertThat(result !== undefined, 'a file that was copied has a result')
  if (result.outcome !== 'copied') return result
  if (isPriorContent(job, result)) {
    await storage.remove(job.key)
    return SAME
  }
  if (begun === undefined && job.block === undefined) {
    await storage.put(job.key, Buffer.alloc(0), { durable: 'on-sync' })
  }
  return result
}

interface SmallResult {
  readonly result: CopyResult
  /** None when nothing is stored. */
  readonly bytes: Buffer
}

const NOTHING = Buffer.alloc(0)

/** The copy of a small file, when there is nothing about it that takes more. */
function trySmall(
  { setup, bundle, did }: Copying,
  job: CopyJob,
  place: Place,
): SmallResult | undefined {
  if (!isSmall(job)) return undefined
  const file = openClusterFile(job.diskPath)
  if (file === undefined) return { result: { outcome: 'gone' }, bytes: NOTHING }
  const container = bundle?.container ?? 'normal'
  const copy = copySmall(setup, { job, file, place, container })
  if (copy === undefined) return undefined
  did(job.sizeBytes)
  if (copy === 'same') return { result: SAME, bytes: NOTHING }
  return {
    bytes: copy.bytes,
    result: {
      outcome: 'copied',
      ...copy.stored,
      bundle: bundle === undefined ? undefined : place,
      pages: job.firstBlock === undefined ? undefined : { bad: [], misaligned: false },
    },
  }
}

/** One object of all that is stored of the files; none when that is nothing. */
async function copyBundle(
  copying: Required<Copying>,
  jobs: readonly CopyJob[],
): Promise<readonly CopyResult[]> {
  const { storage, bundle } = copying
  const results: CopyResult[] = []
  async function* members(): ByteSource {
    let offsetBytes = 0
    let gathered: Buffer[] = []
    let gatheredBytes = 0
    for (const job of jobs) {
      const place = { bundleId: bundle.id, offsetBytes }
      const small = trySmall(copying, job, place)
      if (small !== undefined) {
        results.push(small.result)
        gathered.push(small.bytes)
        gatheredBytes += small.bytes.length
        offsetBytes += small.bytes.length
      }
      if (small === undefined || gatheredBytes >= GATHERED_BYTES) {
        if (gatheredBytes > 0) yield Buffer.concat(gathered)
        gathered = []
        gatheredBytes = 0
      }
      if (small !== undefined) continue
      for await (const chunk of collecting(copyFile(copying, job, place), results)) {
        offsetBytes += chunk.length
        yield chunk
      }
    }
    if (gatheredBytes > 0) yield Buffer.concat(gathered)
  }
  const begun = await unlessEmpty(members())
  if (begun !== undefined) await storage.put(bundle.key, begun, { durable: 'on-sync' })
  return results
}

/** The chunks of a copy, its result put to the others at the end. */
async function* collecting(
  copy: AsyncGenerator<Buffer, CopyResult, undefined>,
  results: CopyResult[],
): ByteSource {
  results.push(yield* copy)
}

/** What is stored of a file; its result at the end. */
async function* copyFile(
  copying: Copying,
  job: CopyJob,
  place: Place,
): AsyncGenerator<Buffer, CopyResult, undefined> {
  const { setup } = copying
  if (job.kind === 'control') {
    const { bytes } = await readControlFile(setup.dataDir)
    const read = (): ByteSource => single(bytes)
    // What an interrupted run stored of it is never relied on.
    const found = await known(copying.storage, { ...job, stored: undefined }, read)
    if (found === 'prior') return SAME
    return yield* store(copying, { job, place, read, check: () => undefined })
  }
  const file = openClusterFile(job.diskPath)
  if (file === undefined) return { outcome: 'gone' }
  try {
    const read = firstTimeTold(copying.did, () =>
      readClusterFile({ ...job, file, bufferBytes: readBytesOf(job, setup) }),
    )
    const found = await known(copying.storage, job, read)
    if (found === 'prior') return SAME
    if (found === 'stored') return KEPT
    const { firstBlock } = job
    const check = (): PageCheck | undefined =>
      firstBlock === undefined ? undefined : checkOf(setup, file, firstBlock)
    const result = yield* store(copying, { job, place, read, check })
    const replaces = found === 'damaged' && result.outcome === 'copied'
    return replaces ? { ...result, instead: 'of-damaged' } : result
  } finally {
    closeSync(file)
  }
}

/** Super blocks are compressed where they were read, when they are read one by one. */
function readBytesOf({ block, sizeBytes }: CopyJob, { bufferBytes }: CopySetup): number {
  return block === undefined ? bufferBytes : fullSuperBlockBytes(block, sizeBytes)
}

interface Reading {
  readonly job: CopyJob
  readonly place: Place
  /** The file anew each time, and a check for it. */
  readonly read: () => ByteSource
  readonly check: () => PageCheck | undefined
}

async function* store(
  copying: Copying,
  reading: Reading,
): AsyncGenerator<Buffer, CopyResult, undefined> {
  const { storage, setup } = copying
  const { job } = reading
  const prior = job.block?.prior
  const before = prior === undefined ? [] : await loadBlockMap(storage, setup, prior)
  const result = yield* storeOnce(copying, reading, before)
  if (before.length === 0 || result.repoSizeBytes > 0 || result.sizeBytes === 0) return result
  if (isPriorContent(job, result)) return SAME
  // Not one block differs by its checksum and yet the file does: block checksums are short, so all blocks are stored.
  return yield* storeOnce(copying, reading, [])
}

async function* storeOnce(
  { setup, bundle }: Copying,
  { job, place, read, check }: Reading,
  before: readonly MapBlock[],
): AsyncGenerator<Buffer, Copied, undefined> {
  const page = check()
  const checked = page === undefined ? read() : through(read(), page)
  const source = await unlessEmpty(checked)
  // Backups with bundles store no empty files; this one has become so since it was listed.
  if (source === undefined && (bundle ?? job.block) !== undefined) return EMPTY
  const content = { source: source ?? single(Buffer.alloc(0)), sizeBytes: job.sizeBytes }
  const { bytes, stored } =
    job.block === undefined
      ? storeWhole(setup, bundle?.container ?? 'normal', content)
      : storeBlocks(setup, { job: job.block, place, before }, content)
  yield* bytes
  const result = stored()
  return {
    outcome: 'copied',
    ...result,
    bundle: bundle === undefined ? undefined : place,
    pages: page === undefined ? undefined : { bad: page.badPages, misaligned: page.misaligned },
  }
}

function isPriorContent({ sizeBytes, prior }: CopyJob, result: Copied): boolean {
  return result.sizeBytes === sizeBytes && result.checksum === prior?.checksum
}

/** Worker entry: see worker/thread.ts. */
export async function openJobs(
  setup: unknown,
  did: Did,
  open: OpenStorage = openStorage,
): Promise<(task: unknown) => Promise<readonly CopyResult[]>> {
  if (!isCopySetup(setup)) throw new AppError('assert', 'invalid set-up for a backup worker')
  const run = copyTasks(open(setup.storage), setup, did)
  return async (task) => {
    if (!isTask(task)) throw new AppError('assert', 'invalid task for a backup worker')
    return await run(task)
  }
}

function checkOf(setup: CopySetup, file: number, firstBlock: number): PageCheck {
  const { pageSizeBytes, headerCheck } = setup
  return pageCheck({
    firstBlock,
    pageSizeBytes,
    headerCheck,
    reread: (pageIndex) => {
      const again = Buffer.allocUnsafe(pageSizeBytes)
      const got = readSync(file, again, 0, pageSizeBytes, pageIndex * pageSizeBytes)
      return got === pageSizeBytes ? again : undefined
    },
  })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isCopySetup(value: unknown): value is CopySetup {
  return isRecord(value) && isStorageSpec(value['storage']) && typeof value['dataDir'] === 'string'
}

function isTask(value: unknown): value is CopyTask {
  return isRecord(value) && Array.isArray(value['jobs']) && value['jobs'].every(isCopyJob)
}

function isCopyJob(value: unknown): value is CopyJob {
  return (
    isRecord(value) && typeof value['key'] === 'string' && typeof value['diskPath'] === 'string'
  )
}

/** For the pool: proves that what a thread answered are the results of a batch. */
export function parseCopyResults(value: unknown): readonly CopyResult[] {
  if (Array.isArray(value) && value.every(isCopyResult)) return value
  throw new AppError('protocol', 'invalid answer from a backup worker')
}

function isCopyResult(value: unknown): value is CopyResult {
  if (!isRecord(value)) return false
  return (
    value['outcome'] === 'gone' ||
    value['outcome'] === 'same' ||
    value['outcome'] === 'kept' ||
    (value['outcome'] === 'copied' && typeof value['checksum'] === 'string')
  )
}
