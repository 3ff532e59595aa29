import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide } from './clean.ts'

const expected = {
  files: new Set(['pg_data/PG_VERSION', 'pg_data/base/1/1']),
  paths: new Set(['pg_data', 'pg_data/base', 'pg_data/base/1', 'pg_data/pg_wal']),
  links: new Map([['pg_data/pg_wal', '/wal']]),
  spared: new Set(['pg_data/backup.manifest']),
}
const file = (name: string): Parameters<typeof decide>[1] => ({
  name,
  kind: 'file',
  destination: undefined,
})
const directory = (name: string): Parameters<typeof decide>[1] => ({
  name,
  kind: 'directory',
  destination: undefined,
})

const link = (destination: string): Parameters<typeof decide>[1] => ({
  name: 'pg_data/pg_wal',
  kind: 'link',
  destination,
})

test('files of the backup stay, others go', () => {
  assert.equal(decide(expected, file('pg_data/PG_VERSION')), 'keep')
  assert.equal(decide(expected, file('pg_data/core')), 'remove')
  assert.equal(decide(expected, file('pg_data/postmaster.opts')), 'remove')
})

test('directories of the backup are entered, others go whole', () => {
  assert.equal(decide(expected, directory('pg_data/base/1')), 'enter')
  assert.equal(decide(expected, directory('pg_data/base/99')), 'remove')
})

test('what has the right name but another kind goes', () => {
  assert.equal(decide(expected, directory('pg_data/PG_VERSION')), 'remove')
  assert.equal(decide(expected, file('pg_data/base')), 'remove')
  assert.equal(
    decide(expected, { name: 'pg_data/base', kind: 'special', destination: undefined }),
    'remove',
  )
  assert.equal(
    decide(expected, { name: 'pg_data/base', kind: 'link', destination: '/elsewhere' }),
    'remove',
  )
})

test('a link stays only when it points where the backup says', () => {
  assert.equal(decide(expected, link('/wal')), 'keep')
  assert.equal(decide(expected, link('/other')), 'remove')
  assert.equal(decide(expected, directory('pg_data/pg_wal')), 'remove')
})

test('the marker of an unfinished restore stays', () => {
  assert.equal(decide(expected, file('pg_data/backup.manifest')), 'keep')
})
