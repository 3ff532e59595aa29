import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { crc32c } from './crc32c.ts'
import { CONTROL_FILE_BYTES, parseControlFile, withInvalidCheckpoint } from './control-file.ts'

/** The first 300 bytes that initdb of the release wrote, gzipped. */
const WRITTEN_BY_15 =
  'H4sIAAAAAAACA6u8HZ/JNJ05W4SVgUG1nJeHkQECQGIg+oJICSMyzYiEQeAKE4RmMUWInWHCVAczDx28YGYgGsDM' +
  'SgFiDiDmgvIdoDQHlG6/ZuTIoAC2lQFCMzCC1ICYZ9ghCmFus3k+z/Sml2ji6nPBnD+LdrtpHJ/yZLbSk8x45lPb' +
  'jyyewmfuusoF5kIA8eQkjCwBAAA='
const WRITTEN_BY_18 =
  'H4sIAAAAAAACA1vKXTmPeTpzNgc7A4MxgxAPIwMEsADFQPSLmDJGZJoRDX9ggqivNoXwwWqZUNUgm4cOXjAzEA1g' +
  'ZqUAMQcQc0H5DlCaA0q3XzNyZFAAsYAOUYBoBakBMc+wQxTC3Tfn86XX94XUPnQu9uS6vLD6UKy9rbKvXubzgF57' +
  '16O7zb4A1Zxn4JgCciUAYicQkywBAAA='

function controlFile(gzipped: string): Buffer {
  const bytes = Buffer.alloc(CONTROL_FILE_BYTES)
  gunzipSync(Buffer.from(gzipped, 'base64')).copy(bytes)
  return bytes
}

test('CRC-32C of the digits 1 to 9 is the value in every table of CRCs', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
})

test('a control file of PostgreSQL 15 says what pg_controldata says', () => {
  assert.deepEqual(parseControlFile(controlFile(WRITTEN_BY_15)), {
    systemId: 7711173023602039673n,
    controlVersion: 1300,
    catalogVersion: 202209061,
    version: '15',
    checkpointLsn: 0x17414d0n,
    timeline: 1,
    blockSizeBytes: 8192,
    walSegmentSizeBytes: 16777216,
    dataChecksumVersion: 1,
  })
})

test('a control file of PostgreSQL 18, whose CRC lies elsewhere, says what pg_controldata says', () => {
  assert.deepEqual(parseControlFile(controlFile(WRITTEN_BY_18)), {
    systemId: 7711173028787850149n,
    controlVersion: 1800,
    catalogVersion: 202506291,
    version: '18',
    checkpointLsn: 0x1765ce8n,
    timeline: 1,
    blockSizeBytes: 8192,
    walSegmentSizeBytes: 16777216,
    dataChecksumVersion: 1,
  })
})

test('a control file with one changed bit is a checksum error', () => {
  const bytes = controlFile(WRITTEN_BY_15)
  bytes[100] = (bytes[100] ?? 0) ^ 1

  assert.throws(() => parseControlFile(bytes), { kind: 'checksum' })
})

test('a catalog version that no release has is not supported, even with a known control version', () => {
  const bytes = controlFile(WRITTEN_BY_15)
  bytes.writeUInt32LE(202209062, 12)

  assert.throws(() => parseControlFile(bytes), { kind: 'version-not-supported' })
})

test('a control file that ends early is a format error', () => {
  const bytes = controlFile(WRITTEN_BY_15).subarray(0, CONTROL_FILE_BYTES - 1)

  assert.throws(() => parseControlFile(bytes), { kind: 'format' })
})

test('an invalidated control file differs in checkpoint and CRC only, and the original is not touched', () => {
  const original = controlFile(WRITTEN_BY_18)
  const before = parseControlFile(original)

  const changed = withInvalidCheckpoint(original)

  assert.deepEqual(parseControlFile(changed), { ...before, checkpointLsn: 0xdeadn })
  assert.deepEqual(parseControlFile(original), before)
  assert.deepEqual(changed.subarray(40, 292), original.subarray(40, 292))
  assert.equal(changed.length, original.length)
})

test('a damaged control file is not made valid by invalidating its checkpoint', () => {
  const bytes = controlFile(WRITTEN_BY_18)
  bytes[200] = (bytes[200] ?? 0) ^ 1

  assert.throws(() => withInvalidCheckpoint(bytes), { kind: 'checksum' })
})
