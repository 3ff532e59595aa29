import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Manifest, type ManifestFile, newFile } from '../../format/manifest.ts'
import { referredFile, treatmentOf, whyDelta } from './compare.ts'

const PRIOR = '20260501-000000F'

/** As the listing has it. */
const listed = newFile({
  name: 'pg_data/base/1/1',
  sizeBytes: 16384,
  timestampS: 1000,
  user: 'postgres',
  group: 'postgres',
  mode: 0o600,
})
/** As the prior backup has it. */
const before: ManifestFile = {
  ...listed,
  checksum: 'aa',
  checksumPage: false,
  checksumPageErrors: [1],
  repoSizeBytes: 100,
  repoChecksum: 'bb',
}

const TIMES = {
  bundle: false,
  startS: 4900,
  copyStartS: 5000,
  options: { backupStandby: false },
}

const treat = (
  file: Partial<ManifestFile>,
  change: Partial<Parameters<typeof treatmentOf>[1]> = {},
): string => treatmentOf({ ...listed, ...file }, { before, prior: TIMES, delta: false, ...change })

test('equal size and time: the file is what the prior backup has', () => {
  assert.equal(treat({}), 'refer')
})

test('another size, or a new name: the file is copied, with delta too', () => {
  assert.equal(treat({ sizeBytes: 24576 }), 'copy')
  assert.equal(treat({ sizeBytes: 24576 }, { delta: true }), 'copy')
  assert.equal(treat({}, { before: undefined, delta: true }), 'copy')
  assert.equal(treat({}, { prior: undefined }), 'copy')
})

test('equal size and another time: the content decides', () => {
  assert.equal(treat({ timestampS: 1001 }), 'compare')
})

test('an equal time is no proof when the file was copied in that second, or from a standby after the start', () => {
  const at = (timestampS: number, prior: typeof TIMES): string =>
    treat({ timestampS }, { before: { ...before, timestampS }, prior })
  const standby = { ...TIMES, options: { backupStandby: true } }
  assert.deepEqual([at(4999, TIMES), at(5000, TIMES)], ['refer', 'compare'])
  assert.deepEqual([at(4898, standby), at(4900, standby)], ['refer', 'compare'])
})

test('with delta the time is not looked at, and the content decides before anything is copied', () => {
  assert.equal(treat({}, { delta: true }), 'hash-first')
  assert.equal(treat({ timestampS: 1001 }, { delta: true }), 'hash-first')
})

test('an empty file is referred to where the prior backup stored it, whatever its time', () => {
  const empty = { ...before, sizeBytes: 0, checksum: undefined, repoSizeBytes: 20 }
  const file = { sizeBytes: 0, timestampS: 2000 }
  assert.equal(treat(file, { before: empty }), 'refer')
  assert.equal(treat(file, { before: empty, delta: true }), 'refer')
  assert.equal(treat(file, { before: empty, prior: { ...TIMES, bundle: true } }), 'copy')
})

test('an unchanged file has its new owner, mode and time, and the old content in the backup that stored it', () => {
  const now = { ...listed, timestampS: 1001, mode: 0o640, user: 'other' }
  const expected = { ...before, timestampS: 1001, mode: 0o640, user: 'other', reference: PRIOR }
  assert.deepEqual(referredFile(now, before, PRIOR), expected)
  const older = '20260101-000000F'
  assert.equal(referredFile(now, { ...before, reference: older }, PRIOR).reference, older)
})

const OPTIONS: Manifest['options'] = {
  archiveCheck: true,
  archiveCopy: false,
  backupStandby: false,
  bufferSizeBytes: undefined,
  checksumPage: true,
  compressType: 'none',
  compressLevel: 0,
  compressLevelNetwork: undefined,
  delta: false,
  hardlink: false,
  online: true,
  processMax: 1,
}

const PRIOR_FACTS = {
  label: PRIOR,
  archiveStop: '000000010000000000000003',
  options: OPTIONS,
  files: [before],
}

function doubt(
  file: Partial<ManifestFile>,
  change: { readonly archiveStart?: string | undefined; readonly online?: boolean } = {},
  prior: Parameters<typeof whyDelta>[1] = PRIOR_FACTS,
): string | undefined {
  return whyDelta(
    {
      archiveStart: '000000010000000000000009',
      copyStartS: 5000,
      options: { ...OPTIONS, online: change.online ?? true },
      files: [{ ...listed, ...file }],
      ...('archiveStart' in change ? { archiveStart: change.archiveStart } : {}),
    },
    prior,
    new Map((prior?.files ?? []).map((one) => [one.name, one])),
  )
}

test('time stamps that only grow are trusted', () => {
  assert.equal(doubt({}), undefined)
  assert.equal(doubt({ timestampS: 4999, sizeBytes: 8192 }), undefined)
})

test('a file from the future makes a full backup doubt too', () => {
  const why = "file 'base/1/1' has timestamp (5000) in the future (relative to copy start 5000)"
  assert.equal(doubt({ timestampS: 5000 }), why)
  assert.equal(doubt({ timestampS: 5000 }, {}, undefined), why)
})

test('a time that went back is not trusted', () => {
  assert.equal(
    doubt({ timestampS: 999 }),
    "file 'base/1/1' has timestamp earlier than prior backup (prior 1000, current 999)",
  )
})

test('another size at the same time is not trusted, unless the file had it when it was listed', () => {
  assert.equal(
    doubt({ sizeBytes: 8192 }),
    "file 'base/1/1' has same timestamp (1000) as prior but different size (prior 16384, current 8192)",
  )
  const grown = { ...before, originalSizeBytes: 8192 }
  assert.equal(doubt({ sizeBytes: 8192 }, {}, { ...PRIOR_FACTS, files: [grown] }), undefined)
})

test('after a switch of the timeline nothing is trusted', () => {
  assert.equal(
    doubt({}, { archiveStart: '000000020000000000000009' }),
    `a timeline switch has occurred since the ${PRIOR} backup`,
  )
})

test('a stopped cluster after a running one is not trusted', () => {
  assert.equal(
    doubt({}, { archiveStart: undefined, online: false }),
    `the online option has changed since the ${PRIOR} backup`,
  )
})
