import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isErrorKind } from '../base/error.ts'
import { byteString, jsonValue } from './format.arbitrary.ts'
import { parseJson, renderJson } from './json.ts'

test('every value is read back as it was written', () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      assert.deepEqual(parseJson(renderJson(value)), value)
    }),
  )
})

test('any text is a value or a json-format error, and a value is written in one way', () => {
  const text = fc.oneof(
    byteString,
    fc
      .array(fc.constantFrom('{', '}', '[', ']', '"', '\\', 'u00', ':', ',', '1', '-', 'null', 'a'))
      .map((parts) => parts.join('')),
  )
  fc.assert(
    fc.property(text, (input) => {
      try {
        const once = renderJson(parseJson(input))
        assert.equal(renderJson(parseJson(once)), once)
      } catch (error) {
        assert(isErrorKind(error, 'json-format'))
      }
    }),
  )
})
