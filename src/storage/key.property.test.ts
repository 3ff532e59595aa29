import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isErrorKind } from '../base/error.ts'
import { checkKey, joinKey, parentOf } from './key.ts'

const byteString = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
})
const hostile = fc
  .array(fc.oneof(fc.constantFrom('/', '.', '..', '\0', 'a', '...'), byteString))
  .map((parts) => parts.join(''))

const isKey = (text: string): boolean => {
  try {
    checkKey(text)
    return true
  } catch (error) {
    assert.ok(isErrorKind(error, 'param-invalid'))
    return false
  }
}

test('a key is exactly what names one place below the root in one way', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const lies = resolve('/root', text)
      const plain = text !== '' && !text.includes('\0') && lies === `/root/${text}`
      assert.equal(isKey(text), plain)
    }),
    { numRuns: 2000 },
  )
})

test('a character that is not a byte is in no key', () => {
  fc.assert(
    fc.property(byteString, fc.integer({ min: 256, max: 0xffff }), (text, code) => {
      assert.equal(isKey(`a${text}${String.fromCharCode(code)}`), false)
    }),
  )
})

test('a key is its parent and its name, joined', () => {
  fc.assert(
    fc.property(hostile.filter(isKey), (key) => {
      const name = key.slice(key.lastIndexOf('/') + 1)
      assert.equal(joinKey(parentOf(key), name), key)
    }),
  )
})
