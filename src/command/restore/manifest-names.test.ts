import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MANIFEST } from '../../../test/harness/info-facts.ts'
import { isErrorKind } from '../../base/error.ts'
import type { Manifest, ManifestFile, ManifestLink, ManifestTarget } from '../../format/manifest.ts'
import { assertNamesInside } from './manifest-names.ts'

const file = (name: string): ManifestFile => ({
  name,
  sizeBytes: 0,
  timestampS: 0,
  checksum: undefined,
  checksumPage: undefined,
  checksumPageErrors: undefined,
  user: false,
  group: false,
  mode: 0o600,
  reference: undefined,
  repoSizeBytes: 0,
  repoChecksum: undefined,
  bundleId: undefined,
  bundleOffsetBytes: 0,
  block: undefined,
  originalSizeBytes: undefined,
})
const link = (name: string, destination: string): ManifestLink => ({
  name,
  destination,
  user: false,
  group: false,
})
const target = (name: string, path: string, fileName?: string): ManifestTarget => ({
  name,
  kind: 'link',
  path,
  file: fileName,
  tablespaceId: undefined,
  tablespaceName: undefined,
})

function refuses(different: Partial<Manifest>): void {
  assert.throws(
    () => {
      assertNamesInside({ ...MANIFEST, ...different })
    },
    (error) => isErrorKind(error, 'format'),
  )
}

test('names below the data directory and tablespaces pass, however odd', () => {
  assertNamesInside({
    ...MANIFEST,
    files: ['pg_data/PG_VERSION', 'pg_data/..a/...', 'pg_tblspc/16384/PG_15/5/1'].map(file),
    paths: ['pg_data', 'pg_data/a b', 'pg_tblspc', 'pg_tblspc/16384'].map((name) => ({
      name,
      user: false,
      group: false,
      mode: 0o700,
    })),
  })
})

test('a file that leads out of its place is refused', () => {
  refuses({ files: [file('pg_data/../../etc/passwd')] })
  refuses({ files: [file('pg_data/base/..')] })
  refuses({ files: [file('pg_data/./x')] })
  refuses({ files: [file('pg_data//x')] })
  refuses({ files: [file('pg_data/')] })
  refuses({ files: [file('/etc/passwd')] })
  refuses({ files: [file('pg_database/x')] })
  refuses({ files: [file('pg_tblspc/../x')] })
  refuses({ files: [file('pg_data/x\0y')] })
  refuses({ files: [file('pg_data')] })
})

test('directories and targets have names of their kind', () => {
  refuses({ paths: [{ name: 'pg_data/../x', user: false, group: false, mode: 0o700 }] })
  refuses({ targets: [target('elsewhere', '/etc')] })
})

test('a link passes with a target of the same place', () => {
  assertNamesInside({
    ...MANIFEST,
    links: [
      link('pg_data/pg_tblspc/16384', '/ts1'),
      link('pg_data/pg_wal', '../wal'),
      link('pg_data/postgresql.conf', '/etc/pg/main.conf'),
    ],
    targets: [
      ...MANIFEST.targets,
      target('pg_data/pg_wal', '../wal'),
      target('pg_data/postgresql.conf', '/etc/pg', 'main.conf'),
      target('pg_tblspc/16384', '/ts1'),
    ],
  })
})

test('a link without a target, or with one elsewhere, is refused', () => {
  refuses({ links: [link('pg_data/x', '/etc')] })
  refuses({ links: [link('pg_data/x', '/etc')], targets: [target('pg_data/x', '/home')] })
  refuses({ links: [link('pg_data', '/etc')] })
})
