import assert from 'node:assert/strict'
import { test } from 'node:test'
import { COMMAND_NAMES, COMMANDS } from './command-table.ts'
import { PROGRAM_NAME, ruleFor } from './option-row.ts'
import { isOptionName, OPTION_NAMES, optionRow, optionTopics } from './option-table.ts'
import { numberOf, parseOptionValue } from './option-value.ts'

test('every option of pgBackRest 2.60 is there, and ours beside them', () => {
  const declared = OPTION_NAMES.filter((name) => optionRow(name).origin === undefined)

  // 199 in pgBackRest's definition of August 2026, 3 more in 2.60.0.
  assert.equal(declared.length, 202)
  assert(['plan', 'target-timezone', 'repo-cipher-pass-file'].every(isOptionName))
})

test('every option and command says in a sentence what it is for', () => {
  for (const name of OPTION_NAMES) assert.match(optionRow(name).summary, /^[A-Z].*[^ ]\.$/, name)
  for (const name of COMMAND_NAMES) {
    assert.match(COMMANDS[name].summary, /^[a-z].*[^.]$/, name)
    for (const text of COMMANDS[name].description) assert.match(text, /^[A-Z].*\.$/, name)
    assert(COMMANDS[name].examples.length > 0, name)
  }
})

test('every option stands under exactly one heading', () => {
  const listed = optionTopics().flatMap(({ names }) => names)

  assert.deepEqual(listed.toSorted(), OPTION_NAMES)
})

test('every default is a value the option itself would accept', () => {
  for (const name of OPTION_NAMES) {
    const row = optionRow(name)
    for (const command of row.commands) {
      const rule = ruleFor(row, command)
      const defaults =
        typeof rule.default === 'object' ? Object.entries(rule.default) : [['', rule.default]]
      for (const [dependedValue, text] of defaults) {
        if (text === undefined || text === PROGRAM_NAME) continue
        parseOptionValue([text], { shown: name, row, rule, dependedValue })
      }
    }
  }
})

test('whatever an option depends on exists and is accepted by the same commands', () => {
  for (const name of OPTION_NAMES) {
    const row = optionRow(name)
    for (const command of row.commands) {
      const { depends } = ruleFor(row, command)
      if (depends === undefined) continue
      assert(isOptionName(depends.option), name)
      assert(optionRow(depends.option).commands.includes(command), `${name} for ${command}`)
    }
  }
})

test('ranges are in the spelling of the option and the right way round', () => {
  for (const name of OPTION_NAMES) {
    const { kind, range } = optionRow(name)
    if (range === undefined) continue
    for (const pair of Array.isArray(range) ? [range] : Object.values(range)) {
      const [min = Number.NaN, max = Number.NaN] = pair.map((text: string) => numberOf(kind, text))
      assert(min < max, name)
    }
  }
})

test('every secret can also come from a file or a command, and these are not secret themselves', () => {
  for (const name of OPTION_NAMES.filter((one) => optionRow(one).secret === true)) {
    for (const companion of [`${name}-file`, `${name}-command`]) {
      assert(isOptionName(companion), companion)
      assert.equal(optionRow(companion).secret, undefined)
      assert.deepEqual(optionRow(companion).commands, optionRow(name).commands)
    }
  }
})
