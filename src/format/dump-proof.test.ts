import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type DumpProof, readDumpProof } from './dump-proof.ts'
import type { JsonValue } from './json.ts'

const proof: DumpProof = {
  version: 1,
  label: '20260502-100007L',
  database: 'shop',
  extent: 'whole',
  atMs: 5,
  serverVersion: '17.2',
  clientVersion: '17.2',
  jobs: 1,
  sizeBytes: 10,
  dataMs: 1,
  finishMs: 2,
  proveMs: 3,
  verdict: 'proved',
  fingerprintSha256: null,
}

function json(part: object): JsonValue {
  const value: JsonValue = JSON.parse(JSON.stringify({ ...proof, ...part }))
  return value
}

test('a record of a restore is read as it was written', () => {
  assert.deepEqual(readDumpProof(json({})), proof)
})

test('a verdict that is not known is never taken for a pass', () => {
  assert.throws(
    () => readDumpProof(json({ verdict: 'proved twice' })),
    /'proved twice' is not one of/,
  )
  assert.throws(() => readDumpProof(json({ version: 2 })), /version '2' is not known/)
  assert.throws(() => readDumpProof(json({ label: 5 })), /'label' is not a string/)
})
