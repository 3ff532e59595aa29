import assert from 'node:assert/strict'
import { test } from 'node:test'
import { packRowBuckets, unpackRowBuckets } from './row-buckets.ts'

test('buckets of rows are written without the empty ones, and read as they were', () => {
  const dense = Buffer.alloc(256 * 16)
  for (const [number, count, sum] of [
    [0, 1n, 2n ** 64n - 1n],
    [7, 2n ** 40n, 0n],
    [255, 3n, 9n],
  ] as const) {
    dense.writeBigUInt64LE(count, number * 16)
    dense.writeBigUInt64LE(sum, number * 16 + 8)
  }
  const text = packRowBuckets(dense)

  assert.equal(Buffer.from(text, 'base64').length, 3 * 17)
  assert.deepEqual(
    [...unpackRowBuckets(text)],
    [
      [0, { count: 1n, sum: 2n ** 64n - 1n }],
      [7, { count: 2n ** 40n, sum: 0n }],
      [255, { count: 3n, sum: 9n }],
    ],
  )
  assert.equal(packRowBuckets(Buffer.alloc(256 * 16)), '')
  assert.throws(() => unpackRowBuckets('AAAA'), { kind: 'format' })
})
