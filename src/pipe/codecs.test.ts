import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockDigests, findBadPages, lendBuffer, xxh128 } from './codecs.ts'

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
