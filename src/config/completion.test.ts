import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { renderCompletion } from './completion.ts'

/** What bash offers after `words`; the last one is being typed. COMP_WORDS has `=` as a word of its own. */
function complete(words: readonly string[]): readonly string[] {
  const quoted = words.map((word) => `'${word}'`).join(' ')
  const script = `${renderCompletion('bash')}
compopt() { :; }
COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; _pgsurety; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], { encoding: 'utf8' })
  assert.equal(stderr, '')
  return stdout.trim().split('\n')
}

test('bash completes commands, the options of the command, and their values', () => {
  assert.deepEqual(complete(['pgsurety', 'arch']), ['archive-get', 'archive-push'])
  assert.deepEqual(complete(['pgsurety', 'backup', '--start']), ['--start-fast'])
  assert.deepEqual(complete(['pgsurety', 'info', '--start']), [''])
  assert.deepEqual(complete(['pgsurety', 'backup', '--compress-type', '=', 'l']), ['lz4'])
  assert.deepEqual(complete(['pgsurety', 'backup', '--log-level-file', '=']).slice(0, 2), [
    'off',
    'error',
  ])
})

test('secrets are not offered, their files are', () => {
  const offered = complete(['pgsurety', 'backup', '--repo1-cipher-p'])

  assert.deepEqual(offered, ['--repo1-cipher-pass-command=', '--repo1-cipher-pass-file='])
})

test('there are scripts for zsh and fish, and an error for other shells', () => {
  assert.match(renderCompletion('zsh'), /^#compdef pgsurety\n/)
  assert.match(renderCompletion('fish'), /-l compress-type -x -a 'none bz2 gz lz4 zst'/)
  assert.throws(
    () => renderCompletion('csh'),
    (error) => isErrorKind(error, 'param-invalid'),
  )
})
