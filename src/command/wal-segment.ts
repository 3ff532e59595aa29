/** A WAL file on its way into the archive: read, hashed and compressed, each at most once. */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { AppError, assertThat, errnoOf } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import { compressor } from '../pipe/compress.ts'
import type { CompressType } from '../pipe/compress-type.ts'
import { ahead, type ByteSource, collect, type Filter, measure, through } from '../pipe/pipe.ts'
import { PIECES_LEVEL_MAX, zstPieces } from '../pipe/zst-pieces.ts'
import { WAL_HEADER_BYTES } from '../postgres/wal-header.ts'

/** Segments up to this size are read once and held; larger ones are read twice. The largest PostgreSQL allows is 1 GiB. */
const HELD_BYTES_MAX = 64 * MIB

/** `name` as the archive knows it, `path` where it is read. */
export interface WalFile {
  readonly name: string
  readonly path: string
}

export interface WalSegment {
  /** The bytes of its long header. */
  readonly header: Buffer
  /** Lower-case hex SHA-1 of the content. */
  sha1(): Promise<string>
  /** The content, compressed. Once per repository. */
  packed(): ByteSource
}

export interface Packing {
  readonly type: CompressType
  readonly level: number
}

/** Reads a segment. A held one is hashed and compressed at once, in one pass: that takes longest, and waits for nothing. */
export async function readSegment(file: WalFile, packing: Packing): Promise<WalSegment> {
  using wal = openWal(file)
  if (wal.sizeBytes > HELD_BYTES_MAX) return await largeSegment(file, packing)
  const header = Buffer.alloc(WAL_HEADER_BYTES)
  readSync(wal.fd, header, 0, header.length, 0)
  const held = hold(file, packing)
  // Whoever needs the result sees the error; when nobody does, another one has been thrown.
  held.catch(() => undefined)
  return {
    header,
    sha1: async () => (await held).sha1,
    packed: async function* () {
      for (const chunk of (await held).packed) yield chunk
    },
  }
}

interface Held {
  readonly sha1: string
  readonly packed: readonly Buffer[]
}

/** Hashes while native code compresses. */
async function hold(file: WalFile, packing: Packing): Promise<Held> {
  if (packing.type === 'zst' && packing.level <= PIECES_LEVEL_MAX) {
    return await holdPieces(file, packing.level)
  }
  const content = measure()
  const read = ahead(through(readWal(file), content))
  const packed = await collect(through(read, ...filtersOf(packing)), 2 * HELD_BYTES_MAX)
  return { sha1: content.sha1(), packed: [packed] }
}

async function holdPieces(file: WalFile, level: number): Promise<Held> {
  let hash: Hash | undefined
  using wal = openWal(file)
  const packed = await zstPieces(level, {
    read: (into) => {
      let gotBytes = 0
      while (gotBytes < into.length) {
        const bytesRead = readSync(wal.fd, into, gotBytes, into.length - gotBytes, null)
        if (bytesRead === 0) break
        gotBytes += bytesRead
      }
      return gotBytes
    },
    see: (piece) => {
      // Loading what hashes takes a while: not before something is being compressed.
      hash ??= createHash('sha1')
      hash.update(piece)
    },
  })
  assertThat(hash !== undefined, 'every content has a piece')
  return { sha1: hash.digest('hex'), packed }
}

async function largeSegment(file: WalFile, packing: Packing): Promise<WalSegment> {
  const header = Buffer.alloc(WAL_HEADER_BYTES)
  const hash = createHash('sha1')
  let atBytes = 0
  for await (const chunk of readWal(file)) {
    hash.update(chunk)
    if (atBytes < header.length) chunk.copy(header, atBytes)
    atBytes += chunk.length
  }
  const digest = hash.digest('hex')
  return {
    header,
    sha1: async () => await Promise.resolve(digest),
    packed: () => through(unchanged(readWal(file), digest, file), ...filtersOf(packing)),
  }
}

function filtersOf({ type, level }: Packing): readonly Filter[] {
  return type === 'none' ? [] : [compressor(type, level, 'normal')]
}

/** Passes a second reading on, and fails before its end is stored when it differs from the first. */
async function* unchanged(source: ByteSource, sha1: string, file: WalFile): ByteSource {
  const hash = createHash('sha1')
  for await (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
  if (hash.digest('hex') !== sha1) {
    throw new AppError('file-read', `WAL file '${file.path}' changed while it was read`)
  }
}

/** The bytes of any WAL file, in two buffers in turn. */
export async function* readWal(file: WalFile): ByteSource {
  using wal = openWal(file)
  // Small buffers, filled without a round trip through libuv's pool: fresh memory for 16 MiB costs more than reading it.
  let buffer = Buffer.allocUnsafeSlow(MIB)
  let other = Buffer.allocUnsafeSlow(MIB)
  for (;;) {
    const bytesRead = readSync(wal.fd, buffer)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    ;[buffer, other] = [other, buffer]
  }
}

interface OpenWal extends Disposable {
  readonly fd: number
  readonly sizeBytes: number
}

/** `file-missing` or `file-open` when it cannot be opened. At once: libuv's pool takes longer than a local file system. */
export function openWal(file: WalFile): OpenWal {
  try {
    const fd = openSync(file.path, 'r')
    return {
      fd,
      sizeBytes: fstatSync(fd).size,
      [Symbol.dispose]: () => {
        closeSync(fd)
      },
    }
  } catch (cause) {
    const errno = errnoOf(cause)
    throw errno === 'ENOENT'
      ? new AppError('file-missing', `unable to open missing file '${file.path}' for read`, {
          cause,
        })
      : new AppError(
          'file-open',
          `unable to open file '${file.path}' for read: ${errno ?? String(cause)}`,
          { cause },
        )
  }
}
