import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GIB, HOUR_MS, MINUTE_MS } from '../../base/units.ts'
import { advise, type Measures } from './decide.ts'
import { type DumpedSize, growthBytesPerDay } from './growth.ts'
import { notMeasured } from './rate.ts'

const measured: Measures = {
  name: 'shop',
  sizeBytes: 20 * GIB,
  growthBytesPerDay: undefined,
  changes: notMeasured('no'),
  wal: notMeasured('a standby'),
  increment: undefined,
  dump: { label: 'L', durationMs: 5 * MINUTE_MS, sizeBytes: 10 * GIB, storedBytes: 2 * GIB },
  restore: { label: 'L', durationMs: 20 * MINUTE_MS, sizeBytes: 10 * GIB, proved: 'proved' },
  backup: undefined,
}
const none = { rpoMs: undefined, rtoMs: undefined }

test('without any measurement the rule of thumb decides, and is called that', () => {
  const unmeasured = { ...measured, dump: undefined, restore: undefined }

  const small = advise(unmeasured, none)
  assert.equal(small.use, 'dump')
  assert.match(small.reasons.join('\n'), /20GB is below the rule of thumb of 100GB/)
  assert.equal(advise({ ...unmeasured, sizeBytes: 100 * GIB }, none).use, 'backup')
})

test('a measured restore decides, scaled to the size of today, whatever the rule of thumb says', () => {
  assert.equal(advise(measured, none).use, 'dump')
  assert.match(advise(measured, none).reasons[0] ?? '', /took 20m00s .* about 40m00s: within 1h00m/)
  assert.equal(advise({ ...measured, sizeBytes: 200 * GIB }, none).use, 'backup')
  const fast = { label: 'L', durationMs: 1000, sizeBytes: 10 * GIB, proved: 'proved' } as const
  assert.equal(advise({ ...measured, sizeBytes: 200 * GIB, restore: fast }, none).use, 'dump')
})

test('how long a restore may take is the wish when there is one', () => {
  assert.equal(advise(measured, { ...none, rtoMs: 30 * MINUTE_MS }).use, 'backup')
  assert.equal(advise(measured, { ...none, rtoMs: 2 * HOUR_MS }).use, 'dump')
})

test('who may lose little needs WAL beside the dumps', () => {
  assert.equal(advise(measured, { ...none, rpoMs: MINUTE_MS }).use, 'both')
  assert.equal(advise(measured, { ...none, rpoMs: 24 * HOUR_MS }).use, 'dump')
  const never = { ...measured, dump: undefined }
  assert.equal(advise(never, { ...none, rpoMs: HOUR_MS }).use, 'both')
})

test('what either way keeps is told in figures, and what was not measured is said', () => {
  const cost = (measures: Measures, rpoMs?: number): string =>
    advise(measures, { ...none, rpoMs }).reasons.find((reason) => reason.includes('WAL')) ?? ''
  assert.equal(
    cost(measured),
    'a dump a day keeps 2GB; a full backup was not measured; its WAL was not measured (a standby)',
  )
  const backup = { label: 'F', durationMs: 1, sizeBytes: 40 * GIB, storedBytes: 9 * GIB }
  const wal = { state: 'measured', perDay: 3 * GIB, source: 'pg_stat_wal since then' } as const
  const all = { ...measured, backup, increment: { ...backup, storedBytes: GIB }, wal }
  assert.match(
    advise(all, { ...none, rpoMs: 6 * HOUR_MS }).reasons.join('\n'),
    /^4 dumps a day keep 8GB; a full backup of the whole server keeps 9GB, one of what has changed 1GB; its WAL is 3GB a day before compression \(pg_stat_wal since then\)$/m,
  )
})

function at(hours: number, sizeBytes: number): DumpedSize {
  return { name: 'a', sizeBytes, atMs: hours * HOUR_MS }
}

test('growth is that between the oldest and the newest dump, if they are an hour apart', () => {
  assert.equal(growthBytesPerDay([at(0, 100), at(5, 7), at(48, 300)]), 100)
  assert.equal(growthBytesPerDay([at(0, 100), at(0.5, 300)]), undefined)
  assert.equal(growthBytesPerDay([]), undefined)
})
