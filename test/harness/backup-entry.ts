import type { BackupEntry } from '../../src/format/backup-info.ts'
import { fullLabelOf, kindOfLabel } from '../../src/format/label.ts'

/** An entry of backup.info; a dependent backup builds on its full one unless told otherwise. */
export function entry(given: Partial<BackupEntry> & { readonly label: string }): BackupEntry {
  const kind = kindOfLabel(given.label)
  const prior = kind === 'full' ? undefined : (given.prior ?? fullLabelOf(given.label))
  return {
    kind,
    format: 5,
    version: '2.60.0',
    archiveStart: undefined,
    archiveStop: undefined,
    error: false,
    annotations: new Map(),
    lsnStart: undefined,
    lsnStop: undefined,
    prior,
    references: prior === undefined ? [] : [...new Set([fullLabelOf(given.label), prior])],
    startS: (given.stopS ?? 0) - 1,
    stopS: 0,
    historyId: 1,
    sizeBytes: 0,
    sizeDeltaBytes: 0,
    repoSizeBytes: 0,
    repoSizeDeltaBytes: 0,
    repoSizeMapBytes: undefined,
    repoSizeMapDeltaBytes: undefined,
    options: {
      archiveCheck: true,
      archiveCopy: false,
      backupStandby: false,
      checksumPage: true,
      compress: true,
      hardlink: false,
      online: true,
    },
    ...given,
  }
}
