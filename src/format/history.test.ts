import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseHistory, renderHistory } from './history.ts'

test('a history of PostgreSQL 15 is read, without comments and empty lines', () => {
  const text =
    '# made by hand\n1\t0/16B3748\tno recovery target specified\n\n2\t1/0\tbefore 2026-11-22 18:20:42+00\n'

  assert.deepEqual(parseHistory(text), [
    { timeline: 1, switchLsn: 0x16b3748n, reason: 'no recovery target specified' },
    { timeline: 2, switchLsn: 0x1_0000_0000n, reason: 'before 2026-11-22 18:20:42+00' },
  ])
})

test('a reason may be missing, and LSNs may be padded as PostgreSQL 19 pads them', () => {
  assert.deepEqual(parseHistory('3\t0/016B3748\n'), [
    { timeline: 3, switchLsn: 0x16b3748n, reason: '' },
  ])
})

test('lines that PostgreSQL would refuse are refused', () => {
  assert.throws(() => parseHistory('one\t0/16B3748\n'), { kind: 'format' })
  assert.throws(() => parseHistory('1\t16B3748\n'), { kind: 'format' })
  assert.throws(() => parseHistory('2\t0/1\ta\n1\t0/2\tb\n'), { kind: 'format' })
  assert.throws(() => parseHistory('4294967296\t0/1\ta\n'), { kind: 'format' })
})

test('a history is written with tabs', () => {
  assert.equal(
    renderHistory([{ timeline: 1, switchLsn: 0x16b3748n, reason: 'r' }]),
    '1\t0/16B3748\tr\n',
  )
})
