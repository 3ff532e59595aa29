import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ManifestTarget } from '../format/manifest.ts'
import { checkLinks, destinationOf } from './link-rules.ts'

const DATA_DIR = '/db/pg'

function directoryLink(name: string, path: string): ManifestTarget {
  return {
    name,
    kind: 'link',
    path,
    file: undefined,
    tablespaceId: undefined,
    tablespaceName: undefined,
  }
}

function fileLink(name: string, path: string, file: string): ManifestTarget {
  return { name, kind: 'link', path, file, tablespaceId: undefined, tablespaceName: undefined }
}

test('a relative link starts at the directory that holds it', () => {
  assert.equal(destinationOf(DATA_DIR, directoryLink('pg_data/pg_wal', '../wal')), '/db/wal')
  assert.equal(destinationOf(DATA_DIR, directoryLink('pg_data/base/5', '../../x')), '/db/x')
})

test('links to separate places are fine, also files beside a linked directory', () => {
  checkLinks(DATA_DIR, [
    { name: 'pg_data', kind: 'path', path: DATA_DIR },
    directoryLink('pg_data/pg_wal', '/wal'),
    directoryLink('pg_tblspc/16384', '/wal2'),
    fileLink('pg_data/postgresql.conf', '/etc/pg', 'postgresql.conf'),
    fileLink('pg_data/pg_hba.conf', '/etc/pg', 'pg_hba.conf'),
    directoryLink('pg_data/conf.d', '/etc/pg/conf.d'),
  ])
})

test('a link into the data directory, or to a directory that holds it, is refused', () => {
  for (const path of ['/db/pg', '/db/pg/x', '../pg/wal', '/db']) {
    assert.throws(
      () => {
        checkLinks(DATA_DIR, [directoryLink('pg_data/pg_wal', path)])
      },
      {
        kind: 'link-destination',
      },
    )
  }
})

test('a link inside, or to the same place as, another link is refused in either order', () => {
  const inner = directoryLink('pg_tblspc/16385', '/ts/a')
  const same = fileLink('pg_data/x', '/ts', 'a')
  const outer = directoryLink('pg_tblspc/16384', '/ts')
  for (const targets of [
    [inner, outer],
    [outer, inner],
    [same, inner],
    [inner, same],
    [fileLink('pg_data/y', '/ts', 'a'), same],
  ]) {
    assert.throws(
      () => {
        checkLinks(DATA_DIR, targets)
      },
      { kind: 'link-destination' },
    )
  }
})
