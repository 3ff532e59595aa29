import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { test } from 'node:test'
import { MIB } from '../base/units.ts'
import { collect, single, through } from './pipe.ts'
import { zstDecompressor } from './zst.ts'
import { zstFrame } from './zst-frame.ts'
import { type PieceReader, zstPieces } from './zst-pieces.ts'

const PIECE_BYTES = 2 * MIB

/** Repeats itself, but not within a few bytes. */
function contentOf(sizeBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes)
  for (let at = 0; at < sizeBytes; at += 1) content[at] = (at * at) >>> 7
  return content
}

function readerOf(content: Buffer): PieceReader {
  let at = 0
  return {
    read: (into) => {
      const gotBytes = content.copy(into, 0, at)
      at += gotBytes
      return gotBytes
    },
    see: () => undefined,
  }
}

function frameCount(packed: Buffer): number {
  let count = 0
  for (let rest = packed; rest.length > 0; count += 1) {
    const frame = zstFrame()
    rest = rest.subarray(frame.take(rest))
    assert(frame.isComplete())
  }
  return count
}

for (const [sizeBytes, frames] of [
  [0, 1],
  [1, 1],
  [PIECE_BYTES - 1, 1],
  [PIECE_BYTES, 1],
  [PIECE_BYTES + 1, 2],
  [16 * MIB, 8],
] as const) {
  test(`${sizeBytes} bytes become ${frames} frame(s), which hold them`, async () => {
    const content = contentOf(sizeBytes)
    const packed = Buffer.concat(await zstPieces(3, readerOf(content)))
    assert.equal(frameCount(packed), frames)
    const read = await collect(through(single(packed), zstDecompressor()), sizeBytes)
    assert(read.equals(content))
  })
}

test('bytes that do not compress come back too', async () => {
  const content = randomFillSync(Buffer.alloc(5 * MIB))
  const packed = Buffer.concat(await zstPieces(1, readerOf(content)))
  const read = await collect(through(single(packed), zstDecompressor()), content.length)
  assert(read.equals(content))
})

test('frames are still there when later ones have filled their buffers', async () => {
  const content = randomFillSync(Buffer.alloc(16 * MIB))
  // Half of each page is zeros: several frames fit into one buffer of the stream, then one does not.
  for (let at = 0; at < content.length; at += 8192) content.fill(0, at, at + 4096)
  const packed = Buffer.concat(await zstPieces(3, readerOf(content)))
  assert.equal(frameCount(packed), 8)
  const read = await collect(through(single(packed), zstDecompressor()), content.length)
  assert(read.equals(content))
})

test('what the reader throws is thrown, at any piece', async () => {
  for (const failing of [0, 1, 3]) {
    let pieces = 0
    const read = (into: Buffer): number => {
      if (pieces === failing) throw new Error('the disk is gone')
      pieces += 1
      return into.length
    }
    const reader = { read, see: () => undefined }
    await assert.rejects(zstPieces(3, reader), /the disk is gone/)
  }
})

test('every piece is seen once, in order and as it was read', async () => {
  for (const sizeBytes of [0, 1, PIECE_BYTES, 5 * MIB, 6 * MIB]) {
    const content = contentOf(sizeBytes)
    const seen: Buffer[] = []
    const see = (piece: Buffer): void => {
      seen.push(Buffer.from(piece))
    }
    await zstPieces(3, { ...readerOf(content), see })
    assert(Buffer.concat(seen).equals(content))
  }
})
