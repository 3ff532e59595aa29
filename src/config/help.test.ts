import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { COMMAND_NAMES } from './command-table.ts'
import { renderHelp } from './help.ts'
import { isValidFor, OPTION_NAMES, optionRow } from './option-table.ts'

test('help lists the commands, those that do not work yet apart', () => {
  const [works = '', later = ''] = renderHelp([]).split('not yet supported:')

  assert.match(works, /\n {2}backup +back up a cluster\n/)
  assert.match(later, /server-ping/)
  assert.doesNotMatch(works + later, /repo-rm/)
})

test('help of a command has usage, examples and its options, and fits 80 columns but for examples', () => {
  const text = renderHelp(['backup'])

  assert.match(text, /\nUsage:\n {2}pgsurety \[options\] backup\n/)
  assert.match(text, /Examples:\n {2}# .*\n {2}pgsurety --stanza=main/)
  assert.match(text, /--start-fast +Start with an immediate checkpoint/)
  assert.match(text, /--stanza .*\n.*\[required\]/)
  for (const command of ['', ...COMMAND_NAMES]) {
    const lines = renderHelp(command === '' ? [] : [command]).split('\n')
    const long = lines.filter((line) => line.length > 80 && !line.startsWith('  pgsurety '))
    assert.deepEqual(long, [], command)
  }
})

test('every option of every command has help of its own', () => {
  for (const command of COMMAND_NAMES) {
    for (const name of OPTION_NAMES) {
      const row = optionRow(name)
      if (!isValidFor(row, command)) continue
      assert(renderHelp([command, name]).includes(row.summary.slice(0, 20)), `${command} ${name}`)
    }
  }
})

test('help tells what is wrong with what it was asked about', () => {
  assert.throws(() => renderHelp(['bakup']), {
    kind: 'command-invalid',
    hints: ["did you mean 'backup'?"],
  })
  assert.throws(() => renderHelp(['backup', 'strat-fast']), {
    kind: 'option-invalid',
    hints: ["did you mean 'start-fast'?"],
  })
  assert.throws(
    () => renderHelp(['info', 'start-fast']),
    (error) => isErrorKind(error, 'option-invalid'),
  )
  assert.throws(
    () => renderHelp(['backup', 'type', 'x']),
    (error) => isErrorKind(error, 'param-invalid'),
  )
})
