import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { COMMAND_NAMES } from './command-table.ts'
import { loadConfig, type Config } from './config.ts'
import { displayName } from './option-name.ts'
import { OPTION_NAMES, optionRow } from './option-table.ts'

const word = fc.string({ unit: 'binary', maxLength: 8 })
const option = fc
  .record({
    name: fc.constantFrom(...OPTION_NAMES),
    index: fc.integer({ min: 0, max: 300 }),
    prefix: fc.constantFrom('', 'no-', 'reset-'),
    value: fc.oneof(fc.constantFrom('', '=y', '=n', '=1', '=/a', '=k=v'), word),
    length: fc.integer({ min: 1, max: 40 }),
  })
  .map(
    ({ name, index, prefix, value, length }) =>
      `--${prefix}${displayName(name, index).slice(0, length)}${value}`,
  )
const argument = fc.oneof(option, word, fc.constantFrom(...COMMAND_NAMES))

const noFiles = {
  read: () => undefined,
  list: () => undefined,
  mode: () => undefined,
  run: () => '',
}

test('no command line and no file makes anything but a configuration or an AppError', () => {
  const file = fc.array(
    fc.oneof(
      option.map((text) => text.slice(2)),
      fc.constantFrom('[global]', '[m]', '[m:backup]'),
      word,
    ),
    { maxLength: 8 },
  )
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 6 }), file, (argv, lines) => {
      const files = { ...noFiles, read: () => lines.join('\n') }
      try {
        loadConfig({ argv, env: {}, files, programName: 'pgsurety' })
      } catch (error) {
        assert(error instanceof AppError, String(error))
      }
    }),
    { numRuns: 400 },
  )
})

const loadPush = (extra: readonly string[]): Config =>
  loadConfig({
    argv: ['archive-push', 'x', ...extra],
    env: {},
    files: noFiles,
    programName: 'pgsurety',
  })

test('options written back and read again give the same configuration', () => {
  const settable = OPTION_NAMES.filter((name) => {
    const row = optionRow(name)
    return row.commands.includes('archive-push') && row.secret !== true && row.support === undefined
  })
  const given = fc.record({
    name: fc.constantFrom(...settable),
    value: fc.constantFrom('y', 'n', '1', '/a', 'warn', '64KiB', '5m'),
  })
  fc.assert(
    fc.property(fc.array(given, { maxLength: 4 }), (options) => {
      const argv = options.map(({ name, value }) => `--${displayName(name, 1)}=${value}`)
      let first: Config
      try {
        first = loadPush(['--stanza=m', ...argv])
      } catch {
        return
      }

      const again = loadPush(first.fromEverywhere().map(({ name, value }) => `--${name}=${value}`))

      assert.deepEqual(again.fromEverywhere(), first.fromEverywhere())
    }),
    { numRuns: 150 },
  )
})
