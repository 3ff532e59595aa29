import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB } from '../base/units.ts'
import {
  archiveFileKeyName,
  archiveId,
  formatLsn,
  nextSegment,
  parseArchivedSegment,
  parseArchiveId,
  parseLsn,
  parseSegmentName,
  segmentAt,
  segmentStart,
  segmentsBetween,
  timelineOf,
} from './wal.ts'

const SIZE = 16 * MIB
const SHA1 = 'a9993e364706816aba3e25717850c26c9cd0d89d'

test('a segment name is 24 upper-case hex digits', () => {
  assert.equal(timelineOf(parseSegmentName('0000000A00000001000000FE')), 10)
  assert.throws(() => parseSegmentName('0000000a00000001000000fe'), { kind: 'format' })
  assert.throws(() => parseSegmentName('00000001.history'), { kind: 'format' })
})

test('an LSN is its high and low half in hex', () => {
  assert.equal(parseLsn('1/5000028'), 0x1_0500_0028n)
  assert.equal(formatLsn(0x1_0500_0028n), '1/5000028')
  assert.throws(() => parseLsn('5000028'), { kind: 'format' })
  assert.throws(() => parseLsn('1/123456789'), { kind: 'format' })
})

test('a segment holds the bytes from its start to the next one', () => {
  assert.equal(segmentAt(parseLsn('0/5000028'), 1, SIZE), '000000010000000000000005')
  assert.equal(segmentAt(parseLsn('0/5000000'), 1, SIZE), '000000010000000000000005')
  assert.equal(
    segmentStart(parseSegmentName('000000010000000200000005'), SIZE),
    parseLsn('2/5000000'),
  )
})

test('the number of segments to a high half depends on their size', () => {
  assert.equal(
    nextSegment(parseSegmentName('0000000100000000000000FF'), SIZE),
    '000000010000000100000000',
  )
  assert.equal(
    nextSegment(parseSegmentName('000000010000000000000FFF'), MIB),
    '000000010000000100000000',
  )
  assert.equal(segmentAt(parseLsn('1/40000000'), 1, 1024 * MIB), '000000010000000100000001')
})

const between = (startLsn: string, stopLsn: string): readonly string[] =>
  segmentsBetween({
    startLsn: parseLsn(startLsn),
    stopLsn: parseLsn(stopLsn),
    timeline: 1,
    segmentSizeBytes: SIZE,
  })

test('a range ends with the segment of its last byte, not with the one that starts there', () => {
  assert.deepEqual(between('0/4000028', '0/5000050'), [
    '000000010000000000000004',
    '000000010000000000000005',
  ])
  assert.deepEqual(between('0/4000028', '0/5000000'), ['000000010000000000000004'])
  assert.deepEqual(between('0/5000000', '0/5000000'), ['000000010000000000000005'])
  assert.deepEqual(between('0/FF000028', '1/1'), [
    '0000000100000000000000FF',
    '000000010000000100000000',
  ])
})

test('an archive id is a version and a history id', () => {
  assert.equal(archiveId('9.6', 12), '9.6-12')
  assert.deepEqual(parseArchiveId('9.6-12'), { version: '9.6', historyId: 12 })
  assert.equal(parseArchiveId('archive.info'), undefined)
  assert.equal(parseArchiveId('15-'), undefined)
})

test('archived files are named by what they are', () => {
  const segment = '0000000200000001000000FE'

  assert.equal(archiveFileKeyName(segment, SHA1, 'gz'), `0000000200000001/${segment}-${SHA1}.gz`)
  assert.equal(
    archiveFileKeyName(`${segment}.partial`, SHA1, 'none'),
    `0000000200000001/${segment}.partial-${SHA1}`,
  )
  assert.equal(
    archiveFileKeyName(`${segment}.00000028.backup`, undefined, 'gz'),
    `0000000200000001/${segment}.00000028.backup`,
  )
  assert.equal(archiveFileKeyName('00000002.history', undefined, 'gz'), '00000002.history')
})

test('the name of a stored segment says what it holds', () => {
  assert.deepEqual(parseArchivedSegment(`0000000200000001000000FE.partial-${SHA1}.zst`), {
    segment: '0000000200000001000000FE',
    partial: true,
    checksum: SHA1,
    compressType: 'zst',
  })
  assert.equal(parseArchivedSegment(`0000000200000001000000FE-${SHA1}`)?.compressType, 'none')
  assert.equal(parseArchivedSegment('0000000200000001000000FE.00000028.backup'), undefined)
  assert.equal(
    parseArchivedSegment(`0000000200000001000000FE-${SHA1}.gz.pgbackrest.tmp`),
    undefined,
  )
})
