/** What gz.ts and zst.ts share: when `node:zlib` works at once and when as a stream, and what its errors mean. */
import type { Transform } from 'node:stream'
import type { Zlib } from 'node:zlib'
import { AppError, errnoOf } from '../base/error.ts'
import { KIB, MIB } from '../base/units.ts'
import type { Filter } from './pipe.ts'

/**
 * Input up to this size is compressed, or decompressed, by one synchronous call at the end; more goes through a stream.
 *
 * Measured with Node 24 and 26 on heap pages, MB/s of content, synchronous against stream: 8 KiB files zst 166 / 40,
 * gz 75 / 33, back 290 / 54; 4 MiB files zst 270 / 209, gz 75 / 71. A stream costs 100 to 200 µs to set up. The
 * synchronous calls need all input at once (several frames per file would do, but pgBackRest 2.60 stops reading gz
 * after the first member and asserts that zst has one frame), so big files are streams; those run in libuv's pool.
 */
export const HELD_COMPRESS_BYTES_MAX = 4 * MIB
export const HELD_DECOMPRESS_BYTES_MAX = 1 * MIB
/** A megabyte may hold gigabytes of zeros: what is longer than this goes through the stream after all. */
export const ONE_SHOT_OUTPUT_BYTES_MAX = 16 * MIB
/**
 * Bytes of a stream's output buffer. Node makes a new one for each, and fresh memory costs the kernel more than filling it:
 * 225 MB of pages decompress in 0.5 s with 256 KiB, 1.0 s with 1 MiB, 0.7 s with 64 KiB (Node 24, two cores).
 */
export const STREAM_CHUNK_BYTES = 256 * KIB
/** How far a stream may run ahead of the taker, in libuv's pool, while it hashes and writes a chunk. */
const AHEAD_BYTES = 1 * MIB

/** Headers, and what small incompressible input grows by. */
const OVERHEAD_BYTES = 1 * KIB

/**
 * First buffer of a compression that gets all input at once. No smaller than zstd's own bound (a 256th more): libzstd 1.5.7
 * then compresses from buffer to buffer, else by way of two copies in fresh memory.
 */
export function compressChunkBytes(inputBytes: number): number {
  return inputBytes + Math.ceil(inputBytes / 256) + OVERHEAD_BYTES
}

/** More than is expected: a buffer that is filled to its end makes Node get another one. */
const ROOM_BYTES = 64

/** Buffers of a synchronous decompression: one, when it is known how large; else small for small files, few for big ones. */
export function decompressChunkBytes(inputBytes: number, sizeBytes: number | undefined): number {
  if (sizeBytes !== undefined) return Math.min(sizeBytes, ONE_SHOT_OUTPUT_BYTES_MAX) + ROOM_BYTES
  return Math.min(4 * inputBytes + OVERHEAD_BYTES, STREAM_CHUNK_BYTES)
}

export interface HeldStart {
  readonly heldBytesMax: number
  /** Gets all input at the end, when it is no more than `heldBytesMax`. Undefined: `open` shall do it. */
  readonly whole: (bytes: Buffer) => readonly Buffer[] | undefined
  readonly open: () => Filter
}

/** A filter that holds copies of its input while it is small, and hands everything to another one when it is not. */
export function startHeld({ heldBytesMax, whole, open }: HeldStart): Filter {
  let held: Buffer[] = []
  let heldBytes = 0
  let opened: Filter | undefined
  async function* handOver(last: Buffer | 'end'): AsyncGenerator<Buffer, void, undefined> {
    opened = open()
    for (const chunk of held) yield* await opened.update(chunk)
    held = []
    yield* await (last === 'end' ? opened.end() : opened.update(last))
  }
  return {
    update: (chunk) => {
      if (opened !== undefined) return opened.update(chunk)
      heldBytes += chunk.length
      if (heldBytes > heldBytesMax) return handOver(chunk)
      held.push(Buffer.from(chunk))
      return []
    },
    end: () => {
      if (opened !== undefined) return opened.end()
      const [first] = held
      const bytes = first !== undefined && held.length === 1 ? first : Buffer.concat(held)
      return whole(bytes) ?? handOver('end')
    },
    close: () => {
      held = []
      opened?.close()
    },
  }
}

export interface StreamFilter {
  update(chunk: Buffer): AsyncIterable<Buffer>
  end(): AsyncIterable<Buffer>
  close(): void
  /** Bytes given so far that the stream did not take, because they come after the end of what it reads. */
  leftBytes(): number
}

/** Runs a zlib stream chunk by chunk, no faster than its output is taken. `name` is for messages. */
export function driveStream(stream: Transform & Zlib, name: string): StreamFilter {
  let givenBytes = 0
  let failure: Error | undefined
  let wake: (() => void) | undefined
  const fail = (error: Error): void => {
    failure = error
    wake?.()
  }
  const pieces: Buffer[] = []
  let aheadBytes = 0
  stream.on('error', fail)
  // Not `read()`, which would copy what is there into one new buffer.
  stream.on('data', (piece: Buffer) => {
    pieces.push(piece)
    aheadBytes += piece.length
    if (aheadBytes >= AHEAD_BYTES) stream.pause()
    wake?.()
  })

  async function* outputOf(
    start: (done: (error?: Error | null) => void) => void,
  ): AsyncGenerator<Buffer, void, undefined> {
    const call = { isDone: false }
    start((error) => {
      call.isDone = true
      if (error instanceof Error) fail(error)
      else wake?.()
    })
    for (;;) {
      const piece = pieces.shift()
      if (piece !== undefined) {
        yield piece
        aheadBytes -= piece.length
        if (isFull(piece)) release(piece)
        continue
      }
      if (failure !== undefined) throw nativeError(name, failure)
      if (call.isDone && stream.readableLength === 0) return
      stream.resume()
      const { promise, resolve } = Promise.withResolvers<undefined>()
      wake = () => {
        resolve(undefined)
      }
      await promise
    }
  }
  return {
    // The write is done before `end` is called: with writes queued it would add an empty zst frame (Node 24).
    update: (chunk) => {
      givenBytes += chunk.length
      return outputOf((done) => stream.write(chunk, done))
    },
    end: () =>
      outputOf((done) => {
        stream.once('end', done)
        stream.end()
      }),
    close: () => {
      stream.destroy()
    },
    leftBytes: () => givenBytes - stream.bytesWritten,
  }
}

/** Whether the stream has no more use for the memory that `piece` lies in: it fills one buffer after the other. */
function isFull(piece: Buffer): boolean {
  return piece.byteOffset + piece.length === piece.buffer.byteLength
}

/**
 * Frees the memory of `piece` now. Left to the garbage collector, a gigabyte in pieces costs fresh pages from the kernel
 * for each and a collection every 32 MiB: half the time of its decompression.
 */
function release(piece: Buffer): void {
  const { buffer } = piece
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}

export function corrupt(name: string, what: string, cause?: unknown): AppError {
  return new AppError('format', `${name} data is corrupt: ${what}`, { cause })
}

/** The AppError for an error of `node:zlib`; other errors as they are. */
export function nativeError(name: string, error: Error): Error {
  const code = errnoOf(error) ?? ''
  if (/^(?:Z_MEM_ERROR|ZSTD_error_memory_allocation|ERR_ZLIB_INITIALIZATION_FAILED)$/.test(code)) {
    return new AppError('memory', `out of memory for ${name} data`, { cause: error })
  }
  return /^(?:Z_|ZSTD_)/.test(code) ? corrupt(name, error.message.toLowerCase(), error) : error
}

/** The result of a synchronous decompression, or undefined when it would be more than ONE_SHOT_OUTPUT_BYTES_MAX. */
export function decompressAtOnce<Result>(name: string, work: () => Result): Result | undefined {
  try {
    return work()
  } catch (error) {
    if (errnoOf(error) === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw error instanceof Error ? nativeError(name, error) : error
  }
}
