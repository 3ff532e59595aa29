import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIB, MIB } from '../../base/units.ts'
import { loadConfig } from '../../config/config.ts'
import { BLOCK_RULES, DAY_S } from './block-size.ts'
import { newHabits } from './habits.ts'
import { type Layout, layoutOf } from './layout.ts'

const layout = (kind: 'full' | 'incr', ...argv: readonly string[]): Layout => {
  const config = loadConfig({
    argv: ['--no-config', '--stanza=main', '--pg1-path=/pg', ...argv, 'backup'],
    env: {},
    programName: 'pgsurety',
  })
  return layoutOf(config, { repoKey: 1, kind, habits: newHabits(1) })
}

test('sizes are the defaults of the options also when bundles and blocks come by habit', () => {
  assert.deepEqual(layout('full'), {
    bundles: { limitBytes: 2 * MIB, sizeBytes: 20 * MIB },
    blocks: { ...BLOCK_RULES, superBlockBytes: MIB },
  })
  assert.equal(layout('incr').blocks?.superBlockBytes, 256 * KIB)
})

test('the tables of block sizes can be replaced', () => {
  const { blocks } = layout(
    'full',
    '--repo1-bundle',
    '--repo1-block',
    '--repo1-block-size-map=16KiB=8KiB',
    '--repo1-block-size-map=1MiB=16KiB',
    '--repo1-block-age-map=3=0',
    '--repo1-block-checksum-size-map=16KiB=9',
    '--repo1-block-size-super-full=64KiB',
  )

  assert.deepEqual(blocks, {
    superBlockBytes: 64 * KIB,
    sizes: [
      [MIB, 16 * KIB],
      [16 * KIB, 8 * KIB],
    ],
    ages: [[3 * DAY_S, 0]],
    checksumSizes: [[16 * KIB, 9]],
  })
})

const assertInvalid = (option: string, text: string): void => {
  assert.throws(() => layout('full', '--repo1-bundle', '--repo1-block', `--${option}`), {
    kind: 'option-invalid-value',
    message: `'${text}' is not valid for '${option.split('=')[0]}' option`,
  })
}

test('block sizes that the format cannot hold are refused', () => {
  assertInvalid('repo1-block-size-map=16KiB=10KiB', '10KiB')
  assertInvalid('repo1-block-size-map=much=8KiB', 'much')
  assertInvalid('repo1-block-age-map=1=x', 'x')
  assertInvalid('repo1-block-checksum-size-map=32KiB=5', '5')
  assertInvalid('repo1-block-checksum-size-map=32KiB=17', '17')
})
