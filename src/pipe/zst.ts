/** zst by `node:zlib`, as stages of a copy. For compress.ts, which has the contracts. */
import * as zlib from 'node:zlib'
import { MIB } from '../base/units.ts'
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
  type StreamFilter,
  startHeld,
} from './native-stream.ts'
import type { Filter } from './pipe.ts'
import { type ZstFrame, zstFrame } from './zst-frame.ts'

const paramsOf = (level: number): Record<number, number> => ({
  [zlib.constants.ZSTD_c_compressionLevel]: level,
})

/** Streams whose every write is a frame, by level, that have nothing to do: a new one costs a third of such a frame. */
const idle = new Map<number, StreamFilter[]>()
/** How many of a level are kept, each with its context and its buffer. */
const IDLE_MAX = 2
/** Input for which a stream's buffer has room: libzstd then compresses from buffer to buffer. */
const ASIDE_BYTES = 1 * MIB

/** One frame, made in libuv's pool. */
export async function zstCompressAside(content: Buffer, level: number): Promise<Buffer> {
  const spare = idle.get(level) ?? []
  idle.set(level, spare)
  const stream = spare.pop() ?? openFrames(level)
  try {
    const pieces = await Array.fromAsync(stream.update(content), (piece) => Buffer.from(piece))
    if (spare.length < IDLE_MAX) spare.push(stream)
    else stream.close()
    return Buffer.concat(pieces)
  } catch (error) {
    stream.close()
    throw error
  }
}

function openFrames(level: number): StreamFilter {
  const flush = zlib.constants.ZSTD_e_end
  const chunkSize = compressChunkBytes(ASIDE_BYTES)
  return driveStream(zlib.createZstdCompress({ params: paramsOf(level), chunkSize, flush }), 'zst')
}

/** One frame, made here and now. */
export function zstCompressNow(content: Buffer, level: number): Buffer {
  const chunkSize = compressChunkBytes(content.length)
  return zlib.zstdCompressSync(content, { params: paramsOf(level), chunkSize })
}

export function zstCompressor(level: number): Filter {
  const options = { params: paramsOf(level), chunkSize: STREAM_CHUNK_BYTES }
  return startHeld({
    heldBytesMax: HELD_COMPRESS_BYTES_MAX,
    whole: (bytes) => [zstCompressNow(bytes, level)],
    open: () => driveStream(zlib.createZstdCompress(options), 'zst'),
  })
}

/**
 * Gives Node one frame at a time. Left alone, Node 24.21 drops all frames but the first of a chunk, and 26.10 takes
 * garbage after a frame, or the first bytes of another one, for the end.
 */
export function zstDecompressor(): Filter {
  return startHeld({
    heldBytesMax: HELD_DECOMPRESS_BYTES_MAX,
    whole: (bytes) => zstDecompressNow(bytes, undefined),
    open: readStream,
  })
}

/** All of it, as pieces; undefined when it is too much for that. `sizeBytes`: what is expected, if that is known. */
export function zstDecompressNow(
  bytes: Buffer,
  sizeBytes: number | undefined,
): readonly Buffer[] | undefined {
  if (bytes.length === 0) throw corrupt('zst', 'it is empty')
  const output: Buffer[] = []
  let outputBytes = 0
  for (let rest = bytes; rest.length > 0; ) {
    const frame = zstFrame()
    const frameBytes = rest.subarray(0, frame.take(rest))
    if (!frame.isComplete()) throw corrupt('zst', 'it ends too early')
    const content = decompressAtOnce('zst', () =>
      zlib.zstdDecompressSync(frameBytes, {
        chunkSize: decompressChunkBytes(frameBytes.length, sizeBytes),
        maxOutputLength: ONE_SHOT_OUTPUT_BYTES_MAX,
      }),
    )
    outputBytes += content?.length ?? 0
    if (content === undefined || outputBytes > ONE_SHOT_OUTPUT_BYTES_MAX) return undefined
    output.push(content)
    rest = rest.subarray(frameBytes.length)
  }
  return output
}

interface OpenFrame {
  readonly frame: ZstFrame
  readonly stream: StreamFilter
}

function openFrame(): OpenFrame {
  return {
    frame: zstFrame(),
    stream: driveStream(zlib.createZstdDecompress({ chunkSize: STREAM_CHUNK_BYTES }), 'zst'),
  }
}

function readStream(): Filter {
  let current: OpenFrame | undefined
  const close = (): void => {
    current?.stream.close()
    current = undefined
  }
  return {
    async *update(chunk) {
      for (let rest = chunk; rest.length > 0; ) {
        current ??= openFrame()
        const { frame, stream } = current
        const takenBytes = frame.take(rest)
        yield* stream.update(rest.subarray(0, takenBytes))
        rest = rest.subarray(takenBytes)
        if (!frame.isComplete()) continue
        yield* stream.end()
        close()
      }
    },
    end: () => {
      if (current !== undefined) throw corrupt('zst', 'it ends too early')
      return []
    },
    close,
  }
}
