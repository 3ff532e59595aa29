import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MANIFEST } from '../../../test/harness/info-facts.ts'
import { AppError } from '../../base/error.ts'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import { type DatabaseChoice, databasesLeftOut, isLeftOut } from './databases.ts'

function file(name: string): ManifestFile {
  return {
    name,
    sizeBytes: 8192,
    timestampS: 0,
    checksum: undefined,
    repoChecksum: undefined,
    repoSizeBytes: 0,
    reference: undefined,
    checksumPage: undefined,
    checksumPageErrors: undefined,
    originalSizeBytes: undefined,
    bundleId: undefined,
    bundleOffsetBytes: 0,
    block: undefined,
    mode: 0o600,
    user: false,
    group: false,
  }
}

/** `late` was made while the backup ran: only its files are known. */
const manifest: Manifest = {
  ...MANIFEST,
  databases: [
    { name: 'postgres', oid: 5, lastSystemOid: 0 },
    { name: 'shop', oid: 16400, lastSystemOid: 0 },
    { name: 'logs', oid: 16500, lastSystemOid: 0 },
  ],
  files: [
    'pg_data/base/5/PG_VERSION',
    'pg_data/base/16400/PG_VERSION',
    'pg_data/base/16500/PG_VERSION',
    'pg_tblspc/16390/PG_17_202406281/16600/PG_VERSION',
  ].map(file),
}

function leftOut(choice: Partial<DatabaseChoice>): readonly number[] {
  return [...databasesLeftOut(manifest, { include: [], exclude: [], ...choice })]
}

function refusal(choice: Partial<DatabaseChoice>): string {
  try {
    leftOut(choice)
  } catch (error) {
    if (error instanceof AppError) return `${error.exitCode} ${error.text}`
    throw error
  }
  return 'it was not refused'
}

test('nothing is left out unless it was asked for', () => {
  assert.deepEqual(leftOut({}), [])
})

test('with databases to include, every other one of users is left out, also one nobody knows the name of', () => {
  assert.deepEqual(leftOut({ include: ['shop'] }), [16500, 16600])
  assert.deepEqual(leftOut({ include: ['16600', 'logs'] }), [16400])
})

test('only what is excluded is left out when nothing is included', () => {
  assert.deepEqual(leftOut({ exclude: ['logs', '5'] }), [16500, 5])
  assert.deepEqual(leftOut({ include: ['shop'], exclude: ['postgres'] }), [5, 16500, 16600])
})

test('databases that the backup does not have, or that cannot be included, are refused', () => {
  assert.match(refusal({ exclude: ['log'] }), /^80 .* 'log' does not exist\nHINT: .*'logs'\?$/)
  assert.match(refusal({ include: ['99'] }), /^80 database to include '99' does not exist/)
  assert.match(refusal({ include: ['5'] }), /^81 system databases/)
  assert.match(refusal({ include: ['shop'], exclude: ['16400'] }), /^81 .* in the exclude list$/)
})

test('all files of a database become holes, in every tablespace, but not its PG_VERSION', () => {
  const which = [
    'pg_data/base/16500/1259',
    'pg_data/base/16500/PG_VERSION',
    'pg_data/base/1650/1259',
    'pg_data/global/16500',
    'pg_tblspc/16390/PG_17_202406281/16500/2619_fsm',
  ].filter((name) => isLeftOut(file(name), new Set([16500])))

  assert.deepEqual(which, [
    'pg_data/base/16500/1259',
    'pg_tblspc/16390/PG_17_202406281/16500/2619_fsm',
  ])
})
