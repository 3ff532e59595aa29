import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newFile } from '../../format/manifest.ts'
import { copiedFile, pageRanges } from './plan.ts'

const draft = newFile({
  name: 'pg_data/base/1/1',
  sizeBytes: 16384,
  timestampS: 1,
  user: 'postgres',
  group: 'postgres',
  mode: 0o600,
})
const copied = {
  outcome: 'copied' as const,
  sizeBytes: 16384,
  checksum: 'aa',
  repoSizeBytes: 100,
  repoChecksum: 'bb',
  block: undefined,
  bundle: undefined,
  pages: { bad: [], misaligned: false },
}

test('consecutive bad pages become ranges', () => {
  assert.deepEqual(pageRanges([1, 2, 3, 7, 9, 10]), [[1, 3], 7, [9, 10]])
  assert.deepEqual(pageRanges([]), [])
})

test('a copied file carries what was stored', () => {
  const file = copiedFile(draft, copied)
  assert.deepEqual(file, {
    ...draft,
    checksum: 'aa',
    repoSizeBytes: 100,
    repoChecksum: 'bb',
    checksumPage: true,
  })
})

test('a file that changed size keeps both sizes', () => {
  const file = copiedFile(draft, { ...copied, sizeBytes: 8192 })
  assert.deepEqual([file?.sizeBytes, file?.originalSizeBytes], [8192, 16384])
})

test('bad pages are listed, a misaligned file is marked without a list', () => {
  const bad = copiedFile(draft, { ...copied, pages: { bad: [4, 5], misaligned: false } })
  assert.deepEqual([bad?.checksumPage, bad?.checksumPageErrors], [false, [[4, 5]]])
  const odd = copiedFile(draft, { ...copied, pages: { bad: [4], misaligned: true } })
  assert.deepEqual([odd?.checksumPage, odd?.checksumPageErrors], [false, undefined])
})

test('an empty file has no checksum, an unchecked one no page verdict', () => {
  const empty = copiedFile(
    { ...draft, sizeBytes: 0 },
    { ...copied, sizeBytes: 0, pages: undefined },
  )
  assert.deepEqual([empty?.checksum, empty?.checksumPage], [undefined, undefined])
})
