import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planArchives } from './groups.ts'

test('one job, or no large table, makes one archive', () => {
  const table = { schema: 's', name: 't', sizeBytes: 1 }

  assert.deepEqual(planArchives([table], 1), [{ part: 'whole', suffix: '', args: [] }])
  assert.deepEqual(planArchives([], 4), [{ part: 'whole', suffix: '', args: [] }])
})

test('large tables are divided evenly, and the rest leaves out exactly those', () => {
  const tables = [50, 40, 30, 20].map((sizeBytes) => ({
    schema: 'S"*',
    name: `t${sizeBytes}`,
    sizeBytes,
  }))
  const plans = planArchives(tables, 2)

  assert.deepEqual(
    plans.map(({ part, suffix }) => part + suffix),
    ['data-data-1', 'data-data-2', 'data-data-3', 'schema-schema'],
  )
  assert.deepEqual(
    plans.slice(0, 2).map(({ args }) => args.slice(2)),
    [
      ['--table="S""*"."t50"', '--table="S""*"."t20"'],
      ['--table="S""*"."t40"', '--table="S""*"."t30"'],
    ],
  )
  assert.deepEqual(
    plans[2]?.args.slice(1).toSorted(),
    tables.map(({ name }) => `--exclude-table-data="S""*"."${name}"`).toSorted(),
  )
})
