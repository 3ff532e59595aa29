import assert from 'node:assert/strict'
import { test } from 'node:test'
import { renderInfoFile } from './info-file.ts'
import type { JsonValue } from './json.ts'
import { assertComplete, type Manifest } from './manifest.ts'
import { parseManifest } from './manifest-read.ts'
import { renderManifest } from './manifest-write.ts'

const FULL = '20160101-000000F'
const DIFF = `${FULL}_20160102-000000D`
const SHA1 = 'a9993e364706816aba3e25717850c26c9cd0d89d'

type Sections = Readonly<Record<string, Readonly<Record<string, JsonValue>>>>

/** What a version before 2.25 wrote of a differential backup. */
const OLD: Sections = {
  backup: {
    'backup-label': DIFF,
    'backup-prior': FULL,
    'backup-timestamp-copy-start': 2,
    'backup-timestamp-start': 1,
    'backup-timestamp-stop': 3,
    'backup-type': 'diff',
  },
  'backup:db': {
    'db-catalog-version': 201608131,
    'db-control-version': 960,
    'db-id': 1,
    'db-system-id': 6569239123849665679n,
    'db-version': '9.6',
  },
  'backup:option': { 'option-compress': true, 'option-online': true },
  'target:file': {
    'pg_data/PG_VERSION': { checksum: SHA1, master: true, reference: FULL, size: 4, timestamp: 1 },
    'pg_data/base/1/1': { checksum: SHA1, mode: '0640', size: 3, timestamp: 2, user: 'other' },
  },
  'target:file:default': { group: 'postgres', master: false, mode: '0600', user: 'postgres' },
  'target:path': { pg_data: {} },
  'target:path:default': { group: 'postgres', mode: '0700', user: 'postgres' },
}

const parse = (changes: Sections = {}): Manifest =>
  parseManifest(
    renderInfoFile(
      new Map(
        Object.entries({ ...OLD, ...changes }).map(([name, values]) => [
          name,
          new Map(Object.entries(values)),
        ]),
      ),
    ),
  )

test('a manifest of an old version is read with what it leaves out filled in', () => {
  const manifest = parse()

  assert.equal(manifest.options.compressType, 'gz')
  assert.deepEqual(manifest.references, [FULL, DIFF])
  assert.deepEqual(
    manifest.files.map(({ user, group, mode }) => [user, group, mode]),
    [
      ['postgres', 'postgres', 0o600],
      ['other', 'postgres', 0o640],
    ],
  )
})

test('what a manifest contradicts or lacks is named', () => {
  const backup = OLD['backup']
  assert(backup !== undefined)

  assert.throws(() => parse({ backup: { ...backup, 'backup-type': 'incr' } }), { kind: 'format' })
  assert.throws(() => parse({ backup: { ...backup, 'backup-reference': FULL } }), {
    kind: 'format',
  })
  assert.throws(() => parse({ 'target:path:default': {} }), {
    kind: 'format',
    message: "invalid 'backup.manifest': 'pg_data' has no mode",
  })
  assert.throws(() => parse({ 'target:file': { 'pg_data/x': { timestamp: 1 } } }), {
    kind: 'format',
    message: "invalid [target:file] 'pg_data/x' of 'backup.manifest': 'size' is missing",
  })
  assert.throws(() => parse({ 'backup:option': { 'option-compress-type': 'xz' } }), {
    kind: 'format',
  })
})

const withFile = (changes: object): Manifest => {
  const manifest = parse()
  return { ...manifest, files: manifest.files.map((file) => Object.assign(file, changes)) }
}

test('a file without checksum or stored bytes makes a manifest incomplete', () => {
  assertComplete(parse())
  assert.throws(() => assertComplete(withFile({ checksum: undefined })), {
    kind: 'format',
    message: `manifest of backup '${DIFF}' is incomplete
missing checksum for file 'pg_data/PG_VERSION'
missing checksum for file 'pg_data/base/1/1'`,
  })
  assert.throws(() => assertComplete(withFile({ repoSizeBytes: 0 })), { kind: 'format' })
})

test('an empty file needs no checksum, and may have no other than its own', () => {
  assertComplete(withFile({ sizeBytes: 0, checksum: undefined }))
  assertComplete(withFile({ sizeBytes: 0, checksum: 'da39a3ee5e6b4b0d3255bfef95601890afd80709' }))
  assert.throws(() => assertComplete(withFile({ sizeBytes: 0 })), { kind: 'format' })
})

test('a manifest is not written out of order or without its data directory', () => {
  const manifest = parse()

  assert.throws(() => renderManifest({ ...manifest, files: manifest.files.toReversed() }), /sorted/)
  assert.throws(() => renderManifest({ ...manifest, paths: [] }), /data directory/)
})
