import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import { COMPRESS_TYPES } from '../pipe/compress-type.ts'
import { byteString } from './format.arbitrary.ts'
import { parseHistory, renderHistory } from './history.ts'
import {
  archiveFileKeyName,
  archiveId,
  formatLsn,
  nextSegment,
  parseArchivedSegment,
  parseArchiveId,
  parseLsn,
  segmentAt,
  segmentStart,
  segmentsBetween,
  timelineOf,
} from './wal.ts'

const lsn = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
const timeline = fc.integer({ min: 1, max: 2 ** 32 - 1 })
const segmentSizeBytes = fc.integer({ min: 0, max: 10 }).map((power) => MIB * 2 ** power)

test('an LSN is read back as it was written', () => {
  fc.assert(
    fc.property(lsn, (value) => {
      assert.equal(parseLsn(formatLsn(value)), value)
    }),
  )
})

test('every byte is in exactly one segment, and the next segment starts where one ends', () => {
  fc.assert(
    fc.property(lsn, timeline, segmentSizeBytes, (value, line, size) => {
      const segment = segmentAt(value, line, size)
      const start = segmentStart(segment, size)
      assert(start <= value && value < start + BigInt(size))
      assert.equal(timelineOf(segment), line)
      fc.pre(start + BigInt(size) < 2n ** 64n)
      assert.equal(segmentStart(nextSegment(segment, size), size), start + BigInt(size))
    }),
  )
})

test('the segments of a range follow each other from its first byte to its last', () => {
  const bytes = fc.bigInt({ min: 0n, max: 64n * BigInt(MIB) })
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 63n }),
      bytes,
      segmentSizeBytes,
      (startLsn, length, size) => {
        const stopLsn = startLsn + length
        const segments = segmentsBetween({ startLsn, stopLsn, timeline: 1, segmentSizeBytes: size })
        assert.equal(segments[0], segmentAt(startLsn, 1, size))
        assert.equal(segments.at(-1), segmentAt(length === 0n ? startLsn : stopLsn - 1n, 1, size))
        for (const [index, segment] of segments.slice(1).entries()) {
          const before = segments[index]
          assert(before !== undefined)
          assert.equal(segment, nextSegment(before, size))
        }
      },
    ),
  )
})

test('archive ids and archived segments are read back from their names', () => {
  const parts = fc.record({
    version: fc.constantFrom('9.6', '15'),
    historyId: fc.nat(),
    segment: fc.stringMatching(/^[0-9A-F]{24}$/),
    partial: fc.boolean(),
    checksum: fc.stringMatching(/^[0-9a-f]{40}$/),
    compressType: fc.constantFrom(...COMPRESS_TYPES),
  })
  fc.assert(
    fc.property(parts, ({ version, historyId, ...stored }) => {
      assert.deepEqual(parseArchiveId(archiveId(version, historyId)), { version, historyId })
      const file = `${stored.segment}${stored.partial ? '.partial' : ''}`
      const key = archiveFileKeyName(file, stored.checksum, stored.compressType)
      assert.deepEqual(parseArchivedSegment(key.slice(17)), { ...stored })
    }),
  )
})

test('a timeline history is read back as it was written', () => {
  const entry = fc.record(
    { timeline, switchLsn: lsn, reason: byteString.map((text) => text.replaceAll('\n', '')) },
    { noNullPrototype: true },
  )
  const history = fc.uniqueArray(entry, { selector: (one) => one.timeline })
  fc.assert(
    fc.property(history, (drafted) => {
      const entries = drafted.toSorted((left, right) => left.timeline - right.timeline)
      assert.deepEqual(parseHistory(renderHistory(entries)), entries)
    }),
  )
})

test('any text is a timeline history or refused with an AppError', () => {
  const part = fc.oneof(byteString, fc.constantFrom('\n', '\t', '1', '0/16B3748', '#', ' '))
  fc.assert(
    fc.property(fc.array(part), (parts) => {
      try {
        parseHistory(parts.join(''))
      } catch (error) {
        assert(error instanceof AppError)
      }
    }),
  )
})
