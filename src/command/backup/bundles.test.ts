import assert from 'node:assert/strict'
import { test } from 'node:test'
import { arrange } from './bundles.ts'

const RULES = { limitBytes: 20, sizeBytes: 30 }

const files = (...entries: readonly (readonly [string, number, number])[]) =>
  entries.map(([name, sizeBytes, timestampS]) => ({ name, sizeBytes, timestampS }))

/** Names, those of one bundle in one text. */
const arranged = (
  entries: ReturnType<typeof files>,
  rules: typeof RULES | undefined,
): readonly (readonly string[])[] => {
  const { alone, bundles } = arrange(
    entries.map((file) => ({ file })),
    rules,
  )
  return [
    alone.map(({ file }) => file.name),
    bundles.map((bundle) => bundle.map(({ file }) => file.name).join(' ')),
  ]
}

test('S48: small files are bundled, oldest first; large ones are stored alone, largest first', () => {
  const entries = files(
    ['pg_data/c', 20, 7],
    ['pg_data/large', 21, 1],
    ['pg_data/a', 9, 7],
    ['pg_data/larger', 90, 2],
    ['pg_data/old', 1, 5],
  )

  assert.deepEqual(arranged(entries, RULES), [
    ['pg_data/larger', 'pg_data/large'],
    ['pg_data/old pg_data/a pg_data/c'],
  ])
})

test('a bundle is closed when it is large enough', () => {
  const entries = files(['pg_data/a', 20, 1], ['pg_data/b', 10, 2], ['pg_data/c', 1, 3])

  assert.deepEqual(arranged(entries, RULES)[1], ['pg_data/a pg_data/b', 'pg_data/c'])
})

test('a bundle holds files of one tablespace', () => {
  const entries = files(
    ['pg_tblspc/5/PG/1/1', 1, 1],
    ['pg_data/a', 1, 2],
    ['pg_tblspc/50/PG/1/1', 1, 3],
    ['pg_data/base/1/1', 1, 4],
  )

  assert.deepEqual(arranged(entries, RULES)[1], [
    'pg_data/a pg_data/base/1/1',
    'pg_tblspc/5/PG/1/1',
    'pg_tblspc/50/PG/1/1',
  ])
})

test('without bundles every file is stored alone', () => {
  assert.deepEqual(arranged(files(['pg_data/a', 1, 1]), undefined), [['pg_data/a'], []])
})
