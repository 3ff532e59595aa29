import assert from 'node:assert/strict'
import { test } from 'node:test'
import { xxh128 } from './codecs.ts'

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
