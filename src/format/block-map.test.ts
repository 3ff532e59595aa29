/** The examples of the format reference: bytes that pgBackRest 2.60 writes and reads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../base/error.ts'
import {
  type BlockSizes,
  decodeBlockMap,
  encodeBlockMap,
  type MapBlock,
  type SuperBlock,
} from './block-map.ts'

const SIZES: BlockSizes = { sizeBytes: 8192, checksumSizeBytes: 6 }

const spaced = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex')

const blocksOf = (superBlock: SuperBlock, first: number, ...numbers: readonly number[]) =>
  numbers.map((number, offset) => ({
    superBlock,
    index: first + offset,
    checksum: `a${String(number).padStart(11, '0')}`,
  }))

const place = { reference: 0, bundleId: 1 }
const firstOld = { ...place, offsetBytes: 500, storedBytes: 9000, sizeBytes: 32_768 }
const secondOld = { ...place, offsetBytes: 9500, storedBytes: 9100, sizeBytes: 32_768 }
const lastOld = { ...place, offsetBytes: 18_600, storedBytes: 3000, sizeBytes: 9192 }
const changed = {
  reference: 1,
  bundleId: 2,
  offsetBytes: 0,
  storedBytes: 4000,
  sizeBytes: 16_384,
}

const assertIs = (blocks: readonly MapBlock[], hex: string, sizes = SIZES): void => {
  assert.equal(encodeBlockMap(blocks, sizes).toString('hex'), spaced(hex).toString('hex'))
  assert.deepEqual(decodeBlockMap(spaced(hex), sizes), blocks)
}

test('S48: the map of a full backup: whole super blocks, the last block of the last one short', () => {
  assertIs(
    [
      ...blocksOf(firstOld, 0, 0, 1, 2, 3),
      ...blocksOf(secondOld, 0, 4, 5, 6, 7),
      ...blocksOf(lastOld, 0, 8, 9),
    ],
    `00 07 01 f403 c2b204 08 a00000000000 a00000000001 a00000000002 a00000000003
     c00c a00000000004 a00000000005 a00000000006 a00000000007
     bbfa05 03 e807 a00000000008 a00000000009`,
  )
})

test('S48: the map of an incremental backup goes on with super blocks where it left them', () => {
  assertIs(
    [
      ...blocksOf(firstOld, 0, 0),
      ...blocksOf(changed, 0, 101),
      ...blocksOf(firstOld, 2, 2, 3),
      ...blocksOf(secondOld, 0, 4),
      ...blocksOf(changed, 1, 105),
      ...blocksOf(secondOld, 2, 6, 7),
      ...blocksOf(lastOld, 0, 8, 9),
    ],
    `00 06 01 f403 c7b204 08 00 a00000000000 0a 02 fff004 04 00 a00000000101
     02 03 01 a00000000002 a00000000003 c50c 00 a00000000004 0e 00 a00000000105
     03 03 01 a00000000006 a00000000007 bbfa05 03 e807 a00000000008 a00000000009`,
  )
})

test('S48: the map of one block in an object of its own', () => {
  const only = { reference: 0, bundleId: 0, offsetBytes: 0, storedBytes: 700, sizeBytes: 8192 }

  assertIs(blocksOf(only, 0, 1), '00 01 e12b a00000000001')
})

test('S48: a map that pgBackRest 2.60 wrote', () => {
  const superBlock = {
    reference: 0,
    bundleId: 2,
    offsetBytes: 26_368,
    storedBytes: 184,
    sizeBytes: 24_576,
  }
  const checksums = ['261a4ed3e12e', 'a50ac4e898c2', '1eaa02271d96']

  assertIs(
    checksums.map((checksum, index) => ({ superBlock, index, checksum })),
    '00 07 02 80ce01 c30b 06 261a4ed3e12e a50ac4e898c2 1eaa02271d96',
  )
})

test('S48: the vectors of pgBackRest: references come and go', () => {
  const sizes = { sizeBytes: 1, checksumSizeBytes: 5 }
  const places = [
    [128, 0, 3],
    [128, 3, 5],
    [0, 1, 5, 1],
    [128, 8, 99],
    [0, 7, 99, 1],
    [4, 0, 8],
  ] as const
  const blocks = places.map(([reference, offsetBytes, storedBytes, bundleId = 0], number) => ({
    superBlock: { reference, bundleId, offsetBytes, storedBytes, sizeBytes: 1 },
    index: 0,
    checksum: `bb0000000${number}`,
  }))

  assertIs(
    blocks,
    `00 8008 18 bb00000000 21 bb00000001 06 01 01 01 bb00000002 8008 e10b bb00000003
     04 01 01 bb00000004 21 a90b bb00000005`,
    sizes,
  )
})

const assertCorrupt = (hex: string, what: RegExp): void => {
  assert.throws(
    () => decodeBlockMap(spaced(hex), SIZES),
    (error) => error instanceof AppError && error.kind === 'format' && what.test(error.message),
  )
}

test('a map that is not one is told from one', () => {
  assertCorrupt('', /ends too early/)
  assertCorrupt('01 01 e12b a00000000001', /version/)
  assertCorrupt('00 01 e12b a000000000', /ends too early/)
  assertCorrupt('00 01 e12b a00000000001 00', /follows its end/)
  assertCorrupt('00 01 e52b 02 a00000000001 a00000000002', /fewer blocks/)
  assertCorrupt('00 01 01 a00000000001', /impossible size/)
  assertCorrupt('00 ffffffffffffffffffff01', /too large/)
})
