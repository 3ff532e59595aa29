import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DatabaseFingerprint, UNCOVERED_KINDS } from './fingerprint.ts'
import type { JsonValue } from './json.ts'
import { readFingerprint } from './read-fingerprint.ts'

const fingerprint: DatabaseFingerprint = {
  version: 1,
  serverMajor: 17,
  encoding: 'UTF8',
  tables: [
    {
      schema: 'public',
      name: 'orders',
      oid: 16_401,
      columns: ['id', 'total'],
      coverage: { kind: 'sampled', percent: 3 },
      rows: '12345678901234567890',
      digest: 'ab',
      buckets: 'AA==',
    },
    {
      schema: 's',
      name: 't',
      oid: 1,
      columns: [],
      coverage: { kind: 'counted' },
      rows: '0',
      spreadBelow: { schema: 's', name: 'above' },
    },
  ],
  sequences: [
    {
      schema: 's',
      name: 'n',
      lastValue: '9',
      isCalled: true,
      later: { lastValue: '10', isCalled: true },
    },
  ],
  largeObjects: { count: '0', sizeBytes: '0', digest: '00' },
  facts: [{ kind: 'index', name: 'i', definition: 'd', oid: 5, tableOid: 6 }],
  uncovered: UNCOVERED_KINDS.map((kind) => ({ kind, name: 'm', reason: 'r' })),
}

function json(part: object): JsonValue {
  const value: JsonValue = JSON.parse(JSON.stringify({ ...fingerprint, ...part }))
  return value
}

test('a fingerprint is read as it was written', () => {
  assert.deepEqual(readFingerprint(json({})), fingerprint)
})

test('what is not a fingerprint is refused, and says what is wrong', () => {
  const refusals: readonly (readonly [object, RegExp])[] = [
    [{ version: 2 }, /version '2'/],
    [{ tables: 'x' }, /'tables' is not a list/],
    [{ tables: [{ ...fingerprint.tables[0], rows: 5 }] }, /'rows' is not a string/],
    [{ tables: [{ ...fingerprint.tables[0], coverage: { kind: 'most' } }] }, /'most'/],
    [{ uncovered: [{ kind: 'x', name: '', reason: '' }] }, /'x' is nothing/],
    [{ sequences: [{ schema: 's', name: 'n', lastValue: '9' }] }, /'isCalled' is missing/],
  ]
  for (const [part, expected] of refusals)
    assert.throws(() => readFingerprint(json(part)), expected)
})
