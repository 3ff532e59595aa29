/**
 * Compression as stages of a copy, in the containers pgBackRest 2.60 writes and reads.
 *
 * Decompression is strict: input that is empty, cut short, followed by anything that is not another frame of the same
 * type, or not of that type at all, is `format`. Not for: choosing a type, or telling it from a name (compress-type.ts).
 */
import { AppError } from '../base/error.ts'
import { type Codec, type CodecKind, openCodec } from './codecs.ts'
import type { CompressType } from './compress-type.ts'
import {
  gzCompressNow,
  gzCompressor,
  gzDecompressNow,
  gzDecompressor,
  type GzFormat,
} from './gz.ts'
import type { Filter, SyncFilter } from './pipe.ts'
import { zstCompressNow, zstCompressor, zstDecompressNow, zstDecompressor } from './zst.ts'

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
      return gzCompressor(formatOf(container), level)
    case 'zst':
      return zstCompressor(level)
    case 'lz4':
    case 'bz2':
      return codecCompressor(codecOf(type, container), level)
  }
}

/** Reads any level, and everything concatenated from what `compressor` writes (not gz in the raw container). */
export function decompressor(type: CompressType, container: Container): Filter {
  switch (type) {
    case 'none':
      return passThrough()
    case 'gz':
      return gzDecompressor(formatOf(container))
    case 'zst':
      return zstDecompressor()
    case 'lz4':
    case 'bz2':
      return codecDecompressor(type)
  }
}

/** All of `content` as `compressor` would give it, a new buffer, without waiting: for content that is at hand. */
export function compressNow(
  content: Buffer,
  type: CompressType,
  level: number,
  container: Container,
): Buffer {
  switch (type) {
    case 'none':
      return Buffer.from(content)
    case 'gz':
      return gzCompressNow(content, level, formatOf(container))
    case 'zst':
      return zstCompressNow(content, level)
    case 'lz4':
    case 'bz2': {
      const filter = codecCompressor(codecOf(type, container), level)
      try {
        return Buffer.concat([...filter.update(content), ...filter.end()])
      } finally {
        filter.close()
      }
    }
  }
}

/**
 * All of `bytes` decompressed without waiting: for what is known to have `sizeBytes` then, and fits in memory. What has fewer
 * is given all the same, and perhaps what has more; else that is undefined.
 */
export function decompressNow(
  bytes: Buffer,
  { type, container }: { readonly type: CompressType; readonly container: Container },
  sizeBytes: number,
): Buffer | undefined {
  switch (type) {
    case 'none':
      return bytes
    case 'gz':
      return joined(gzDecompressNow(bytes, formatOf(container), sizeBytes))
    case 'zst':
      return zstDecompressNow(bytes, sizeBytes)
    case 'lz4':
    case 'bz2': {
      const filter = codecDecompressor(type)
      try {
        return Buffer.concat([...filter.update(bytes), ...filter.end()])
      } finally {
        filter.close()
      }
    }
  }
}

function joined(pieces: readonly Buffer[] | undefined): Buffer | undefined {
  const [first] = pieces ?? []
  return first !== undefined && pieces?.length === 1 ? first : pieces && Buffer.concat(pieces)
}

function codecOf(type: 'lz4' | 'bz2', container: Container): CodecKind {
  if (type === 'bz2') return 'bz2-compress'
  return container === 'raw' ? 'lz4-compress-raw' : 'lz4-compress'
}

function formatOf(container: Container): GzFormat {
  return container === 'raw' ? 'zlib' : 'gzip'
}

function passThrough(): Filter {
  return { update: (chunk) => [chunk], end: () => [], close: () => undefined }
}

function codecCompressor(kind: CodecKind, level: number): SyncFilter {
  const codec = openCodec(kind, level)
  return {
    update: (chunk) => codec.run(chunk),
    end: () => codec.finish(),
    close: () => {
      codec.close()
    },
  }
}

function codecDecompressor(type: 'lz4' | 'bz2'): SyncFilter {
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
