/** Backup labels: what they say, and which one a new backup gets. Source: pgBackRest 2.60. */
import { AppError, assertThat } from '../base/error.ts'
import { SECOND_MS } from '../base/units.ts'

export const BACKUP_KINDS = ['full', 'diff', 'incr'] as const
export type BackupKind = (typeof BACKUP_KINDS)[number]

const LABEL = /^\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?$/
const FULL_LABEL_CHARS = '20261122-182058F'.length

export function isLabel(text: string): boolean {
  return LABEL.test(text)
}

/** Of a dump set: `20261122-182058L`, L for logical. */
export function isDumpLabel(text: string): boolean {
  return /^\d{8}-\d{6}L$/.test(text)
}

/** Throws `format` for what is no label. */
export function kindOfLabel(label: string): BackupKind {
  if (!isLabel(label)) throw new AppError('format', `'${label}' is not a backup label`)
  if (label.endsWith('F')) return 'full'
  return label.endsWith('D') ? 'diff' : 'incr'
}

/** The label of the full backup that a label's set begins with; a full backup's own. */
export function fullLabelOf(label: string): string {
  return label.slice(0, FULL_LABEL_CHARS)
}

/** `20261122-182058` in the process's time zone, as labels of pgBackRest have it. */
export function formatLabelTime(ms: number): string {
  const at = new Date(ms)
  const day = `${pad(at.getFullYear(), 4)}${pad(at.getMonth() + 1, 2)}${pad(at.getDate(), 2)}`
  return `${day}-${pad(at.getHours(), 2)}${pad(at.getMinutes(), 2)}${pad(at.getSeconds(), 2)}`
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

interface LabelOptions {
  readonly kind: BackupKind
  readonly startMs: number
  /** The full backup to build on; for `diff` and `incr` only. */
  readonly fullLabel?: string | undefined
  /** Every label among the backup directories and in the newest year of the history, in any order. */
  readonly existing: readonly string[]
}

/** A label, and the time before which the backup must not end, so that the label is not from the future. */
interface PlannedLabel {
  readonly label: string
  readonly notBeforeMs: number
}

/**
 * The label of a backup that starts at `startMs`. Throws `clock` when it would not sort after the existing ones.
 *
 * "Newest" means "sorts last" everywhere, so a label that does not sort last would hide the backup from a restore. Two
 * honest backups can meet in one second, which a later second solves; more is a broken clock.
 */
export function planLabel(options: LabelOptions): PlannedLabel {
  const { kind, startMs, fullLabel, existing } = options
  assertThat(
    kind === 'full' || fullLabel !== undefined,
    'a backup of this kind builds on a full backup',
  )
  const labelAt = (ms: number): string =>
    kind === 'full'
      ? `${formatLabelTime(ms)}F`
      : `${fullLabel}_${formatLabelTime(ms)}${kind === 'diff' ? 'D' : 'I'}`
  const rivals = existing.filter((label) => kind === 'full' || fullLabelOf(label) === fullLabel)
  return laterThan(rivals, startMs, labelAt)
}

/** The label of a dump set, by the same rules; `existing`: also those of sets that were never finished. */
export function planDumpLabel(startMs: number, existing: readonly string[]): PlannedLabel {
  return laterThan(existing, startMs, (ms) => `${formatLabelTime(ms)}L`)
}

function laterThan(
  existing: readonly string[],
  startMs: number,
  labelAt: (ms: number) => string,
): PlannedLabel {
  const newest = existing.toSorted().at(-1)
  const label = labelAt(startMs)
  if (newest === undefined || label > newest) return { label, notBeforeMs: startMs }
  const nextSecondMs = (Math.floor(startMs / SECOND_MS) + 1) * SECOND_MS
  const laterLabel = labelAt(nextSecondMs)
  if (laterLabel > newest) return { label: laterLabel, notBeforeMs: nextSecondMs }
  throw new AppError(
    'clock',
    `new backup label '${laterLabel}' is not later than latest backup label '${newest}'`,
    {
      hint: ['Has the time zone changed?', 'Is there clock skew?'],
    },
  )
}
