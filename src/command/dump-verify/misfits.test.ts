import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ArchiveHead, TocEntry } from '../../format/archive-toc.ts'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { DatabaseFingerprint } from '../../format/fingerprint.ts'
import { misfits } from './misfits.ts'

const DATABASE: DumpedDatabase = {
  name: 'shop',
  oid: 5,
  sizeBytes: 10,
  definition: {
    owner: 'postgres',
    encoding: 'UTF8',
    localeProvider: 'libc',
    collate: 'C',
    ctype: 'C',
    locale: null,
    icuRules: null,
    collationVersion: null,
    tablespace: 'pg_default',
    connectionLimit: -1,
    comment: null,
    grants: null,
    settings: [],
  },
  snapshot: { id: '3-1', transactions: '1:2:', lsn: '0/1', timeMs: 3 },
  archives: [],
  fingerprint: null,
  dumpMs: 1,
  fingerprintMs: 1,
}

function head(...tables: readonly (readonly [number, string])[]): ArchiveHead {
  const entries = tables.map(
    ([oid, tag]): TocEntry => ({
      dumpId: oid,
      oid,
      kind: 'TABLE DATA',
      tag,
      section: 'data',
      definition: '',
      schema: 'public',
      tablespace: undefined,
      owner: undefined,
      dependencies: [],
    }),
  )
  return { sizeBytes: 1, serverVersion: '17.1', dumpVersion: '17.1', entries }
}

function fingerprint(...tables: readonly (readonly [number, string])[]): DatabaseFingerprint {
  return {
    version: 1,
    serverMajor: 17,
    encoding: 'UTF8',
    tables: tables.map(([oid, name]) => ({
      schema: 'public',
      name,
      oid,
      columns: [],
      coverage: { kind: 'counted' },
      rows: '1',
    })),
    sequences: [],
    largeObjects: { count: '0', sizeBytes: '0', digest: '' },
    facts: [],
    uncovered: [],
  }
}

const fits = (
  heads: readonly ArchiveHead[],
  found: DatabaseFingerprint,
  version = '17.11',
): readonly string[] => misfits({ database: DATABASE, version, heads }, found)

test('a fingerprint of just the tables whose rows are in the archives fits', () => {
  assert.deepEqual(
    fits([head([1, 'a']), head([2, 'b']), head()], fingerprint([2, 'b'], [1, 'a'])),
    [],
  )
})

test('what is missing on either side, there twice, or of another server is said', () => {
  assert.deepEqual(fits([head([1, 'a'], [3, 'c'])], fingerprint([1, 'a'], [2, 'b'])), [
    "tables with rows that are not in the dump: 'public.b'",
    "tables with rows of which it says nothing: 'public.c'",
  ])
  assert.deepEqual(fits([head([1, 'a']), head([1, 'a'])], fingerprint([1, 'a'])), [
    "tables with rows that are in the dump twice: 'public.a'",
  ])
  const other = { ...fingerprint(), encoding: 'LATIN1' }
  assert.deepEqual(fits([head()], other, '15.3'), [
    'it is of PostgreSQL 17, and the dump of 15',
    'it is of encoding LATIN1, and the dump of UTF8',
  ])
  const many = Array.from({ length: 7 }, (_, oid) => [oid, 't'] as const)
  assert.match(fits([head()], fingerprint(...many))[0] ?? '', / and 2 more$/)
})
