import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  content,
  EVERYTHING,
  FULL,
  HISTORY,
  INCR,
  labelsOf,
  MANIFEST,
  repo,
  stanza,
} from '../../../test/harness/info-facts.ts'
import {
  backupLockOf,
  cipherOfStanza,
  detailsOf,
  listBackups,
  type RepoFinding,
  statusOfRepo,
  statusOfStanza,
} from './facts.ts'

const failed: RepoFinding = { kind: 'failed', message: '[FileOpenError] no' }

test('a repository that cannot be read is code 99 with its error, never missing', () => {
  assert.deepEqual(statusOfRepo(repo(failed)), { code: 99, message: '[FileOpenError] no' })
  assert.deepEqual(statusOfStanza(stanza(repo(failed))), { code: 99, message: 'other' })
})

test('every finding has its own code', () => {
  const codes = [
    content(),
    { kind: 'no-path' } as const,
    content({ backups: [] }),
    { kind: 'no-data' } as const,
    { kind: 'no-such-backup' } as const,
    { kind: 'not-read' } as const,
  ].map((found) => statusOfStanza(stanza(repo(found))).code)

  assert.deepEqual(codes, [0, 1, 2, 3, 6, 0])
})

test('repositories that disagree make a mixed status', () => {
  const status = statusOfStanza(stanza(repo(content()), repo(failed, { key: 2 })))

  assert.deepEqual(status, { code: 4, message: 'different across repos' })
})

test('repositories of different clusters are a database mismatch', () => {
  const other = content({ currentHistory: { ...HISTORY, systemId: 1n } })

  const status = statusOfStanza(stanza(repo(content()), repo(other, { key: 2 })))

  assert.deepEqual(status, { code: 5, message: 'database mismatch across repos' })
})

test('different encryption is mixed', () => {
  const sealed = repo(content(), { key: 2, cipher: 'aes-256-cbc' })

  assert.equal(cipherOfStanza(stanza(repo(content()), sealed)), 'mixed')
  assert.equal(cipherOfStanza(stanza(sealed)), 'aes-256-cbc')
})

test('backup locks of several repositories are added up', () => {
  const lock = { held: true, sizeBytes: 100, completeBytes: 40 }
  const one = repo(content(), { backupLock: lock })
  const two = repo(content(), { key: 2, backupLock: lock })

  assert.deepEqual(backupLockOf(stanza(one, two)), {
    held: true,
    sizeBytes: 200,
    completeBytes: 80,
  })
})

test('backups of several repositories are listed by the time they ended', () => {
  const one = repo(content({ backups: [FULL, INCR] }))
  const between = { ...FULL, label: '20261122-182059F', stopS: INCR.stopS - 1 }
  const two = repo(content({ backups: [between] }), { key: 2 })

  const labels = labelsOf(listBackups(stanza(one, two), EVERYTHING))

  assert.deepEqual(labels, [FULL.label, between.label, INCR.label])
})

test('only the kind and the label asked for are listed', () => {
  const both = stanza(repo(content({ backups: [FULL, INCR] })))

  assert.deepEqual(labelsOf(listBackups(both, { ...EVERYTHING, kind: 'incr' })), [INCR.label])
  assert.deepEqual(labelsOf(listBackups(both, { ...EVERYTHING, label: FULL.label })), [FULL.label])
})

test('the details of a backup name links, tablespaces and damaged files, and no template databases', () => {
  const link = { kind: 'link', tablespaceId: undefined, tablespaceName: undefined } as const
  const details = detailsOf({
    ...MANIFEST,
    databases: [
      { name: 'postgres', oid: 5, lastSystemOid: 4 },
      { name: 'template0', oid: 4, lastSystemOid: 4 },
    ],
    targets: [
      { name: 'pg_data', kind: 'path', path: '/pg' },
      { ...link, name: 'pg_data/pg_wal', path: '/wal', file: undefined },
      { ...link, name: 'pg_data/postgresql.conf', path: '/etc', file: 'postgresql.conf' },
      {
        name: 'pg_tblspc/16384',
        kind: 'link',
        path: '/ts',
        file: undefined,
        tablespaceId: 16384,
        tablespaceName: 'ts1',
      },
    ],
    files: [damaged('pg_data/base/1/2', false), damaged('pg_data/base/1/3', true)],
  })

  assert.deepEqual(details, {
    databases: [{ name: 'postgres', oid: 5 }],
    links: [
      { name: 'pg_wal', destination: '/wal' },
      { name: 'postgresql.conf', destination: '/etc/postgresql.conf' },
    ],
    tablespaces: [{ name: 'ts1', destination: '/ts', oid: 16384 }],
    damagedFiles: ['base/1/2'],
  })
})

function damaged(
  name: string,
  checksumPage: boolean,
): Parameters<typeof detailsOf>[0]['files'][number] {
  return {
    name,
    sizeBytes: 8192,
    timestampS: 1,
    checksum: 'a'.repeat(40),
    checksumPage,
    checksumPageErrors: undefined,
    user: 'postgres',
    group: 'postgres',
    mode: 0o600,
    reference: undefined,
    repoSizeBytes: 100,
    repoChecksum: undefined,
    bundleId: undefined,
    bundleOffsetBytes: 0,
    block: undefined,
    originalSizeBytes: undefined,
  }
}
