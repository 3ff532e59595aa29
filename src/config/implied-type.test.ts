import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../base/error.ts'
import { type Config, loadConfig } from './config.ts'

const load = (...argv: readonly string[]): Config =>
  loadConfig({
    argv: ['--no-config', '--stanza=main', '--pg1-path=/p', ...argv],
    env: {},
    programName: 'pgsurety',
  })

/** Exit code and text of the error. */
function failure(...argv: readonly string[]): string {
  try {
    load(...argv)
  } catch (error) {
    assert(error instanceof AppError)
    return `${error.exitCode} ${error.text}`
  }
  return assert.fail('no error')
}

const typeOf = (...argv: readonly string[]): string => load(...argv, 'restore').text('type')

test('a target that is a time or an LSN says its type', () => {
  assert.equal(typeOf('--target=2026-05-02 14:30:00+00'), 'time')
  assert.equal(typeOf('--target=2026-05-02T14:30:00.5+02:00'), 'time')
  assert.equal(typeOf('--target=2026-05-02 14:30'), 'time')
  assert.equal(typeOf('--target=16/B374D848'), 'lsn')
  assert.equal(typeOf('--target=16/B374D848', '--type=name'), 'name')
  assert.equal(typeOf(), 'default')
})

test('an implied type is not a choice of the user, and makes the options valid that need it', () => {
  const config = load(
    '--target=2026-05-02 14:30:00',
    '--target-action=promote',
    '--target-exclusive',
    '--target-timezone=Europe/Berlin',
    'restore',
  )

  assert.equal(config.source('type'), 'default')
  assert.equal(config.flag('target-exclusive'), true)
  assert.equal(config.text('target-action'), 'promote')
  assert(config.commandLine().every(({ name }) => name !== 'type'))
  assert.match(failure('--target=16/B374D848', '--target-timezone=UTC', 'restore'), /^31 /)
})

test('a target that could be several things is refused with a hint which', () => {
  assert.match(failure('--target=4711', 'restore'), /^31 .*\nHINT: use '--type=xid' for/)
  assert.match(failure('--target=before_x', 'restore'), /^31 .*\nHINT: use '--type=name' for/)
  assert.match(failure('--target=2026-05-02 14:30:00', '--type=default', 'restore'), /^31 /)
})
