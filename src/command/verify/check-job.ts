/**
 * The worker's part of verify: read one stored piece and compare it with what is claimed of it.
 *
 * Runs in worker threads; everything it is told and everything it answers is plain data. A storage that does not answer is
 * an outcome of its own: neither damage nor absence may be concluded from it.
 */
import { AppError } from '../../base/error.ts'
import { Secret } from '../../base/secret.ts'
import { decryptor } from '../../pipe/cipher.ts'
import { type Container, decompressor } from '../../pipe/compress.ts'
import type { CompressType } from '../../pipe/compress-type.ts'
import { type ByteSource, type Filter, type Measure, measure, through } from '../../pipe/pipe.ts'
import { readStored } from '../../repo/read-stored.ts'
import type { StoredBlocks, StoredSet } from '../../repo/stored-file.ts'
import {
  isStorageSpec,
  type OpenStorage,
  openStorage,
  type StorageSpec,
} from '../../storage/open.ts'
import type { GetRange, Storage } from '../../storage/storage.ts'
import { together } from '../../worker/batch.ts'
import type { Did } from '../../worker/message.ts'
import { findRight } from './check-small.ts'
import { damaged, isOutcome, type Outcome, outcomeOf, VALID } from './outcome.ts'
import { headBytes, type Nature, unnatural } from './nature.ts'

/** Told once to each thread. */
export interface CheckSetup {
  readonly storage: StorageSpec
}

/** One stored piece: an object, or a part of one. */
export interface Piece {
  readonly key: string
  /** Where in the object it lies; undefined for all of it. */
  readonly range: GetRange | undefined
  readonly container: Container
  readonly compressType: CompressType
  /** Undefined when nothing says how many bytes are stored. */
  readonly storedBytes: number | undefined
  /** Hex SHA-1 of the stored bytes, when one is known. */
  readonly storedChecksum: string | undefined
  /** Of the content; undefined when unknown. */
  readonly contentBytes: number | undefined
  readonly contentChecksum: string | undefined
  /** Set when the stored bytes are blocks and a map of them: the content is put together from several backups. */
  readonly blocks: { readonly set: StoredSet; readonly file: StoredBlocks } | undefined
  /** What else must be true of the content. */
  readonly nature: Nature
}

export interface CheckBatch {
  /** `content`: read all of it. `presence`: look whether it is there and as long as it should be. */
  readonly level: 'content' | 'presence'
  /** The key of all pieces of the batch; undefined when they are not encrypted. */
  readonly cipherPass: string | undefined
  readonly pieces: readonly Piece[]
}

/** Checks one batch; outcomes in the order of its pieces. Never throws what a storage threw. */
export function checkPieces(storage: Storage): (batch: CheckBatch) => Promise<readonly Outcome[]> {
  return async (batch) => {
    const { level, cipherPass, pieces } = batch
    if (level === 'presence') {
      return await together(pieces, async (piece) => await checkPresence(storage, piece))
    }
    const right = await findRight(storage, batch)
    const pass = cipherPass === undefined ? undefined : new Secret(cipherPass)
    return await together(pieces, async (piece) =>
      right.has(piece) ? VALID : await checkContent(storage, piece, pass),
    )
  }
}

/** Worker entry: see worker/thread.ts. */
export async function openJobs(
  setup: unknown,
  _did: Did,
  open: OpenStorage = openStorage,
): Promise<(batch: unknown) => Promise<readonly Outcome[]>> {
  if (!isCheckSetup(setup)) throw new AppError('assert', 'invalid set-up for a verify worker')
  const check = checkPieces(open(setup.storage))
  return async (batch) => {
    if (!isCheckBatch(batch)) throw new AppError('assert', 'invalid jobs for a verify worker')
    return await check(batch)
  }
}

async function checkPresence(storage: Storage, piece: Piece): Promise<Outcome> {
  try {
    const found = await storage.stat(piece.key)
    if (found === undefined) return damaged('missing', 'it is not there')
    return sizeProblem(piece, found.sizeBytes) ?? VALID
  } catch (error) {
    return outcomeOf(error)
  }
}

/** Undefined when an object of this size can hold the piece. */
function sizeProblem({ range, storedBytes }: Piece, objectBytes: number): Outcome | undefined {
  if (range !== undefined) {
    const endBytes = range.offsetBytes + range.sizeBytes
    if (objectBytes >= endBytes) return undefined
    return damaged('size', `it ends at byte ${endBytes} of an object of ${objectBytes} bytes`)
  }
  if (storedBytes === undefined || storedBytes === objectBytes) return undefined
  return damaged('size', `${objectBytes} bytes are stored instead of ${storedBytes}`)
}

async function checkContent(
  storage: Storage,
  piece: Piece,
  pass: Secret | undefined,
): Promise<Outcome> {
  const stored = piece.storedChecksum === undefined ? tally() : measure()
  const content = measure()
  const head: Buffer[] = []
  let wantedBytes = headBytes(piece.nature)
  try {
    const bytes = through(storage.get(piece.key, piece.range), stored)
    if (piece.blocks !== undefined) await drain(bytes)
    const { blocks } = piece
    const source =
      blocks === undefined
        ? through(bytes, ...decoders(piece, pass))
        : readStored(storage, blocks.set, blocks.file)
    for await (const chunk of through(source, content)) {
      if (wantedBytes > 0) head.push(Buffer.from(chunk.subarray(0, wantedBytes)))
      wantedBytes -= chunk.length
    }
  } catch (error) {
    return await failedReading(storage, piece, error)
  }
  const problem =
    storedProblem(piece, stored) ?? contentProblem(piece, content, Buffer.concat(head))
  if (problem !== undefined) return problem
  const segmentSizeBytes = piece.nature.kind === 'segment' ? content.sizeBytes : undefined
  return { state: 'valid', segmentSizeBytes }
}

async function drain(source: ByteSource): Promise<void> {
  for await (const chunk of source) void chunk
}

/** Counts without hashing: for stored bytes whose checksum nobody knows. */
function tally(): Measure {
  let sizeBytes = 0
  return {
    get sizeBytes() {
      return sizeBytes
    },
    sha1: () => '',
    update: (chunk) => {
      sizeBytes += chunk.length
      return [chunk]
    },
    end: () => [],
    close: () => undefined,
  }
}

function decoders({ container, compressType }: Piece, pass: Secret | undefined): readonly Filter[] {
  const filters: Filter[] = []
  if (pass !== undefined) filters.push(decryptor(pass, container))
  if (compressType !== 'none') filters.push(decompressor(compressType, container))
  return filters
}

/** What an error while reading tells; of bytes that are wrong, first whether they are the ones that were written. */
async function failedReading(storage: Storage, piece: Piece, error: unknown): Promise<Outcome> {
  const outcome = outcomeOf(error)
  if (outcome.state !== 'damaged' || outcome.kind !== 'content') return outcome
  const presence = await checkPresence(storage, piece)
  if (presence.state !== 'valid') return presence
  return (await storedProblemAlone(storage, piece)) ?? outcome
}

async function storedProblemAlone(storage: Storage, piece: Piece): Promise<Outcome | undefined> {
  if (piece.storedChecksum === undefined) return undefined
  const stored = measure()
  try {
    await drain(through(storage.get(piece.key, piece.range), stored))
  } catch (error) {
    return outcomeOf(error)
  }
  return storedProblem(piece, stored)
}

function storedProblem(
  { storedBytes, storedChecksum }: Piece,
  stored: Measure,
): Outcome | undefined {
  if (storedChecksum !== undefined) {
    const actual = stored.sha1()
    if (actual !== storedChecksum) {
      return damaged(
        'checksum',
        `stored bytes have checksum ${actual} (${stored.sizeBytes} bytes) instead of ${storedChecksum} (${storedBytes} bytes)`,
      )
    }
  }
  if (storedBytes === undefined || storedBytes === stored.sizeBytes) return undefined
  return damaged('size', `${stored.sizeBytes} bytes are stored instead of ${storedBytes}`)
}

function contentProblem(piece: Piece, content: Measure, head: Buffer): Outcome | undefined {
  const { contentBytes, contentChecksum, nature } = piece
  const actual = content.sha1()
  if (contentChecksum !== undefined && actual !== contentChecksum) {
    const expected = contentBytes === undefined ? '' : ` (${contentBytes} bytes)`
    return damaged(
      'checksum',
      `content has checksum ${actual} (${content.sizeBytes} bytes) instead of ${contentChecksum}${expected}`,
    )
  }
  if (contentBytes !== undefined && content.sizeBytes !== contentBytes) {
    return damaged('size', `content has ${content.sizeBytes} bytes instead of ${contentBytes}`)
  }
  const wrong = unnatural(nature, content.sizeBytes, head)
  return wrong === undefined ? undefined : damaged(wrong.kind, wrong.detail)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isCheckSetup(value: unknown): value is CheckSetup {
  return isRecord(value) && isStorageSpec(value['storage'])
}

function isCheckBatch(value: unknown): value is CheckBatch {
  return isRecord(value) && Array.isArray(value['pieces']) && value['pieces'].every(isPiece)
}

function isPiece(value: unknown): value is Piece {
  return isRecord(value) && typeof value['key'] === 'string' && isRecord(value['nature'])
}

/** For the pool: proves that what a thread answered are the outcomes of a batch. */
export function parseOutcomes(value: unknown): readonly Outcome[] {
  if (Array.isArray(value) && value.every(isOutcome)) return value
  throw new AppError('protocol', 'invalid answer from a verify worker')
}
