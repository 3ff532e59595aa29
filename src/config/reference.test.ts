import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { renderReference } from './reference.ts'

test('docs/reference says what the tables say; when it did not, it does after this test', () => {
  const stale: string[] = []
  for (const [name, text] of renderReference()) {
    const url = new URL(`../../docs/reference/${name}`, import.meta.url)
    if (readFileSync(url, 'utf8') === text) continue
    writeFileSync(url, text)
    stale.push(name)
  }

  assert.deepEqual(stale, [], 'rewritten: look at the difference and commit it')
})
