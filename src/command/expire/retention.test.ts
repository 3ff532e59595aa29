import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry } from '../../../test/harness/backup-entry.ts'
import {
  decideBackups,
  type RetentionDecision,
  type RetentionFacts,
  type RetentionRules,
} from './retention.ts'

const DAY_S = 86_400
const NOW_S = 1_800_000_000

const NO_RULES: RetentionRules = {
  repoKey: 1,
  full: undefined,
  fullType: 'count',
  diff: undefined,
  archive: undefined,
  archiveType: 'full',
  historyDays: undefined,
}

const F1 = '20260101-000000F'
const F2 = '20260201-000000F'
const F3 = '20260301-000000F'
const D2 = `${F2}_20260202-000000D`
const I2 = `${F2}_20260203-000000I`

const BACKUPS = [
  entry({ label: F1, stopS: NOW_S - 30 * DAY_S }),
  entry({ label: F2, stopS: NOW_S - 20 * DAY_S }),
  entry({ label: D2, stopS: NOW_S - 19 * DAY_S }),
  entry({ label: I2, stopS: NOW_S - 18 * DAY_S, prior: D2 }),
  entry({ label: F3, stopS: NOW_S - 10 * DAY_S }),
]

function decide(
  rules: Partial<RetentionRules>,
  facts: Partial<RetentionFacts> = {},
): RetentionDecision {
  return decideBackups({
    backups: BACKUPS,
    wanted: { kind: 'retention' },
    nowS: NOW_S,
    ...facts,
    rules: { ...NO_RULES, ...rules },
  })
}

function kept(decision: RetentionDecision): readonly string[] {
  return decision.kept.map(({ label }) => label)
}

test('a number of full backups keeps the newest with all that builds on them', () => {
  assert.deepEqual(kept(decide({ full: 2 })), [F2, D2, I2, F3])
  assert.deepEqual(kept(decide({ full: 1 })), [F3])
  assert.deepEqual(kept(decide({ full: 7 })).length, BACKUPS.length)
  assert.deepEqual(kept(decide({})).length, BACKUPS.length)
})

test('days of full backups keep one older than that, from which each day can be reached', () => {
  assert.deepEqual(kept(decide({ full: 15, fullType: 'time' })), [F2, D2, I2, F3])
  assert.deepEqual(kept(decide({ full: 25, fullType: 'time' })).length, BACKUPS.length)
})

test('full backups count as differential ones, and go only by their own rule', () => {
  assert.deepEqual(kept(decide({ diff: 1 })), [F1, F2, F3])
  assert.deepEqual(
    kept(decide({ diff: 2 })),
    BACKUPS.map(({ label }) => label),
  )
})

test('what builds on a backup that goes, by prior or by reference, goes with it', () => {
  const extra = entry({ label: `${F2}_20260204-000000I`, prior: F2, references: [D2, F2] })
  const decision = decide(
    { diff: 1 },
    { backups: [...BACKUPS.slice(0, 4), extra, ...BACKUPS.slice(4)] },
  )
  assert.deepEqual(kept(decision), [F1, F2, F3])
  assert.equal(decision.reasons.get(extra.label)?.rule, 'builds-on-removed')
})

test('every backup has a reason', () => {
  const decision = decide({ full: 2, diff: 9 })
  for (const { label } of BACKUPS) assert(decision.reasons.has(label), label)
  assert.match(decision.reasons.get(F1)?.text ?? '', /repo1-retention-full=2/)
  assert.match(decision.reasons.get(I2)?.text ?? '', new RegExp(`backup ${D2}`))
})

test('a backup asked for goes with those that build on it, and no rule is applied', () => {
  const decision = decide({ full: 1 }, { wanted: { kind: 'set', label: D2 } })
  assert.deepEqual(kept(decision), [F1, F2, F3])
  assert.equal(decision.reasons.get(F1)?.rule, 'not-asked')
})

test('the newest full backup cannot be asked for when it is the only one of its cluster', () => {
  const upgraded = [...BACKUPS, entry({ label: '20260401-000000F', historyId: 2 })]
  assert.throws(
    () => decide({}, { backups: upgraded, wanted: { kind: 'set', label: '20260401-000000F' } }),
    { kind: 'backup-set-invalid' },
  )
  const [only] = BACKUPS
  assert(only !== undefined)
  assert.throws(() => decide({}, { backups: [only], wanted: { kind: 'set', label: F1 } }), {
    kind: 'backup-set-invalid',
  })
})

test('the oldest goes whatever the rules say, the last one never', () => {
  const decision = decide({ full: 9 }, { wanted: { kind: 'oldest' } })
  assert.deepEqual(kept(decision), [F2, D2, I2, F3])
  assert.equal(decision.rules.archive, 2)
  assert.throws(() => decide({}, { backups: BACKUPS.slice(-1), wanted: { kind: 'oldest' } }), {
    kind: 'backup-set-invalid',
    message: /no eligible full backup/,
  })
})

test('nothing goes by time when the clock seems to have jumped ahead', () => {
  const later = { nowS: NOW_S + 3650 * DAY_S }
  assert.throws(() => decide({ full: 15, fullType: 'time' }, later), { kind: 'clock' })
  // The same after a backup was made under the wrong clock.
  const backups = [...BACKUPS, entry({ label: '20360301-000000F', stopS: later.nowS - 60 })]
  assert.throws(() => decide({ full: 15, fullType: 'time' }, { ...later, backups }), {
    kind: 'clock',
  })
  assert.deepEqual(kept(decide({ full: 1 }, later)), [F3], 'by count the clock does not matter')
})

test('an incremental backup by a clock that was behind does not make a jump ahead look usual', () => {
  const behind = entry({ label: `${F3}_20160101-000000I`, stopS: NOW_S - 4000 * DAY_S })
  const next = { label: `${F3}_20160101-010000I`, prior: behind.label }
  const alike = entry({ ...next, stopS: behind.stopS + 3600 })
  const later = { nowS: NOW_S + 3650 * DAY_S, backups: [...BACKUPS, behind, alike] }
  assert.throws(() => decide({ full: 15, fullType: 'time' }, later), { kind: 'clock' })
})

test('pauses that are usual are no jumps of the clock, however short the period', () => {
  assert.deepEqual(kept(decide({ full: 3, fullType: 'time' })), [F3])
})

test('a clock that is behind removes nothing, and is told of', () => {
  const decision = decide({ full: 15, fullType: 'time' }, { nowS: NOW_S - 3650 * DAY_S })
  assert.deepEqual(kept(decision).length, BACKUPS.length)
  assert.match(decision.notes[0]?.text ?? '', /in the future/)
})
