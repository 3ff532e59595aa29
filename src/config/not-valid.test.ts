import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notValid } from './not-valid.ts'

test("an option of another command is refused with this command's own, where it has one", () => {
  const asked = notValid('database', 'dump')
  assert.equal(
    asked.text,
    "option 'database' not valid for command 'dump'\nHINT: 'dump' has 'db-include' for that.",
  )
  assert.deepEqual(notValid('delta', 'dump').hints, [])
})
