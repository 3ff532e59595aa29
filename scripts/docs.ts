/** Writes docs/reference from the tables in src/config. Run after every change of a table; a test fails when it is stale. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { renderReference } from '../src/config/reference.ts'

for (const [name, text] of renderReference()) {
  writeFileSync(fileURLToPath(new URL(`../docs/reference/${name}`, import.meta.url)), text)
}
