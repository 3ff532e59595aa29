import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStorage } from '../../test/harness/memory-storage.ts'
import { MIB } from '../base/units.ts'
import type { GetRange } from '../storage/storage.ts'
import { readTogether } from './read-together.ts'

/** Notes what is asked of it. */
class WatchedStorage extends MemoryStorage {
  readonly asked: string[] = []

  override get(key: string, range?: GetRange): ReturnType<MemoryStorage['get']> {
    this.asked.push(`${key} ${range?.offsetBytes}+${range?.sizeBytes}`)
    return super.get(key, range)
  }
}

const bundle = Buffer.from('abcdefghij')
const storage = new WatchedStorage(
  new Map([
    ['one', bundle],
    ['two', bundle],
    ['long', Buffer.alloc(17 * MIB)],
  ]),
)

const part = (key: string, offsetBytes: number, sizeBytes: number) => ({
  key,
  range: { offsetBytes, sizeBytes },
})

test('pieces come in their order, those that lie side by side by one call', async () => {
  const pieces = [
    part('one', 1, 2),
    part('one', 3, 3),
    part('one', 6, 0),
    part('one', 6, 1),
    part('one', 8, 1),
    part('two', 9, 1),
    part('two', 0, 1),
    { key: 'two', range: undefined },
  ]

  const read = await readTogether(storage, pieces)

  const texts = read.map((bytes) => bytes?.toString())
  assert.deepEqual(texts, ['bc', 'def', '', 'g', 'i', 'j', 'a', 'abcdefghij'])
  assert.deepEqual(storage.asked, [
    'one 1+6',
    'one 8+1',
    'two 9+1',
    'two 0+1',
    'two undefined+undefined',
  ])
})

test('an object that is far too long is not read into memory', async () => {
  assert.deepEqual(await readTogether(storage, [{ key: 'long', range: undefined }]), [undefined])
})

test('what is missing is told', async () => {
  await assert.rejects(readTogether(storage, [part('none', 0, 1)]), { kind: 'file-missing' })
})
