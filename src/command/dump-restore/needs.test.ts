import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseArchiveHead } from '../../format/archive-toc.ts'
import { needsOf } from './needs.ts'

const bytes = readFileSync(new URL('../../../test/fixtures/archives/18.head', import.meta.url))

test('the roles that an archive needs are those that own, are granted to, and are named in policies', () => {
  const { owners, grantees, mentioned } = needsOf(parseArchiveHead(bytes)?.entries ?? [])

  assert.deepEqual([...owners.keys()].toSorted(), ['app', 'postgres'])
  assert.deepEqual([...grantees].toSorted(), ['app', 'reader'])
  // Not `now`, which stands behind FROM in the condition.
  assert.deepEqual([...mentioned].toSorted(), ['odd TO role', 'reader'])
})
