import assert from 'node:assert/strict'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { collect, single } from '../../src/pipe/pipe.ts'
import { openPosixStorage } from '../../src/storage/posix.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { storageContract } from '../contract/storage.ts'
import { faultyStorage } from './faulty-storage.ts'

interface Opened extends AsyncDisposable {
  readonly inner: Storage
}

function open(): Opened {
  const root = mkdtempSync(join(tmpdir(), 'pgsurety-faulty-'))
  return {
    inner: openPosixStorage({ root }),
    [Symbol.asyncDispose]: async () => {
      await rm(root, { recursive: true, force: true })
    },
  }
}

const text = async (storage: Storage, key: string): Promise<string> =>
  (await collect(storage.get(key), 100)).toString()

storageContract('faulty, never failing', async () => {
  const opened = open()
  return {
    storage: faultyStorage(opened.inner, { failAt: 0, mode: 'error-before' }),
    close: async () => {
      await opened[Symbol.asyncDispose]()
    },
  }
})

test('only the n-th call fails, and every call is noted', async () => {
  await using at = open()
  const storage = faultyStorage(at.inner, { failAt: 2, mode: 'error-before' })

  await storage.put('a', Buffer.from('one'))
  await assert.rejects(storage.put('a', Buffer.from('two')), { kind: 'file-write' })
  assert.equal(await text(storage, 'a'), 'one')

  assert.equal(storage.calls, 3)
  assert.deepEqual(storage.log, ['put a', 'put a', 'get a'])
})

test('a lost answer: the thing is done, and the caller is told it failed', async () => {
  await using at = open()
  const storage = faultyStorage(at.inner, { failAt: 1, mode: 'error-after' })

  await assert.rejects(storage.put('a', Buffer.from('one')), { kind: 'file-write' })

  assert.equal(await text(at.inner, 'a'), 'one')
})

test('half a put stores half when it is on-sync, and nothing when it is atomic', async () => {
  await using at = open()
  const later = faultyStorage(at.inner, { failAt: 1, mode: 'partial' })
  const now = faultyStorage(at.inner, { failAt: 1, mode: 'partial' })

  const source = single(Buffer.from('0123456789'))
  await assert.rejects(later.put('later', source, { durable: 'on-sync' }), { kind: 'file-write' })
  await assert.rejects(now.put('now', Buffer.from('0123456789')), { kind: 'file-write' })

  assert.equal(await text(at.inner, 'later'), '01234')
  assert.equal(await at.inner.stat('now'), undefined)
})

test('half a removal removes half, half a get gives half', async () => {
  await using at = open()
  for (const name of ['1', '2', '3', '4']) await at.inner.put(`set/${name}`, Buffer.from('data'))
  const removing = faultyStorage(at.inner, { failAt: 1, mode: 'partial' })
  const getting = faultyStorage(at.inner, { failAt: 1, mode: 'partial' })

  await assert.rejects(removing.removeAll('set'), { kind: 'path-remove' })
  const got = getting.get('set/4')[Symbol.asyncIterator]()
  const first = await got.next()

  assert.deepEqual(
    (await at.inner.list('set')).map((entry) => entry.name),
    ['3', '4'],
  )
  assert.equal(String(first.value), 'da')
  await assert.rejects(got.next(), { kind: 'file-read' })
})
