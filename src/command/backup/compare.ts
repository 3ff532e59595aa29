/**
 * Which files are still what the prior backup has, by what the listing says: size and time. Pure; rules of pgBackRest 2.60.
 *
 * Time stamps count seconds. They can be trusted because no backup reads a file in the second of its time stamp
 * (copy-order.ts): a file that changes later has a newer one. Where something contradicts that, every file of equal size is read instead.
 */
import { assertThat } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import type { Manifest, ManifestFile, ManifestOptions } from '../../format/manifest.ts'

/** How a file of the cluster is dealt with: `refer` when it is what the prior backup has. */
export type Treatment = 'refer' | 'copy' | Doubt

/** The file may be what the prior backup has: find out while copying it, or before. */
export type Doubt = 'compare' | 'hash-first'

/** Modification times come from a clock of the kernel that ticks, at the slowest this often, and is behind by up to that. */
export const CLOCK_TICK_MS = 10

export type Times = Pick<Manifest, 'copyStartS' | 'startS'> & {
  readonly options: Pick<ManifestOptions, 'backupStandby'>
}

/**
 * A file that is older than this, and still has its time, has not changed since that backup copied it. What pgBackRest copied
 * from a standby may be without what the primary wrote from the start on, for which that backup's WAL makes up.
 */
export function trustedBeforeS({ copyStartS, startS, options }: Times): number {
  return options.backupStandby ? startS - 1 : copyStartS
}

interface Comparing {
  /** What the prior backup has under the file's name. */
  readonly before: ManifestFile | undefined
  readonly prior: (Times & Pick<Manifest, 'bundle'>) | undefined
  readonly delta: boolean
}

/** Needs nothing but the listing's part of `file`. */
export function treatmentOf(file: ManifestFile, { before, prior, delta }: Comparing): Treatment {
  if (before === undefined || prior === undefined) return 'copy'
  if (before.sizeBytes !== file.sizeBytes) return 'copy'
  // A bundled backup does not store empty files: there is nothing to refer to.
  if (file.sizeBytes === 0) return prior.bundle ? 'copy' : 'refer'
  if (delta) return 'hash-first'
  const trusted = file.timestampS === before.timestampS && file.timestampS < trustedBeforeS(prior)
  return trusted ? 'refer' : 'compare'
}

/** The entry of a file whose content the prior backup has, in whichever backup it lies. */
export function referredFile(
  file: ManifestFile,
  before: ManifestFile | undefined,
  priorLabel: string | undefined,
): ManifestFile {
  assertThat(
    before !== undefined && priorLabel !== undefined,
    'only what the prior backup has is found unchanged',
  )
  const { timestampS, user, group, mode } = file
  return {
    ...before,
    timestampS,
    user,
    group,
    mode,
    reference: before.reference ?? priorLabel,
    originalSizeBytes: undefined,
  }
}

type Listed = Pick<Manifest, 'archiveStart' | 'copyStartS' | 'files' | 'options'>
type Prior = Pick<Manifest, 'archiveStop' | 'files' | 'label' | 'options'>

/** Why time stamps are not to be trusted; undefined when they are. */
export function whyDelta(
  draft: Listed,
  prior: Prior | undefined,
  priorFiles: ReadonlyMap<string, ManifestFile>,
): string | undefined {
  const future = draft.files.find(({ timestampS }) => timestampS >= draft.copyStartS)
  if (future !== undefined) {
    return `file '${shown(future)}' has timestamp (${future.timestampS}) in the future (relative to copy start ${draft.copyStartS})`
  }
  if (prior === undefined) return undefined
  if (timelineChanged(draft.archiveStart, prior.archiveStop)) {
    return `a timeline switch has occurred since the ${prior.label} backup`
  }
  if (draft.options.online !== prior.options.online) {
    return `the online option has changed since the ${prior.label} backup`
  }
  for (const file of draft.files) {
    const why = whyImplausible(file, priorFiles.get(file.name))
    if (why !== undefined) return why
  }
  return undefined
}

/** Names of segments begin with their timeline; a backup of a stopped cluster has none. */
function timelineChanged(start: string | undefined, priorStop: string | undefined): boolean {
  if (start === undefined || priorStop === undefined) return false
  return start.slice(0, 8) !== priorStop.slice(0, 8)
}

function whyImplausible(file: ManifestFile, before: ManifestFile | undefined): string | undefined {
  if (before === undefined) return undefined
  if (file.timestampS < before.timestampS) {
    return `file '${shown(file)}' has timestamp earlier than prior backup (prior ${before.timestampS}, current ${file.timestampS})`
  }
  const sizeBeforeBytes = before.originalSizeBytes ?? before.sizeBytes
  if (file.timestampS === before.timestampS && file.sizeBytes !== sizeBeforeBytes) {
    return `file '${shown(file)}' has same timestamp (${file.timestampS}) as prior but different size (prior ${sizeBeforeBytes}, current ${file.sizeBytes})`
  }
  return undefined
}

/** Relative to the data directory, as pgBackRest shows it. */
function shown(file: ManifestFile): string {
  return toHumanText(file.name.replace(/^pg_data\//, ''))
}
