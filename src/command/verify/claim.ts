/** What a manifest claims of stored bytes, as pieces to check. Pure. */
import { createHash } from 'node:crypto'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import { fileKey } from '../../format/repo-path.ts'
import { storedFile, storedSet } from '../../repo/stored-file.ts'
import type { Piece } from './check-job.ts'

export interface FileClaim {
  /** Equal for two files exactly when they claim the same of the same bytes, so that those are read once. */
  readonly id: string
  readonly piece: Piece
}

/** Half of a SHA-1: more than enough to tell the files of one backup set apart. */
const ID_BYTES = 12

/** What a manifest claims of each of its files; undefined for a file that is nowhere, for bundled backups store no empty ones. */
export function claimsOf(
  stanza: string,
  manifest: Manifest,
): (file: ManifestFile) => FileClaim | undefined {
  const { compressType } = manifest.options
  const set = storedSet(stanza, manifest)
  const meanings = new Map<string, string>()
  const bundled = bundledBackups(manifest)
  return (file) => {
    const stored = storedFile(stanza, manifest, file)
    const owner = file.reference ?? manifest.label
    if (stored.kind === 'empty' && bundled.has(owner)) return undefined
    const range = { offsetBytes: file.bundleOffsetBytes, sizeBytes: file.repoSizeBytes }
    const piece: Piece = {
      key: fileKey(stanza, file, manifest.label, compressType),
      range: file.bundleId === undefined ? undefined : range,
      container: stored.kind === 'whole' ? stored.container : 'normal',
      compressType,
      storedBytes: file.repoSizeBytes,
      storedChecksum: file.repoChecksum,
      contentBytes: file.sizeBytes,
      contentChecksum: file.checksum,
      blocks: stored.kind === 'blocks' ? { set, file: stored } : undefined,
      nature: { kind: 'any' },
    }
    const meaning = meanings.get(owner) ?? meaningOf(manifest.references, owner)
    meanings.set(owner, meaning)
    return { id: idOf(piece, `${meaning}\0${set.cipherPass ?? ''}`), piece }
  }
}

/**
 * Which of the backup itself and those it refers to are bundled: another one is when a file of it is in a bundle. Each has files
 * like PG_VERSION, which are small and never change.
 */
function bundledBackups({ bundle, label, files }: Manifest): ReadonlySet<string> {
  const bundled = new Set(bundle ? [label] : [])
  for (const { bundleId, reference } of files) {
    if (bundleId !== undefined && reference !== undefined) bundled.add(reference)
  }
  return bundled
}

/** What the numbers in a block map stand for: the backups that there were when the owner of the file wrote it. */
function meaningOf(references: readonly string[], owner: string): string {
  return references.slice(0, references.indexOf(owner) + 1).join(',')
}

function idOf(piece: Piece, surroundings: string): string {
  const { key, range, container, compressType, blocks } = piece
  const claim = [
    key,
    range?.offsetBytes,
    container,
    compressType,
    piece.storedBytes,
    piece.storedChecksum,
    piece.contentBytes,
    piece.contentChecksum,
    blocks?.file.mapRange.sizeBytes,
    blocks?.file.sizes.sizeBytes,
    blocks?.file.sizes.checksumSizeBytes,
    surroundings,
  ]
  return createHash('sha1')
    .update(claim.join('\0'), 'latin1')
    .digest()
    .toString('latin1', 0, ID_BYTES)
}
