import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDefinition, readDumpManifest } from './read-dump-manifest.ts'

const OBJECT = {
  name: 'globals.sql',
  sizeBytes: 1,
  sha256: 'a'.repeat(64),
  contentSizeBytes: 1,
  contentSha256: 'b'.repeat(64),
}

const MANIFEST = {
  version: 1,
  label: '20261123-140501L',
  stanza: 'main',
  toolVersion: '1',
  startedMs: 1,
  endedMs: 2,
  server: { version: '15.18', systemId: '1', inRecovery: false, timeline: 1 },
  clientVersion: '15.18',
  compressType: 'gz',
  compressLevel: -1,
  cipher: null,
  globals: { ...OBJECT, withoutPasswords: true },
  databases: [],
  skipped: [{ name: 'a', reason: 'b' }],
}

test('what a manifest says is read, and members that are not known yet are passed over', () => {
  assert.deepEqual(readDumpManifest({ ...MANIFEST, later: 1 }), MANIFEST)
})

test('a member that is missing, of another type or out of its range is named', () => {
  const wrong = [
    { endedMs: 1.5 },
    { startedMs: -1 },
    { label: null },
    { databases: {} },
    { server: null },
    { cipher: [] },
    { globals: { ...OBJECT } },
    { globals: { ...OBJECT, withoutPasswords: true, sha256: 'x' } },
    { globals: { ...OBJECT, withoutPasswords: true, name: '../x' } },
  ]
  for (const change of wrong) {
    assert.throws(() => readDumpManifest({ ...MANIFEST, ...change }), { kind: 'format' })
  }
})

test('what goes into SQL as it is must be a word', () => {
  const definition = {
    owner: 'o',
    encoding: 'UTF8',
    localeProvider: 'libc',
    collate: 'C',
    ctype: 'C',
    tablespace: 'pg_default',
    connectionLimit: -1,
    grants: [{ grantee: 'a', privilege: 'CONNECT', grantable: false }],
    settings: [],
  }
  assert.equal(readDefinition(definition).grants?.[0]?.privilege, 'CONNECT')
  const grants = [{ grantee: 'a', privilege: 'CONNECT on database a to b; --', grantable: false }]
  for (const change of [{ grants }, { localeProvider: 'libc\\! id' }]) {
    assert.throws(() => readDefinition({ ...definition, ...change }), { kind: 'format' })
  }
})
