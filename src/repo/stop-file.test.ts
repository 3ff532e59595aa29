import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { assertNotStopped } from './stop-file.ts'

test('a stop file forbids work: on its stanza, or on every one', async (context) => {
  const lockPath = await mkdtemp(join(tmpdir(), 'stop-'))
  context.after(async () => {
    await rm(lockPath, { recursive: true })
  })
  assertNotStopped(lockPath, 'demo')

  writeFileSync(join(lockPath, 'other.stop'), '')
  assertNotStopped(lockPath, 'demo')
  assert.throws(
    () => {
      assertNotStopped(lockPath, 'other')
    },
    { kind: 'stop', message: "stop file exists for stanza 'other'" },
  )

  writeFileSync(join(lockPath, 'all.stop'), '')
  assert.throws(
    () => {
      assertNotStopped(lockPath, 'demo')
    },
    { kind: 'stop', message: 'stop file exists for all stanzas' },
  )
})
