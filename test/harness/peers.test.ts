import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { pgBackRest, toolsBin } from './peers.ts'
import { runAs } from './run.ts'

async function versionOf(...argv: readonly string[]): Promise<string> {
  return (await runAs(argv)).stdout.trim()
}

test('the real pgBackRest runs in the versions we speak with', async () => {
  assert.equal(await versionOf(await pgBackRest('2.45'), 'version'), 'pgBackRest 2.45')
  assert.match(await versionOf(await pgBackRest('2.55'), 'version'), /^pgBackRest 2\.55/)
  assert.match(await versionOf(await pgBackRest('2.60'), 'version'), /^pgBackRest 2\.\d\d/)
})

test("PostgreSQL's client programs are there", async () => {
  for (const name of ['psql', 'pgbench', 'pg_verifybackup', 'pg_checksums']) {
    assert.match(await versionOf(join(await toolsBin(), name), '--version'), /PostgreSQL\) 15\./)
  }
})
