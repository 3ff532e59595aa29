/** What a full backup will copy, and the manifest it will become. Pure. */
import { compareBytes } from '../../base/text.ts'
import { GIB } from '../../base/units.ts'
import type { BackupHistory } from '../../format/backup-info.ts'
import type {
  Manifest,
  ManifestDatabase,
  ManifestFile,
  ManifestOptions,
} from '../../format/manifest.ts'
import { fileKey } from '../../format/repo-path.ts'
import type { Secret } from '../../base/secret.ts'
import type { ControlFile } from '../../postgres/control-file.ts'
import type { ClusterListing } from '../../postgres/data-dir.ts'
import { onlyFromPrimary, pageCheckable, segmentNumberOf } from '../../postgres/skip-rules.ts'
import type { CopyJob, CopyResult } from './copy-job.ts'

export interface BackupFacts {
  readonly stanza: string
  readonly label: string
  readonly history: BackupHistory
  readonly control: ControlFile
  readonly listing: ClusterListing
  readonly databases: readonly ManifestDatabase[]
  readonly options: ManifestOptions
  readonly annotations: ReadonlyMap<string, string>
  /** The new backup set's key; undefined when the repository is not encrypted. */
  readonly cipherPass: Secret | undefined
  readonly startS: number
  readonly copyStartS: number
  readonly archiveStart: string
  readonly lsnStart: string
}

interface Named {
  readonly name: string
}

export interface BackupPlan {
  /** The manifest before anything is copied: every file without checksum. */
  readonly draft: Manifest
  /** Largest first, so that the last worker is not left alone with a big one. Each is made when it is asked for. */
  readonly jobs: Iterable<CopyJob>
  readonly totalBytes: number
  readonly pageSizeBytes: number
}

const byName = (left: Named, right: Named): number => compareBytes(left.name, right.name)

const CONTROL_NAME = 'pg_data/global/pg_control'
/** What is stored of pg_control: 512 bytes that count, padded to the size PostgreSQL gives the file. */
const CONTROL_STORED_BYTES = 8192

export function planBackup(facts: BackupFacts): BackupPlan {
  const files = facts.listing.files.map(draftFile).toSorted(byName)
  const draft: Manifest = {
    label: facts.label,
    kind: 'full',
    archiveStart: facts.archiveStart,
    archiveStop: undefined,
    lsnStart: facts.lsnStart,
    lsnStop: undefined,
    prior: undefined,
    references: [facts.label],
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
    files,
    links: facts.listing.links.toSorted(byName),
    paths: facts.listing.paths.toSorted(byName),
  }
  const diskPaths = new Map(facts.listing.files.map(({ name, diskPath }) => [name, diskPath]))
  const largestFirst = files.toSorted((left, right) => right.sizeBytes - left.sizeBytes)
  function* jobs(): Generator<CopyJob, void, undefined> {
    for (const file of largestFirst) {
      yield jobOf(facts, draft, { file, diskPath: diskPaths.get(file.name) ?? '' })
    }
  }
  return {
    draft,
    jobs: jobs(),
    totalBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    pageSizeBytes: facts.control.blockSizeBytes,
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
  { file, diskPath }: { readonly file: ManifestFile; readonly diskPath: string },
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
    firstBlock: checked ? segmentNumberOf(file.name) * blocksPerSegment : undefined,
  }
}

/** A file's manifest entry after its copy; undefined when it was gone. */
export function copiedFile(draft: ManifestFile, result: CopyResult): ManifestFile | undefined {
  if (result.outcome === 'gone') return undefined
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
