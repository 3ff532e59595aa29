/**
 * Runs the built program and keeps what V8 compiled on the way beside each file: `node warm.ts <first file of the build> …`.
 */
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Loaded } from './start.ts'

process.argv.splice(1, 1)
const [, entry = ''] = process.argv
const { loaded }: { readonly loaded: ReadonlyMap<string, Loaded> } = createRequire(entry)(entry)
// Also when the program itself ends the process.
process.on('exit', () => {
  for (const [path, { script }] of loaded) writeFileSync(`${path}.cache`, script.createCachedData())
})
