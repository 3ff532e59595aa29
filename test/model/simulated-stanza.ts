/**
 * 400 days of a stanza, without files: backups that fail, clocks that jump, clocks that are put back for winter, promotions,
 * old primaries that come back, an upgrade that begins anew at timeline 1. Only what is true about it is recorded, by
 * numbers and not by names, for comparing with what retention makes of the names.
 */
import { isErrorKind } from '../../src/base/error.ts'
import { entry } from '../harness/backup-entry.ts'
import type { BackupEntry } from '../../src/format/backup-info.ts'
import { type BackupKind, fullLabelOf, planLabel } from '../../src/format/label.ts'
import { segment } from '../harness/stand-in.ts'

export interface StoredSegment {
  readonly historyId: number
  readonly timeline: number
  readonly number: number
}

export interface SimulatedBackup {
  readonly entry: BackupEntry
  /** When it ended by a clock that is right. */
  readonly trueStopS: number
  readonly first: StoredSegment
  readonly last: StoredSegment
}

export const DAY_S = 86_400
const HOUR_S = 3600
/** 2026-01-01 00:00 in Berlin. */
const BEGIN_S = 1_767_222_000
const UPGRADE_DAY = 200
const JUMP_DAYS = 400
const SEGMENTS_A_DAY = 4

export class SimulatedStanza {
  backups: readonly SimulatedBackup[] = []
  /** Archive id → segment name → what it is. */
  readonly wal = new Map<string, Map<string, StoredSegment>>()
  trueNowS = BEGIN_S
  readonly #random: () => number
  #history = [{ id: 1, version: '15' }]
  #clockOffsetS = 0
  #jumpEndsS = 0
  #timeline = 1
  /** The newest segment of each timeline of the current cluster. */
  #newest = new Map([[1, 0]])
  /** Labels of expired backups, as backup.history has them. */
  #expired: string[] = []

  constructor(random: () => number) {
    this.#random = random
  }

  /** What the host's clock says. */
  get nowS(): number {
    return this.trueNowS + this.#clockOffsetS
  }

  get history(): readonly { readonly id: number; readonly version: string }[] {
    return this.#history
  }

  get historyId(): number {
    return this.#history.length
  }

  /** Takes away what retention let go. */
  keepOnly(kept: readonly BackupEntry[]): void {
    const labels = new Set(kept.map(({ label }) => label))
    for (const { entry: gone } of this.backups) {
      if (!labels.has(gone.label)) this.#expired.push(gone.label)
    }
    this.backups = this.backups.filter((backup) => labels.has(backup.entry.label))
  }

  /** One day passes, up to its first backup; then the second, so that one of them meets the hour that comes twice. */
  pass(day: number): void {
    this.trueNowS = BEGIN_S + day * DAY_S + 2 * HOUR_S
    if (day === UPGRADE_DAY) this.#upgrade()
    this.#changeClock()
    this.#changeTimeline()
    for (let count = 0; count < SEGMENTS_A_DAY; count += 1) this.#archive()
  }

  /** `done`, or why there is no backup now. */
  backup(kind: BackupKind): 'done' | 'failed' | 'clock' {
    if (this.#random() < 0.1) return 'failed'
    // A first backup by such a clock looks like a long pause, beside which a later one looks usual.
    if (this.#clockOffsetS < 0 && this.backups.length === 0) return 'failed'
    const own = this.backups.filter(({ entry: one }) => one.historyId === this.historyId)
    const prior = own.findLast(({ entry: one }) => kind === 'incr' || one.kind === 'full')?.entry
    const label = this.#label(prior === undefined ? 'full' : kind, prior)
    if (label === undefined) return 'clock'
    const first = this.#archive()
    const last = this.#random() < 0.5 ? first : this.#archive()
    const full = fullLabelOf(label)
    const made = entry({
      label,
      historyId: this.historyId,
      stopS: this.nowS,
      archiveStart: segment(first.timeline, first.number),
      archiveStop: segment(last.timeline, last.number),
      ...(label === full || prior === undefined
        ? {}
        : { prior: prior.label, references: [...new Set([full, prior.label])] }),
    })
    const all = [...this.backups, { entry: made, trueStopS: this.trueNowS, first, last }]
    this.backups = all.toSorted((left, right) => (left.entry.label < right.entry.label ? -1 : 1))
    return 'done'
  }

  /** What people do when the clock is right again: labels from the future are in the way of new ones. */
  get fromTheFuture(): readonly BackupEntry[] {
    return this.backups.map(({ entry: one }) => one).filter(({ stopS }) => stopS > this.nowS)
  }

  forgetFuture(): void {
    const gone = new Set(this.fromTheFuture.map(({ label }) => label))
    this.backups = this.backups.filter(({ entry: one }) => {
      const goes = gone.has(one.label) || (one.prior !== undefined && gone.has(one.prior))
      if (goes) gone.add(one.label)
      return !goes
    })
    this.#expired = []
  }

  #label(kind: BackupKind, prior: BackupEntry | undefined): string | undefined {
    const isFull = kind === 'full' || prior === undefined
    const existing = [...this.backups.map(({ entry: one }) => one.label), ...this.#expired]
    try {
      return planLabel({
        kind: isFull ? 'full' : kind,
        startMs: (this.nowS - 60) * 1000,
        existing,
        fullLabel: isFull ? undefined : fullLabelOf(prior.label),
      }).label
    } catch (error) {
      if (isErrorKind(error, 'clock')) return undefined
      throw error
    }
  }

  #archive(): StoredSegment {
    const number = (this.#newest.get(this.#timeline) ?? 0) + 1
    this.#newest.set(this.#timeline, number)
    const stored = { historyId: this.historyId, timeline: this.#timeline, number }
    const id = this.#archiveId()
    const folder = this.wal.get(id) ?? new Map<string, StoredSegment>()
    this.wal.set(id, folder.set(segment(stored.timeline, number), stored))
    return stored
  }

  #archiveId(): string {
    return `${this.#history.at(-1)?.version}-${this.historyId}`
  }

  #upgrade(): void {
    this.#history = [...this.#history, { id: this.#history.length + 1, version: '17' }]
    this.#timeline = 1
    this.#newest = new Map([[1, 0]])
  }

  #changeClock(): void {
    if (this.#clockOffsetS !== 0 && this.trueNowS >= this.#jumpEndsS) this.#clockOffsetS = 0
    if (this.#random() >= 0.01) return
    this.#clockOffsetS = (this.#random() < 0.5 ? JUMP_DAYS : -JUMP_DAYS) * DAY_S
    this.#jumpEndsS = this.trueNowS + (this.#random() < 0.5 ? 1 : 2) * DAY_S
  }

  /** A promotion, or an old primary that goes on where it stood. */
  #changeTimeline(): void {
    const chance = this.#random()
    if (chance < 0.02) {
      const newest = this.#newest.get(this.#timeline) ?? 0
      this.#timeline = Math.max(...this.#newest.keys()) + 1
      this.#newest.set(this.#timeline, newest)
    } else if (chance < 0.03) {
      this.#timeline = Math.max(1, this.#timeline - 1)
    }
  }
}
