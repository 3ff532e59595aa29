import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {
  DatabaseFingerprint,
  SchemaFact,
  TableCoverage,
  TableFingerprint,
} from '../format/fingerprint.ts'
import { packRowBuckets } from '../format/row-buckets.ts'
import { openRowDigester } from '../pipe/codecs.ts'
import { type Comparison, type ComparisonOptions, compareFingerprints } from './compare.ts'
import { factKey } from './compare-facts.ts'
import { UNREADABLE } from './sql.ts'
import { coverLike, coverUpTo, rowsOf, type TableShape } from './tables.ts'

const EMPTY: DatabaseFingerprint = {
  version: 1,
  serverMajor: 18,
  encoding: 'UTF8',
  tables: [],
  sequences: [],
  largeObjects: { count: '0', sizeBytes: '0', digest: '0'.repeat(64) },
  facts: [],
  uncovered: [],
}

function table(
  rows: readonly string[],
  coverage: TableCoverage = { kind: 'full' },
): TableFingerprint {
  using digester = openRowDigester()
  for (const row of rows) digester.update(Buffer.from(`${row}\n`))
  const { digest, buckets } = digester.result()
  const base = { schema: 'app', name: 't', oid: 1, columns: ['a'], coverage }
  return { ...base, rows: String(rows.length), digest, buckets: packRowBuckets(buckets) }
}

function compare(
  source: Partial<DatabaseFingerprint>,
  restored: Partial<DatabaseFingerprint>,
  options: Partial<ComparisonOptions> = {},
): Comparison {
  const none = { ignoreKinds: new Set<string>(), wordings: new Map() }
  return compareFingerprints(
    { ...EMPTY, ...source },
    { ...EMPTY, ...restored },
    { ...none, ...options },
  )
}

function compareRows(source: readonly string[], restored: readonly string[]): string {
  const { verdict, tables } = compare({ tables: [table(source)] }, { tables: [table(restored)] })
  return `${verdict}: ${tables.map(({ result, detail }) => `${result} ${detail}`).join()}`
}

test('rows in another order are the same rows, and each other change is told with at least how many rows it concerns', () => {
  assert.equal(compareRows(['1', '2', '3'], ['3', '1', '2']), 'exact: exact ')
  assert.equal(
    compareRows(['1', '2', '3'], ['1', '2']),
    "differs: differs 3 rows in the source, 2 restored; at least 1 of the source's are missing or changed",
  )
  assert.equal(
    compareRows(['1', '2'], ['1', '2', '2']),
    "differs: differs 2 rows in the source, 3 restored; at least 1 restored ones are not the source's",
  )
  assert.equal(
    compareRows(['1', '2', '3'], ['1', 'two', 'three']),
    "differs: differs 3 rows in the source, 3 restored; at least 2 of the source's are missing or changed; at least 2 restored ones are not the source's",
  )
})

/** Partitions of `app.t` by the hash of an enum, each with these rows. */
function spread(
  partitions: readonly (readonly string[])[],
  coverage?: TableCoverage,
): readonly TableFingerprint[] {
  return partitions.map((rows, index) => ({
    ...table(rows, coverage),
    name: `t_${index}`,
    spreadBelow: { schema: 'app', name: 't' },
  }))
}

test('rows that another server deals out to other partitions are compared all together', () => {
  const rows = Array.from({ length: 300 }, (_, index) => `row ${index}`)
  const tables = spread([rows.slice(0, 100), rows.slice(100)])
  const dealtOut = spread([rows.slice(50, 60), [...rows.slice(60), ...rows.slice(0, 50)]])

  const same = compare({ tables }, { tables: dealtOut })
  assert.equal(same.verdict, 'exact')
  assert.deepEqual(same.tables, [{ name: 'app.t', result: 'exact', detail: '' }])
  // As in a fingerprint that does not say so yet.
  const older = [
    { ...table(rows.slice(0, 100)), name: 't_0' },
    { ...table(rows.slice(100)), name: 't_1' },
  ]
  assert.equal(compare({ tables: older }, { tables: dealtOut }).verdict, 'exact')

  const oneLost = compare({ tables }, { tables: spread([rows.slice(0, 100), rows.slice(101)]) })
  assert.deepEqual(oneLost.tables, [
    {
      name: 'app.t',
      result: 'differs',
      detail:
        "300 rows in the source, 299 restored; at least 1 of the source's are missing or changed",
    },
  ])
  const counted = [...spread([rows]), ...spread([rows], { kind: 'counted' })]
  assert.equal(compare({ tables: counted }, { tables: counted }).verdict, 'sampled')
})

test('a table that is missing or extra differs, and one that cannot be compared is not a proof', () => {
  const tables = [table(['1'])]
  const uncovered = [{ kind: 'unlogged table', name: 'app.t', reason: '' }] as const

  assert.equal(compare({ tables }, {}).tables[0]?.result, 'missing')
  assert.equal(compare({}, { tables }).tables[0]?.result, 'extra')
  assert.deepEqual(compare({ uncovered }, { tables }).tables, [])
  assert.equal(compare({ tables }, { uncovered }).verdict, 'not-comparable')
  assert.equal(
    compare({ tables }, { tables: [{ ...table(['1']), columns: ['b'] }] }).verdict,
    'not-comparable',
  )
})

test('what was sampled or counted is never called exact', () => {
  const sampled = [table(['1'], { kind: 'sampled', percent: 1 })]
  const counted = [table(['1'], { kind: 'counted' })]

  assert.equal(compare({ tables: sampled }, { tables: sampled }).verdict, 'sampled')
  assert.equal(compare({ tables: counted }, { tables: counted }).verdict, 'sampled')
  assert.equal(compare({ tables: counted }, { tables: sampled }).verdict, 'not-comparable')
  const other = [table(['2'], { kind: 'sampled', percent: 1 })]
  assert.equal(compare({ tables: sampled }, { tables: other }).verdict, 'differs')
  assert.equal(
    compare({ tables: sampled }, { tables: other, encoding: 'LATIN1' }).verdict,
    'not-comparable',
  )
})

const at = (lastValue: string): Pick<DatabaseFingerprint, 'sequences'> => ({
  sequences: [{ schema: 'app', name: 's', lastValue, isCalled: true }],
})

test('a sequence that moved during the dump may be restored at any value in between', () => {
  const moved = {
    sequences: [
      {
        schema: 'app',
        name: 's',
        lastValue: '5',
        isCalled: true,
        later: { lastValue: '9', isCalled: true },
      },
    ],
  }

  assert.equal(compare(at('5'), at('5')).sequences[0]?.result, 'exact')
  assert.equal(compare(moved, at('9')).sequences[0]?.result, 'exact')
  assert.equal(compare(moved, at('7')).verdict, 'exact')
  assert.equal(compare(moved, at('7')).sequences[0]?.result, 'between')
  assert.equal(compare(moved, at('10')).verdict, 'differs')
  assert.equal(compare(at('5'), at('6')).sequences[0]?.detail, '5 in the source, 6 restored')
})

const fact = (kind: string, definition: string, name = 'app.x'): SchemaFact => ({
  kind,
  name,
  definition,
})
const facts = (...each: readonly SchemaFact[]): { readonly facts: readonly SchemaFact[] } => ({
  facts: each,
})

test('facts are missing, extra or differ, with both texts; those of ignored kinds are not looked at', () => {
  const owner = fact('owner', 'alice')
  assert.deepEqual(compare(facts(owner), facts(fact('owner', 'bob'))).facts, [
    {
      kind: 'owner',
      name: 'app.x',
      result: 'differs',
      source: 'alice',
      restored: 'bob',
      reason: '',
    },
  ])
  assert.equal(compare(facts(owner), {}).facts[0]?.result, 'missing')
  assert.equal(compare({}, facts(owner)).facts[0]?.result, 'extra')
  assert.equal(compare(facts(owner), {}, { ignoreKinds: new Set(['owner']) }).verdict, 'exact')
})

test('definitions worded by two versions are told apart only when one of them can word both', () => {
  const old = { ...facts(fact('view', 'SELECT t.a')), serverMajor: 15 }
  const now = facts(fact('view', 'SELECT a'))
  const key = factKey({ kind: 'view', name: 'app.x' })

  const { facts: unknown, verdict } = compare(old, now)
  assert.equal(verdict, 'not-comparable')
  assert.equal(unknown[0]?.reason, 'worded by PostgreSQL 15 and 18')
  assert.equal(compare(old, now, { wordings: new Map([[key, 'same']]) }).verdict, 'exact')
  assert.equal(compare(old, now, { wordings: new Map([[key, 'different']]) }).verdict, 'differs')
  assert.equal(compare({ ...old, serverMajor: 18 }, now).verdict, 'differs')
  assert.equal(
    compare({ ...facts(fact('column', 'integer')), serverMajor: 15 }, facts(fact('column', 'text')))
      .verdict,
    'differs',
  )
})

test('what an older server cannot say is no difference, and what the machine decides is a remark', () => {
  const maintain = fact('grant', 'granted', 'table app.t to bob: MAINTAIN')
  const named = fact('not-null constraint', 'NOT NULL a')

  assert.equal(compare({ serverMajor: 15 }, facts(maintain, named)).verdict, 'exact')
  assert.equal(compare({ serverMajor: 17 }, facts(maintain)).verdict, 'differs')
  assert.equal(compare({}, facts(named)).verdict, 'differs')
  const remarked = compare(
    facts(fact('extension version', '1.6')),
    facts(fact('extension version', '1.8')),
  )
  assert.equal(remarked.verdict, 'exact')
  assert.deepEqual(remarked.remarks, [
    'extension version of app.x: 1.6 in the source, 1.8 restored',
  ])
})

test('large objects that nobody could read are no proof', () => {
  const uncovered = [{ kind: 'large objects', name: 'large objects', reason: '' }] as const

  assert.equal(compare({ uncovered }, { uncovered }).verdict, 'not-comparable')
  const largeObjects = { count: '1', sizeBytes: '5', digest: '1'.repeat(64) }
  for (const found of [
    compare({ largeObjects }, { uncovered }),
    compare({ uncovered }, { largeObjects }),
  ]) {
    assert.equal(found.verdict, 'not-comparable')
    assert.equal(found.largeObjects.result, 'not-comparable')
  }
})

const ownedBy = (definition: string): SchemaFact => ({
  kind: 'owner',
  name: 'table s.t',
  definition,
  oid: 7,
})

test('without owners, what was granted to the role that owns it now is no difference', () => {
  const grants = ['table s.t to app: SELECT', 'table column s.t.c to app: UPDATE'].map(
    (name): SchemaFact => ({ kind: 'grant', name, definition: 'granted', oid: 7 }),
  )
  const source = { facts: [ownedBy('stock'), ...grants] }
  const verdictFor = (name: string, ...ignored: readonly string[]): string =>
    compare(source, { facts: [ownedBy(name)] }, { ignoreKinds: new Set(ignored) }).verdict

  assert.equal(verdictFor('app', 'owner'), 'exact')
  assert.equal(verdictFor('somebody', 'owner'), 'differs')
  assert.equal(verdictFor('app'), 'differs')
})

const mapping = (definition: string): Pick<DatabaseFingerprint, 'facts'> => ({
  facts: [{ kind: 'user mapping', name: 'app on afar', definition }],
})

test('options that somebody could not read are no proof, and no difference either', () => {
  const known = mapping('; options digest 12')

  assert.equal(compare(known, known).verdict, 'exact')
  for (const [source, restored] of [
    [known, mapping(UNREADABLE)],
    [mapping(UNREADABLE), known],
    [mapping(UNREADABLE), mapping(UNREADABLE)],
  ] as const) {
    assert.equal(compare(source, restored).verdict, 'not-comparable')
  }
})

const SHAPE: TableShape = {
  schema: 'app',
  name: 't"t',
  oid: 1,
  sizeBytes: 1000,
  columns: [
    { name: 'a', type: '"char"' },
    { name: 'B', type: 'text' },
  ],
  keyColumns: ['a'],
  condition: '',
}

test('small tables are covered in full, larger ones by their number or a sample, restored ones as the source was', () => {
  const policy = coverUpTo(999, { kind: 'counted' })
  assert.deepEqual(policy(SHAPE), { kind: 'counted' })
  assert.deepEqual(policy({ ...SHAPE, sizeBytes: 999 }), { kind: 'full' })
  const like = coverLike({ ...EMPTY, tables: [table([], { kind: 'sampled', percent: 3 })] })
  assert.deepEqual(like({ ...SHAPE, name: 't' }), { kind: 'sampled', percent: 3 })
  assert.deepEqual(like(SHAPE), { kind: 'counted' })
})

test('what is copied says every name as it is, and a sample is chosen by the key', () => {
  assert.equal(
    rowsOf(SHAPE, { kind: 'full' }),
    '(select "a"::pg_catalog.int4, "B" from only "app"."t""t")',
  )
  assert.equal(
    rowsOf(SHAPE, { kind: 'sampled', percent: 25 }),
    '(select "a"::pg_catalog.int4, "B" from only "app"."t""t" where pg_catalog.md5(row("a")::pg_catalog.text) collate "C" < \'40000000\')',
  )
  assert.equal(rowsOf(SHAPE, { kind: 'counted' }), undefined)
})

test('a table is copied by its name when all its rows are wanted, and their columns as they are', () => {
  const columns = [{ name: 'B', type: 'text' }]
  assert.equal(rowsOf({ ...SHAPE, columns }, { kind: 'full' }), '"app"."t""t" ("B")')
  assert.equal(
    rowsOf({ ...SHAPE, columns, condition: 'where B > 1' }, { kind: 'full' }),
    '(select "B" from (select * from only "app"."t""t" where B > 1) configuration)',
  )
  assert.equal(
    rowsOf({ ...SHAPE, columns: [] }, { kind: 'full' }),
    '(select  from only "app"."t""t")',
  )
})
