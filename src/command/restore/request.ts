/** What the restore command was asked for, checked before anything is touched. */
import { AppError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import type { RestoreType } from '../../postgres/recovery.ts'
import { parseTarget, type RecoveryTarget } from '../../postgres/recovery-target.ts'
import type { ChoiceTarget } from './choose.ts'
import type { Destination } from './destination.ts'

export interface RestoreRequest {
  readonly type: RestoreType
  /** How the type came about, for the plan. */
  readonly typeFrom: 'given' | 'default' | 'inferred from --target'
  readonly target: RecoveryTarget | undefined
  readonly exclusive: boolean
  readonly action: 'pause' | 'promote' | 'shutdown'
  /** `--target-timeline`, undefined when not given. */
  readonly timeline: string | undefined
  readonly choice: ChoiceTarget
}

const RESTORE_TYPES: readonly RestoreType[] = [
  'default',
  'immediate',
  'lsn',
  'name',
  'preserve',
  'standby',
  'time',
  'none',
  'xid',
]

export function readRequest(config: Config): RestoreRequest {
  const { type, typeFrom } = restoreType(config)
  const target = recoveryTarget(config, type)
  return {
    type,
    typeFrom,
    target,
    exclusive: config.flag('target-exclusive'),
    action: actionOf(config),
    timeline: config.optionalText('target-timeline'),
    choice: choiceOf(target),
  }
}

function restoreType(config: Config): Pick<RestoreRequest, 'type' | 'typeFrom'> {
  const text = config.text('type')
  const type = RESTORE_TYPES.find((known) => known === text)
  if (type === undefined) throw new AppError('assert', `unknown restore type '${text}'`)
  if (config.source('type') !== 'default') return { type, typeFrom: 'given' }
  return { type, typeFrom: type === 'default' ? 'default' : 'inferred from --target' }
}

function recoveryTarget(config: Config, type: RestoreType): RecoveryTarget | undefined {
  const text = config.optionalText('target')
  if (type !== 'time' && type !== 'xid' && type !== 'lsn' && type !== 'name') return undefined
  if (text === undefined) throw new AppError('assert', `restore type '${type}' without a target`)
  return parseTarget({ type, text, zone: config.optionalText('target-timezone') })
}

function actionOf(config: Config): RestoreRequest['action'] {
  const text = config.optionalText('target-action')
  return text === 'promote' || text === 'shutdown' ? text : 'pause'
}

function choiceOf(target: RecoveryTarget | undefined): ChoiceTarget {
  if (target?.kind === 'time') return { kind: 'time', us: target.atUs }
  if (target?.kind === 'lsn') return { kind: 'lsn', lsn: target.lsn }
  return { kind: 'newest' }
}

/**
 * W32: restoring over a standby with the default type makes a second primary of it: it recovers, promotes itself to a new
 * timeline and archives. Whoever wants that says so with --type.
 */
export function assertNoSurprisePromotion(
  config: Config,
  request: RestoreRequest,
  destination: Destination,
): void {
  if (request.type === 'standby' || request.type === 'preserve' || request.type === 'none') return
  const hint = [
    "use '--type=standby' to rebuild the standby.",
    "to make a primary of it, say so with '--type=default' (or the type of your target).",
  ]
  if (request.typeFrom !== 'given' && destination.standbySignal === 'yes') {
    throw new AppError(
      'option-invalid',
      `'${destination.dataDir}' is a standby (it has standby.signal); this restore would promote itself to a new timeline`,
      { hint },
    )
  }
  const standbySetting = [...config.map('recovery-option').keys()].find((name) =>
    /^primary[-_](?:conninfo|slot[-_]name)$/.test(name),
  )
  if (request.typeFrom !== 'given' && standbySetting !== undefined) {
    throw new AppError(
      'option-invalid',
      `'--recovery-option=${standbySetting}=…' is for a standby, but this restore would promote itself to a new timeline`,
      { hint },
    )
  }
}
