/**
 * Compression as stages of a copy, in the containers pgBackRest 2.60 writes and reads.
 *
 * Decompression is strict: input that is empty, cut short, followed by anything that is not another frame of the same
 * type, or not of that type at all, is `format`. Not for: choosing a type, or telling it from a name (compress-type.ts).
 */
import { AppError } from '../base/error.ts'
import { type Codec, type CodecKind, openCodec } from './codecs.ts'
import type { CompressType } from './compress-type.ts'
import { gzCompressor, gzDecompressor } from './gz.ts'
import type { Filter } from './pipe.ts'
import { zstCompressor, zstDecompressor } from './zst.ts'

/**
 * `raw` leaves out what the manifest knows anyway. It is what bundles and block-incremental files may hold: gz in a
 * zlib container (RFC 1950), lz4 without content checksum, encryption without its magic; the rest is as `normal`.
 */
export type Container = 'normal' | 'raw'

/** `level` must be within COMPRESS_LEVELS of the type. */
export function compressor(type: CompressType, level: number, container: Container): Filter {
  switch (type) {
    case 'none':
      return passThrough()
    case 'gz':
      return gzCompressor(container === 'raw' ? 'zlib' : 'gzip', level)
    case 'zst':
      return zstCompressor(level)
    case 'lz4':
      return codecCompressor(container === 'raw' ? 'lz4-compress-raw' : 'lz4-compress', level)
    case 'bz2':
      return codecCompressor('bz2-compress', level)
  }
}

/** Reads any level, and everything concatenated from what `compressor` writes (not gz in the raw container). */
export function decompressor(type: CompressType, container: Container): Filter {
  switch (type) {
    case 'none':
      return passThrough()
    case 'gz':
      return gzDecompressor(container === 'raw' ? 'zlib' : 'gzip')
    case 'zst':
      return zstDecompressor()
    case 'lz4':
    case 'bz2':
      return codecDecompressor(type)
  }
}

function passThrough(): Filter {
  return { update: (chunk) => [chunk], end: () => [], close: () => undefined }
}

function codecCompressor(kind: CodecKind, level: number): Filter {
  const codec = openCodec(kind, level)
  return {
    update: (chunk) => codec.run(chunk),
    end: () => codec.finish(),
    close: () => {
      codec.close()
    },
  }
}

function codecDecompressor(type: 'lz4' | 'bz2'): Filter {
  /** The frame being read; undefined between frames. */
  let codec: Codec | undefined
  let seen: 'nothing' | 'bytes' = 'nothing'
  const close = (): void => {
    codec?.close()
    codec = undefined
  }
  return {
    *update(chunk) {
      for (let at = 0; at < chunk.length; ) {
        seen = 'bytes'
        codec ??= openCodec(`${type}-decompress`, 0)
        const { status, takenBytes } = yield* codec.run(chunk.subarray(at))
        at += takenBytes
        if (status === 'corrupt') throw new AppError('format', `${type} data is corrupt`)
        if (status === 'ended') close()
      }
    },
    end: () => {
      if (seen === 'nothing') throw new AppError('format', `${type} data is empty`)
      if (codec !== undefined) throw new AppError('format', `${type} data ends too early`)
      return []
    },
    close,
  }
}
