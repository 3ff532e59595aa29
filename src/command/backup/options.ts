/** What the backup command was asked for, checked against the cluster and the backup that it builds on. */
import { assertThat } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import type { Config } from '../../config/config.ts'
import { BACKUP_KINDS, type BackupKind } from '../../format/label.ts'
import type { Manifest, ManifestOptions } from '../../format/manifest.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import type { Context } from '../command.ts'
import type { Habits } from './habits.ts'
import { inheritOptions } from './prior.ts'

export function kindAsked(config: Config): BackupKind {
  const kind = BACKUP_KINDS.find((known) => known === config.text('type'))
  assertThat(kind !== undefined, 'the option table allows only kinds of backups')
  return kind
}

interface Basis {
  readonly repoKey: number
  readonly kind: BackupKind
  readonly prior: Manifest | undefined
  readonly habits: Habits
}

/**
 * The manifest's record of the effective options. Page checks: as asked, else when the running cluster has checksums. What a set
 * has in common is that of the prior backup.
 */
export function backupOptions(
  { config, log }: Context,
  control: ControlFile,
  { repoKey, kind, prior, habits }: Basis,
): ManifestOptions {
  const asked = {
    archiveCheck: config.flag('archive-check'),
    archiveCopy: config.flag('archive-copy'),
    backupStandby: false,
    bufferSizeBytes: config.bytes('buffer-size'),
    checksumPage: checksumPages(config, control, log),
    compressType: habits.compressType,
    compressLevel: habits.compressLevel,
    compressLevelNetwork: config.integer('compress-level-network'),
    delta: config.flag('delta'),
    hardlink: config.flag('repo-hardlink', repoKey),
    online: config.flag('online'),
    processMax: habits.processMax,
  }
  if (prior === undefined) return asked
  const { options, warnings } = inheritOptions(asked, { kind, prior })
  for (const warning of warnings) log.warn(warning)
  return options
}

function checksumPages(config: Config, control: ControlFile, log: Log): boolean {
  const clusterHas = control.dataChecksumVersion !== 0
  if (!config.has('checksum-page')) return clusterHas && config.flag('online')
  if (config.flag('checksum-page') && !clusterHas) {
    log.warn(
      'checksum-page option set to true but checksums are not enabled on the cluster, resetting to false',
    )
    return false
  }
  return config.flag('checksum-page')
}
