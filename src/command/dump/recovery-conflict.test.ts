import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, asAppError } from '../../base/error.ts'
import { explainConflict } from './recovery-conflict.ts'

test('what a standby ended says what to set there, and any other error stays as it is', () => {
  const conflict = new AppError('execute', 'canceling statement due to conflict with recovery', {
    hint: 'first',
  })
  const told = asAppError(explainConflict(conflict))
  assert.equal(told.kind, 'execute')
  assert.match(told.text, /conflict with recovery\nHINT: first\n[^]*max_standby_streaming_delay/)

  const other = new AppError('execute', 'out of disk')
  assert.equal(explainConflict(other), other)
})
