import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WRITER_VERSION } from '../../format/format.ts'
import { type Manifest, type ManifestFile, newFile } from '../../format/manifest.ts'
import { keptFile, type Resuming, storedBefore, whyUnfit } from './resume.ts'

const FULL = '20260501-000000F'

const listed = newFile({
  name: 'pg_data/base/1/1',
  sizeBytes: 16384,
  timestampS: 1000,
  user: 'postgres',
  group: 'postgres',
  mode: 0o600,
})
const stored: ManifestFile = {
  ...listed,
  checksum: 'aa',
  repoSizeBytes: 100,
  repoChecksum: 'bb',
  checksumPage: true,
}

const OURS = { writerVersion: WRITER_VERSION, copyStartS: 2000, startS: 1900 }
const LEFT = {
  leftover: { ...OURS, options: { backupStandby: false } },
  delta: false,
}

test('a file with the size and time it was stored with is gone on with', () => {
  assert.equal(storedBefore(listed, stored, LEFT), stored)
  assert.deepEqual(keptFile({ ...listed, mode: 0o640 }, stored), { ...stored, mode: 0o640 })
})

test('a file that changed since, was not stored, or may have changed while it was read is not', () => {
  const unfit: readonly Partial<ManifestFile>[] = [
    { sizeBytes: 8192 },
    { timestampS: 999 },
    { checksum: undefined },
    { reference: FULL },
    { originalSizeBytes: 8192 },
  ]
  for (const change of unfit) {
    assert.equal(storedBefore(listed, { ...stored, ...change }, LEFT), undefined)
  }
  assert.equal(storedBefore(listed, undefined, LEFT), undefined)
  assert.equal(storedBefore(listed, stored, { ...LEFT, leftover: undefined }), undefined)
  const late = { timestampS: 2000 }
  assert.equal(storedBefore({ ...listed, ...late }, { ...stored, ...late }, LEFT), undefined)
  const standby = { ...LEFT.leftover, options: { backupStandby: true } }
  const early = { timestampS: 1900 }
  const both = [
    { ...listed, ...early },
    { ...stored, ...early },
  ] as const
  assert.equal(storedBefore(...both, LEFT), both[1])
  assert.equal(storedBefore(...both, { ...LEFT, leftover: standby }), undefined)
  const theirs = { ...LEFT.leftover, writerVersion: '2.60.0' }
  assert.equal(storedBefore(...both, { ...LEFT, leftover: theirs }), undefined)
  const empty = { sizeBytes: 0 }
  assert.equal(storedBefore({ ...listed, ...empty }, { ...stored, ...empty }, LEFT), undefined)
})

test('where times are not trusted any time will do, for the content is compared', () => {
  assert.equal(
    storedBefore(listed, { ...stored, timestampS: 5 }, { ...LEFT, delta: true })?.timestampS,
    5,
  )
})

const OPTIONS: Manifest['options'] = {
  archiveCheck: true,
  archiveCopy: false,
  backupStandby: false,
  bufferSizeBytes: undefined,
  checksumPage: true,
  compressType: 'gz',
  compressLevel: 6,
  compressLevelNetwork: undefined,
  delta: false,
  hardlink: false,
  online: true,
  processMax: 1,
}
const RESUMING: Resuming = {
  kind: 'full',
  prior: undefined,
  layout: { bundles: undefined, blocks: undefined },
  options: OPTIONS,
  historyId: 1,
}
const BUNDLES = { limitBytes: 1, sizeBytes: 1 }
const DRAFT = {
  kind: 'full',
  prior: undefined,
  bundle: false,
  bundleRaw: false,
  blockIncr: false,
  options: OPTIONS,
  db: { historyId: 1 },
} as const

test('a backup goes on only where one of its kind, on the same prior, stored in the same way', () => {
  assert.equal(whyUnfit(DRAFT, RESUMING), undefined)
  assert.equal(whyUnfit({ ...DRAFT, db: { historyId: 0 } }, RESUMING), undefined)
  const incr = { ...RESUMING, kind: 'incr', prior: { label: FULL, bundleRaw: true } } as const
  assert.equal(whyUnfit({ ...DRAFT, kind: 'incr', prior: FULL, bundleRaw: true }, incr), undefined)
  const reasons = [
    whyUnfit(DRAFT, incr),
    whyUnfit({ ...DRAFT, kind: 'incr', prior: '20250501-000000F' }, incr),
    whyUnfit(DRAFT, { ...RESUMING, options: { ...OPTIONS, compressType: 'zst' } }),
    whyUnfit(DRAFT, { ...RESUMING, layout: { bundles: BUNDLES, blocks: undefined } }),
    whyUnfit({ ...DRAFT, bundleRaw: true }, RESUMING),
    whyUnfit({ ...DRAFT, blockIncr: true }, RESUMING),
    whyUnfit(DRAFT, { ...RESUMING, options: { ...OPTIONS, checksumPage: false } }),
    whyUnfit(DRAFT, { ...RESUMING, historyId: 2 }),
  ]
  assert.deepEqual(reasons, [
    "new backup type 'incr' does not match resumable backup type 'full'",
    `new prior backup label '${FULL}' does not match resumable prior backup label '20250501-000000F'`,
    "new compression 'zst' does not match resumable compression 'gz'",
    "new bundle 'true' does not match resumable bundle 'false'",
    "new bundle-raw 'false' does not match resumable bundle-raw 'true'",
    "new block 'false' does not match resumable block 'true'",
    "new checksum-page 'false' does not match resumable checksum-page 'true'",
    "new database history id '2' does not match resumable database history id '1'",
  ])
})
