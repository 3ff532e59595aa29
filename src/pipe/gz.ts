/** gz by `node:zlib`, as stages of a copy. For compress.ts, which has the contracts. */
import type { Transform } from 'node:stream'
import type { Zlib } from 'node:zlib'
import * as zlib from 'node:zlib'
import { AppError } from '../base/error.ts'
import {
  compressChunkBytes,
  corrupt,
  decompressAtOnce,
  decompressChunkBytes,
  driveStream,
  HELD_COMPRESS_BYTES_MAX,
  HELD_DECOMPRESS_BYTES_MAX,
  ONE_SHOT_OUTPUT_BYTES_MAX,
  STREAM_CHUNK_BYTES,
  startHeld,
} from './native-stream.ts'
import type { Filter } from './pipe.ts'

/** RFC 1952 or RFC 1950. */
export type GzFormat = 'gzip' | 'zlib'

/** As pgBackRest 2.60 calls `deflateInit2`. */
const DEFLATE = { windowBits: 15, memLevel: 9 } as const

/** One member or stream, made here and now. */
export function gzCompressNow(content: Buffer, level: number, format: GzFormat): Buffer {
  const compressSync = format === 'gzip' ? zlib.gzipSync : zlib.deflateSync
  return compressSync(content, { ...DEFLATE, level, chunkSize: compressChunkBytes(content.length) })
}

export function gzCompressor(format: GzFormat, level: number): Filter {
  const openStream = format === 'gzip' ? zlib.createGzip : zlib.createDeflate
  return startHeld({
    heldBytesMax: HELD_COMPRESS_BYTES_MAX,
    whole: (bytes) => [gzCompressNow(bytes, level, format)],
    open: () => driveStream(openStream({ ...DEFLATE, level, chunkSize: STREAM_CHUNK_BYTES }), 'gz'),
  })
}

export function gzDecompressor(format: GzFormat): Filter {
  return startHeld({
    heldBytesMax: HELD_DECOMPRESS_BYTES_MAX,
    whole: (bytes) => gzDecompressNow(bytes, format, undefined),
    open: () => {
      return readStream(
        format === 'gzip'
          ? zlib.createGunzip({ chunkSize: STREAM_CHUNK_BYTES })
          : zlib.createInflate({ chunkSize: STREAM_CHUNK_BYTES }),
      )
    },
  })
}

/** What zlib gives with `info: true`, which the types of Node do not say. */
interface Inflated {
  readonly buffer: Buffer
  /** `bytesWritten`: how many bytes were taken. */
  readonly engine: { readonly bytesWritten: number }
}

const isInflated = (value: unknown): value is Inflated =>
  typeof value === 'object' &&
  value !== null &&
  'buffer' in value &&
  Buffer.isBuffer(value.buffer) &&
  'engine' in value &&
  typeof value.engine === 'object' &&
  value.engine !== null &&
  'bytesWritten' in value.engine &&
  typeof value.engine.bytesWritten === 'number'

/** All of it, as pieces; undefined when it is too much for that. `sizeBytes`: what is expected, if that is known. */
export function gzDecompressNow(
  bytes: Buffer,
  format: GzFormat,
  sizeBytes: number | undefined,
): readonly Buffer[] | undefined {
  const inflate = format === 'gzip' ? zlib.gunzipSync : zlib.inflateSync
  const inflated: unknown = decompressAtOnce('gz', () =>
    inflate(bytes, {
      chunkSize: decompressChunkBytes(bytes.length, sizeBytes),
      maxOutputLength: ONE_SHOT_OUTPUT_BYTES_MAX,
      info: true,
    }),
  )
  if (inflated === undefined) return undefined
  if (!isInflated(inflated)) throw new AppError('assert', 'zlib gave no count of bytes taken')
  checkAllTaken(bytes.length - inflated.engine.bytesWritten)
  return [inflated.buffer]
}

function readStream(native: Transform & Zlib): Filter {
  const stream = driveStream(native, 'gz')
  return {
    async *update(chunk) {
      yield* stream.update(chunk)
      checkAllTaken(stream.leftBytes())
    },
    end: () => stream.end(),
    close: () => {
      stream.close()
    },
  }
}

/** Node goes on to the next member by itself, but stops without a word at zeros, and at anything after zlib's end. */
function checkAllTaken(leftBytes: number): void {
  if (leftBytes > 0) throw corrupt('gz', 'something else follows its end')
}
