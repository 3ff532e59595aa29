/**
 * Retention over 400 simulated days, against an oracle that says by brute force what the rules mean: no backup that stays
 * ever misses a backup it builds on or a segment, and what stays is exactly what should.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../../src/base/error.ts'
import {
  decideBackups,
  type RetentionDecision,
  type RetentionRules,
} from '../../src/command/expire/retention.ts'
import {
  type ArchivePlan,
  folderFate,
  keepersOf,
  planArchives,
} from '../../src/command/expire/wal-retention.ts'
import { chooseSeed, seededRandom } from '../scenario/killing.ts'
import {
  DAY_S,
  type SimulatedBackup,
  SimulatedStanza,
  type StoredSegment,
} from './simulated-stanza.ts'

const DAYS = 400
/** With PGSURETY_TEST_FULL four hundred. */
const LIVES = process.env['PGSURETY_TEST_FULL'] === undefined ? 12 : 400

// Clocks are put back on 2026-10-25 at 03:00.
process.env['TZ'] = 'Europe/Berlin'

test(`over ${DAYS} days, ${LIVES} times, what stays is what should, and misses nothing`, (t) => {
  const seed = chooseSeed()
  const counts = { expired: 0, segments: 0, refused: 0, failed: 0 }
  for (let life = 0; life < LIVES; life += 1) {
    const random = seededRandom(seed + life)
    const rules = someRules(random)
    try {
      live(random, rules, counts)
    } catch (error) {
      throw new Error(`KILL_SEED=${seed}, life ${life}, rules ${JSON.stringify(rules)}`, {
        cause: error,
      })
    }
  }
  const { expired, segments, refused, failed } = counts
  t.diagnostic(
    `seed ${seed}: ${expired} backups and ${segments} segments expired, ` +
      `${refused} times refused for the clock, ${failed} backups failed`,
  )
  assert(expired > 0 && segments > 0 && refused > 0 && failed > 0)
})

function someRules(random: () => number): RetentionRules {
  const upTo = (limit: number): number => 1 + Math.floor(random() * limit)
  const maybe = (limit: number): number | undefined => (random() < 0.3 ? undefined : upTo(limit))
  const fullType = random() < 0.5 ? 'count' : 'time'
  const archiveType = (['full', 'diff', 'incr'] as const)[Math.floor(random() * 3)] ?? 'full'
  // A clock that is wrong for longer than the days to keep cannot be told from one that is right.
  const full = fullType === 'count' ? (random() < 0.1 ? undefined : upTo(6)) : 5 + upTo(40)
  const follows = archiveType === 'full' && fullType === 'count' ? full : undefined
  return {
    repoKey: 1,
    full,
    fullType,
    diff: maybe(4),
    archive: maybe(5) ?? follows,
    archiveType,
    historyDays: undefined,
  }
}

interface Counts {
  expired: number
  segments: number
  refused: number
  failed: number
}

function live(random: () => number, rules: RetentionRules, counts: Counts): void {
  const stanza = new SimulatedStanza(random)
  for (let day = 0; day < DAYS; day += 1) {
    stanza.pass(day)
    for (const kind of [
      day % 7 === 0 ? 'full' : day % 7 === 3 ? 'diff' : 'incr',
      'incr',
    ] as const) {
      const outcome = stanza.backup(kind)
      if (outcome !== 'done') counts.failed += 1
      if (outcome === 'clock' && stanza.fromTheFuture.length > 0) stanza.forgetFuture()
      if (outcome === 'done' || random() < 0.2) expireOnce(stanza, rules, counts)
      // The hour between 02:00 and 03:00 comes twice on one day.
      stanza.trueNowS += 3600
    }
  }
}

function expireOnce(stanza: SimulatedStanza, rules: RetentionRules, counts: Counts): void {
  const before = stanza.backups
  const decision = decide(stanza, rules)
  if (decision === undefined) {
    counts.refused += 1
    return
  }
  const kept = new Set(decision.kept.map(({ label }) => label))
  assertBackupsAsRuled(before, kept, { rules, nowS: stanza.nowS })
  assertNothingMissing(before, kept)
  assertTrulyYoungStay(before, kept, { rules, trueNowS: stanza.trueNowS })
  stanza.keepOnly(decision.kept)
  counts.expired += before.length - kept.size
  for (const plan of plansOf(stanza, decision)) {
    const folder = stanza.wal.get(plan.archiveId) ?? new Map<string, StoredSegment>()
    const should = walRule(stanza, decision.rules, plan.archiveId)
    for (const [name, stored] of folder) {
      const goes = fateOf(plan, name) === 'remove'
      assert.equal(goes, !should(stored), `${plan.archiveId} ${name}: ${plan.because}`)
      if (!goes) continue
      folder.delete(name)
      counts.segments += 1
    }
    if (folder.size === 0) stanza.wal.delete(plan.archiveId)
  }
  assertWalComplete(stanza)
}

/** Undefined: refused because of the clock. */
function decide(stanza: SimulatedStanza, rules: RetentionRules): RetentionDecision | undefined {
  try {
    return decideBackups({
      backups: stanza.backups.map(({ entry }) => entry),
      rules,
      wanted: { kind: 'retention' },
      nowS: stanza.nowS,
    })
  } catch (error) {
    assert(isErrorKind(error, 'clock') && rules.fullType === 'time', String(error))
    return undefined
  }
}

function plansOf(
  stanza: SimulatedStanza,
  { kept, rules }: RetentionDecision,
): readonly ArchivePlan[] {
  return planArchives({
    kept,
    rules,
    history: stanza.history,
    currentId: stanza.historyId,
    archiveIds: [...stanza.wal.keys()],
    walBefore: undefined,
  })
}

/** As the command does it: a whole directory where that is certain, else segment by segment. */
function fateOf(plan: ArchivePlan, name: string): 'keep' | 'remove' {
  if (plan.action !== 'ranges') return plan.action
  const fate = folderFate(plan, name.slice(0, 16))
  if (fate !== 'look') return fate
  return keepersOf(plan, name).length > 0 ? 'keep' : 'remove'
}

/** What the rules say of each backup by itself, whatever happens to the others. */
function assertBackupsAsRuled(
  backups: readonly SimulatedBackup[],
  kept: ReadonlySet<string>,
  { rules, nowS }: { readonly rules: RetentionRules; readonly nowS: number },
): void {
  const own = new Map<string, boolean>()
  const newer = { fulls: 0, counted: 0, oldFulls: 0 }
  for (const { entry } of backups.toReversed()) {
    const limit = rules.full ?? Number.POSITIVE_INFINITY
    const fullStays = rules.fullType === 'count' ? newer.fulls < limit : newer.oldFulls === 0
    const diffStays = newer.counted < (rules.diff ?? Number.POSITIVE_INFINITY)
    own.set(entry.label, { full: fullStays, diff: diffStays, incr: true }[entry.kind])
    if (entry.kind !== 'incr') newer.counted += 1
    if (entry.kind !== 'full') continue
    newer.fulls += 1
    if (entry.stopS < nowS - limit * DAY_S) newer.oldFulls += 1
  }
  const stays = new Set<string>()
  for (const { entry } of backups) {
    const basis = entry.prior === undefined || stays.has(entry.prior)
    if (basis && own.get(entry.label) === true) stays.add(entry.label)
  }
  assert.deepEqual(kept, stays)
}

function assertNothingMissing(
  backups: readonly SimulatedBackup[],
  kept: ReadonlySet<string>,
): void {
  for (const { entry } of backups) {
    if (!kept.has(entry.label)) continue
    const needed = entry.prior === undefined ? [] : [entry.prior, ...entry.references]
    for (const label of needed) assert(kept.has(label), `${entry.label} needs ${label}`)
  }
}

/** By a right clock: a full backup of the days to keep stays, whatever the clock of the host did. */
function assertTrulyYoungStay(
  backups: readonly SimulatedBackup[],
  kept: ReadonlySet<string>,
  { rules, trueNowS }: { readonly rules: RetentionRules; readonly trueNowS: number },
): void {
  if (rules.fullType === 'count' || rules.full === undefined) return
  const oldestS = trueNowS - rules.full * DAY_S
  const fulls = backups.filter(({ entry }) => entry.kind === 'full')
  // One that was made by a wrong clock says that it is old.
  const young = fulls.filter(
    ({ entry, trueStopS }) => trueStopS >= oldestS && entry.stopS >= trueStopS,
  )
  for (const { entry } of young) assert(kept.has(entry.label), `${entry.label} is not old`)
}

/** Whether a segment of one cluster stays. */
function walRule(
  { backups, history, historyId }: SimulatedStanza,
  { archive, archiveType }: RetentionRules,
  archiveId: string,
): (stored: StoredSegment) => boolean {
  const kinds = { full: ['full'], diff: ['full', 'diff'], incr: ['full', 'diff', 'incr'] }
  const counted = backups.filter(({ entry }) => kinds[archiveType].includes(entry.kind))
  if (archive === undefined || counted.length < archive) return () => true
  const id = history.find((row) => `${row.version}-${row.id}` === archiveId)?.id
  const isOwn = ({ entry }: SimulatedBackup): boolean => entry.historyId === id
  const own = backups.filter(isOwn)
  if (own.length === 0) return () => id === historyId
  // From this backup on, recovery to any point must stay possible.
  const retained = counted.slice(-archive).find(isOwn) ?? counted.findLast(isOwn)
  return (stored) =>
    own.some(({ entry, first, last }) => {
      const older = retained !== undefined && entry.label < retained.entry.label
      return order(first, stored) <= 0 && (!older || order(stored, last) <= 0)
    })
}

function order(left: StoredSegment, right: StoredSegment): number {
  return left.timeline - right.timeline || left.number - right.number
}

/** Every backup that is left finds every segment from its start to its stop. */
function assertWalComplete({ backups, wal, history }: SimulatedStanza): void {
  for (const { entry, first, last } of backups) {
    const row = history.find(({ id }) => id === entry.historyId)
    const stored = [...(wal.get(`${row?.version}-${row?.id}`)?.values() ?? [])]
    const there = stored.filter((one) => order(first, one) <= 0 && order(one, last) <= 0)
    const wanted = last.number - first.number + 1
    assert.equal(there.length, wanted, `WAL of backup ${entry.label}`)
  }
}
