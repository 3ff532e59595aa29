import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forgottenSettings } from './auto-conf.ts'

const AUTO_CONF = `# primary_conninfo = 'a comment'
primary_conninfo = 'host=a'
Primary_Slot_Name 'here'
`

test('a standby forgets how it follows, unless it is told anew', () => {
  assert.deepEqual(forgottenSettings(AUTO_CONF, new Map()), [
    'primary_conninfo',
    'primary_slot_name',
  ])
  assert.deepEqual(
    forgottenSettings(
      AUTO_CONF,
      new Map([
        ['primary-conninfo', 'host=b'],
        ['primary_slot_name', 'there'],
      ]),
    ),
    [],
  )
})

test('what is not set, empty or a comment cannot be forgotten', () => {
  assert.deepEqual(
    forgottenSettings("primary_conninfo = ''\n#primary_slot_name='x'", new Map()),
    [],
  )
  assert.deepEqual(forgottenSettings('', new Map()), [])
})
