import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relationFileOf } from './relation-file.ts'

test('a path tells database, tablespace, fork and segment of a relation', () => {
  assert.deepEqual(relationFileOf('pg_data/base/5/16384'), {
    databaseOid: 5,
    tablespaceOid: 0,
    filenode: 16384,
    fork: 'main',
    segment: 0,
  })
  assert.deepEqual(relationFileOf('pg_tblspc/16390/PG_15_202209061/5/16401_vm.2'), {
    databaseOid: 5,
    tablespaceOid: 16390,
    filenode: 16401,
    fork: 'vm',
    segment: 2,
  })
  assert.deepEqual(relationFileOf('pg_data/global/1260'), {
    databaseOid: undefined,
    tablespaceOid: 1664,
    filenode: 1260,
    fork: 'main',
    segment: 0,
  })
})

test('other files belong to no relation', () => {
  for (const name of [
    'pg_data/PG_VERSION',
    'pg_data/base/5/PG_VERSION',
    'pg_data/global/pg_control',
  ]) {
    assert.equal(relationFileOf(name), undefined)
  }
})
