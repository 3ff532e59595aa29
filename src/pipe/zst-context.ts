/**
 * A libzstd context that is used again and again, into a buffer that is used again and again, here and now.
 *
 * `node:zlib` makes a context for each call or stream, and a buffer for each piece of output; its streams go through libuv's
 * pool. Here the native handle below such a stream is called as `node:zlib` itself calls it: see
 * decisions/016-zstd-by-its-handle.md. Not for: frames and their strictness (zst.ts).
 */
import * as zlib from 'node:zlib'
import { AppError } from '../base/error.ts'
import { nativeError } from './native-stream.ts'

/** What `node:zlib` has below a stream of Node 24 and 26. */
interface Handle {
  writeSync(
    flush: number,
    input: Buffer,
    inputAt: number,
    inputBytes: number,
    output: Buffer,
    outputAt: number,
    outputBytes: number,
  ): void
}

interface Native {
  readonly handle: Handle
  /** What `writeSync` leaves: room in the output, and input that it did not take. */
  readonly left: Uint32Array
}

export interface Step {
  readonly takenBytes: number
  readonly madeBytes: number
}

export interface ZstContext {
  /**
   * Takes from `input` and fills `output`, each as far as the other allows. `end` (compression) ends the frame: it has ended
   * when all input was taken and there is room left. The next input begins a new frame. After an error, which is `format` or
   * `memory`, the context is closed.
   */
  step(input: Buffer, output: Buffer, mode: 'continue' | 'end'): Step
  close(): void
}

export function zstCompressContext(level: number): ZstContext {
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: level }
  return contextOf(zlib.createZstdCompress({ params, chunkSize: CHUNK_BYTES_MIN }))
}

export function zstDecompressContext(): ZstContext {
  return contextOf(zlib.createZstdDecompress({ chunkSize: CHUNK_BYTES_MIN }))
}

/** The stream's own buffer, which is not used. */
const CHUNK_BYTES_MIN = 64

function contextOf(stream: zlib.ZstdCompress | zlib.ZstdDecompress): ZstContext {
  const { handle, left } = nativeOf(stream)
  // It is thrown where it happens.
  stream.on('error', () => undefined)
  return {
    step: (input, output, mode) => {
      const flush = mode === 'end' ? zlib.constants.ZSTD_e_end : zlib.constants.ZSTD_e_continue
      handle.writeSync(flush, input, 0, input.length, output, 0, output.length)
      if (stream.errored !== null) throw nativeError('zst', stream.errored)
      const [roomBytes = 0, leftBytes = 0] = left
      return { takenBytes: input.length - leftBytes, madeBytes: output.length - roomBytes }
    },
    close: () => {
      stream.destroy()
    },
  }
}

function nativeOf(stream: zlib.ZstdCompress | zlib.ZstdDecompress): Native {
  if ('_handle' in stream && '_writeState' in stream) {
    const { _handle: handle, _writeState: left } = stream
    if (isHandle(handle) && left instanceof Uint32Array) return { handle, left }
  }
  throw new AppError('assert', `Node ${process.versions.node} has another 'node:zlib' inside`, {
    hint: 'use Node 24 or 26.',
  })
}

function isHandle(value: unknown): value is Handle {
  return (
    typeof value === 'object' &&
    value !== null &&
    'writeSync' in value &&
    typeof value.writeSync === 'function'
  )
}
