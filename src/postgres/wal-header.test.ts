import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseWalHeader } from './wal-header.ts'

/** The first 40 bytes of the first segment that initdb of PostgreSQL 15 wrote. */
const WRITTEN_BY_15 =
  '10d10200010000000000000100000000000000000000000079db5f690297036b0000000100200000'

test('a WAL header names release, cluster, segment size and position', () => {
  assert.deepEqual(parseWalHeader(Buffer.from(WRITTEN_BY_15, 'hex')), {
    version: '15',
    systemId: 7711173023602039673n,
    segmentSizeBytes: 16777216,
    timeline: 1,
    startLsn: 0x1000000n,
  })
})

test('an unknown magic is a format error', () => {
  const bytes = Buffer.from(WRITTEN_BY_15.replace('10d1', '10ff'), 'hex')

  assert.throws(() => parseWalHeader(bytes), { kind: 'format' })
})

test('a page with a short header is not the beginning of a segment', () => {
  const bytes = Buffer.from(WRITTEN_BY_15.replace('10d102', '10d100'), 'hex')

  assert.throws(() => parseWalHeader(bytes), { kind: 'format' })
})

test('fewer bytes than the header has are a format error', () => {
  assert.throws(() => parseWalHeader(Buffer.from(WRITTEN_BY_15, 'hex').subarray(0, 39)), {
    kind: 'format',
  })
})
