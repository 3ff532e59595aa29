/** What expire was asked for: the options as data. */
import { AppError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import type { BackupKind } from '../../format/label.ts'
import { isSegmentName, type SegmentName } from '../../format/wal.ts'
import { askedLabel } from '../asked-label.ts'
import type { RetentionRules, Wanted } from './retention.ts'

export interface ExpireRequest {
  readonly wanted: Wanted
  /** `explain` and `dry-run` change nothing. */
  readonly mode: 'do' | 'dry-run' | 'explain'
  /** WAL from here on stays whatever the rules say. */
  readonly walBefore: SegmentName | undefined
  /** `too`: dump sets are expired with the backups. */
  readonly dumps: 'too' | 'not'
  /** Whether a damaged backup may become the oldest one. */
  readonly pageErrors: 'refuse' | 'warn'
}

/** Throws what pgBackRest 2.60 does: `option-invalid`, `option-invalid-value`. */
export function expireRequest(config: Config): ExpireRequest {
  return {
    wanted: wantedOf(config),
    mode: modeOf(config),
    dumps: 'too',
    walBefore: walBeforeOf(config),
    pageErrors: config.flag('checksum-page-error') ? 'refuse' : 'warn',
  }
}

/** Of every kind of expiry. */
export function modeOf(config: Config): ExpireRequest['mode'] {
  if (config.flag('explain')) return 'explain'
  return config.flag('dry-run') ? 'dry-run' : 'do'
}

function wantedOf(config: Config): Wanted {
  const label = config.command === 'expire' ? askedLabel(config) : undefined
  if (label === undefined) return { kind: config.flag('oldest') ? 'oldest' : 'retention' }
  if (config.flag('oldest')) {
    throw new AppError('option-invalid', '--oldest and --set cannot be used together')
  }
  return { kind: 'set', label }
}

function walBeforeOf(config: Config): SegmentName | undefined {
  const segment = config.optionalText('archive-expire-before')
  if (segment === undefined || isSegmentName(segment)) return segment
  throw new AppError(
    'option-invalid-value',
    `'${segment}' is not a valid WAL segment name for option '--archive-expire-before'`,
  )
}

/** The retention options of one repository, what follows from others filled in (config/derive.ts). */
export function retentionRules(config: Config, repoKey: number): RetentionRules {
  return {
    repoKey,
    full: config.optionalInteger('repo-retention-full', repoKey),
    fullType: config.text('repo-retention-full-type', repoKey) === 'time' ? 'time' : 'count',
    diff: config.optionalInteger('repo-retention-diff', repoKey),
    archive: config.optionalInteger('repo-retention-archive', repoKey),
    archiveType: kindOf(config.text('repo-retention-archive-type', repoKey)),
    historyDays: config.optionalInteger('repo-retention-history', repoKey),
  }
}

function kindOf(text: string): BackupKind {
  return text === 'diff' || text === 'incr' ? text : 'full'
}
