import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatUtcOffset, offsetAtMs, offsetOfWallTime, parseUtcOffset } from './local-time.ts'

test('offsets are read as PostgreSQL writes them, and as people do', () => {
  assert.equal(parseUtcOffset('Z'), 0)
  assert.equal(parseUtcOffset('utc'), 0)
  assert.equal(parseUtcOffset('+02'), 7200)
  assert.equal(parseUtcOffset('-0330'), -12600)
  assert.equal(parseUtcOffset('+05:45'), 20700)
  assert.equal(parseUtcOffset('+16:00'), undefined)
  assert.equal(parseUtcOffset('+02:60'), undefined)
  assert.equal(parseUtcOffset('CET'), undefined)
})

test('offsets are written as short as PostgreSQL writes them', () => {
  assert.equal(formatUtcOffset(0), '+00')
  assert.equal(formatUtcOffset(20700), '+05:45')
  assert.equal(formatUtcOffset(-12600), '-03:30')
  assert.equal(formatUtcOffset(-75), '-00:01:15')
})

test('a zone has the offset of its season', () => {
  assert.equal(offsetAtMs('Europe/Berlin', Date.parse('2026-01-15T00:00:00Z')), 3600)
  assert.equal(offsetAtMs('Europe/Berlin', Date.parse('2026-07-15T00:00:00Z')), 7200)
  assert.equal(offsetAtMs('UTC', 0), 0)
  assert.equal(offsetAtMs('-03:30', 0), -12600)
})

test('a wall time in summer or winter has one offset', () => {
  assert.equal(offsetOfWallTime('Europe/Berlin', Date.parse('2026-07-15T14:30:00Z')), 7200)
  assert.equal(offsetOfWallTime('Asia/Kolkata', Date.parse('2026-07-15T14:30:00Z')), 19800)
})

test('just before and after a change of clocks a wall time has one offset', () => {
  assert.equal(offsetOfWallTime('Europe/Berlin', Date.parse('2026-03-29T01:59:59Z')), 3600)
  assert.equal(offsetOfWallTime('Europe/Berlin', Date.parse('2026-03-29T03:00:00Z')), 7200)
  assert.equal(offsetOfWallTime('Europe/Berlin', Date.parse('2026-10-25T01:59:59Z')), 7200)
  assert.equal(offsetOfWallTime('Europe/Berlin', Date.parse('2026-10-25T03:00:00Z')), 3600)
})

test('a wall time that occurs twice is refused, and the error names both offsets', () => {
  const wallMs = Date.parse('2026-10-25T02:30:00Z')

  assert.throws(() => offsetOfWallTime('Europe/Berlin', wallMs), {
    kind: 'option-invalid-value',
    hints: ['The clocks were put back over it. State the offset: +02 or +01.'],
  })
})

test('a wall time that the clocks leave out is refused', () => {
  const wallMs = Date.parse('2026-03-29T02:30:00Z')

  assert.throws(() => offsetOfWallTime('Europe/Berlin', wallMs), { kind: 'option-invalid-value' })
})

test('an unknown zone is refused', () => {
  assert.throws(() => offsetOfWallTime('Europe/Atlantis', 0), { kind: 'option-invalid-value' })
})
