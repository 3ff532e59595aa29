import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FULL, HISTORY, MANIFEST } from '../../test/harness/info-facts.ts'
import { type BackupInfo, entryOfManifest } from '../format/backup-info.ts'
import { renderManifest } from '../format/manifest-write.ts'
import { manifestKey } from '../format/repo-path.ts'
import { openStorage } from '../storage/open.ts'
import { listBackupLabels, reconstruct } from './reconstruct.ts'
import type { Repo } from './repo.ts'

let root = ''
let repo: Repo

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'reconstruct-'))
  repo = { key: 1, storage: openStorage({ type: 'posix', root }), cipherPass: undefined }
})
after(async () => {
  await rm(root, { recursive: true, force: true })
})

const base: BackupInfo = {
  format: 5,
  cipherPass: undefined,
  currentId: HISTORY.id,
  history: [HISTORY],
  backups: [],
}
const manifest = {
  ...MANIFEST,
  paths: [{ name: 'pg_data', user: 'postgres', group: 'postgres', mode: 0o700 }],
}

test('a backup whose manifest is gone is dropped, with everything that needs it', async () => {
  const label = '20260101-000000F'
  const incr = `${label}_20260102-000000I`
  const backups = [
    { ...FULL, label },
    { ...FULL, label: incr, kind: 'incr' as const, prior: label, references: [label] },
  ]
  await repo.storage.put(manifestKey('gone', incr), Buffer.from('not read'))
  const { info, warnings } = await reconstruct(repo, 'gone', { ...base, backups })
  assert.deepEqual(info.backups, [])
  assert.match(warnings[0] ?? '', /its backup.manifest is missing/)
  assert.match(warnings[1] ?? '', /needs backup '20260101-000000F', which is gone/)
  assert.match(warnings[2] ?? '', /its manifest cannot be read/)
})

test('a finished backup that is not listed is added, an unfinished directory is not', async () => {
  await repo.storage.put(manifestKey('found', manifest.label), renderManifest(manifest))
  await repo.storage.put('backup/found/20270101-000000F/backup.manifest.copy', Buffer.from('x'))
  const { info, warnings } = await reconstruct(repo, 'found', base)
  assert.deepEqual(
    info.backups.map(({ label }) => label),
    [manifest.label],
  )
  assert.deepEqual(info.backups[0]?.sizeBytes, entryOfManifest(manifest).sizeBytes)
  assert.match(warnings.join(), /found in repository added to backup.info/)
  assert.deepEqual(await listBackupLabels(repo, 'found'), [manifest.label, '20270101-000000F'])
})

test("another cluster's backup is not added", async () => {
  const foreign = { ...manifest, db: { ...manifest.db, systemId: 1n } }
  await repo.storage.put(manifestKey('foreign', manifest.label), renderManifest(foreign))
  const { info, warnings } = await reconstruct(repo, 'foreign', base)
  assert.deepEqual(info.backups, [])
  assert.match(warnings.join(), /it was made from another cluster or version/)
})

test('a right backup.info comes back without a word', async () => {
  const backups = [entryOfManifest(manifest)]
  const { info, warnings } = await reconstruct(repo, 'found', { ...base, backups })
  assert.deepEqual([info.backups.length, warnings], [1, []])
})
