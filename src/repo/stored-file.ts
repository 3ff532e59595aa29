/** Where and how one file of a backup is stored, as plain data, so that threads can be told it; read-stored.ts reads it. */
import { AppError, asAppError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import type { BlockSizes } from '../format/block-map.ts'
import type { Manifest, ManifestFile } from '../format/manifest.ts'
import { fileKey } from '../format/repo-path.ts'
import { decryptor, decryptWhole } from '../pipe/cipher.ts'
import { type Container, decompressNow, decompressor } from '../pipe/compress.ts'
import type { CompressType } from '../pipe/compress-type.ts'
import type { ByteSource, Filter } from '../pipe/pipe.ts'
import { zstDecompressInto } from '../pipe/zst.ts'
import type { GetRange } from '../storage/storage.ts'

/** What the files of one backup have in common. */
export interface StoredSet {
  readonly stanza: string
  /** The manifest's list of backups: block maps name one by its place here. */
  readonly references: readonly string[]
  readonly compressType: CompressType
  /** The backup set's key; undefined when the repository is not encrypted. */
  readonly cipherPass: string | undefined
}

export type StoredFile =
  /** Nothing is read: a bundled backup stores no empty files. */
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'whole'
      readonly key: string
      /** Its bytes in a bundle; undefined when the object is the file. */
      readonly range: GetRange | undefined
      readonly container: Container
    }
  | StoredBlocks

export interface StoredBlocks {
  readonly kind: 'blocks'
  /** Manifest name: older blocks are stored under it too. */
  readonly name: string
  /** The object that holds the newest blocks and the map. */
  readonly key: string
  /** Where its bytes begin in that object; they end with the map. */
  readonly startBytes: number
  readonly mapRange: GetRange
  readonly sizes: BlockSizes
}

export function storedSet(stanza: string, manifest: Manifest): StoredSet {
  return {
    stanza,
    references: manifest.references,
    compressType: manifest.options.compressType,
    cipherPass: manifest.cipherPass?.reveal(),
  }
}

export function storedFile(stanza: string, manifest: Manifest, file: ManifestFile): StoredFile {
  if (file.sizeBytes === 0) return { kind: 'empty' }
  const key = fileKey(stanza, file, manifest.label, manifest.options.compressType)
  const { block, bundleOffsetBytes: offsetBytes, repoSizeBytes: sizeBytes } = file
  // Only a backup that has not ended has blocks without a map.
  if (block !== undefined && block.mapSizeBytes > 0) {
    const mapOffsetBytes = offsetBytes + sizeBytes - block.mapSizeBytes
    return {
      kind: 'blocks',
      name: file.name,
      key,
      startBytes: offsetBytes,
      mapRange: { offsetBytes: mapOffsetBytes, sizeBytes: block.mapSizeBytes },
      sizes: { sizeBytes: block.sizeBytes, checksumSizeBytes: block.checksumSizeBytes },
    }
  }
  if (file.bundleId === undefined)
    return { kind: 'whole', key, range: undefined, container: 'normal' }
  return {
    kind: 'whole',
    key,
    range: { offsetBytes, sizeBytes },
    container: manifest.bundleRaw ? 'raw' : 'normal',
  }
}

/** The bytes of an object that a file has to itself; undefined: all of them. */
export function ownRange(stored: Exclude<StoredFile, { kind: 'empty' }>): GetRange | undefined {
  if (stored.kind === 'whole') return stored.range
  const { startBytes, mapRange } = stored
  const endBytes = mapRange.offsetBytes + mapRange.sizeBytes
  return { offsetBytes: startBytes, sizeBytes: endBytes - startBytes }
}

/** From stored bytes to content. */
export function contentFilters(set: StoredSet, container: Container): readonly Filter[] {
  const filters: Filter[] = []
  if (set.cipherPass !== undefined) filters.push(decryptor(new Secret(set.cipherPass), container))
  if (set.compressType !== 'none') filters.push(decompressor(set.compressType, container))
  return filters
}

/**
 * From stored bytes that are all there to content, without waiting: the first bytes of `into`, or else a buffer of its own.
 * Throws as the filters do. Undefined when `into` has no room for it.
 */
export function contentInto(
  { cipherPass, compressType: type }: Pick<StoredSet, 'cipherPass' | 'compressType'>,
  container: Container,
  { bytes, into }: { readonly bytes: Buffer; readonly into: Buffer },
): Buffer | undefined {
  const packed =
    cipherPass === undefined ? bytes : decryptWhole(bytes, new Secret(cipherPass), container)
  if (type === 'zst') {
    const sizeBytes = zstDecompressInto(packed, into)
    return sizeBytes === undefined ? undefined : into.subarray(0, sizeBytes)
  }
  const content = decompressNow(packed, { type, container }, into.length)
  return content === undefined || content.length > into.length ? undefined : content
}

/** Storage names what it cannot read; what cannot be decoded does not know where it comes from, so it is told here. */
export async function* naming(where: string, source: ByteSource): ByteSource {
  try {
    yield* source
  } catch (error) {
    throw named(where, error)
  }
}

/** The error of what could not be decoded, with its place; any other as it is. */
export function named(where: string, error: unknown): unknown {
  const failed = asAppError(error)
  if (failed.kind !== 'format' && failed.kind !== 'crypto') return error
  return new AppError(failed.kind, `unable to read '${where}': ${failed.message}`, {
    hint: failed.hints,
    cause: error,
  })
}
