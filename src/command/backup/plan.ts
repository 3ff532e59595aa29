/** What a backup will copy, and the manifest it will become. Pure. */
import { compareBytes, toByteString } from '../../base/text.ts'
import { GIB } from '../../base/units.ts'
import type { BackupHistory } from '../../format/backup-info.ts'
import type {
  Manifest,
  ManifestDatabase,
  ManifestFile,
  ManifestOptions,
} from '../../format/manifest.ts'
import type { BackupKind } from '../../format/label.ts'
import { fileKey } from '../../format/repo-path.ts'
import type { Secret } from '../../base/secret.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import type { ClusterListing } from '../../postgres/data-dir.ts'
import { onlyFromPrimary, pageCheckable, segmentNumberOf } from '../../postgres/skip-rules.ts'
import { referredFile, type Treatment, treatmentOf, whyDelta } from './compare.ts'
import type { Copied, CopyJob } from './copy-job.ts'

export interface BackupFacts {
  readonly stanza: string
  readonly kind: BackupKind
  readonly label: string
  /** The backup to build on; undefined for a full one. */
  readonly prior: Manifest | undefined
  readonly history: BackupHistory
  readonly control: ControlFile
  readonly dataDir: string
  /** Data directory of the standby to copy from; undefined: everything comes from `dataDir`. */
  readonly standbyDir: string | undefined
  readonly listing: ClusterListing
  readonly databases: readonly ManifestDatabase[]
  readonly options: ManifestOptions
  readonly annotations: ReadonlyMap<string, string>
  /** The new backup set's key; undefined when the repository is not encrypted. */
  readonly cipherPass: Secret | undefined
  readonly startS: number
  readonly copyStartS: number
  /** Undefined for a cluster that is shut down. */
  readonly archiveStart: string | undefined
  readonly lsnStart: string | undefined
}

/** A file that must be read. */
export interface PlannedFile {
  /** Its entry before it is copied: no checksum, no reference. */
  readonly file: ManifestFile
  readonly diskPath: string
  /** What the prior backup has under this name, of whatever size. */
  readonly before: ManifestFile | undefined
  readonly treatment: Exclude<Treatment, 'refer'>
}

export interface BackupPlan {
  /** The manifest before anything is copied: what is still to do has no checksum. */
  readonly draft: Manifest
  /** By name. */
  readonly work: ReadonlyMap<string, PlannedFile>
  /** Largest first, so that the last worker is not left alone with a big one. Each is made when it is asked for. */
  readonly jobs: Iterable<CopyJob>
  readonly totalBytes: number
  readonly pageSizeBytes: number
  /** Of the primary, for pg_control. */
  readonly dataDir: string
  readonly warnings: readonly string[]
}

interface Named {
  readonly name: string
}

const byName = (left: Named, right: Named): number => compareBytes(left.name, right.name)

const CONTROL_NAME = 'pg_data/global/pg_control'
/** What is stored of pg_control: 512 bytes that count, padded to the size PostgreSQL gives the file. */
const CONTROL_STORED_BYTES = 8192
/** Modification times come from a clock that runs a few milliseconds behind: its second may be the one before. */
const CLOCK_TICK_S = 1

export function planBackup(facts: BackupFacts): BackupPlan {
  const { prior } = facts
  const listed = draftManifest(facts)
  const priorFiles = new Map(prior?.files.map((file) => [file.name, file]))
  const doubt = facts.options.delta ? undefined : whyDelta(listed, prior, priorFiles)
  const delta = facts.options.delta || doubt !== undefined
  const diskPaths = new Map(facts.listing.files.map(({ name, diskPath }) => [name, diskPath]))
  const work: PlannedFile[] = []
  const files = listed.files.map((file) => {
    const before = priorFiles.get(file.name)
    const treatment = treatmentOf(file, { before, priorBundle: prior?.bundle === true, delta })
    if (treatment === 'refer') return referredFile(file, before, prior?.label)
    const diskPath = sourcePath(facts, file, diskPaths.get(file.name) ?? '')
    work.push({ file, diskPath, before, treatment })
    return file
  })
  const draft = { ...listed, files, options: { ...facts.options, delta } }
  work.sort((left, right) => right.file.sizeBytes - left.file.sizeBytes)
  function* jobs(): Generator<CopyJob, void, undefined> {
    for (const planned of work) yield jobOf(facts, draft, planned)
  }
  return {
    draft,
    work: new Map(work.map((planned) => [planned.file.name, planned])),
    jobs: jobs(),
    totalBytes: work.reduce((sum, { file }) => sum + file.sizeBytes, 0),
    pageSizeBytes: facts.control.blockSizeBytes,
    dataDir: facts.dataDir,
    warnings: doubt === undefined ? [] : [`${doubt}, enabling delta checksum`],
  }
}

/**
 * Where a file is read. From a standby, whose tablespaces are reached through its own links, only what the primary has not
 * written since the backup began: the standby's files hold everything from before, but what it has replayed since may be
 * in its memory alone. A later backup that finds such a file unchanged on the primary would refer to a copy without it.
 */
function sourcePath(
  { standbyDir, startS }: BackupFacts,
  { name, timestampS }: ManifestFile,
  primaryPath: string,
): string {
  const unchanged = timestampS < startS - CLOCK_TICK_S
  if (standbyDir === undefined || onlyFromPrimary(name) || !unchanged) return primaryPath
  return `${toByteString(standbyDir)}/${name.replace(/^pg_data\//, '')}`
}

function draftManifest(facts: BackupFacts): Manifest {
  return {
    label: facts.label,
    kind: facts.kind,
    archiveStart: facts.archiveStart,
    archiveStop: undefined,
    lsnStart: facts.lsnStart,
    lsnStop: undefined,
    prior: facts.prior?.label,
    references: [...(facts.prior?.references ?? []), facts.label],
    bundle: false,
    bundleRaw: false,
    blockIncr: false,
    startS: facts.startS,
    copyStartS: facts.copyStartS,
    stopS: 0,
    db: {
      historyId: facts.history.id,
      systemId: facts.control.systemId,
      version: facts.control.version,
      controlVersion: facts.control.controlVersion,
      catalogVersion: facts.control.catalogVersion,
    },
    options: facts.options,
    targets: facts.listing.targets.toSorted(byName),
    cipherPass: facts.cipherPass,
    databases: facts.databases.toSorted(byName),
    annotations: facts.annotations,
    files: facts.listing.files.map(draftFile).toSorted(byName),
    links: facts.listing.links.toSorted(byName),
    paths: facts.listing.paths.toSorted(byName),
  }
}

function draftFile(file: ClusterListing['files'][number]): ManifestFile {
  const sizeBytes = file.name === CONTROL_NAME ? CONTROL_STORED_BYTES : file.sizeBytes
  return {
    name: file.name,
    sizeBytes,
    timestampS: file.timestampS,
    checksum: undefined,
    checksumPage: undefined,
    checksumPageErrors: undefined,
    user: file.user,
    group: file.group,
    mode: file.mode,
    reference: undefined,
    repoSizeBytes: sizeBytes,
    repoChecksum: undefined,
    bundleId: undefined,
    bundleOffsetBytes: 0,
    block: undefined,
    originalSizeBytes: undefined,
  }
}

function jobOf(
  facts: BackupFacts,
  draft: Manifest,
  { file, diskPath, before, treatment }: PlannedFile,
): CopyJob {
  const checked = facts.options.checksumPage && pageCheckable(file.name)
  const blocksPerSegment = GIB / facts.control.blockSizeBytes
  return {
    name: file.name,
    diskPath,
    key: fileKey(facts.stanza, file, draft.label, draft.options.compressType),
    sizeBytes: file.sizeBytes,
    extent: onlyFromPrimary(file.name) ? 'to-end' : 'exact',
    kind: file.name === CONTROL_NAME ? 'control' : 'file',
    prior:
      treatment === 'copy' || before?.checksum === undefined
        ? undefined
        : { checksum: before.checksum, find: treatment },
    firstBlock: checked ? segmentNumberOf(file.name) * blocksPerSegment : undefined,
  }
}

/** A file's manifest entry after its copy. */
export function copiedFile(draft: ManifestFile, result: Copied): ManifestFile {
  const { pages } = result
  return {
    ...draft,
    sizeBytes: result.sizeBytes,
    originalSizeBytes: result.sizeBytes === draft.sizeBytes ? undefined : draft.sizeBytes,
    checksum: result.sizeBytes === 0 ? undefined : result.checksum,
    repoSizeBytes: result.repoSizeBytes,
    repoChecksum: result.repoChecksum,
    checksumPage: pages === undefined ? undefined : pages.bad.length === 0 && !pages.misaligned,
    checksumPageErrors:
      pages === undefined || pages.misaligned || pages.bad.length === 0
        ? undefined
        : pageRanges(pages.bad),
  }
}

/** `[1,2,3,7]` as `[[1,3],7]`: consecutive page numbers become ranges. `pages` ascends. */
export function pageRanges(
  pages: readonly number[],
): readonly (number | readonly [number, number])[] {
  const ranges: { first: number; last: number }[] = []
  for (const page of pages) {
    const open = ranges.at(-1)
    if (open !== undefined && page === open.last + 1) open.last = page
    else ranges.push({ first: page, last: page })
  }
  return ranges.map(({ first, last }) => (first === last ? first : [first, last]))
}
