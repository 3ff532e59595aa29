import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSegmentName } from '../../format/wal.ts'
import { headBytes, type Nature, unnatural } from './nature.ts'

/** The first 40 bytes of segment 000000010000000000000001 of PostgreSQL 15. */
const HEAD = Buffer.from(
  '10d10200010000000000000100000000000000000000000079db5f690297036b0000000100200000',
  'hex',
)
const SEGMENT_BYTES = 16_777_216

function segment(name: string, version = '15', systemId = 7711173023602039673n): Nature {
  return { kind: 'segment', segment: parseSegmentName(name), version, systemId }
}

const FIRST = segment('000000010000000000000001')

test('a segment is of its cluster, at its place', () => {
  assert.equal(unnatural(FIRST, SEGMENT_BYTES, HEAD), undefined)
})

test('the first segment of a timeline may begin as the one before', () => {
  assert.equal(unnatural(segment('000000020000000000000001'), SEGMENT_BYTES, HEAD), undefined)
})

test('a segment under the name of another one is another segment', () => {
  const found = unnatural(segment('000000010000000000000002'), SEGMENT_BYTES, HEAD)

  assert.deepEqual(found, { kind: 'content', detail: 'it is another segment' })
})

test('a segment of another cluster or release is told', () => {
  const other = unnatural(segment('000000010000000000000001', '15', 5n), SEGMENT_BYTES, HEAD)
  const newer = unnatural(segment('000000010000000000000001', '17'), SEGMENT_BYTES, HEAD)

  assert.match(other?.detail ?? '', /system identifier 7711173023602039673/)
  assert.match(newer?.detail ?? '', /PostgreSQL 15/)
})

test('what has not the size of a segment is none', () => {
  assert.equal(unnatural(FIRST, 1_000_000, HEAD)?.kind, 'size')
  assert.equal(unnatural(FIRST, SEGMENT_BYTES / 2, HEAD)?.kind, 'size')
})

test('what does not begin as a segment is none', () => {
  assert.equal(unnatural(FIRST, SEGMENT_BYTES, Buffer.alloc(40))?.kind, 'content')
})

test('of a release that is not known only the size can be told', () => {
  const old = segment('000000010000000000000001', '8.3')

  assert.equal(unnatural(old, SEGMENT_BYTES, Buffer.alloc(40)), undefined)
  assert.equal(unnatural(old, 1000, Buffer.alloc(40))?.kind, 'size')
})

function text(kind: 'history' | 'backup-label', content: string): unknown {
  return unnatural({ kind }, content.length, Buffer.from(content))
}

test('a history that makes no sense and a label that is none are told', () => {
  assert.equal(text('history', '1\t0/3000000\tno recovery target specified\n'), undefined)
  assert.notEqual(text('history', 'nonsense'), undefined)
  assert.equal(text('backup-label', 'START WAL LOCATION: 0/8000028 (file 0…8)\n'), undefined)
  assert.notEqual(text('backup-label', 'nonsense'), undefined)
})

test('of other files no byte is looked at', () => {
  assert.equal(headBytes({ kind: 'any' }), 0)
  assert.equal(unnatural({ kind: 'any' }, 7, Buffer.alloc(0)), undefined)
})
