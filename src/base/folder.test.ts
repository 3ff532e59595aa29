import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder } from './folder.ts'

test('a folder is made with those above it, also by several at once, and may be there already', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'folder-'))
  t.after(async () => {
    await rm(root, { recursive: true })
  })
  const path = join(root, 'a/b/c')

  await Promise.all([makeFolder(path), makeFolder(path), makeFolder(path)])
  await makeFolder(path)

  assert.equal((await stat(path)).isDirectory(), true)
})

test('where no folder can be made that is an error, and not a loop without end', async () => {
  await assert.rejects(makeFolder('/proc/none/such'), { code: 'ENOENT' })
  await assert.rejects(makeFolder('/dev/null/a/b'), { code: 'ENOTDIR' })
})
