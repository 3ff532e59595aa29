/** What a backup will copy, and the manifest it will become. Pure. */
import { compareBytes, toByteString } from '../../base/text.ts'
import { GIB } from '../../base/units.ts'
import type { BackupHistory } from '../../format/backup-info.ts'
import {
  type Manifest,
  type ManifestBlock,
  type ManifestDatabase,
  type ManifestFile,
  type ManifestOptions,
  newFile,
} from '../../format/manifest.ts'
import type { BackupKind } from '../../format/label.ts'
import { backupPrefix, blocksKey, bundleKey, fileKey } from '../../format/repo-path.ts'
import type { Secret } from '../../base/secret.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import type { ClusterListing } from '../../postgres/data-dir.ts'
import { storedFile } from '../../repo/stored-file.ts'
import { batchesOf } from '../../worker/batch.ts'
import { onlyFromPrimary, pageCheckable, segmentNumberOf } from '../../postgres/skip-rules.ts'
import { referredFile, type Treatment, treatmentOf, whyDelta } from './compare.ts'
import { newBlockSizes, staysAsBefore } from './block-size.ts'
import { arrange, type Arranged } from './bundles.ts'
import type { Copied, CopyJob, CopyTask } from './copy-job.ts'
import type { StoredCopy } from './known-content.ts'
import { formOf, type Layout } from './layout.ts'
import { keptFile, storedBefore } from './resume.ts'
import type { BlockJob } from './store-file.ts'

export interface BackupFacts {
  readonly stanza: string
  readonly kind: BackupKind
  readonly label: string
  /** The backup to build on; undefined for a full one. */
  readonly prior: Manifest | undefined
  /** The interrupted backup to go on with. */
  readonly leftover: Manifest | undefined
  readonly history: BackupHistory
  readonly control: ControlFile
  readonly dataDir: string
  /** Data directory of the standby to copy from; undefined: everything comes from `dataDir`. */
  readonly standbyDir: string | undefined
  readonly listing: ClusterListing
  readonly databases: readonly ManifestDatabase[]
  readonly options: ManifestOptions
  readonly layout: Layout
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
  /** Its place in the plan's files. */
  readonly at: number
  /** Its entry before it is copied: no checksum, no reference. */
  readonly file: ManifestFile
  readonly diskPath: string
  /** What the prior backup has under this name, of whatever size. */
  readonly before: ManifestFile | undefined
  readonly treatment: Exclude<Treatment, 'refer'>
  /** What the interrupted backup has stored of it, if that may be good. */
  readonly stored: ManifestFile | undefined
}

/**
 * Of hundreds of thousands of files, what is done with need not stay in memory: whoever copies takes files out of `work` and puts
 * their new entries into `files`.
 */
export interface BackupPlan {
  /** The manifest before anything is copied, without its files. */
  readonly draft: Manifest
  /** Its files: what is still to do has no checksum. Undefined: gone. */
  readonly files: (ManifestFile | undefined)[]
  /** By name. */
  readonly work: Map<string, PlannedFile>
  /** Largest files first, so that the last worker is not left alone with a big one. Made when they are asked for, once. */
  readonly tasks: Iterable<CopyTask>
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

export function planBackup(facts: BackupFacts): BackupPlan {
  const { prior, leftover } = facts
  const listed = draftManifest(facts)
  const priorFiles = new Map(prior?.files.map((file) => [file.name, file]))
  const doubt = facts.options.delta ? undefined : whyDelta(listed, prior, priorFiles)
  const delta = facts.options.delta || doubt !== undefined
  const leftFiles = new Map(leftover?.files.map((file) => [file.name, file]))
  const diskPaths = new Map(facts.listing.files.map(({ name, diskPath }) => [name, diskPath]))
  const work: PlannedFile[] = []
  const files = listed.files.map((file, at) => {
    if (file.sizeBytes === 0 && facts.layout.bundles !== undefined) return emptyFile(facts, file)
    const before = priorFiles.get(file.name)
    const treatment = treatmentOf(file, { before, prior, delta })
    if (treatment === 'refer') return referredFile(file, before, prior?.label)
    const diskPath = sourcePath(facts, file, diskPaths.get(file.name) ?? '')
    const draft = { ...file, block: blockOf(facts, file, before) }
    const stored = storedBefore(file, leftFiles.get(file.name), { leftover, delta })
    work.push({ at, file: draft, diskPath, before, treatment, stored })
    return stored === undefined ? draft : keptFile(file, stored)
  })
  const draft = { ...listed, files: [], options: { ...facts.options, delta } }
  return {
    draft,
    files,
    work: new Map(work.map((planned) => [planned.file.name, planned])),
    tasks: tasksOf(jobFacts(facts), draft, arrange(work, facts.layout.bundles)),
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
  // The clock of modification times may still be in the second before.
  const unchanged = timestampS < startS - 1
  if (standbyDir === undefined || onlyFromPrimary(name) || !unchanged) return primaryPath
  return `${toByteString(standbyDir)}/${name.replace(/^pg_data\//, '')}`
}

/** With bundles nothing is stored of an empty file, nor referred to. */
function emptyFile({ options }: BackupFacts, file: ManifestFile): ManifestFile {
  return options.checksumPage && pageCheckable(file.name) ? { ...file, checksumPage: true } : file
}

/** The blocks that the file has, or would have if it were not stored whole; the map is not there yet. */
function blockOf(
  { layout, startS }: BackupFacts,
  file: ManifestFile,
  before: ManifestFile | undefined,
): ManifestBlock | undefined {
  if (staysAsBefore(file, before)) return before.block && { ...before.block, mapSizeBytes: 0 }
  const sizes = layout.blocks && newBlockSizes(file, startS, layout.blocks)
  return sizes && { ...sizes, mapSizeBytes: 0 }
}

/** What jobs are made from. Not the lists of files: they would stay in memory until the last job is made. */
interface JobFacts extends Pick<BackupFacts, 'stanza' | 'control' | 'options' | 'layout'> {
  /** Without its files. */
  readonly prior: Manifest | undefined
  /** The first id that no bundle has yet. */
  readonly firstBundleId: number
}

function jobFacts({ stanza, control, options, layout, prior, leftover }: BackupFacts): JobFacts {
  const usedIds = leftover?.files.map(({ bundleId }) => bundleId ?? 0) ?? []
  return {
    stanza,
    control,
    options,
    layout,
    prior: prior && { ...prior, files: [] },
    firstBundleId: usedIds.reduce((most, id) => Math.max(most, id), 0) + 1,
  }
}

function* tasksOf(
  facts: JobFacts,
  draft: Manifest,
  { alone, bundles }: Arranged<PlannedFile>,
): Generator<CopyTask, void, undefined> {
  function* jobs(files: PlannedFile[]): Generator<CopyJob, void, undefined> {
    for (const planned of lettingGo(files)) yield jobOf(facts, draft, planned)
  }
  for (const batch of batchesOf(jobs(alone))) yield { bundle: undefined, jobs: batch }
  for (const [index, files] of bundles.entries()) {
    const id = facts.firstBundleId + index
    const key = bundleKey(backupPrefix(facts.stanza, draft.label), id)
    const container = draft.bundleRaw ? 'raw' : 'normal'
    yield { bundle: { id, key, container }, jobs: [...jobs(files)] }
  }
}

/** Each file in turn, of which the list knows nothing any more. */
function* lettingGo(files: PlannedFile[]): Generator<PlannedFile, void, undefined> {
  files.reverse()
  for (let file = files.pop(); file !== undefined; file = files.pop()) yield file
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
    ...formOf(facts.layout, facts.prior),
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
  return newFile(file.name === CONTROL_NAME ? { ...file, sizeBytes: CONTROL_STORED_BYTES } : file)
}

function jobOf(
  facts: JobFacts,
  draft: Manifest,
  { file, diskPath, before, treatment, stored }: PlannedFile,
): CopyJob {
  const checked = facts.options.checksumPage && pageCheckable(file.name)
  const blocksPerSegment = GIB / facts.control.blockSizeBytes
  const block = blockJob(facts, file, before)
  const owner = backupPrefix(facts.stanza, draft.label)
  return {
    name: file.name,
    diskPath,
    key:
      block === undefined
        ? fileKey(facts.stanza, file, draft.label, draft.options.compressType)
        : blocksKey(owner, file.name),
    sizeBytes: file.sizeBytes,
    extent: onlyFromPrimary(file.name) ? 'to-end' : 'exact',
    kind: file.name === CONTROL_NAME ? 'control' : 'file',
    prior:
      treatment === 'copy' || before?.checksum === undefined
        ? undefined
        : { checksum: before.checksum, find: treatment },
    stored: stored && storedCopy(facts, draft, stored),
    firstBlock: checked ? segmentNumberOf(file.name) * blocksPerSegment : undefined,
    block,
  }
}

function blockJob(
  { stanza, prior, layout }: JobFacts,
  file: ManifestFile,
  before: ManifestFile | undefined,
): BlockJob | undefined {
  const { block } = file
  if (layout.blocks === undefined || block === undefined) return undefined
  const isLike = prior !== undefined && staysAsBefore(file, before)
  const stored = isLike ? storedFile(stanza, prior, before) : undefined
  return {
    sizeBytes: block.sizeBytes,
    checksumSizeBytes: block.checksumSizeBytes,
    superBlockBytes: layout.blocks.superBlockBytes,
    prior: stored?.kind === 'blocks' ? stored : undefined,
  }
}

function storedCopy(
  { stanza }: JobFacts,
  { label, options }: Manifest,
  stored: ManifestFile,
): StoredCopy {
  const { repoSizeBytes: sizeBytes, bundleOffsetBytes: offsetBytes } = stored
  return {
    key: fileKey(stanza, stored, label, options.compressType),
    range: stored.bundleId === undefined ? undefined : { offsetBytes, sizeBytes },
    sizeBytes,
    checksum: stored.repoChecksum ?? stored.checksum ?? '',
    content: options.delta ? stored.checksum : undefined,
  }
}

/** A file's manifest entry after its copy. */
export function copiedFile(draft: ManifestFile, result: Copied): ManifestFile {
  const { sizeBytes, bundle } = result
  // An empty file has no blocks; one that was stored whole may be in blocks again.
  const block = sizeBytes === 0 ? undefined : draft.block
  return {
    ...draft,
    sizeBytes,
    originalSizeBytes: sizeBytes === draft.sizeBytes ? undefined : draft.sizeBytes,
    checksum: sizeBytes === 0 ? undefined : result.checksum,
    repoSizeBytes: result.repoSizeBytes,
    repoChecksum: result.repoChecksum,
    bundleId: bundle?.bundleId,
    bundleOffsetBytes: bundle?.offsetBytes ?? 0,
    block: result.block ?? block,
    ...pageVerdict(result),
  }
}

function pageVerdict({ pages }: Copied): Pick<ManifestFile, 'checksumPage' | 'checksumPageErrors'> {
  if (pages === undefined) return { checksumPage: undefined, checksumPageErrors: undefined }
  const { bad, misaligned } = pages
  return {
    checksumPage: bad.length === 0 && !misaligned,
    checksumPageErrors: misaligned || bad.length === 0 ? undefined : pageRanges(bad),
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
