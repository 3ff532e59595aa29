/** Files that pgBackRest 2.60.0 wrote, of a PostgreSQL 15 cluster with a tablespace and odd names. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { parseArchiveInfo, renderArchiveInfo } from './archive-info.ts'
import { entryOfManifest, parseBackupInfo, renderBackupInfo } from './backup-info.ts'
import { assertComplete, type Manifest } from './manifest.ts'
import { parseManifest } from './manifest-read.ts'
import { renderManifest } from './manifest-write.ts'

const FOLDER = new URL('../../test/fixtures/pgbackrest-2.60/', import.meta.url)
const FULL = '20261123-011353F'
const DIFF = `plain/${FULL}_20261123-011358D`
const OFFLINE = 'plain/20261123-013336F'
const BLOCK_INCR = 'block-bundle/20261123-011357F_20261123-011402I'

const read = (name: string): Buffer => readFileSync(new URL(name, FOLDER))
const manifestText = (label: string): Buffer => gunzipSync(read(`${label}.manifest.gz`))

/** Everything but the two lines that differ by design. */
const comparable = (content: Buffer): string =>
  content.toString('latin1').replace(/^backrest-(?:version|checksum)=.*$/gm, '')

const assertSameManifest = (label: string): void => {
  const content = manifestText(label)
  assert.equal(comparable(renderManifest(parseManifest(content))), comparable(content))
}

test('manifests of every sort are written as pgBackRest wrote them', () => {
  assertSameManifest(DIFF)
  assertSameManifest(OFFLINE)
  assertSameManifest(BLOCK_INCR)
})

test('archive.info and backup.info are written as pgBackRest wrote them', () => {
  const archive = read('block-bundle/archive.info')
  const plainBackup = read('plain/backup.info')
  const blockBackup = read('block-bundle/backup.info')

  assert.equal(comparable(renderArchiveInfo(parseArchiveInfo(archive))), comparable(archive))
  assert.equal(comparable(renderBackupInfo(parseBackupInfo(plainBackup))), comparable(plainBackup))
  assert.equal(comparable(renderBackupInfo(parseBackupInfo(blockBackup))), comparable(blockBackup))
})

const assertSameEntry = (repository: string, manifest: Manifest): void => {
  const { backups } = parseBackupInfo(read(`${repository}/backup.info`))
  assert.deepEqual(
    entryOfManifest(manifest),
    backups.find((entry) => entry.label === manifest.label),
  )
}

test('the entry made of a manifest is the one pgBackRest made', () => {
  assertSameEntry('plain', parseManifest(manifestText(DIFF)))
  assertSameEntry('plain', parseManifest(manifestText(OFFLINE)))
  assertSameEntry('block-bundle', parseManifest(manifestText(BLOCK_INCR)))
})

test('finished backups are complete', () => {
  assertComplete(parseManifest(manifestText(DIFF)))
  assertComplete(parseManifest(manifestText(OFFLINE)))
  assertComplete(parseManifest(manifestText(BLOCK_INCR)))
})

test('the members of a block-incremental, bundled, referenced file are all there', () => {
  const { files, references, cipherPass } = parseManifest(manifestText(BLOCK_INCR))

  assert.deepEqual(
    files.find((file) => file.name === 'pg_data/base/1/1247_fsm'),
    {
      name: 'pg_data/base/1/1247_fsm',
      sizeBytes: 24576,
      timestampS: 1795396432,
      checksum: '6c781d3becb14b3220c25d3873ba1ec7b7555453',
      checksumPage: true,
      checksumPageErrors: undefined,
      user: 'postgres',
      group: 'postgres',
      mode: 0o600,
      reference: '20261123-011357F',
      repoSizeBytes: 224,
      repoChecksum: 'be2bb4e0bbe963852bac205aed2f647d0c05cb74',
      bundleId: 1,
      bundleOffsetBytes: 134752,
      block: { sizeBytes: 8192, checksumSizeBytes: 6, mapSizeBytes: 40 },
      originalSizeBytes: undefined,
    },
  )
  assert.equal(references.length, 3)
  assert.equal(cipherPass?.reveal().length, 64)
})

test('links, nameless owners and a stopped cluster are read', () => {
  const manifest = parseManifest(manifestText(OFFLINE))
  const odd = manifest.files.find((file) => file.name === 'pg_data/odd=1')

  assert.deepEqual([odd?.user, odd?.group, odd?.mode], [false, false, 0o644])
  assert.equal(manifest.archiveStart, undefined)
  assert.equal(manifest.options.online, false)
  assert.deepEqual(
    manifest.targets.find((target) => target.name === 'pg_data/pg_hba.conf'),
    {
      name: 'pg_data/pg_hba.conf',
      kind: 'link',
      path: '../wal2',
      file: 'pg_hba.conf',
      tablespaceId: undefined,
      tablespaceName: undefined,
    },
  )
  assert(manifest.files.some((file) => file.name === 'pg_data/h\xe9"q'))
})
