import assert from 'node:assert/strict'
import { test } from 'node:test'
import { displayName, nearestOptionHint, parseOptionName } from './option-name.ts'

const parse = (name: string): readonly unknown[] | undefined => {
  const parsed = parseOptionName(name, { abbreviation: 'allowed' })
  return parsed === undefined ? undefined : [parsed.name, parsed.index, parsed.form]
}

test('the digits before the first dash are the index', () => {
  assert.deepEqual(parse('repo1-path'), ['repo-path', 1, 'set'])
  assert.deepEqual(parse('pg256-port'), ['pg-port', 256, 'set'])
  assert.equal(displayName('pg-port', 256), 'pg256-port')
})

test('indexes are from 1 to 256 and only where there is a group', () => {
  assert.throws(() => parse('repo0-path'), /key must be between 1 and 256/)
  assert.throws(() => parse('repo257-path'), /key must be between 1 and 256/)
  assert.throws(() => parse('log1-path'), /cannot have an index/)
  assert.throws(() => parse('1-path'), /cannot begin with a number/)
  assert.throws(() => parse('-path'), /cannot begin with a dash/)
})

test('a grouped option without index is refused with the name that has one', () => {
  assert.throws(() => parse('repo-bundle'), {
    hints: ['add the required index, e.g. repo1-bundle.'],
  })
})

test('old names are understood, with an index only where they had one', () => {
  assert.deepEqual(parse('repo-path'), ['repo-path', 1, 'set'])
  assert.deepEqual(parse('db-path'), ['pg-path', 1, 'set'])
  assert.deepEqual(parse('db2-path'), ['pg-path', 2, 'set'])
  assert.deepEqual(parse('hardlink'), ['repo-hardlink', 1, 'set'])
  assert.deepEqual(parse('hardl'), ['repo-hardlink', 1, 'set'])
  assert.deepEqual(parse('repo1-s3-verify-tls'), ['repo-storage-verify-tls', 1, 'set'])
  assert.throws(() => parse('repo-s3-verify-tls'), /deprecated option .* requires an index/)
  assert.throws(() => parse('backup1-host'), /deprecated option .* cannot have an index/)
})

test('a beginning is enough when it fits one name, and our own names do not count against it', () => {
  assert.deepEqual(parse('proc'), undefined)
  assert.deepEqual(parse('process-m'), ['process-max', 1, 'set'])
  assert.deepEqual(parse('repo1-cipher-p'), ['repo-cipher-pass', 1, 'set'])
  assert.deepEqual(parse('target-time'), ['target-timeline', 1, 'set'])
  assert.deepEqual(parse('target-timez'), ['target-timezone', 1, 'set'])
})

test('no- and reset- are understood where they are allowed', () => {
  assert.deepEqual(parse('no-delta'), ['delta', 1, 'negated'])
  assert.deepEqual(parse('reset-repo1-path'), ['repo-path', 1, 'reset'])
  assert.deepEqual(parse('no-config'), ['config', 1, 'negated'])
  assert.throws(() => parse('no-process-max'), /cannot be negated/)
  assert.throws(() => parse('no-force'), /cannot be negated/)
  assert.throws(() => parse('reset-stanza'), /cannot be reset/)
})

test('unknown names are told from slips, also when the index or the group is missing', () => {
  assert.equal(nearestOptionHint('repo1-retention-ful'), "did you mean 'repo1-retention-full'?")
  assert.equal(nearestOptionHint('repo2-pth'), "did you mean 'repo2-path'?")
  assert.equal(nearestOptionHint('cipher-type'), "did you mean 'repo1-cipher-type'?")
  assert.equal(nearestOptionHint('xyzzyxyzzy'), undefined)
})
