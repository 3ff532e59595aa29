import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { ruleFor } from './option-row.ts'
import { optionRow, type OptionName } from './option-table.ts'
import { parseOptionValue, type OptionValue } from './option-value.ts'

const parse = (name: OptionName, texts: readonly string[], dependedValue?: string): OptionValue => {
  const row = optionRow(name)
  return parseOptionValue(texts, {
    shown: name,
    row,
    rule: ruleFor(row, row.commands[0] ?? 'backup'),
    dependedValue,
  })
}

const isBadValue = (error: unknown): boolean => isErrorKind(error, 'option-invalid-value')

test('sizes are powers of 1024 in any spelling, and allowed values are compared as sizes', () => {
  assert.equal(parse('buffer-size', ['64k']), 65536)
  assert.equal(parse('buffer-size', ['65536']), 65536)
  assert.throws(() => parse('buffer-size', ['65537']), isBadValue)
  assert.throws(() => parse('buffer-size', ['64x']), isBadValue)
})

test('times without unit are seconds, and ranges include both ends', () => {
  assert.equal(parse('db-timeout', ['30']), 30_000)
  assert.equal(parse('db-timeout', ['100ms']), 100)
  assert.equal(parse('db-timeout', ['7d']), 604_800_000)
  assert.throws(() => parse('db-timeout', ['99ms']), isBadValue)
})

test('the range of a compression level is that of its type', () => {
  assert.equal(parse('compress-level', ['12'], 'lz4'), 12)
  assert.equal(parse('compress-level', ['-7'], 'zst'), -7)
  assert.throws(() => parse('compress-level', ['12'], 'gz'), isBadValue)
})

test('a path is absolute, has no empty part and loses one slash at its end', () => {
  assert.equal(parse('repo-path', ['/a/b/']), '/a/b')
  assert.equal(parse('repo-path', ['/']), '/')
  assert.throws(() => parse('repo-path', ['a']), isBadValue)
  assert.throws(() => parse('repo-path', ['/a//b']), isBadValue)
  assert.throws(() => parse('repo-path', ['']), isBadValue)
})

test('hash items are key=value, the last of a key counts, and the value may hold equals signs', () => {
  assert.deepEqual(
    parse('annotation', ['a=1', 'b=x=y', 'a=2']),
    new Map([
      ['a', '2'],
      ['b', 'x=y'],
    ]),
  )
  assert.throws(
    () => parse('annotation', ['a']),
    (error) => isErrorKind(error, 'option-invalid'),
  )
})

test('a choice is one of the allowed values, which the error names', () => {
  assert.equal(parse('compress-type', ['zst']), 'zst')
  assert.throws(() => parse('compress-type', ['ZST']), {
    hints: ["allowed values are 'none', 'bz2', 'gz', 'lz4', 'zst'"],
  })
})
