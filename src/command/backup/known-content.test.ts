import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ByteSource, single } from '../../pipe/pipe.ts'
import { openPosixStorage } from '../../storage/posix.ts'
import { known, type StoredCopy } from './known-content.ts'

const FILE = Buffer.from('the file')
const STORED = Buffer.from('what is stored of it')

const sha1 = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex')

interface Asked {
  readonly stored?: StoredCopy
  readonly prior?: { readonly checksum: string; readonly find: 'compare' | 'hash-first' }
  readonly sizeBytes?: number
}

/** What is found of the file, and how often it was read for that. */
async function ask(content: Buffer, asked: Asked): Promise<readonly [string, number]> {
  await using root = await mkdtempDisposable(join(tmpdir(), 'pgsurety-known-'))
  const storage = openPosixStorage({ root: root.path })
  await storage.put('object', Buffer.concat([Buffer.from('#####'), content]))
  await storage.put('alone', content)
  let reads = 0
  const read = (): ByteSource => {
    reads += 1
    return single(FILE)
  }
  const { prior, stored, sizeBytes = FILE.length } = asked
  return [await known(storage, { sizeBytes, prior, stored }, read), reads]
}

const alone = { key: 'alone', range: undefined, sizeBytes: STORED.length }
const copy: StoredCopy = { ...alone, checksum: sha1(STORED), content: undefined }
const bundled: StoredCopy = {
  ...copy,
  key: 'object',
  range: { offsetBytes: 5, sizeBytes: STORED.length },
}

test('a stored copy with its checksum is good without a look at the file', async () => {
  assert.deepEqual(await ask(STORED, { stored: copy }), ['stored', 0])
  assert.deepEqual(await ask(STORED, { stored: bundled }), ['stored', 0])
})

test('a stored copy that is gone, too short, too long or changed is damaged, in a bundle too', async () => {
  assert.deepEqual(await ask(STORED, { stored: { ...copy, key: 'gone' } }), ['damaged', 0])
  const changed = Buffer.from(STORED)
  changed[3] = 0
  for (const bytes of [STORED.subarray(1), changed, Buffer.alloc(0)]) {
    assert.deepEqual(await ask(bytes, { stored: copy }), ['damaged', 0])
    assert.deepEqual(await ask(bytes, { stored: bundled }), ['damaged', 0])
  }
  const longer = Buffer.concat([STORED, Buffer.from('x')])
  assert.deepEqual(await ask(longer, { stored: copy }), ['damaged', 0])
})

test('where times are not trusted, a stored copy is that of the file only when the content is', async () => {
  const content = sha1(FILE)
  assert.deepEqual(await ask(STORED, { stored: { ...copy, content } }), ['stored', 1])
  const other = { ...copy, content: sha1(STORED) }
  assert.deepEqual(await ask(STORED, { stored: other }), ['neither', 1])
})

test('the content of the prior backup is found by its checksum', async () => {
  const same = { checksum: sha1(FILE), find: 'compare' } as const
  assert.deepEqual(await ask(STORED, { prior: same }), ['prior', 1])
  assert.deepEqual(await ask(STORED, { prior: { ...same, checksum: 'aa' } }), ['neither', 1])
  assert.deepEqual(await ask(STORED, {}), ['neither', 0])
})

test('a large file is read for that only where times are not trusted', async () => {
  const prior = { checksum: sha1(FILE), find: 'compare' } as const
  const sizeBytes = 2_000_000
  assert.deepEqual(await ask(STORED, { prior, sizeBytes }), ['neither', 0])
  const untrusted = { ...prior, find: 'hash-first' } as const
  assert.deepEqual(await ask(STORED, { prior: untrusted, sizeBytes }), ['neither', 1])
})
