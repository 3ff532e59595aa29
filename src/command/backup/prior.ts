/** The backup that a differential or incremental one builds on, and what it makes the new one keep. Pure; rules of pgBackRest 2.60. */
import type { BackupEntry, BackupInfo } from '../../format/backup-info.ts'
import type { BackupKind } from '../../format/label.ts'
import type { ManifestOptions } from '../../format/manifest.ts'

/** The newest backup of the current cluster that one of this kind can build on; undefined when it must be full. */
export function choosePrior(info: BackupInfo, kind: BackupKind): BackupEntry | undefined {
  if (kind === 'full') return undefined
  return info.backups.findLast(
    (backup) => backup.historyId === info.currentId && (kind === 'incr' || backup.kind === 'full'),
  )
}

interface Inheriting {
  readonly kind: BackupKind
  readonly prior: { readonly label: string; readonly options: ManifestOptions }
}

interface Inherited {
  readonly options: ManifestOptions
  /** What was asked for and is not done. */
  readonly warnings: readonly string[]
}

/** Only gz was known to the versions that did not write the level; this is its default. */
const OLD_COMPRESS_LEVEL = 6

/** Options that are the same in a whole backup set: a reader must find one kind of file, and one answer about its pages. */
export function inheritOptions(options: ManifestOptions, { kind, prior }: Inheriting): Inherited {
  const warnings: string[] = []
  const { compressType, compressLevel = OLD_COMPRESS_LEVEL, checksumPage } = prior.options
  const sameType = options.compressType === compressType
  if (!sameType) {
    warnings.push(
      `${kind} backup cannot alter compress-type option to '${options.compressType}', reset to value in ${prior.label}`,
    )
  }
  if (options.checksumPage !== checksumPage) {
    warnings.push(
      `${kind} backup cannot alter 'checksum-page' option to '${options.checksumPage}', reset to '${checksumPage}' from ${prior.label}`,
    )
  }
  return {
    options: {
      ...options,
      compressType,
      compressLevel: sameType ? options.compressLevel : compressLevel,
      checksumPage,
    },
    warnings,
  }
}
