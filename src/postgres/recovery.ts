/** What PostgreSQL is told to recover to: settings, where they are written, and the signal file. Pure; 12 and later. */
import { AppError } from '../base/error.ts'
import { compareBytes, toByteString } from '../base/text.ts'
import { formatTargetTime, type RecoveryTarget } from './recovery-target.ts'

/** pgBackRest's restore types. `preserve`: recovery settings in the data directory stay as they are. */
export type RestoreType =
  | 'default'
  | 'immediate'
  | 'lsn'
  | 'name'
  | 'preserve'
  | 'standby'
  | 'time'
  | 'none'
  | 'xid'

export interface RecoveryOptions {
  readonly version: string
  readonly type: RestoreType
  /** Given exactly for the types that are kinds of targets, and of that kind. */
  readonly target: RecoveryTarget | undefined
  /** Stop before the target instead of after it; not for names. */
  readonly exclusive: boolean
  /** What the server does at the target. */
  readonly action: 'pause' | 'promote' | 'shutdown'
  /** `latest`, `current` or a number as PostgreSQL takes it; undefined: the server's default. */
  readonly timeline: string | undefined
  readonly restoreCommand: string
  /** Settings asked for by name, `-` and `_` alike. */
  readonly recoveryOptions: ReadonlyMap<string, string>
  readonly archiveMode: 'preserve' | 'off'
}

/** Human text; the value unquoted. */
export interface RecoverySetting {
  readonly key: string
  readonly value: string
}

/** The settings in the order pgBackRest writes them. None for types `none` and `preserve`. */
export function recoverySettings(options: RecoveryOptions): readonly RecoverySetting[] {
  if (Number.parseFloat(options.version) < 12) {
    const message = `recovery settings for PostgreSQL '${options.version}' cannot be written`
    throw new AppError('version-not-supported', message)
  }
  if (options.type === 'none' || options.type === 'preserve') return []
  const chosen = chosenSettings(options.recoveryOptions)
  return [
    ...chosen,
    ...(options.archiveMode === 'off' ? [{ key: 'archive_mode', value: 'off' }] : []),
    ...(chosen.some(({ key }) => key === 'restore_command')
      ? []
      : [{ key: 'restore_command', value: options.restoreCommand }]),
    ...targetSettings(options),
    ...timelineSettings(options),
  ]
}

function chosenSettings(recoveryOptions: ReadonlyMap<string, string>): readonly RecoverySetting[] {
  const settings = [...recoveryOptions].map(([name, value]) => ({
    key: name.replaceAll('-', '_'),
    value,
  }))
  for (const { key } of settings) {
    if (!/^[A-Za-z_][A-Za-z0-9_$.]*$/.test(key)) {
      throw new AppError('option-invalid-value', `'${key}' is not the name of a setting`)
    }
  }
  if (settings.some(({ key }) => key === 'standby_mode')) {
    throw new AppError(
      'option-invalid-value',
      `'standby_mode' is not a setting since PostgreSQL 12`,
      {
        hint: 'Use type standby.',
      },
    )
  }
  return settings.toSorted((left, right) => compareBytes(left.key, right.key))
}

function targetSettings(options: RecoveryOptions): readonly RecoverySetting[] {
  const { type, target } = options
  const action = options.action === 'pause' ? [] : [setting('action', options.action)]
  if (type === 'immediate') return [{ key: 'recovery_target', value: 'immediate' }, ...action]
  if (type === 'default' || type === 'standby') return []
  if (target?.kind !== type) {
    throw new AppError('assert', `restore type '${type}' without a target of that kind`)
  }
  const inclusive =
    options.exclusive && target.kind !== 'name' ? [setting('inclusive', 'false')] : []
  return [setting(target.kind, targetText(target)), ...inclusive, ...action]
}

function setting(suffix: string, value: string): RecoverySetting {
  return { key: `recovery_target_${suffix}`, value }
}

/** A time always with its offset: without one, the server reads it in its own TimeZone. */
function targetText(target: RecoveryTarget): string {
  switch (target.kind) {
    case 'time':
      return formatTargetTime(target.atUs).utc
    case 'xid':
      return String(target.xid)
    case 'lsn':
      return `${hex(target.lsn >> 32n)}/${hex(target.lsn & 0xffff_ffffn)}`
    case 'name':
      return target.name
  }
}

function hex(value: bigint): string {
  return value.toString(16).toUpperCase()
}

/** A consistent state is reached on the backup's own timeline: a later one need not even be known. */
function timelineSettings({ type, timeline }: RecoveryOptions): readonly RecoverySetting[] {
  const value = timeline ?? (type === 'immediate' ? 'current' : undefined)
  return value === undefined ? [] : [setting('timeline', value)]
}

export interface EditOptions {
  /** Local time for the comments: `2026-11-22 18:20:42`. */
  readonly nowText: string
}

/**
 * The `recovery_target*` settings of an earlier recovery. PostgreSQL takes names in any case and an optional `=`; it
 * refuses to start with two targets.
 */
const OLD_TARGET =
  /^[\t ]*recovery_target(?:_(?:action|inclusive|lsn|name|time|timeline|xid))?(?:[\t ]*=|[\t ]+')/i

/**
 * The new content of postgresql.auto.conf from the restored one (both byte strings): old targets become comments, the new
 * settings follow. Without settings nothing follows. The comments are pgBackRest's, so that files edited by either
 * program look the same.
 */
export function editAutoConf(
  existing: string,
  settings: readonly RecoverySetting[],
  options: EditOptions,
): string {
  const kept = existing
    .split('\n')
    .map((line) =>
      OLD_TARGET.test(line)
        ? `# Removed by pgBackRest restore on ${options.nowText} # ${line}`
        : line,
    )
    .join('\n')
  if (settings.length === 0) return kept
  // Not trim(): a byte string may end in 0xA0, half a character of UTF-8.
  const trimmed = kept.replaceAll(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
  const added = [
    `# Recovery settings generated by pgBackRest restore on ${options.nowText}`,
    ...settings.map(renderSetting),
  ]
  return `${trimmed === '' ? '' : `${trimmed}\n\n`}${added.join('\n')}\n`
}

/** A line of a configuration file (byte string): inside quotes `'` and `\` are special (`GUC_scanstr`). */
function renderSetting({ key, value }: RecoverySetting): string {
  if (/[\n\r\0]/.test(value)) {
    throw new AppError('option-invalid-value', `value of '${key}' has more than one line`)
  }
  const quoted = value.replaceAll('\\', '\\\\').replaceAll("'", "''")
  return `${key} = '${toByteString(quoted)}'`
}

/** The empty file that makes PostgreSQL recover when it starts. */
export function signalFile(type: RestoreType): 'recovery.signal' | 'standby.signal' | undefined {
  if (type === 'none' || type === 'preserve') return undefined
  return type === 'standby' ? 'standby.signal' : 'recovery.signal'
}
