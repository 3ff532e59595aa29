import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GIB, HOUR_MS, MINUTE_MS } from '../../base/units.ts'
import { advise, type Measures } from './decide.ts'
import { type DumpedSize, growthBytesPerDay } from './growth.ts'

const measured: Measures = {
  name: 'shop',
  sizeBytes: 20 * GIB,
  growthBytesPerDay: undefined,
  dump: { label: 'L', durationMs: 5 * MINUTE_MS, sizeBytes: 10 * GIB },
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

function at(hours: number, sizeBytes: number): DumpedSize {
  return { name: 'a', sizeBytes, atMs: hours * HOUR_MS }
}

test('growth is that between the oldest and the newest dump, if they are an hour apart', () => {
  assert.equal(growthBytesPerDay([at(0, 100), at(5, 7), at(48, 300)]), 100)
  assert.equal(growthBytesPerDay([at(0, 100), at(0.5, 300)]), undefined)
  assert.equal(growthBytesPerDay([]), undefined)
})
