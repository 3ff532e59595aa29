import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError, isErrorKind } from '../../base/error.ts'
import { errorOfStatus, parseStatus, renderStatus } from './status.ts'

test('an answer with nothing to say is an empty file, any other has its code in the first line', () => {
  assert.equal(renderStatus(undefined), '')
  assert.equal(renderStatus({ code: 0, text: 'a\nb' }), '0\na\nb')
  assert.equal(parseStatus('', 'x.ok'), undefined)
  assert.deepEqual(parseStatus('0\na\nb', 'x.ok'), { code: 0, text: 'a\nb' })
})

test('what pgBackRest refuses to read is refused', () => {
  for (const text of ['0', '0\n', 'x\ny', '42\n \n']) {
    assert.throws(
      () => parseStatus(text, 'x.ok'),
      (error) => isErrorKind(error, 'format') && error.message.startsWith('x.ok '),
      JSON.stringify(text),
    )
  }
})

test('an error goes through the spool with its exit code and its hints', () => {
  const before = new AppError('archive-mismatch', 'not yours', { hint: 'whose is it?' })
  const status = parseStatus(renderStatus({ code: before.exitCode, text: before.text }), 'x.error')
  assert(status !== undefined)

  const after = errorOfStatus(status)

  assert.equal(after.exitCode, before.exitCode)
  assert.equal(after.text, before.text)
  assert.equal(errorOfStatus({ code: 250, text: 'from the future' }).exitCode, 125)
})
