/** Writing a block-incremental file: what changed since the prior backup in super blocks, then the map of all blocks. */
import { assertThat } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import {
  type BlockSizes,
  encodeBlockMap,
  type MapBlock,
  type SuperBlock,
} from '../format/block-map.ts'
import { encryptWhole } from '../pipe/cipher.ts'
import { blockDigests } from '../pipe/codecs.ts'
import { compressNow } from '../pipe/compress.ts'
import type { CompressType } from '../pipe/compress-type.ts'
import type { Filter } from '../pipe/pipe.ts'

export interface BlockStoring {
  readonly sizes: BlockSizes
  /** Content at which a super block is closed. */
  readonly superBlockBytes: number
  /** What the file's size is expected to be. */
  readonly fileBytes: number
  /** Where the filter's output begins: this backup's place in the list of backups, its bundle or 0, an offset in that. */
  readonly place: {
    readonly reference: number
    readonly bundleId: number
    readonly offsetBytes: number
  }
  /** The file's blocks in the prior backup; none when all are to be stored. */
  readonly prior: readonly MapBlock[]
  readonly compressType: CompressType
  readonly compressLevel: number
  /** The backup set's key; undefined when the repository is not encrypted. */
  readonly cipherPass: Secret | undefined
}

const NOTHING = Buffer.alloc(0)

/** Content of every super block but the last: whole blocks. Small files are many: none needs more room than its content. */
export function fullSuperBlockBytes(
  { sizeBytes, superBlockBytes }: { readonly sizeBytes: number; readonly superBlockBytes: number },
  fileBytes: number,
): number {
  const wantedBytes = Math.max(1, Math.min(superBlockBytes, fileBytes))
  return Math.ceil(wantedBytes / sizeBytes) * sizeBytes
}

/** Without any output, the file is block by block what it was in the prior backup. */
export interface BlockFilter extends Filter {
  /** After the end: stored size of the map, 0 without output. */
  readonly mapSizeBytes: number
}

/** A super block until it is stored: only then its offset and stored size are known. */
interface SuperBlockDraft {
  readonly reference: number
  readonly bundleId: number
  offsetBytes: number
  storedBytes: number
  sizeBytes: number
}

export function blockFilter(options: BlockStoring): BlockFilter {
  const { sizes, prior } = options
  const map: MapBlock[] = []
  const superBlocks = storeSuperBlocks(options)
  /** The begin of a block that the next chunk completes. */
  const begun = Buffer.allocUnsafeSlow(sizes.sizeBytes)
  let begunBytes = 0
  let mapSizeBytes = 0

  function* addBlocks(blocks: Buffer): Generator<Buffer, void, undefined> {
    for (const [index, checksum] of blockDigests(blocks, sizes).entries()) {
      const before = prior[map.length]
      if (before?.checksum === checksum) {
        map.push(before)
        continue
      }
      const at = index * sizes.sizeBytes
      const place = superBlocks.add(blocks, at, Math.min(at + sizes.sizeBytes, blocks.length))
      map.push({ ...place, checksum })
      if (place.superBlock.sizeBytes >= superBlocks.fullBytes) yield* superBlocks.close()
    }
    superBlocks.keep()
  }
  return {
    get mapSizeBytes() {
      return mapSizeBytes
    },
    *update(chunk) {
      let rest = chunk
      if (begunBytes > 0) {
        const piece = chunk.subarray(0, sizes.sizeBytes - begunBytes)
        begunBytes += piece.copy(begun, begunBytes)
        if (begunBytes < sizes.sizeBytes) return
        yield* addBlocks(begun)
        rest = chunk.subarray(piece.length)
      }
      const wholeBytes = rest.length - (rest.length % sizes.sizeBytes)
      yield* addBlocks(rest.subarray(0, wholeBytes))
      begunBytes = rest.copy(begun, 0, wholeBytes)
    },
    *end() {
      yield* addBlocks(begun.subarray(0, begunBytes))
      yield* superBlocks.close()
      const isChanged = superBlocks.storedBytes > 0 || map.length < prior.length
      if (map.length === 0 || !isChanged) return
      const stored = encrypt(options, encodeBlockMap(map, sizes))
      mapSizeBytes = stored.length
      yield stored
    },
    close: () => undefined,
  }
}

/** What `blockFilter` gives for a whole small file without prior blocks: one super block, and the map. */
export function storeAllBlocks(
  options: BlockStoring,
  content: Buffer,
): { readonly bytes: Buffer; readonly mapSizeBytes: number } {
  const { sizes, place, compressType, compressLevel } = options
  assertThat(content.length <= options.superBlockBytes, 'the file is one super block')
  const stored = encrypt(options, compressNow(content, compressType, compressLevel, 'raw'))
  const superBlock = { ...place, storedBytes: stored.length, sizeBytes: content.length }
  const digests = blockDigests(content, sizes)
  const map: MapBlock[] = digests.map((checksum, index) => ({ superBlock, index, checksum }))
  const storedMap = encrypt(options, encodeBlockMap(map, sizes))
  return { bytes: Buffer.concat([stored, storedMap]), mapSizeBytes: storedMap.length }
}

interface SuperBlocks {
  readonly fullBytes: number
  readonly storedBytes: number
  /** The block from `at` to `end` of `bytes` into the open super block, which is opened when there is none. */
  add(bytes: Buffer, at: number, end: number): { superBlock: SuperBlock; index: number }
  /** Blocks are looked at where they are, until this is called: before their bytes become others. */
  keep(): void
  /** The stored bytes of the open super block, if there is one. */
  close(): Generator<Buffer, void, undefined>
}

function storeSuperBlocks(options: BlockStoring): SuperBlocks {
  const { sizes, place } = options
  const { superBlockBytes, fileBytes } = options
  const fullBytes = fullSuperBlockBytes({ ...sizes, superBlockBytes }, fileBytes)
  let open: SuperBlockDraft | undefined
  let blockCount = 0
  let kept: Buffer | undefined
  let keptBytes = 0
  /** What follows the kept bytes, in one piece. */
  let piece: Buffer = NOTHING
  let storedBytes = 0

  const keep = (): void => {
    if (piece.length === 0) return
    kept ??= Buffer.allocUnsafeSlow(fullBytes)
    keptBytes += piece.copy(kept, keptBytes)
    piece = NOTHING
  }
  return {
    fullBytes,
    get storedBytes() {
      return storedBytes
    },
    add: (bytes, at, end) => {
      if (open === undefined) {
        open = { ...place, offsetBytes: 0, storedBytes: 0, sizeBytes: 0 }
        blockCount = 0
      }
      const follows = piece.length > 0 && piece.byteOffset + piece.length === bytes.byteOffset + at
      if (follows) {
        piece = bytes.subarray(at - piece.length, end)
      } else {
        keep()
        piece = bytes.subarray(at, end)
      }
      open.sizeBytes += end - at
      blockCount += 1
      return { superBlock: open, index: blockCount - 1 }
    },
    keep,
    *close() {
      if (open === undefined) return
      if (keptBytes > 0) keep()
      const content = keptBytes > 0 ? kept?.subarray(0, keptBytes) : piece
      assertThat(content?.length === open.sizeBytes, 'a super block is all of its blocks')
      const stored = seal(options, content)
      open.offsetBytes = place.offsetBytes + storedBytes
      open.storedBytes = stored.length
      storedBytes += stored.length
      open = undefined
      keptBytes = 0
      piece = NOTHING
      yield stored
    },
  }
}

function seal(options: BlockStoring, content: Buffer): Buffer {
  const { compressType, compressLevel } = options
  return encrypt(options, compressNow(content, compressType, compressLevel, 'raw'))
}

function encrypt({ cipherPass }: BlockStoring, bytes: Buffer): Buffer {
  return cipherPass === undefined ? bytes : encryptWhole(bytes, cipherPass, 'raw')
}
