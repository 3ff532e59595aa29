import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ArchiveInfo } from '../format/archive-info.ts'
import type { BackupInfo } from '../format/backup-info.ts'
import { matchInfoFiles, matchStanza } from './preflight.ts'

const cluster = { version: '15', systemId: 7711057360272275713n }

const archive: ArchiveInfo = {
  format: 5,
  cipherPass: undefined,
  currentId: 1,
  history: [{ id: 1, ...cluster }],
}

const backup: BackupInfo = {
  format: 5,
  cipherPass: undefined,
  currentId: 1,
  history: [{ id: 1, ...cluster, controlVersion: 1300, catalogVersion: 202209061 }],
  backups: [],
}

test('a stanza of this cluster is accepted', () => {
  matchStanza(cluster, cluster, 'backup-mismatch')
  matchInfoFiles(archive, backup, cluster)
})

test('a stanza of another cluster or version is refused with both identities', () => {
  const message =
    'PostgreSQL version 16, system-id 5 do not match stanza version 15, system-id 7711057360272275713'

  assert.throws(
    () => {
      matchStanza(cluster, { version: '16', systemId: 5n }, 'backup-mismatch')
    },
    { kind: 'backup-mismatch', message },
  )
  assert.throws(
    () => {
      matchStanza(cluster, { ...cluster, version: '16' }, 'file-invalid')
    },
    { kind: 'file-invalid' },
  )
})

test('info files that disagree with each other are refused before the cluster is looked at', () => {
  const other = { ...archive, currentId: 2, history: [{ id: 2, ...cluster }] }

  assert.throws(
    () => {
      matchInfoFiles(other, backup, cluster)
    },
    { kind: 'file-invalid', message: /^backup info file and archive info file do not match\n/ },
  )
})

test('info files that agree are refused for another cluster', () => {
  assert.throws(
    () => {
      matchInfoFiles(archive, backup, { ...cluster, systemId: 1n })
    },
    {
      kind: 'file-invalid',
      message: 'backup and archive info files exist but do not match the database',
    },
  )
})
