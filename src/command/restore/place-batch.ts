/**
 * Places the files of one batch. Each is written, compared with the manifest and dressed. The disk is waited for aside, while
 * the next ones are written: so a journal has one commit for several of them. Each is synced through the descriptor that it was
 * written through, which is the one that is certain to be told of an error. A file counts as placed when it is on disk.
 */
import { createHash, hash } from 'node:crypto'
import { fstatSync, fsync, ftruncateSync, type Stats } from 'node:fs'
import { promisify } from 'node:util'
import { AppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import { lendBuffer } from '../../pipe/codecs.ts'
import { blocksInto } from '../../repo/blocks-at-once.ts'
import { readStored } from '../../repo/read-stored.ts'
import { readTogether, SMALL_BYTES_MAX } from '../../repo/read-together.ts'
import {
  contentInto,
  named,
  ownRange,
  type StoredFile,
  type StoredSet,
} from '../../repo/stored-file.ts'
import { attempt } from '../../storage/posix-error.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Did } from '../../worker/message.ts'
import type { PlaceJob, PlaceResult } from './copy-job.ts'
import { patchBlocks } from './patch-blocks.ts'
import {
  type Content,
  dress,
  measureFile,
  openExisting,
  openTarget,
  writeAll,
  writeAside,
} from './target-file.ts'

export interface Placing {
  readonly storage: Storage
  readonly set: StoredSet
  readonly did: Did
}

/** A large file goes to the disk in pieces of this size while the next one is made, not all at its end. */
const FLUSH_BYTES = 64 * MIB

/** Waits for the disk aside, so that the files of a batch share commits. */
const sync = promisify(fsync)

/** What is at the place of a file. `unread`: the file's blocks are compared when they are patched. */
type Found = 'nothing' | 'right' | 'different' | 'unread'

/** Results in the order of the jobs. After a failure nothing more is begun. */
export async function placeBatch(
  placing: Placing,
  batch: readonly PlaceJob[],
): Promise<readonly PlaceResult[]> {
  const looked = batch.map((job) => ({ job, found: inspect(job, placing.did) }))
  const fetched = await fetchSmall(placing, looked)
  using files = new DisposableStack()
  const results: PlaceResult[] = []
  const syncs: Promise<void>[] = []
  try {
    for (const { job, found } of looked) {
      const { descriptor } = files.use(openTarget(job, isReused(found) ? 'r+' : 'w'))
      const writing = { job, found, packed: fetched.get(job), descriptor }
      results.push(await forFile(job, async () => await write(placing, writing)))
      syncs.push(forFile(job, async () => await sync(descriptor)))
    }
  } finally {
    // No descriptor is closed while somebody waits for it.
    await Promise.allSettled(syncs)
  }
  await Promise.all(syncs)
  return results
}

/** What is there stays, all of it or all but some blocks. */
function isReused(found: Found): boolean {
  return found === 'right' || found === 'unread'
}

async function forFile<Result>(
  { diskPath }: PlaceJob,
  call: () => Promise<Result>,
): Promise<Result> {
  return await attempt('file-write', `unable to write file '${toHumanText(diskPath)}'`, call)
}

interface Looked {
  readonly job: PlaceJob
  readonly found: Found
}

function inspect(job: PlaceJob, did: Did): Found {
  if (job.existing === 'replace' || job.stored.kind === 'hole') return 'nothing'
  using file = openExisting(job)
  if (file === undefined) return 'nothing'
  const found = fstatSync(file.descriptor)
  if (job.existing === 'keep-if-dated' && hasSizeAndTime(found, job)) return 'right'
  if (job.stored.kind === 'blocks' && job.sizeBytes > SMALL_BYTES_MAX) {
    return found.size === 0 ? 'nothing' : 'unread'
  }
  if (found.size !== job.sizeBytes || job.existing === 'keep-if-dated') return 'different'
  return isRight(job, measureFile(file.descriptor, found.size, did)) ? 'right' : 'different'
}

/** A manifest knows whole seconds. */
function hasSizeAndTime({ size, mtimeMs }: Stats, { sizeBytes, timestampS }: PlaceJob): boolean {
  return size === sizeBytes && Math.floor(mtimeMs / SECOND_MS) === timestampS
}

/** Stored bytes of the files that are decoded at once. */
async function fetchSmall(
  { storage }: Placing,
  looked: readonly Looked[],
): Promise<ReadonlyMap<PlaceJob, Buffer | undefined>> {
  const small = looked.flatMap(({ job, found }) => {
    const { stored, sizeBytes } = job
    if (isReused(found) || sizeBytes > SMALL_BYTES_MAX || !('key' in stored)) return []
    return [{ job, key: stored.key, range: ownRange(stored) }]
  })
  const bytes = await readTogether(storage, small)
  return new Map(small.map(({ job }, index) => [job, bytes[index]]))
}

interface Writing extends Looked {
  /** The stored bytes, when they are there already. */
  readonly packed: Buffer | undefined
  readonly descriptor: number
}

async function write(placing: Placing, writing: Writing): Promise<PlaceResult> {
  const result = await writeContent(placing, writing)
  dress(writing.descriptor, writing.job)
  return result
}

async function writeContent(placing: Placing, writing: Writing): Promise<PlaceResult> {
  const { job, found, packed, descriptor } = writing
  const { stored, sizeBytes } = job
  if (stored.kind === 'hole') {
    ftruncateSync(descriptor, sizeBytes)
    return { outcome: 'hole', writtenBytes: 0 }
  }
  if (found === 'right') return { outcome: 'kept', writtenBytes: 0 }
  if (found === 'unread') {
    const patched = await patch(placing, writing)
    if (patched !== undefined) return patched
    ftruncateSync(descriptor, 0)
  }
  const content =
    (packed && fillNow(placing, { job, packed, descriptor })) ??
    (await fill(placing, { stored, descriptor }))
  assertRight(placing, job, content)
  return { outcome: 'copied', writtenBytes: sizeBytes }
}

/** Undefined: blocks can differ although their short checksums are equal, so all of it must be written. */
async function patch(
  { storage, set, did }: Placing,
  { job, descriptor }: Writing,
): Promise<PlaceResult | undefined> {
  const { stored: file, sizeBytes } = job
  if (file.kind !== 'blocks') return undefined
  const { size } = fstatSync(descriptor)
  const patching = { set, file, descriptor, sizeBytes, did }
  const { content, writtenBytes } = await patchBlocks(storage, patching)
  if (!isRight(job, content)) return undefined
  const outcome = writtenBytes === 0 && size === sizeBytes ? 'kept' : 'copied'
  return { outcome, writtenBytes }
}

interface Filling {
  readonly job: PlaceJob
  readonly packed: Buffer
  readonly descriptor: number
}

/** Writes a new file of stored bytes that are all there. Undefined when that needs a closer look. */
function fillNow(
  { storage, set, did }: Placing,
  { job, packed, descriptor }: Filling,
): Content | undefined {
  const { stored, sizeBytes } = job
  if (!('key' in stored)) return undefined
  // A byte more than is expected, so that the end is seen.
  using lent = lendBuffer(sizeBytes + 1)
  const content = decoded(`${storage.location}/${stored.key}`, () =>
    stored.kind === 'blocks'
      ? blocksInto(set, stored, { stored: packed, into: lent.buffer })
      : contentInto(set, stored.container, { bytes: packed, into: lent.buffer }),
  )
  if (content === undefined) return undefined
  writeAll(descriptor, content, 0)
  did(content.length)
  return { sizeBytes: content.length, checksum: hash('sha1', content) }
}

function decoded<Result>(where: string, decode: () => Result): Result {
  try {
    return decode()
  } catch (error) {
    throw named(where, error)
  }
}

interface Source {
  readonly stored: StoredFile
  readonly descriptor: number
}

/** Writes a new file, each piece while it is hashed; what was written. */
async function fill(
  { storage, set, did }: Placing,
  { stored, descriptor }: Source,
): Promise<Content> {
  const digest = createHash('sha1')
  let sizeBytes = 0
  let unsyncedBytes = 0
  let flushing = Promise.resolve()
  for await (const chunk of readStored(storage, set, stored)) {
    const writing = writeAside(descriptor, chunk, sizeBytes)
    digest.update(chunk)
    await writing
    did(chunk.length)
    sizeBytes += chunk.length
    unsyncedBytes += chunk.length
    if (unsyncedBytes < FLUSH_BYTES) continue
    unsyncedBytes = 0
    await flushing
    flushing = sync(descriptor)
    // Its failure is thrown when it is awaited.
    flushing.catch(() => undefined)
  }
  await flushing
  return { sizeBytes, checksum: digest.digest('hex') }
}

function assertRight({ storage }: Placing, job: PlaceJob, content: Content): void {
  if (isRight(job, content)) return
  const { sizeBytes, checksum } = content
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
