import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry } from '../../../test/harness/backup-entry.ts'
import {
  type ArchivePlan,
  folderFate,
  historyFate,
  keepersOf,
  planArchives,
  type RangedPlan,
  type WalFacts,
} from './wal-retention.ts'

const RULES = {
  repoKey: 1,
  full: undefined,
  fullType: 'count',
  diff: undefined,
  archive: 1,
  archiveType: 'full',
  historyDays: undefined,
} as const

/** Timeline and number of a segment below 256. */
function wal(timeline: number, number: number): string {
  return `${String(timeline).padStart(8, '0')}00000000${number.toString(16).toUpperCase().padStart(8, '0')}`
}

const F1 = entry({ label: '20260101-000000F', archiveStart: wal(1, 5), archiveStop: wal(1, 7) })
const F2 = entry({ label: '20260201-000000F', archiveStart: wal(2, 50), archiveStop: wal(2, 52) })

function plans(facts: Partial<WalFacts>): readonly ArchivePlan[] {
  return planArchives({
    kept: [F1, F2],
    history: [{ id: 1, version: '15' }],
    currentId: 1,
    archiveIds: ['15-1'],
    rules: RULES,
    walBefore: undefined,
    ...facts,
  })
}

function ranged(facts: Partial<WalFacts>): RangedPlan {
  const [plan] = plans(facts)
  assert(plan?.action === 'ranges', plan?.because)
  return plan
}

function staying(plan: RangedPlan, segment: string): readonly string[] {
  return keepersOf(plan, segment).map(({ backup, why }) => `${backup} ${why}`)
}

test('an older backup keeps what makes it consistent, the retained one all that follows', () => {
  const plan = ranged({})
  assert.deepEqual(staying(plan, wal(1, 4)), [])
  assert.deepEqual(staying(plan, wal(1, 6)), [`${F1.label} consistency`])
  assert.deepEqual(staying(plan, wal(1, 8)), [])
  assert.deepEqual(staying(plan, wal(2, 49)), [])
  assert.deepEqual(staying(plan, wal(2, 50)), [`${F2.label} recovery`])
  assert.deepEqual(staying(plan, wal(3, 1)), [`${F2.label} recovery`])
})

test('a newer backup on an older timeline keeps its WAL: the old primary came back', () => {
  const back = entry({
    label: '20260301-000000F',
    archiveStart: wal(1, 60),
    archiveStop: wal(1, 61),
  })
  const plan = ranged({ kept: [F1, F2, back], rules: { ...RULES, archive: 2 } })
  assert.deepEqual(staying(plan, wal(1, 60)), [`${back.label} recovery`])
  assert.deepEqual(staying(plan, wal(1, 99)), [`${back.label} recovery`])
  assert.deepEqual(staying(plan, wal(1, 59)), [])
})

test('a whole directory stays or goes without a look when that is certain', () => {
  const plan = ranged({})
  assert.equal(folderFate(plan, '0000000100000000'), 'look')
  assert.equal(folderFate(plan, '0000000100000001'), 'remove')
  assert.equal(folderFate(plan, '0000000200000000'), 'look')
  assert.equal(folderFate(plan, '0000000200000001'), 'keep')
})

test('histories of timelines before the retained backup go, but for those kept backups are on', () => {
  const middle = entry({
    label: '20260115-000000F',
    archiveStart: wal(2, 9),
    archiveStop: wal(2, 9),
  })
  const last = entry({ label: '20260401-000000F', archiveStart: wal(5, 9), archiveStop: wal(5, 9) })
  const plan = ranged({ kept: [middle, last] })
  assert.deepEqual(
    [2, 3, 4, 5, 6].map((timeline) => historyFate(plan, timeline)),
    ['keep', 'remove', 'remove', 'keep', 'keep'],
  )
})

test('without a number, or with too few backups that count, all WAL stays', () => {
  assert.equal(plans({ rules: { ...RULES, archive: undefined } })[0]?.action, 'keep')
  assert.equal(plans({ rules: { ...RULES, archive: 3 } })[0]?.action, 'keep')
  assert.equal(plans({ rules: { ...RULES, archive: 2, archiveType: 'incr' } })[0]?.action, 'ranges')
})

test('WAL of an older cluster goes with its last backup, that of the current one waits for the first', () => {
  const history = [
    { id: 1, version: '15' },
    { id: 2, version: '17' },
    { id: 3, version: '17' },
  ]
  const kept = [entry({ label: '20260501-000000F', historyId: 2, archiveStart: wal(1, 1) })]
  const archiveIds = ['17-10', '17-3', '17-2', '15-1']
  assert.deepEqual(
    plans({ kept, history, currentId: 3, archiveIds }).map(({ archiveId, action }) => [
      archiveId,
      action,
    ]),
    [
      ['15-1', 'remove'],
      ['17-2', 'ranges'],
      ['17-3', 'keep'],
    ],
  )
})

test('a backup of a stopped cluster needs no WAL, and is no point to count from', () => {
  const offline = entry({ label: '20260401-000000F' })
  assert.equal(plans({ kept: [F1, offline] })[0]?.action, 'keep')
  const plan = ranged({
    kept: [offline, F2].toSorted((a, b) => (a.label < b.label ? -1 : 1)),
    rules: { ...RULES, archive: 2 },
  })
  assert.deepEqual(staying(plan, wal(2, 50)), [`${F2.label} recovery`])
})

test('asked to keep WAL from a segment on, that WAL stays too', () => {
  const plan = ranged({ walBefore: wal(1, 20) })
  assert.deepEqual(staying(plan, wal(1, 19)), [])
  assert.deepEqual(staying(plan, wal(1, 20)), ['undefined asked'])
  assert.equal(historyFate(plan, 1), 'keep')
  assert.deepEqual(staying(ranged({ walBefore: wal(9, 0) }), wal(2, 51)), [`${F2.label} recovery`])
})
