import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isErrorKind } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import { type Container, compressor, decompressor } from './compress.ts'
import { COMPRESS_LEVELS, COMPRESS_TYPES, type CompressType } from './compress-type.ts'
import { collect, type Filter, through } from './pipe.ts'

/** Runs of few different bytes, of the lengths that codecs treat differently, and noise. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 5 }), fc.nat(20_000))
        .map(([bytes, times]) => new Uint8Array(Buffer.alloc(times, bytes))),
    ),
    { maxLength: 5 },
  )
  .map((parts) => Buffer.concat(parts))

const chunkings = fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 4 })
const containers = fc.constantFrom<Container>('normal', 'raw')

/** Levels that cost little: the dear ones have a test of their own. */
const codec = fc.constantFrom<CompressType>(...COMPRESS_TYPES).chain((type) =>
  fc.record({
    type: fc.constant(type),
    level: fc.integer({
      min: COMPRESS_LEVELS[type].min,
      max: Math.min(COMPRESS_LEVELS[type].max, 6),
    }),
    container: containers,
  }),
)

function chunked(bytes: Buffer, sizes: readonly number[]): readonly Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const sizeBytes = sizes[chunks.length % sizes.length] ?? 1
    chunks.push(bytes.subarray(at, at + sizeBytes))
    at += sizeBytes
  }
  return chunks
}

async function filtered(filter: Filter, chunks: readonly Buffer[]): Promise<Buffer> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks
  }
  return await collect(through(source(), filter), 64 * MIB)
}

test('what was compressed comes back, whatever the content, level, container and chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      codec,
      content,
      chunkings,
      chunkings,
      async (how, bytes, inSizes, outSizes) => {
        const { type, level, container } = how
        const frame = await filtered(compressor(type, level, container), chunked(bytes, inSizes))
        const back = await filtered(decompressor(type, container), chunked(frame, outSizes))
        assert.ok(back.equals(bytes))
      },
    ),
    { numRuns: 100 },
  )
})

test('a changed byte is a format error or changes nothing, where there is a checksum', async () => {
  const damages = fc.record({ at: fc.nat(), change: fc.integer({ min: 1, max: 255 }) })
  await fc.assert(
    fc.asyncProperty(codec, content, chunkings, damages, async (how, bytes, sizes, damage) => {
      const { type, level, container } = how
      const frame = await filtered(compressor(type, level, container), [bytes])
      const at = damage.at % Math.max(frame.length, 1)
      frame[at] = (frame[at] ?? 0) ^ damage.change
      const hasChecksum =
        type === 'gz' || type === 'bz2' || (type === 'lz4' && container === 'normal')
      try {
        const back = await filtered(decompressor(type, container), chunked(frame, sizes))
        if (hasChecksum) assert.ok(back.equals(bytes))
      } catch (error) {
        assert.ok(isErrorKind(error, 'format'), String(error))
      }
    }),
    { numRuns: 200 },
  )
})

test('random bytes are never decompressed and never crash', async () => {
  const types = fc.constantFrom<CompressType>('gz', 'lz4', 'zst', 'bz2')
  const MAGICS = {
    none: '',
    gz: '1f8b0800000000000003',
    lz4: '04224d184440',
    zst: '28b52ffd',
    bz2: '425a6839314159265359',
  } as const
  await fc.assert(
    fc.asyncProperty(
      types,
      fc.uint8Array({ maxLength: 400 }),
      chunkings,
      async (type, noise, sizes) => {
        const bytes = Buffer.concat([Buffer.from(MAGICS[type], 'hex'), noise])
        try {
          await filtered(decompressor(type, 'normal'), chunked(bytes, sizes))
        } catch (error) {
          assert.ok(isErrorKind(error, 'format'), String(error))
        }
      },
    ),
    { numRuns: 200 },
  )
})
