import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decideEntry,
  onlyFromPrimary,
  pageCheckable,
  segmentNumberOf,
  withoutUnlogged,
  type EntryKind,
} from './skip-rules.ts'

function online(name: string, kind: EntryKind = 'file'): string {
  return decideEntry(name, kind, { online: 'online', exclude: [] }).action
}

function offline(name: string, kind: EntryKind = 'file'): string {
  return decideEntry(name, kind, { online: 'offline', exclude: [] }).action
}

test('anything named pgsql_tmp is skipped anywhere, whatever it is', () => {
  assert.equal(online('pg_data/base/pgsql_tmp', 'directory'), 'skip')
  assert.equal(online('pg_data/pgsql_tmp_x', 'link'), 'skip')
  assert.equal(online('pg_tblspc/16384/PG_15_202209061/pgsql_tmp', 'directory'), 'skip')
  assert.equal(online('pg_data/base/5/my_pgsql_tmp'), 'take')
})

test('directories whose contents do not survive a restart are kept empty, only directly in PGDATA', () => {
  assert.equal(online('pg_data/pg_replslot', 'directory'), 'take-empty')
  assert.equal(online('pg_data/pg_subtrans', 'directory'), 'take-empty')
  assert.equal(online('pg_data/base/pg_notify', 'directory'), 'take')
  assert.equal(online('pg_data/pg_xact', 'directory'), 'take')
})

test('the files of another backup, recovery or server start are skipped, only directly in PGDATA', () => {
  assert.equal(online('pg_data/backup_label'), 'skip')
  assert.equal(online('pg_data/standby.signal'), 'skip')
  assert.equal(online('pg_data/postmaster.pid'), 'skip')
  assert.equal(online('pg_data/backup_manifest'), 'skip')
  assert.equal(online('pg_data/base/backup_label'), 'take')
  assert.equal(online('pg_data/recovery.done'), 'take')
})

test('WAL is skipped when online, for it comes from the archive, and taken when offline', () => {
  assert.equal(online('pg_data/pg_wal/000000010000000000000001'), 'skip')
  assert.equal(offline('pg_data/pg_wal/000000010000000000000001'), 'take')
  assert.equal(online('pg_data/pg_wal/archive_status', 'directory'), 'take-empty')
  assert.equal(offline('pg_data/pg_wal/archive_status', 'directory'), 'take')
  assert.equal(online('pg_data/pg_wal/summaries/0000000100000000.summary'), 'take')
})

test('caches and temporary relations are skipped in database directories only', () => {
  assert.equal(online('pg_data/global/pg_internal.init'), 'skip')
  assert.equal(online('pg_data/base/5/pg_internal.init.4711'), 'skip')
  assert.equal(online('pg_data/base/5/pg_internal.init.x'), 'take')
  assert.equal(offline('pg_tblspc/16384/PG_15_202209061/5/t3_16390_fsm.1'), 'skip')
  assert.equal(online('pg_data/base/5/t3_16390_init'), 'take')
  assert.equal(online('pg_data/pg_internal.init'), 'take')
})

test('an exclusion skips a path; with a slash at its end, only what is in it', () => {
  const rules = { online: 'online', exclude: ['log', 'base/5/'] } as const

  assert.equal(decideEntry('pg_data/log', 'directory', rules).action, 'skip')
  assert.equal(decideEntry('pg_data/log2', 'directory', rules).action, 'take')
  assert.equal(decideEntry('pg_data/base/5', 'directory', rules).action, 'take-empty')
  assert.equal(decideEntry('pg_data/base/log', 'directory', rules).action, 'take')
})

test('a decision to skip says why', () => {
  assert.deepEqual(decideEntry('pg_data/x', 'special', { online: 'online', exclude: [] }), {
    action: 'skip',
    reason: 'is a socket, pipe or device',
  })
})

test('unlogged relations lose all their files but the init fork, in their own directory only', () => {
  const names = [
    'pg_data/base/5/100',
    'pg_data/base/5/100.1',
    'pg_data/base/5/100_fsm',
    'pg_data/base/5/100_init',
    'pg_data/base/5/100_vm.2',
    'pg_data/base/5/1001',
    'pg_data/base/6/100',
  ]

  const { kept, unlogged } = withoutUnlogged(names.map((name) => ({ name })))

  assert.deepEqual(
    kept.map(({ name }) => name),
    ['pg_data/base/5/100_init', 'pg_data/base/5/1001', 'pg_data/base/6/100'],
  )
  assert.equal(unlogged.length, 4)
})

test('relation files have pages; control, version and map files have not', () => {
  assert.equal(pageCheckable('pg_data/base/5/1259'), true)
  assert.equal(pageCheckable('pg_data/global/1262_vm'), true)
  assert.equal(pageCheckable('pg_tblspc/16384/PG_15_202209061/5/16390.2'), true)
  assert.equal(pageCheckable('pg_data/global/pg_control'), false)
  assert.equal(pageCheckable('pg_data/global/pg_filenode.map'), false)
  assert.equal(pageCheckable('pg_data/base/5/PG_VERSION'), false)
  assert.equal(pageCheckable('pg_data/pg_xact/0000'), false)
  assert.equal(pageCheckable('pg_data/base/5/deeper/1259'), false)
})

test('the segment of a relation is the number at the end of its name', () => {
  assert.equal(segmentNumberOf('pg_data/base/5/1259'), 0)
  assert.equal(segmentNumberOf('pg_data/base/5/1259.3'), 3)
  assert.equal(segmentNumberOf('pg_data/base/5/1259_fsm.12'), 12)
})

test('a standby has what is replicated; control file and configuration come from the primary', () => {
  assert.equal(onlyFromPrimary('pg_data/base/5/1259'), false)
  assert.equal(onlyFromPrimary('pg_data/global/1262'), false)
  assert.equal(onlyFromPrimary('pg_tblspc/16384/PG_15_202209061/5/16390'), false)
  assert.equal(onlyFromPrimary('pg_data/pg_multixact/offsets/0000'), false)
  assert.equal(onlyFromPrimary('pg_data/global/pg_control'), true)
  assert.equal(onlyFromPrimary('pg_data/postgresql.conf'), true)
  assert.equal(onlyFromPrimary('pg_data/basement'), true)
})
