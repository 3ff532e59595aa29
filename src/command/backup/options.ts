/** What the backup command was asked for, checked against the cluster. */
import type { Log } from '../../base/log.ts'
import type { Config } from '../../config/config.ts'
import type { ManifestOptions } from '../../format/manifest.ts'
import { compressTypeOfName } from '../../pipe/compress-type.ts'
import type { ControlFile } from '../../postgres/control-file.ts'

/** The manifest's record of the effective options. Page checks: as asked, else when the cluster has checksums. */
export function backupOptions(config: Config, control: ControlFile, log: Log): ManifestOptions {
  const compressType = compressTypeOfName(`x.${config.text('compress-type')}`)
  return {
    archiveCheck: config.flag('archive-check'),
    archiveCopy: config.flag('archive-copy'),
    backupStandby: false,
    bufferSizeBytes: config.bytes('buffer-size'),
    checksumPage: checksumPages(config, control, log),
    compressType,
    compressLevel: compressType === 'none' ? 0 : config.integer('compress-level'),
    compressLevelNetwork: config.integer('compress-level-network'),
    delta: false,
    hardlink: false,
    online: true,
    processMax: config.integer('process-max'),
  }
}

function checksumPages(config: Config, control: ControlFile, log: Log): boolean {
  const clusterHas = control.dataChecksumVersion !== 0
  if (!config.has('checksum-page')) return clusterHas
  if (config.flag('checksum-page') && !clusterHas) {
    log.warn(
      'checksum-page option set to true but checksums are not enabled on the cluster, resetting to false',
    )
    return false
  }
  return config.flag('checksum-page')
}
