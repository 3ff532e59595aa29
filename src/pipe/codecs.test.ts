import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { blockDigests, findBadPages, lendBuffer, openRowDigester, xxh128 } from './codecs.ts'

function counting(sizeBytes: number): Buffer {
  return Buffer.from(Array.from({ length: sizeBytes }, (_, index) => index & 255))
}

test('xxh128 gives the digests of the reference implementation', () => {
  assert.equal(xxh128(Buffer.alloc(0)).toString('hex'), '99aa06d3014798d86001c324468d497f')
  assert.equal(xxh128(Buffer.alloc(1)).toString('hex'), 'a6cd5e9392000f6ac44bdff4074eecdb')
  assert.equal(xxh128(Buffer.from('abc')).toString('hex'), '06b05ab6733a618578af5f94892f3950')
  assert.equal(xxh128(counting(17)).toString('hex'), '685bc458b37d057fc06e233df7729217')
  assert.equal(xxh128(counting(200)).toString('hex'), 'cb0395310643ba0edd97e9af3609d9f5')
  assert.equal(xxh128(counting(300)).toString('hex'), 'a699035354fc0bebd44052f5a3485425')
  assert.equal(xxh128(Buffer.alloc(8192)).toString('hex'), '6c8a36bd5451c725620797930ab0991a')
  assert.equal(xxh128(counting(90_112)).toString('hex'), '50882335fe27c9c2f04613e7447b3e71')
})

test('the digests of blocks are those of each block, wherever the blocks lie', () => {
  for (const sizeBytes of [8192, 90_112, 262_144, 524_288]) {
    for (const rest of [0, 100]) {
      using lent = lendBuffer(2 * sizeBytes + rest)
      const elsewhere = counting(lent.buffer.length)
      elsewhere.copy(lent.buffer)
      const expected = [0, 1, 2]
        .map((index) => elsewhere.subarray(index * sizeBytes, (index + 1) * sizeBytes))
        .filter(({ length }) => length > 0)
        .map((block) => xxh128(block).toString('hex', 0, 7))
      for (const blocks of [lent.buffer, elsewhere]) {
        assert.deepEqual(blockDigests(blocks, { sizeBytes, checksumSizeBytes: 7 }), expected)
      }
    }
  }
})

test('a buffer is lent to one at a time, and looking at pages in it leaves them as they are', () => {
  const rules = { pageSizeBytes: 8192, firstBlock: 0, headerCheck: 'on' } as const
  const lent = Array.from({ length: 6 }, () => lendBuffer(16_384))
  for (const [index, { buffer }] of lent.entries()) buffer.fill(index + 1)
  for (const [index, { buffer }] of lent.entries()) {
    assert.deepEqual(findBadPages(buffer, rules), [0, 1])
    assert.deepEqual(buffer, Buffer.alloc(16_384, index + 1))
  }
  for (const each of lent) each[Symbol.dispose]()
})

/** The digest as anybody can compute it: the sum of the BLAKE2s-256 of the lines, as little-endian numbers, modulo 2^256. */
function sumOfHashes(lines: readonly Buffer[]): string {
  let sum = 0n
  for (const line of lines) {
    const hash = createHash('blake2s256').update(line).digest().toReversed()
    sum = (sum + BigInt(`0x${Buffer.from(hash).toString('hex')}`)) % 2n ** 256n
  }
  const bytes = Buffer.from(sum.toString(16).padStart(64, '0'), 'hex')
  return Buffer.from(bytes.toReversed()).toString('hex')
}

/** Number of rows by the first byte of their hash. */
function countsByFirstByte(lines: readonly Buffer[]): readonly number[] {
  const counts = Array.from({ length: 256 }, () => 0)
  for (const line of lines) {
    const [first = 0] = createHash('blake2s256').update(line).digest()
    counts[first] = (counts[first] ?? 0) + 1
  }
  return counts
}

function digestOf(lines: readonly Buffer[], chunkBytes: number): ReturnType<typeof readDigest> {
  using digester = openRowDigester()
  const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]))
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    digester.update(bytes.subarray(at, at + chunkBytes))
  }
  return readDigest(digester)
}

function readDigest(digester: ReturnType<typeof openRowDigester>): {
  readonly rows: bigint
  readonly digest: string
  readonly counts: readonly number[]
} {
  const { rows, digest, buckets } = digester.result()
  const counts = Array.from({ length: 256 }, (_, index) =>
    Number(buckets.readBigUInt64LE(index * 16)),
  )
  return { rows, digest, counts }
}

test('the digest of rows is the sum of the BLAKE2s-256 of each, however long they are and wherever chunks are cut', () => {
  // Around the sizes at which the padding needs one block more, and beyond the module's input buffer.
  const edges = [0, 1, 54, 55, 56, 63, 64, 65, 118, 119, 120, 127, 128, 300_000]
  const line = fc
    .oneof(fc.integer({ min: 0, max: 400 }), fc.constantFrom(...edges))
    .map((sizeBytes) => counting(sizeBytes).map((byte) => (byte === 10 ? 11 : byte)))
  fc.assert(
    fc.property(
      fc.array(
        line.map((bytes) => Buffer.from(bytes)),
        { maxLength: 20 },
      ),
      fc.constantFrom(7, 64, 1000, 65_536, 1_000_000),
      (lines, chunkBytes) => {
        const found = digestOf(lines, chunkBytes)
        assert.equal(found.rows, BigInt(lines.length))
        assert.equal(found.digest, sumOfHashes(lines))
        assert.deepEqual(found.counts, countsByFirstByte(lines))
      },
    ),
    { numRuns: 60 },
  )
})

test('rows that come at the same time from several tables do not mix, and half a row is an error', () => {
  const [one, other] = [Buffer.from('one'), Buffer.from('other')]
  using first = openRowDigester()
  using second = openRowDigester()
  first.update(one)
  second.update(other)
  assert.throws(() => first.result(), { kind: 'protocol' })
  first.update(Buffer.from('\n'))
  second.update(Buffer.from('\n'))

  assert.equal(first.result().digest, sumOfHashes([one]))
  assert.equal(second.result().digest, sumOfHashes([other]))
})
