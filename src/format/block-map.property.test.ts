import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { decodeBlockMap, encodeBlockMap, type MapBlock, type SuperBlock } from './block-map.ts'

const SIZES = { sizeBytes: 8192, checksumSizeBytes: 6 }

const storedBytes = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 2 ** 31 + 7 }),
)

/** One backup: the file's size in blocks, which of the old ones changed, and how they are stored. */
const change = fc.record({
  blockCount: fc.integer({ min: 1, max: 30 }),
  changed: fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
  superBlockCount: fc.integer({ min: 1, max: 6 }),
  bundleId: fc.integer({ min: 0, max: 3 }),
  offsetBytes: fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: 2 ** 40 })),
  storedBytes: fc.array(storedBytes, { minLength: 30, maxLength: 30 }),
  shortBytes: fc.integer({ min: 0, max: 8191 }),
})

type Change = typeof change extends fc.Arbitrary<infer T> ? T : never

/** The map after one more backup: blocks that changed, or are new, are stored several to a super block. */
function after(before: readonly MapBlock[], reference: number, made: Change): readonly MapBlock[] {
  const blocks = before.slice(0, made.blockCount)
  const fresh = Array.from({ length: made.blockCount }, (_, number) => number).filter(
    (number) => made.changed[number] === true || number >= before.length,
  )
  let { offsetBytes } = made
  for (let at = 0; at < fresh.length; at += made.superBlockCount) {
    const numbers = fresh.slice(at, at + made.superBlockCount)
    const isLast = numbers.at(-1) === made.blockCount - 1
    const superBlock: SuperBlock = {
      reference,
      bundleId: made.bundleId,
      offsetBytes: made.bundleId === 0 && at === 0 ? 0 : offsetBytes,
      storedBytes: made.storedBytes[at] ?? 1,
      sizeBytes: numbers.length * SIZES.sizeBytes - (isLast ? made.shortBytes : 0),
    }
    offsetBytes = superBlock.offsetBytes + superBlock.storedBytes
    for (const [index, number] of numbers.entries()) {
      const checksum = (reference * 1000 + number).toString(16).padStart(12, '0')
      blocks[number] = { superBlock, index, checksum }
    }
  }
  return blocks
}

const chain = fc
  .array(change, { minLength: 1, maxLength: 7 })
  .map((changes) =>
    changes.reduce<readonly MapBlock[]>((blocks, made, index) => after(blocks, index, made), []),
  )

test('the map of any chain of backups is read back as it was written', () => {
  fc.assert(
    fc.property(chain, (blocks) => {
      assert.deepEqual(decodeBlockMap(encodeBlockMap(blocks, SIZES), SIZES), blocks)
    }),
    { numRuns: 500 },
  )
})

test('a damaged map is another map or an error of its format, and ends', () => {
  const damage = fc.tuple(chain, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat())
  fc.assert(
    fc.property(damage, ([blocks, at, mask, cut]) => {
      const bytes = encodeBlockMap(blocks, SIZES)
      bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ mask
      const cutBytes = cut % 3 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes
      try {
        decodeBlockMap(cutBytes, SIZES)
      } catch (error) {
        assert(error instanceof AppError)
        assert.equal(error.kind, 'format')
      }
    }),
  )
})
