import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { percentCovered, readCoverage } from './coverage.ts'

const source = `/** Ä comment. */
export interface Shape {
  readonly sides: number
}

// Another.
export function name(shape: Shape): string {
  if (shape.sides === 3) {
    return 'triangle'
  }
  const other: string = 'ünknown'
  return other
}
`

function run(folder: string, sides: number): void {
  const file = join(folder, `main${sides}.mjs`)
  writeFileSync(file, `import { name } from './src/shape.ts'\nname({ sides: ${sides} })\n`)
  const env = { ...process.env, NODE_V8_COVERAGE: join(folder, 'data') }
  const { status } = spawnSync(process.execPath, [file], { env })
  assert.equal(status, 0)
}

test('lines that no process ran are told, types and comments are not, runs add up', () => {
  const folder = mkdtempSync('/tmp/pgsurety-coverage-')
  mkdirSync(join(folder, 'src'))
  writeFileSync(join(folder, 'src/shape.ts'), source)
  writeFileSync(join(folder, 'src/types.ts'), 'export interface Empty {\n  readonly a: 1\n}\n')
  writeFileSync(join(folder, 'src/unused.ts'), 'export const one = 1\nexport const two = 2\n')

  run(folder, 4)
  const afterOne = readCoverage(join(folder, 'data'), folder)
  run(folder, 3)
  // What a killed process leaves.
  writeFileSync(join(folder, 'data/coverage-cut.json'), '{"result":[{"url":"fi')
  const afterBoth = readCoverage(join(folder, 'data'), folder)

  rmSync(folder, { recursive: true })
  assert.deepEqual(afterOne, [
    { path: 'src/shape.ts', lineCount: 5, uncoveredLines: [9] },
    { path: 'src/types.ts', lineCount: 0, uncoveredLines: [] },
    { path: 'src/unused.ts', lineCount: 2, uncoveredLines: [1, 2] },
  ])
  assert.deepEqual(afterBoth[0], { path: 'src/shape.ts', lineCount: 5, uncoveredLines: [] })
  assert.equal(percentCovered(afterBoth), (100 * 5) / 7)
})
