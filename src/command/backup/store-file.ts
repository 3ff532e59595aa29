/** From the content of a file to what is stored of it, and what the manifest says of that. */
import { hash } from 'node:crypto'
import { Secret } from '../../base/secret.ts'
import { MIB } from '../../base/units.ts'
import type { BlockSizes, MapBlock } from '../../format/block-map.ts'
import type { ManifestBlock } from '../../format/manifest.ts'
import { encryptor, encryptWhole } from '../../pipe/cipher.ts'
import { compressNow, type Container, compressor } from '../../pipe/compress.ts'
import {
  ahead,
  type ByteSource,
  type Filter,
  type Measure,
  measure,
  through,
} from '../../pipe/pipe.ts'
import {
  blockFilter,
  type BlockStoring as FilterOptions,
  storeAllBlocks,
} from '../../repo/block-filter.ts'
import type { StoredBlocks, StoredSet } from '../../repo/stored-file.ts'
import type { Storage } from '../../storage/storage.ts'

export interface StoreSetup extends StoredSet {
  readonly compressLevel: number
}

/** A file that is stored in blocks. */
export interface BlockJob {
  readonly sizeBytes: number
  readonly checksumSizeBytes: number
  /** Content at which a super block is closed. */
  readonly superBlockBytes: number
  /** Where the prior backup has the file's map; undefined when all blocks are to be stored. */
  readonly prior: StoredBlocks | undefined
}

/** Where what is stored begins: in a bundle, or in an object of its own. */
export interface Place {
  /** 0 is none. */
  readonly bundleId: number
  readonly offsetBytes: number
}

export interface Content {
  readonly source: ByteSource
  /** What its size is expected to be. */
  readonly sizeBytes: number
}

export interface Stored {
  readonly sizeBytes: number
  readonly checksum: string
  readonly repoSizeBytes: number
  /** SHA-1 of the stored bytes, undefined when they are the original bytes. */
  readonly repoChecksum: string | undefined
  /** Set when blocks and a map are stored. */
  readonly block: ManifestBlock | undefined
}

export interface Storing {
  /** To be taken to the end, once. */
  readonly bytes: ByteSource
  /** After the end. */
  readonly stored: () => Stored
}

/** Files larger than this are read and checked while the chunk before is compressed in libuv's pool. */
const AHEAD_BYTES_MIN = 8 * MIB

/** Stores a file as a whole. */
export function storeWhole(
  setup: StoreSetup,
  container: Container,
  { source, sizeBytes }: Content,
): Storing {
  const original = measure()
  const transforms = transformsOf(setup, container)
  // Stored bytes that are the original bytes need no second hash.
  const stored = transforms.length === 0 ? original : measure()
  const measured = through(source, original)
  if (stored === original) {
    return { bytes: measured, stored: () => describe(original, original, undefined) }
  }
  const isAside = setup.compressType === 'gz' && sizeBytes > AHEAD_BYTES_MIN
  const drawn = isAside ? ahead(measured) : measured
  return {
    bytes: through(drawn, ...transforms, stored),
    stored: () => describe(original, stored, undefined),
  }
}

export interface BlockStoring {
  readonly job: BlockJob
  readonly place: Place
  /** The file's blocks in the prior backup. */
  readonly before: readonly MapBlock[]
}

/** Stores blocks that are not those of before, and a map of all; without output, nothing has changed. */
export function storeBlocks(
  setup: StoreSetup,
  { job, place, before }: BlockStoring,
  { source, sizeBytes }: Content,
): Storing {
  const original = measure()
  const stored = measure()
  const sizes = sizesOf(job)
  const blocks = blockFilter(blockStoring(setup, { job, place, before }, sizeBytes))
  return {
    bytes: through(source, original, blocks, stored),
    stored: () => {
      const { mapSizeBytes } = blocks
      return describe(original, stored, mapSizeBytes === 0 ? undefined : { ...sizes, mapSizeBytes })
    },
  }
}

function sizesOf({ sizeBytes, checksumSizeBytes }: BlockJob): BlockSizes {
  return { sizeBytes, checksumSizeBytes }
}

function blockStoring(
  setup: StoreSetup,
  { job, place, before }: BlockStoring,
  fileBytes: number,
): FilterOptions {
  return {
    sizes: sizesOf(job),
    superBlockBytes: job.superBlockBytes,
    fileBytes,
    place: { ...place, reference: setup.references.length - 1 },
    prior: before,
    compressType: setup.compressType,
    compressLevel: setup.compressLevel,
    cipherPass: setup.cipherPass === undefined ? undefined : new Secret(setup.cipherPass),
  }
}

function describe(original: Measure, stored: Measure, block: ManifestBlock | undefined): Stored {
  const checksum = original.sha1()
  return {
    sizeBytes: original.sizeBytes,
    checksum,
    repoSizeBytes: stored.sizeBytes,
    repoChecksum: stored === original ? undefined : stored.sha1(),
    block,
  }
}

/** A small file as it was read, with its checksum. */
export interface SmallContent {
  readonly bytes: Buffer
  readonly checksum: string
}

export interface SmallStored {
  /** What is stored. */
  readonly bytes: Buffer
  readonly stored: Stored
}

/** Stores a small file as a whole, at once. */
export function storeSmall(
  { compressType, compressLevel, cipherPass }: StoreSetup,
  container: Container,
  { bytes: content, checksum }: SmallContent,
): SmallStored {
  const packed = compressNow(content, compressType, compressLevel, container)
  const bytes =
    cipherPass === undefined ? packed : encryptWhole(packed, new Secret(cipherPass), container)
  const isContent = compressType === 'none' && cipherPass === undefined
  const repoChecksum = isContent ? undefined : hash('sha1', bytes)
  const repoSizeBytes = bytes.length
  const sizeBytes = content.length
  return { bytes, stored: { sizeBytes, checksum, repoSizeBytes, repoChecksum, block: undefined } }
}

/** Stores all blocks of a small file, at once. */
export function storeSmallBlocks(
  setup: StoreSetup,
  { job, place }: Omit<BlockStoring, 'before'>,
  { bytes: content, checksum }: SmallContent,
): SmallStored {
  const storing = blockStoring(setup, { job, place, before: [] }, content.length)
  const { bytes, mapSizeBytes } = storeAllBlocks(storing, content)
  return {
    bytes,
    stored: {
      sizeBytes: content.length,
      checksum,
      repoSizeBytes: bytes.length,
      repoChecksum: hash('sha1', bytes),
      block: { ...sizesOf(job), mapSizeBytes },
    },
  }
}

function transformsOf(setup: StoreSetup, container: Container): readonly Filter[] {
  const transforms: Filter[] = []
  if (setup.compressType !== 'none') {
    transforms.push(compressor(setup.compressType, setup.compressLevel, container))
  }
  if (setup.cipherPass !== undefined) {
    transforms.push(encryptor(new Secret(setup.cipherPass), container))
  }
  return transforms
}

/** Stores what comes from no cluster file (backup_label, tablespace_map, archived WAL) as an object of its own. */
export async function storeSource(
  storage: Storage,
  setup: StoreSetup,
  { key, source }: { readonly key: string; readonly source: ByteSource },
): Promise<Stored> {
  const { bytes, stored } = storeWhole(setup, 'normal', { source, sizeBytes: 0 })
  await storage.put(key, bytes, { durable: 'on-sync' })
  return stored()
}
