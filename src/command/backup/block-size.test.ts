import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIB, MIB } from '../../base/units.ts'
import { type ManifestBlock, type ManifestFile, newFile } from '../../format/manifest.ts'
import { BLOCK_RULES, DAY_S, newBlockSizes, staysAsBefore } from './block-size.ts'

const START_S = 1_800_000_000

const blocks = (sizeBytes: number, ageDays = 0): readonly [number, number] | undefined => {
  const timestampS = START_S - ageDays * DAY_S
  const sizes = newBlockSizes({ sizeBytes, timestampS }, START_S, BLOCK_RULES)
  return sizes && [sizes.sizeBytes / KIB, sizes.checksumSizeBytes]
}

test('S48: larger files have larger blocks, and these longer checksums', () => {
  assert.equal(blocks(16 * KIB - 1), undefined)
  assert.deepEqual(blocks(16 * KIB), [8, 6])
  assert.deepEqual(blocks(11 * MIB), [16, 6])
  assert.deepEqual(blocks(96 * MIB), [32, 7])
  assert.deepEqual(blocks(1024 * MIB), [88, 7])
})

test('S48: files that have not changed for long have larger blocks, then none', () => {
  assert.deepEqual(blocks(16 * KIB, 7), [16, 6])
  assert.deepEqual(blocks(1024 * MIB, 14), [352, 8])
  assert.equal(blocks(1024 * MIB, 28), undefined)
})

const before = (sizeBytes: number, block: ManifestBlock | undefined): ManifestFile => {
  const owner = { user: 'postgres', group: 'postgres', mode: 0o600 }
  const file = newFile({ name: 'pg_data/base/1/2', sizeBytes, timestampS: START_S, ...owner })
  return { ...file, checksum: 'aa', block }
}

test('a file keeps the blocks it has as long as it has one of them', () => {
  const mapped = { sizeBytes: 16 * KIB, checksumSizeBytes: 6, mapSizeBytes: 40 }
  const file = { sizeBytes: 16 * KIB }

  assert.equal(staysAsBefore(file, before(MIB, mapped)), true)
  assert.equal(staysAsBefore({ sizeBytes: 8 * KIB }, before(MIB, mapped)), false)
  assert.equal(staysAsBefore(file, before(MIB, { ...mapped, mapSizeBytes: 0 })), false)
})

test('a file of unchanged size stays whole', () => {
  assert.equal(staysAsBefore({ sizeBytes: MIB }, before(MIB, undefined)), true)
  assert.equal(staysAsBefore({ sizeBytes: 2 * MIB }, before(MIB, undefined)), false)
  assert.equal(staysAsBefore({ sizeBytes: MIB }, undefined), false)
})
