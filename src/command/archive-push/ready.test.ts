import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { sizeOfFirst } from './ready.ts'

test('a segment stands for the size of the files that wait, also when a history file comes first', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pgsurety-ready-'))
  const [history, segment] = ['00000002.history', '000000020000000000000003']
  await writeFile(join(folder, history), 'short')
  await writeFile(join(folder, segment), Buffer.alloc(1000))

  assert.equal(sizeOfFirst(folder, [history, segment]), 1000)
  assert.equal(sizeOfFirst(folder, [history]), 5)
  assert.equal(sizeOfFirst(folder, []), 0)
  await rm(folder, { recursive: true })
})
