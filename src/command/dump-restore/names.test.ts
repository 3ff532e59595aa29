import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLeftOver, keptNote, replacedName, unfinishedNote, workingName } from './names.ts'

test('working names say whose they are, and are never cut off by PostgreSQL', () => {
  assert.equal(workingName('shop', '123-1a2b3c4d'), 'shop.pgsurety-1a2b3c4d')
  for (const name of ['x'.repeat(63), 'ä'.repeat(31), '😀'.repeat(15)]) {
    for (const made of [workingName(name, '1-1a2b3c4d'), replacedName(name, '1-1a2b3c4d')]) {
      assert(Buffer.byteLength(made) <= 63)
      assert(made.endsWith('-1a2b3c4d') && !made.includes('\uFFFD'))
    }
  }
})

test('only what an unfinished restore of the same name has left is recognized', () => {
  const note = unfinishedNote('shop', '20260502-100007L')

  const name = workingName('shop', '1-1a2b3c4d')
  const left = { name, comment: note, isOpen: true }
  assert(isLeftOver('shop', left))
  assert(!isLeftOver('sho', left))
  const kept = keptNote('shop', '20260502-100007L', 'had errors')
  assert(!isLeftOver('shop', { ...left, comment: kept }))
  assert(!isLeftOver('shop', { ...left, comment: '' }))
  assert(isLeftOver('shop', { ...left, comment: '', isOpen: false }))
  assert(!isLeftOver('shop', { name: 'shop', comment: '', isOpen: false }))
})
