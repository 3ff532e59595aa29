import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GIB, MIB } from '../base/units.ts'
import { jobsForDump, jobsForProof, jobsForRestore, jobsOr } from './jobs.ts'

test('a dump takes half of the processors, and no more than its tables can keep busy', () => {
  const tables = [GIB, GIB, GIB, GIB]
  assert.deepEqual(jobsForDump(4, tables), { jobs: 2, why: 'half of the 4 processors here' })
  assert.equal(jobsForDump(1, tables).jobs, 1)
  assert.deepEqual(jobsForDump(64, tables), { jobs: 4, why: 'one table has 1GB of 4GB' })
  assert.equal(jobsForDump(64, [10 * GIB, 10 * MIB]).jobs, 2)
  assert.deepEqual(jobsForDump(64, [MIB, MIB]), { jobs: 1, why: 'its large tables have only 2MB' })
  assert.equal(jobsForDump(64, []).jobs, 1)
  assert.match(jobsForDump(64, Array<number>(100).fill(GIB)).why, /^more than 8/)
})

test('a restore takes all processors, and no more than it has to do at the same time', () => {
  const work = { sizeBytes: 10 * GIB, archives: 1, afterwards: 3 }
  assert.deepEqual(jobsForRestore(2, work), { jobs: 2, why: 'the 2 processors here' })
  assert.equal(jobsForRestore(16, work).jobs, 3)
  assert.equal(jobsForRestore(16, { ...work, archives: 5 }).jobs, 5)
  assert.equal(jobsForRestore(16, { ...work, sizeBytes: MIB }).jobs, 1)
  assert.equal(jobsForProof(2).jobs, 1)
  assert.equal(jobsForProof(64).jobs, 8)
})

test('what was asked for is taken as it is', () => {
  assert.deepEqual(
    jobsOr(5, () => jobsForProof(1)),
    { jobs: 5, why: 'asked for' },
  )
})
