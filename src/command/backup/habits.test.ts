import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Config, loadConfig } from '../../config/config.ts'
import { type Habits, isSettled, newHabits, PLAIN_HABITS, withOptions } from './habits.ts'

const configOf = (...argv: readonly string[]): Config =>
  loadConfig({
    argv: ['--no-config', '--stanza=main', '--pg1-path=/pg', ...argv, 'backup'],
    env: {},
    programName: 'pgsurety',
  })

const first = (...argv: readonly string[]): Habits =>
  withOptions(configOf(...argv), 1, newHabits(8))

const settled = (...argv: readonly string[]): boolean => isSettled(configOf(...argv), 1)

test('the first backup of a repository uses zst, bundles, blocks, and some of the processors', () => {
  assert.deepEqual(first(), {
    compressType: 'zst',
    compressLevel: 3,
    bundle: true,
    block: true,
    processMax: 4,
  })
  assert.equal(newHabits(2).processMax, 2)
})

test('a later one does what the newest did', () => {
  const before = { ...newHabits(1), compressType: 'lz4', compressLevel: 2, block: false } as const

  assert.deepEqual(withOptions(configOf(), 1, before), before)
})

test('an option that is set means what pgBackRest says', () => {
  assert.deepEqual(
    first('--no-repo1-bundle', '--compress-type=gz', '--process-max=1'),
    PLAIN_HABITS,
  )
  assert.deepEqual(
    [first('--no-compress').compressType, first('--no-compress').compressLevel],
    ['none', 0],
  )
  assert.equal(first('--no-repo1-block', '--repo1-bundle').block, false)
})

test('a level without a type is for the type that pgBackRest would take', () => {
  const { compressType, compressLevel } = first('--compress-level=9')

  assert.deepEqual([compressType, compressLevel], ['gz', 9])
})

test('with hard links there are no bundles', () => {
  assert.equal(first('--repo1-hardlink').bundle, false)
})

test('nobody is asked when every option is set', () => {
  const all = ['--compress-type=zst', '--repo1-bundle', '--repo1-block', '--process-max=2']

  assert.equal(settled(...all), true)
  assert.equal(settled('--compress-type=zst', '--no-repo1-bundle', '--process-max=2'), true)
  assert.equal(settled(...all.toSpliced(2, 1)), false)
  assert.equal(settled(...all.toSpliced(0, 1)), false)
  assert.equal(settled(), false)
})
