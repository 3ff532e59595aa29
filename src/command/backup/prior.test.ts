import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry } from '../../../test/harness/backup-entry.ts'
import type { BackupEntry, BackupInfo } from '../../format/backup-info.ts'
import type { ManifestOptions } from '../../format/manifest.ts'
import { choosePrior, inheritOptions } from './prior.ts'

const FULL = '20260501-000000F'
const LATER = '20260508-000000F'

function entryOf(label: string, historyId = 2): BackupEntry {
  return entry({ label, historyId })
}

function infoOf(...backups: readonly BackupEntry[]): BackupInfo {
  return { format: 5, cipherPass: undefined, currentId: 2, history: [], backups }
}

test('an incremental backup builds on the newest of any kind, a differential one on the newest full', () => {
  const newest = `${LATER}_20260509-000000I`
  const info = infoOf(entryOf(FULL), entryOf(LATER), entryOf(newest))
  assert.equal(choosePrior(info, 'incr')?.label, newest)
  assert.equal(choosePrior(info, 'diff')?.label, LATER)
  assert.equal(choosePrior(info, 'full'), undefined)
})

test('backups of the cluster before an upgrade are not built on', () => {
  const info = infoOf(entryOf(FULL), entryOf(LATER, 1), entryOf(`${LATER}_20260509-000000D`, 1))
  assert.equal(choosePrior(info, 'incr')?.label, FULL)
  assert.equal(choosePrior(info, 'diff')?.label, FULL)
  assert.equal(choosePrior(infoOf(entryOf(FULL, 1)), 'incr'), undefined)
})

const OPTIONS: ManifestOptions = {
  archiveCheck: true,
  archiveCopy: false,
  backupStandby: false,
  bufferSizeBytes: 1048576,
  checksumPage: true,
  compressType: 'gz',
  compressLevel: 6,
  compressLevelNetwork: 1,
  delta: false,
  hardlink: false,
  online: true,
  processMax: 1,
}

test('compression and page checks stay those of the set, and that is said', () => {
  const prior = { label: FULL, options: OPTIONS }
  const asked = { ...OPTIONS, compressType: 'zst', compressLevel: 3, checksumPage: false } as const
  assert.deepEqual(inheritOptions(asked, { kind: 'incr', prior }), {
    options: OPTIONS,
    warnings: [
      `incr backup cannot alter compress-type option to 'zst', reset to value in ${FULL}`,
      `incr backup cannot alter 'checksum-page' option to 'false', reset to 'true' from ${FULL}`,
    ],
  })
})

test('the level of the same compression may change within a set', () => {
  const prior = { label: FULL, options: OPTIONS }
  const asked = { ...OPTIONS, compressLevel: 9, processMax: 4 }
  assert.deepEqual(inheritOptions(asked, { kind: 'diff', prior }), { options: asked, warnings: [] })
})

test('a set whose level is not known goes on with the default one', () => {
  const prior = { label: FULL, options: { ...OPTIONS, compressLevel: undefined } }
  const asked = { ...OPTIONS, compressType: 'lz4', compressLevel: 1 } as const
  assert.equal(inheritOptions(asked, { kind: 'incr', prior }).options.compressLevel, 6)
})
