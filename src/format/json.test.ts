import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { isObject, memberOf } from './fields.ts'
import { parseJson, quoteJson, renderJson } from './json.ts'

const refused = (text: string): void => {
  assert.throws(
    () => parseJson(text),
    (error) => isErrorKind(error, 'json-format'),
    `accepted ${text}`,
  )
}

test('integers beyond 2^53 keep every digit', () => {
  assert.equal(parseJson('6569239123849665679'), 6569239123849665679n)
  assert.equal(parseJson('9007199254740991'), 9007199254740991)
  assert.equal(parseJson('9007199254740992'), 9007199254740992n)
  assert.equal(parseJson('-9223372036854775808'), -9223372036854775808n)
})

test('integers of more than 64 bits, fractions, exponents and leading zeros are refused', () => {
  refused('18446744073709551616')
  refused('-9223372036854775809')
  refused('1.5')
  refused('1.0')
  refused('1e3')
  refused('01')
  refused('-')
  refused('+1')
})

test('only escapes of one byte are read', () => {
  assert.equal(parseJson(String.raw`"\"\\\/\b\f\n\r\t\u00e9A"`), '"\\/\b\f\n\r\t\u00e9A')
  refused(String.raw`"\u0100"`)
  refused(String.raw`"\x41"`)
  refused(String.raw`"\u00g1"`)
  refused(String.raw`"\"`)
})

test('white space between tokens is read over, and never written', () => {
  assert.deepEqual(parseJson(' { "a" : [ 1 , null ] } '), { a: [1, null] })
  assert.equal(renderJson({ a: [1, null] }), '{"a":[1,null]}')
})

test('members are written in byte order and bytes stand for themselves', () => {
  assert.equal(
    renderJson({ b: true, a: '\xe9\x01"', B: {} }),
    '{"B":{},"a":"\xe9\x01\\"","b":true}',
  )
})

test('a member called __proto__ is a member like any other', () => {
  const value = parseJson('{"__proto__":1,"b":2}')

  assert(isObject(value))
  assert.equal(memberOf(value, '__proto__'), 1)
  assert.equal(renderJson(value), '{"__proto__":1,"b":2}')
})

test('members that objects inherit are not there', () => {
  assert.equal(memberOf({}, 'constructor'), undefined)
  assert.equal(memberOf({}, '__proto__'), undefined)
})

test('two members of one name, trailing text and open ends are refused', () => {
  refused('{"a":1,"a":1}')
  refused('1 2')
  refused('{"a":1')
  refused('[1,]')
  refused('{,}')
  refused('')
})

test('hostile depth is refused, not a stack overflow', () => {
  refused('['.repeat(1_000_000))
})

test('an error does not show the text, which may hold a key', () => {
  assert.throws(
    () => parseJson('"secret'),
    (error) => error instanceof Error && !error.message.includes('secret'),
  )
})

test('values that are no 64-bit integers are not written', () => {
  assert.throws(() => renderJson(1.5), RangeError)
  assert.throws(() => renderJson(2n ** 64n), RangeError)
})

test('exactly seven bytes are escaped', () => {
  assert.equal(quoteJson('"\\\b\f\n\r\t/\v\0\x7f\xff'), '"\\"\\\\\\b\\f\\n\\r\\t/\v\0\x7f\xff"')
})
