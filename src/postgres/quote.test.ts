import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sqlName, sqlText } from './quote.ts'

test('names and texts keep their quotes and backslashes', () => {
  assert.equal(sqlName('o"dd'), '"o""dd"')
  assert.equal(sqlText("it's"), "'it''s'")
  assert.equal(sqlText(String.raw`C:\it's`), String.raw` E'C:\\it''s'`)
})
