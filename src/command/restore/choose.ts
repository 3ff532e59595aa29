/** Which backup a restore starts from, and why. Pure. */
import { formatSize } from '../../base/units.ts'
import { AppError } from '../../base/error.ts'
import { nearestName } from '../../base/text.ts'
import type { BackupEntry, BackupInfo } from '../../format/backup-info.ts'
import { formatLsn, parseLsn } from '../../format/wal.ts'

/** What the choice depends on. Microseconds since the epoch for `time`. */
export type ChoiceTarget =
  | { readonly kind: 'newest' }
  | { readonly kind: 'set'; readonly label: string }
  | { readonly kind: 'time'; readonly us: bigint }
  | { readonly kind: 'lsn'; readonly lsn: bigint }

export interface Choice {
  readonly backup: BackupEntry
  /** One sentence for the plan. */
  readonly why: string
}

/** The backup to restore, or undefined when this repository has none that fits. */
export function chooseBackup(info: BackupInfo, target: ChoiceTarget): Choice | undefined {
  const { backups } = info
  switch (target.kind) {
    case 'set': {
      const backup = backups.find(({ label }) => label === target.label)
      return backup && { backup, why: 'it was asked for with --set' }
    }
    case 'time': {
      const backup = backups.findLast(({ stopS }) => BigInt(stopS) * 1_000_000n < target.us)
      return backup && { backup, why: 'it is the newest that was complete before the target time' }
    }
    case 'lsn': {
      const backup = backups.findLast(
        ({ lsnStop }) => lsnStop !== undefined && parseLsn(lsnStop) <= target.lsn,
      )
      return backup && { backup, why: 'it is the newest that was complete at the target LSN' }
    }
    case 'newest': {
      const backup = backups.at(-1)
      return backup && { backup, why: 'it is the newest' }
    }
  }
}

/** Recovery cannot stop before the backup is consistent: refuses a target before its end. */
export function assertTargetAfter(backup: BackupEntry, target: ChoiceTarget): void {
  if (target.kind === 'time' && BigInt(backup.stopS) * 1_000_000n >= target.us) {
    throw new AppError(
      'backup-set-invalid',
      `backup '${backup.label}' ended at ${new Date(backup.stopS * 1000).toISOString()}, not before the target time`,
      { hint: 'leave --set out to have the right backup chosen, or give a later --target.' },
    )
  }
  if (
    target.kind === 'lsn' &&
    backup.lsnStop !== undefined &&
    parseLsn(backup.lsnStop) > target.lsn
  ) {
    throw new AppError(
      'backup-set-invalid',
      `backup '${backup.label}' ended at LSN ${backup.lsnStop}, after the target LSN ${formatLsn(target.lsn)}`,
      { hint: 'leave --set out to have the right backup chosen, or give a later --target.' },
    )
  }
}

/** The error when no repository has a backup that fits; names what there is. */
export function noBackup(target: ChoiceTarget, all: readonly BackupEntry[]): AppError {
  const newest = all.at(-1)
  const oldest = all[0]
  const have =
    oldest === undefined || newest === undefined
      ? 'there are no backups'
      : `there are ${all.length} backup(s): '${oldest.label}' (complete at ${new Date(oldest.stopS * 1000).toISOString()}, LSN ${oldest.lsnStop ?? '-'}) to '${newest.label}' (${formatSize(newest.sizeBytes)})`
  switch (target.kind) {
    case 'time':
      return new AppError(
        'backup-set-invalid',
        `unable to find backup set with stop time less than '${new Date(Number(target.us / 1000n)).toISOString()}'`,
        { hint: have },
      )
    case 'lsn':
      return new AppError(
        'backup-set-invalid',
        `unable to find backup set with LSN less than or equal to '${formatLsn(target.lsn)}'`,
        { hint: have },
      )
    case 'set': {
      const near = nearestName(
        target.label,
        all.map(({ label }) => label),
      )
      return new AppError('backup-set-invalid', `backup set ${target.label} is not valid`, {
        hint: near === undefined ? have : [`did you mean '${near}'?`, have],
      })
    }
    case 'newest':
      return new AppError('backup-set-invalid', 'no backup set found to restore', {
        hint: "take one with 'pgsurety backup'.",
      })
  }
}
