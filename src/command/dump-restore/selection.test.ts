import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseArchiveHead, type TocEntry } from '../../format/archive-toc.ts'
import { dataList, runLists, selectEntries, type Selection, type TableName } from './selection.ts'

const bytes = readFileSync(new URL('../../../test/fixtures/archives/18.head', import.meta.url))
const entries = parseArchiveHead(bytes)?.entries ?? []

function tables(...names: readonly string[]): Selection {
  const asked = names.map((name): TableName => {
    const [schema = '', table = ''] = name.split('.')
    return { schema, name: table }
  })
  return selectEntries(entries, { kind: 'some', schemas: [], tables: asked })
}

function shown(selection: Selection): readonly string[] {
  return entries.filter(({ dumpId }) => selection.ids.has(dumpId)).map(entryText)
}

function entryText({ kind, tag }: TocEntry): string {
  return `${kind} ${tag}`
}

test('a table comes with all that is its own, and with the schema, types and functions it needs', () => {
  const selection = tables('public.orders')

  assert.deepEqual(shown(selection), [
    'SCHEMA o dd',
    'DOMAIN positive',
    'FUNCTION touch()',
    'TABLE orders',
    'ACL COLUMN orders.customer',
    'SEQUENCE orders_id_seq',
    'TABLE DATA orders',
    'SEQUENCE SET orders_id_seq',
    'CONSTRAINT orders orders_pkey',
    'INDEX orders_customer_idx',
    'COMMENT INDEX orders_customer_idx',
    'STATISTICS both',
    'TRIGGER orders touch',
    'ROW SECURITY orders',
    'POLICY orders theirs',
  ])
})

test('a foreign key to a table that does not come is left out, and said', () => {
  const { leftOut } = tables('public.orders')

  assert.deepEqual(
    leftOut.map(({ entry, askedFor }) => [entryText(entry), askedFor]),
    [['FK CONSTRAINT orders orders_customer_fkey', 'with-others']],
  )
  assert.deepEqual(tables('public.orders', 'o dd.T "x').leftOut, [])
})

test('a table that another refers to does not bring that one', () => {
  assert(!shown(tables('o dd.T "x')).some((text) => text.includes('orders')))
})

test('a sequence that a default takes numbers from comes along, with its state', () => {
  const selection = tables('public.numbered')

  assert(shown(selection).includes('SEQUENCE SET numbers'))
})

test('a partitioned table comes with its partitions; a partition alone is not attached', () => {
  assert(shown(tables('public.parts')).includes('TABLE DATA parts_2026'))
  const alone = tables('public.parts_2026')
  assert(shown(alone).includes('TABLE parts_2026'))
  assert(!shown(alone).includes('TABLE parts'))
  assert.deepEqual(
    alone.leftOut.map(({ entry }) => entryText(entry)),
    ['TABLE ATTACH parts_2026'],
  )
})

test('a view without its tables cannot come', () => {
  const [left, ...others] = tables('public.totals').leftOut

  assert.equal(left?.askedFor, 'by-name')
  assert.equal(others.length, 0)
})

test('a schema comes with all that is in it', () => {
  const selection = selectEntries(entries, { kind: 'some', schemas: ['o dd'], tables: [] })

  assert.deepEqual(selection.leftOut, [])
  assert.equal(shown(selection).filter((text) => text.includes('T "x')).length, 8)
})

test('what is not there is named', () => {
  const asked = {
    kind: 'some',
    schemas: ['public', 'gone'],
    tables: [{ schema: 'public', name: 'x' }],
  } as const
  assert.deepEqual(selectEntries(entries, asked).unknown, ["schema 'gone'", "table 'public.x'"])
})

test('everything is restored once, grants behind the data, in the order of the archive', () => {
  const all = selectEntries(entries, { kind: 'all' })
  const { schema, data, finish, last } = runLists(entries, all)

  assert.deepEqual(
    new Set([...schema, ...data, ...finish, ...last]),
    new Set(entries.map(({ dumpId }) => dumpId)),
  )
  assert.equal(schema.length + data.length + finish.length + last.length, entries.length)
  const kinds = new Map(entries.map(({ dumpId, kind }) => [dumpId, kind]))
  assert(finish.some((id) => kinds.get(id) === 'ACL'))
  assert(finish.some((id) => kinds.get(id) === 'COMMENT'))
  assert.deepEqual(
    new Set(data.map((id) => kinds.get(id))),
    new Set(['TABLE DATA', 'SEQUENCE SET']),
  )
})

test('of an archive of data only, tables are found by OID and sequences by name', () => {
  const renumbered = entries
    .filter(({ section }) => section === 'data')
    .map(
      (entry): TocEntry =>
        Object.assign({}, entry, { dumpId: entry.dumpId + 1000, dependencies: [] }),
    )
  const byId = new Map(renumbered.map((entry) => [entry.dumpId, entryText(entry)]))
  const listed = dataList(renumbered, tables('public.orders')).map((id) => byId.get(id))

  assert.deepEqual(listed, ['TABLE DATA orders', 'SEQUENCE SET orders_id_seq'])
  assert.equal(
    dataList(renumbered, selectEntries(entries, { kind: 'all' })).length,
    renumbered.length,
  )
})
