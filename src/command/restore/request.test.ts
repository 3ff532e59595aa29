import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../base/error.ts'
import { type Config, loadConfig } from '../../config/config.ts'
import type { Destination } from './destination.ts'
import { assertNoSurprisePromotion, readRequest, type RestoreRequest } from './request.ts'

function configOf(...argv: readonly string[]): Config {
  return loadConfig({
    argv: ['--no-config', '--stanza=main', '--pg1-path=/pg', ...argv, 'restore'],
    env: {},
    programName: 'pgsurety',
  })
}

const request = (...argv: readonly string[]): RestoreRequest => readRequest(configOf(...argv))

const standby: Destination = {
  dataDir: '/pg',
  content: 'cluster',
  postmasterPid: undefined,
  systemId: 1n,
  unfinished: 'no',
  standbySignal: 'yes',
}

/** The error of restoring over `destination`, or `none`. */
function surprise(destination: Destination, ...argv: readonly string[]): string {
  const config = configOf(...argv)
  try {
    assertNoSurprisePromotion(config, readRequest(config), destination)
  } catch (error) {
    assert(error instanceof AppError)
    return `${error.exitCode} ${error.message}`
  }
  return 'none'
}

test('without a target everything is recovered, from the newest backup', () => {
  assert.deepEqual(request(), {
    type: 'default',
    typeFrom: 'default',
    target: undefined,
    exclusive: false,
    action: 'pause',
    timeline: undefined,
    choice: { kind: 'newest' },
  })
})

test('a time chooses the backup, and its type is inferred', () => {
  const found = request(
    '--target=1970-01-01 00:00:02Z',
    '--target-exclusive',
    '--target-action=promote',
  )

  assert.deepEqual(
    [found.type, found.typeFrom, found.exclusive, found.action],
    ['time', 'inferred from --target', true, 'promote'],
  )
  assert.deepEqual(found.choice, { kind: 'time', us: 2_000_000n })
})

test('an LSN chooses the backup; a transaction id and a name cannot', () => {
  assert.deepEqual(request('--type=lsn', '--target=1/0').choice, { kind: 'lsn', lsn: 1n << 32n })
  assert.deepEqual(request('--type=xid', '--target=7').choice, { kind: 'newest' })
  const named = request('--type=name', '--target=x', '--target-action=shutdown')
  assert.deepEqual(
    [named.choice.kind, named.typeFrom, named.action],
    ['newest', 'given', 'shutdown'],
  )
})

test('restoring over a standby by default is refused, unless the type is given', () => {
  const wanted = /^31 '\/pg' is a standby \(it has standby\.signal\)/

  assert.match(surprise(standby), wanted)
  assert.match(surprise(standby, '--target=2026-05-02 14:29:59Z'), wanted)
  assert.equal(surprise(standby, '--type=default'), 'none')
  assert.equal(surprise(standby, '--type=standby'), 'none')
  assert.equal(surprise({ ...standby, standbySignal: 'no' }), 'none')
})

test('settings of a standby without its type are refused', () => {
  const primary = { ...standby, standbySignal: 'no' } as const
  const setting = '--recovery-option=primary-conninfo=host=db'

  assert.match(
    surprise(primary, setting),
    /^31 '--recovery-option=primary-conninfo=…' is for a standby/,
  )
  assert.equal(surprise(primary, setting, '--type=standby'), 'none')
})
