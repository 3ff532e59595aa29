import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  archiveInfoKey,
  archivePrefix,
  backupInfoKey,
  backupPrefix,
  copyKeyOf,
  fileKey,
  latestKey,
  manifestHistoryKey,
  manifestKey,
} from './repo-path.ts'

const FULL = '20261122-182058F'
const INCR = `${FULL}_20270101-000000I`
const PLAIN = {
  name: 'pg_data/base/1/112',
  reference: undefined,
  bundleId: undefined,
  block: undefined,
}
const BLOCK = { sizeBytes: 8192, checksumSizeBytes: 6, mapSizeBytes: 40 }

test('info files, manifests and prefixes are where pgBackRest has them', () => {
  assert.equal(archivePrefix('main'), 'archive/main')
  assert.equal(archivePrefix('main', '15-1'), 'archive/main/15-1')
  assert.equal(archiveInfoKey('main'), 'archive/main/archive.info')
  assert.equal(backupPrefix('main'), 'backup/main')
  assert.equal(backupPrefix('main', FULL), `backup/main/${FULL}`)
  assert.equal(copyKeyOf(backupInfoKey('main')), 'backup/main/backup.info.copy')
  assert.equal(manifestKey('main', FULL), `backup/main/${FULL}/backup.manifest`)
  assert.equal(latestKey('main'), 'backup/main/latest')
})

test('a kept manifest is filed by the year of its full backup', () => {
  assert.equal(
    manifestHistoryKey('main', INCR),
    `backup/main/backup.history/2026/${INCR}.manifest.gz`,
  )
})

test('a file is found in the backup that owns it, by how it is stored', () => {
  const key = (file: object): string => fileKey('main', { ...PLAIN, ...file }, INCR, 'gz')

  assert.equal(key({}), `backup/main/${INCR}/pg_data/base/1/112.gz`)
  assert.equal(key({ reference: FULL }), `backup/main/${FULL}/pg_data/base/1/112.gz`)
  assert.equal(key({ block: BLOCK }), `backup/main/${INCR}/pg_data/base/1/112.pgbi`)
  assert.equal(key({ bundleId: 3, block: BLOCK }), `backup/main/${INCR}/bundle/3`)
  assert.equal(fileKey('main', PLAIN, FULL, 'none'), `backup/main/${FULL}/pg_data/base/1/112`)
})
