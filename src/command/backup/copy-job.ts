/**
 * The worker's part of a backup: read one cluster file, check its pages, hash, compress, encrypt, store.
 *
 * Runs in worker threads; everything it is told and everything it answers is plain data.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { AppError, errnoOf } from '../../base/error.ts'
import { Secret } from '../../base/secret.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import { MIB } from '../../base/units.ts'
import { encryptor } from '../../pipe/cipher.ts'
import { compressor } from '../../pipe/compress.ts'
import type { CompressType } from '../../pipe/compress-type.ts'
import { ahead, type ByteSource, type Filter, measure, single, through } from '../../pipe/pipe.ts'
import { type PageCheck, pageCheck } from '../../postgres/page.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'
import { isStorageSpec, openStorage, type StorageSpec } from '../../storage/open.ts'
import type { Storage } from '../../storage/storage.ts'
import { together } from '../../worker/batch.ts'
import type { Doubt } from './compare.ts'

/** Told once to each thread. */
export interface CopySetup {
  readonly storage: StorageSpec
  readonly dataDir: string
  readonly compressType: CompressType
  readonly compressLevel: number
  /** The backup set's key; undefined when the repository is not encrypted. */
  readonly cipherPass: string | undefined
  readonly pageSizeBytes: number
  readonly headerCheck: 'on' | 'off'
}

export interface CopyJob {
  /** Manifest name. */
  readonly name: string
  /** Byte string; where the file is read. */
  readonly diskPath: string
  /** Where it is stored. */
  readonly key: string
  /** Size when the manifest was built. */
  readonly sizeBytes: number
  /** `exact`: no byte past `sizeBytes` (replay restores what was added); `to-end`: as long as the file is now. */
  readonly extent: 'exact' | 'to-end'
  /** pg_control is read by its own rules: retried until its checksum is right. */
  readonly kind: 'file' | 'control'
  /** The prior backup's content of the same size, when the file may still be that; `kind` is then `file`. */
  readonly prior: PriorContent | undefined
  /** Relation-wide number of the file's first page; undefined when its pages are not checked. */
  readonly firstBlock: number | undefined
}

export interface PriorContent {
  readonly checksum: string
  readonly find: Doubt
}

export interface Copied {
  readonly outcome: 'copied'
  readonly sizeBytes: number
  readonly checksum: string
  readonly repoSizeBytes: number
  /** SHA-1 of the stored bytes, undefined when they are the original bytes. */
  readonly repoChecksum: string | undefined
  readonly pages: { readonly bad: readonly number[]; readonly misaligned: boolean } | undefined
}

/** The file vanished between the walk and now: PostgreSQL dropped it, replay will drop it too. */
export interface Gone {
  readonly outcome: 'gone'
}

/** The content is that of the prior backup: nothing is stored. */
export interface Same {
  readonly outcome: 'same'
}

export type CopyResult = Copied | Gone | Same

const SAME: Same = { outcome: 'same' }

const READ_BYTES = MIB
/** Files larger than this are read and checked while the chunk before is compressed. */
const AHEAD_BYTES_MIN = 8 * MIB

/** Copies one batch; results in the order of its jobs. */
export function copyJobs(
  storage: Storage,
  setup: CopySetup,
): (batch: readonly CopyJob[]) => Promise<readonly CopyResult[]> {
  const copy = copyOne(storage, setup)
  return async (batch) => await together(batch, copy)
}

function copyOne(storage: Storage, setup: CopySetup): (job: CopyJob) => Promise<CopyResult> {
  return async (job) => {
    if (job.kind === 'control') {
      const { bytes } = await readControlFile(setup.dataDir)
      return await store({ storage, setup, job, source: single(bytes), page: undefined })
    }
    const file = openClusterFile(job)
    if (file === undefined) return { outcome: 'gone' }
    try {
      if (isWorthHashing(job) && (await isPrior(job, readFile(file, job)))) return SAME
      const page = job.firstBlock === undefined ? undefined : checkOf(setup, file, job.firstBlock)
      const copied = await store({ storage, setup, job, source: readFile(file, job), page })
      if (copied.sizeBytes !== job.sizeBytes || copied.checksum !== job.prior?.checksum) {
        return copied
      }
      await storage.remove(job.key)
      return SAME
    } finally {
      closeSync(file)
    }
  }
}

/** Reading a small file once more costs nothing; a large one, whose time has changed, has most likely changed too. */
function isWorthHashing({ prior, sizeBytes }: CopyJob): boolean {
  return prior?.find === 'hash-first' || (prior !== undefined && sizeBytes <= READ_BYTES)
}

async function isPrior({ prior, sizeBytes }: CopyJob, source: ByteSource): Promise<boolean> {
  const hash = createHash('sha1')
  let readBytes = 0
  for await (const chunk of source) {
    hash.update(chunk)
    readBytes += chunk.length
  }
  return readBytes === sizeBytes && hash.digest('hex') === prior?.checksum
}

/** Worker entry: see worker/thread.ts. */
export async function openJobs(
  setup: unknown,
): Promise<(batch: unknown) => Promise<readonly CopyResult[]>> {
  if (!isCopySetup(setup)) throw new AppError('assert', 'invalid set-up for a backup worker')
  const run = copyJobs(openStorage(setup.storage), setup)
  return async (batch) => {
    if (!isBatch(batch)) throw new AppError('assert', 'invalid jobs for a backup worker')
    return await run(batch)
  }
}

interface Storing {
  readonly storage: Storage
  readonly setup: CopySetup
  readonly job: Pick<CopyJob, 'key'> & Partial<Pick<CopyJob, 'sizeBytes'>>
  readonly source: ByteSource
  readonly page: PageCheck | undefined
}

async function store({ storage, setup, job, source, page }: Storing): Promise<Copied> {
  const original = measure()
  const transforms = transformsOf(setup)
  // Stored bytes that are the original bytes need no second hash.
  const stored = transforms.length === 0 ? original : measure()
  const checked = through(source, ...(page === undefined ? [] : [page]), original)
  const drawn =
    (job.sizeBytes ?? 0) > AHEAD_BYTES_MIN && stored !== original ? ahead(checked) : checked
  const filters = stored === original ? [] : [...transforms, stored]
  await storage.put(job.key, through(drawn, ...filters), { durable: 'on-sync' })
  return {
    outcome: 'copied',
    sizeBytes: original.sizeBytes,
    checksum: original.sha1(),
    repoSizeBytes: stored.sizeBytes,
    repoChecksum: stored === original ? undefined : stored.sha1(),
    pages: page === undefined ? undefined : { bad: page.badPages, misaligned: page.misaligned },
  }
}

/** Stores bytes that come from no cluster file (backup_label, tablespace_map, archived WAL) as the workers would. */
export async function storeSource(
  storage: Storage,
  setup: CopySetup,
  { key, source }: { readonly key: string; readonly source: ByteSource },
): Promise<Copied> {
  return await store({ storage, setup, job: { key }, source, page: undefined })
}

function transformsOf(setup: CopySetup): readonly Filter[] {
  const transforms: Filter[] = []
  if (setup.compressType !== 'none') {
    transforms.push(compressor(setup.compressType, setup.compressLevel, 'normal'))
  }
  if (setup.cipherPass !== undefined) {
    transforms.push(encryptor(new Secret(setup.cipherPass), 'normal'))
  }
  return transforms
}

/** A descriptor, or undefined when the file is gone. */
function openClusterFile(job: CopyJob): number | undefined {
  try {
    return openSync(toBytes(job.diskPath), 'r')
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return undefined
    throw new AppError(
      'file-open',
      `unable to open file '${toHumanText(job.diskPath)}' for read: ${errno ?? String(error)}`,
      {
        hint: 'backup must run as the user that owns the cluster, or one that may read its files.',
        cause: error,
      },
    )
  }
}

/** Two buffers in turn, as `ahead` needs them. */
async function* readFile(file: number, job: CopyJob): ByteSource {
  const limit = job.extent === 'exact' ? job.sizeBytes : Number.MAX_SAFE_INTEGER
  const bufferBytes = Math.max(1, Math.min(READ_BYTES, limit))
  let buffer = Buffer.allocUnsafeSlow(bufferBytes)
  let other = limit > bufferBytes ? Buffer.allocUnsafeSlow(bufferBytes) : buffer
  let done = 0
  while (done < limit) {
    const wanted = Math.min(buffer.length, limit - done)
    const got = readAt({ file, buffer, wanted, position: done }, job)
    if (got === 0) return
    yield buffer.subarray(0, got)
    ;[buffer, other] = [other, buffer]
    done += got
  }
}

interface ReadAt {
  readonly file: number
  readonly buffer: Buffer
  readonly wanted: number
  readonly position: number
}

function readAt({ file, buffer, wanted, position }: ReadAt, job: CopyJob): number {
  try {
    return readSync(file, buffer, 0, wanted, position)
  } catch (error) {
    throw new AppError(
      'file-read',
      `unable to read '${toHumanText(job.diskPath)}' at byte ${position}: ${errnoOf(error) ?? String(error)}`,
      { cause: error },
    )
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

function isBatch(value: unknown): value is readonly CopyJob[] {
  return Array.isArray(value) && value.every(isCopyJob)
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
    (value['outcome'] === 'copied' && typeof value['checksum'] === 'string')
  )
}
