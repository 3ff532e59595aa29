/** Dump, backup, or both: decided from what was measured, and said with the figures. Pure. */
import { DAY_MS, formatDuration, formatSize, GIB, HOUR_MS } from '../../base/units.ts'
import type { Rate } from './rate.ts'

export interface Measures {
  readonly name: string
  readonly sizeBytes: number
  /** From the sizes of the oldest and the newest dump that are there. */
  readonly growthBytesPerDay: number | undefined
  readonly dump: Stored | undefined
  /** Of a restore with its indexes, without the proof. */
  readonly restore: (Timed & { readonly proved: 'proved' | 'not proved' }) | undefined
  /** Of the whole cluster: its newest full backup. */
  readonly backup: Stored | undefined
  /** The newest backup that builds on another one. */
  readonly increment: Stored | undefined
  /** Rows that were changed. */
  readonly changes: Rate
  /** Bytes of WAL, of the whole server. */
  readonly wal: Rate
}

/** With what the repository keeps of it. */
export interface Stored extends Timed {
  readonly storedBytes: number
}

export interface Timed {
  readonly label: string
  readonly durationMs: number
  /** Of the database or cluster then. */
  readonly sizeBytes: number
}

export interface Wishes {
  /** How much work may be lost. */
  readonly rpoMs: number | undefined
  /** How long a restore may take. */
  readonly rtoMs: number | undefined
}

export interface Advice {
  readonly use: 'dump' | 'backup' | 'both'
  readonly reasons: readonly string[]
}

/** The rule of thumb of every guide, for when nothing was measured. */
const DUMP_BYTES_MAX = 100 * GIB
/** Without a wish: what people wait for. */
const USUAL_RTO_MS = HOUR_MS
/** Of its time that a server may well spend on being dumped. */
const DUMPING_SHARE_MAX = 0.1

export function advise(measures: Measures, wishes: Wishes): Advice {
  const time = timeReason(measures, wishes)
  const loss = lossReason(measures, wishes)
  const reasons = [time.text, loss.text, costText(measures, wishes)].filter((text) => text !== '')
  if (time.suits === 'no') return { use: 'backup', reasons: [...reasons, ONE_OBJECT] }
  if (loss.suits === 'no') return { use: 'both', reasons: [...reasons, ONE_OBJECT] }
  return { use: 'dump', reasons: [...reasons, NO_MOMENTS] }
}

/** What either way adds to the repository in a day; figures only, for what a byte costs is not known here. */
function costText({ dump, backup, increment, wal }: Measures, { rpoMs }: Wishes): string {
  const perDay = rpoMs === undefined ? 1 : Math.max(1, Math.ceil(DAY_MS / rpoMs))
  const often = perDay === 1 ? 'a dump a day keeps' : `${perDay} dumps a day keep`
  const dumps =
    dump === undefined
      ? 'what a dump keeps was not measured'
      : `${often} ${formatSize(dump.storedBytes * perDay)}`
  const full =
    backup === undefined
      ? 'a full backup was not measured'
      : `a full backup of the whole server keeps ${formatSize(backup.storedBytes)}`
  const more =
    increment === undefined ? '' : `, one of what has changed ${formatSize(increment.storedBytes)}`
  const log =
    wal.state === 'measured'
      ? `its WAL is ${formatSize(wal.perDay)} a day before compression (${wal.source})`
      : `its WAL was not measured (${wal.why})`
  return `${dumps}; ${full}${more}; ${log}`
}

const ONE_OBJECT =
  'a dump is still the way to another major version, and to one database or table alone'
const NO_MOMENTS =
  'a dump gives back its own moment and no other: any moment needs a backup and WAL'

interface Suits {
  readonly suits: 'yes' | 'no'
  readonly text: string
}

function timeReason({ sizeBytes, restore }: Measures, { rtoMs }: Wishes): Suits {
  if (restore === undefined || restore.sizeBytes === 0) {
    const suits = sizeBytes < DUMP_BYTES_MAX ? 'yes' : 'no'
    const side = suits === 'yes' ? 'below' : 'above'
    return {
      suits,
      text: `no restore was measured; ${formatSize(sizeBytes)} is ${side} the rule of thumb of ${formatSize(DUMP_BYTES_MAX)} (dump-restore measures)`,
    }
  }
  const expectedMs = (restore.durationMs * sizeBytes) / restore.sizeBytes
  const limitMs = rtoMs ?? USUAL_RTO_MS
  const wish = rtoMs === undefined ? 'what people usually wait' : 'what was asked for'
  const suits = expectedMs <= limitMs ? 'yes' : 'no'
  return {
    suits,
    text:
      `a restore of dump set ${restore.label} took ${formatDuration(restore.durationMs)} (${restore.proved}), ` +
      `for ${formatSize(sizeBytes)} of today about ${formatDuration(expectedMs)}: ` +
      `${suits === 'yes' ? 'within' : 'more than'} ${formatDuration(limitMs)}, ${wish}`,
  }
}

function lossReason({ sizeBytes, dump }: Measures, { rpoMs }: Wishes): Suits {
  if (rpoMs === undefined) return { suits: 'yes', text: '' }
  if (dump === undefined || dump.sizeBytes === 0) {
    const suits = rpoMs >= DAY_MS ? 'yes' : 'no'
    return {
      suits,
      text: `no dump was measured; to lose at most ${formatDuration(rpoMs)} of work ${suits === 'yes' ? 'a dump a day may do' : 'needs WAL'}`,
    }
  }
  const expectedMs = (dump.durationMs * sizeBytes) / dump.sizeBytes
  const suits = expectedMs <= rpoMs * DUMPING_SHARE_MAX ? 'yes' : 'no'
  return {
    suits,
    text:
      `to lose at most ${formatDuration(rpoMs)} of work it would be dumped that often, ` +
      `which takes ${formatDuration(expectedMs)} each time: ${suits === 'yes' ? 'possible' : 'too much, that needs WAL'}`,
  }
}
