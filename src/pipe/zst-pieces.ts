/**
 * zst compression of one input on several cores: pieces, each a frame of its own.
 *
 * For WAL segments, which come one at a time while a core is idle. Every released pgBackRest reads frames in a row (seen
 * with 2.45, 2.55 and 2.60); see decisions/010-wal-in-several-frames.md. Not for: cluster files, of which every core has one.
 */
import * as zlib from 'node:zlib'
import { assertThat } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import { compressChunkBytes, driveStream, type StreamFilter } from './native-stream.ts'

/** The window of level 3: what a frame cannot refer to costs about 1 % in size. */
const PIECE_BYTES = 2 * MIB
/** Higher levels gain from a window that is larger than a piece. */
export const PIECES_LEVEL_MAX = 9
/** One piece is read and hashed while others are compressed. More would only cost memory, and fresh memory costs time. */
const LANES = 2

export interface PieceReader {
  /** Fills a buffer from its start; how many bytes it got, fewer than it asked for only at the end of the input. */
  read(into: Buffer): number
  /** Gets each piece in turn, while it and the next one are being compressed. */
  see(piece: Buffer): void
}

/** Resolves to the frames, whose bytes in a row are a zst file. Throws what `reader` throws, and `memory`. */
export async function zstPieces(level: number, reader: PieceReader): Promise<readonly Buffer[]> {
  const idle = idleOf(level)
  const lanes = Array.from({ length: LANES }, () => idle.pop() ?? openLane(level))
  const frames: Promise<readonly Buffer[]>[] = []
  let unseen: Buffer | undefined
  try {
    for (;;) {
      const lane = lanes[frames.length % LANES]
      assertThat(lane !== undefined, 'there are lanes')
      // The lane is done with its buffer, and what failed before is thrown first.
      await frames.at(-LANES)
      const gotBytes = reader.read(lane.buffer)
      if (gotBytes > 0 || frames.length === 0) {
        const frame = compressFrame(lane, gotBytes)
        // Thrown when it is awaited.
        frame.catch(() => undefined)
        frames.push(frame)
      }
      if (unseen !== undefined) reader.see(unseen)
      unseen = lane.buffer.subarray(0, gotBytes)
      if (gotBytes < lane.buffer.length) {
        reader.see(unseen)
        const all = (await Promise.all(frames)).flat()
        idle.push(...lanes.splice(0))
        return all
      }
    }
  } finally {
    await Promise.allSettled(frames)
    for (const { stream } of lanes) stream.close()
  }
}

/** By level: a background process compresses one segment after the other, and fresh memory costs time. */
const idleLanes = new Map<number, Lane[]>()

function idleOf(level: number): Lane[] {
  const idle = idleLanes.get(level) ?? []
  idleLanes.set(level, idle)
  return idle
}

interface Lane {
  readonly buffer: Buffer
  readonly stream: StreamFilter
}

/** Every write ends a frame and has room for it: libzstd then compresses from buffer to buffer. */
function openLane(level: number): Lane {
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: level }
  const chunkSize = compressChunkBytes(PIECE_BYTES)
  const flush = zlib.constants.ZSTD_e_end
  return {
    buffer: Buffer.allocUnsafeSlow(PIECE_BYTES),
    stream: driveStream(zlib.createZstdCompress({ params, chunkSize, flush }), 'zst'),
  }
}

/** Copies: the stream's own pieces are gone when the next one is asked for. */
async function compressFrame({ buffer, stream }: Lane, bytes: number): Promise<readonly Buffer[]> {
  const pieces = stream.update(buffer.subarray(0, bytes))
  return await Array.fromAsync(pieces, (piece) => Buffer.from(piece))
}
