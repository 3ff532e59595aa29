import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB } from '../../base/units.ts'
import { parseSegmentName, type SegmentName } from '../../format/wal.ts'
import { missingWal, type Need, walState } from './judge.ts'
import { consecutive } from './wal-ranges.ts'

const SIZE = 16 * MIB

function seg(low: number): SegmentName {
  return parseSegmentName(`0000000100000000${low.toString(16).toUpperCase().padStart(8, '0')}`)
}

type State = 'valid' | 'invalid' | 'unreadable'

function archive(states: Readonly<Record<number, State>>): Parameters<typeof walState>[1] {
  const segments = new Map(
    Object.entries(states).map(([low, state]) => [seg(Number(low)), { state, modifiedMs: 0 }]),
  )
  const ranges = consecutive([...segments.keys()].toSorted(), SIZE)
  return { segments, ranges, segmentSizeBytes: SIZE }
}

function need(first: number, last: number, own: readonly number[] = []): Need {
  return { label: 'A', first: seg(first), last: seg(last), ownSegments: new Set(own.map(seg)) }
}

test('a hole names the backups that need it', () => {
  const found = missingWal(archive({ 1: 'valid', 3: 'valid' }), [need(1, 3), need(3, 3)])

  assert.deepEqual(found, [{ first: seg(2), last: seg(2), labels: ['A'] }])
})

test('a hole that no backup needs is one nevertheless', () => {
  const found = missingWal(archive({ 1: 'valid', 3: 'valid' }), [need(3, 3)])

  assert.deepEqual(found, [{ first: seg(2), last: seg(2), labels: [] }])
})

test('WAL that a backup needs after the end of the archive is missing', () => {
  const found = missingWal(archive({ 1: 'valid' }), [need(1, 2)])

  assert.deepEqual(found, [{ first: seg(2), last: seg(2), labels: ['A'] }])
})

test('a backup does not lack what it holds itself', () => {
  assert.deepEqual(missingWal(archive({ 1: 'valid' }), [need(1, 2, [2])]), [])
  assert.equal(walState(need(1, 2, [2]), archive({ 1: 'valid' })), 'valid')
})

test('missing and damaged WAL makes a backup invalid, unreadable WAL does not prove it', () => {
  assert.equal(walState(need(1, 2), archive({ 1: 'valid', 2: 'valid' })), 'valid')
  assert.equal(walState(need(1, 2), archive({ 1: 'unreadable', 2: 'valid' })), 'unreadable')
  assert.equal(walState(need(1, 2), archive({ 1: 'unreadable', 2: 'invalid' })), 'invalid')
  assert.equal(walState(need(1, 2), archive({ 1: 'valid' })), 'invalid')
})
