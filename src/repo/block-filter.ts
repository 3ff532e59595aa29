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
import { xxh128 } from '../pipe/codecs.ts'
import { compressNow, compressWhole } from '../pipe/compress.ts'
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
  const block = Buffer.allocUnsafeSlow(sizes.sizeBytes)
  let begunBytes = 0
  let mapSizeBytes = 0

  const add = (bytes: Buffer): 'room' | 'full' => {
    const checksum = xxh128(bytes).toString('hex', 0, sizes.checksumSizeBytes)
    const before = prior[map.length]
    if (before?.checksum === checksum) {
      map.push(before)
      return 'room'
    }
    const { superBlock, index } = superBlocks.add(bytes)
    map.push({ superBlock, index, checksum })
    return superBlock.sizeBytes >= superBlocks.fullBytes ? 'full' : 'room'
  }
  return {
    get mapSizeBytes() {
      return mapSizeBytes
    },
    async *update(chunk) {
      for (let at = 0; at < chunk.length; ) {
        const piece = chunk.subarray(at, at + sizes.sizeBytes - begunBytes)
        at += piece.length
        if (piece.length < sizes.sizeBytes) {
          piece.copy(block, begunBytes)
          begunBytes += piece.length
          if (begunBytes < sizes.sizeBytes) return
          begunBytes = 0
        }
        const state = add(piece.length === sizes.sizeBytes ? piece : block)
        if (state === 'full') yield* superBlocks.close()
      }
    },
    async *end() {
      if (begunBytes > 0) add(block.subarray(0, begunBytes))
      yield* superBlocks.end()
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
  const map: MapBlock[] = []
  for (let at = 0; at < content.length; at += sizes.sizeBytes) {
    const digest = xxh128(content.subarray(at, at + sizes.sizeBytes))
    const checksum = digest.toString('hex', 0, sizes.checksumSizeBytes)
    map.push({ superBlock, index: map.length, checksum })
  }
  const storedMap = encrypt(options, encodeBlockMap(map, sizes))
  return { bytes: Buffer.concat([stored, storedMap]), mapSizeBytes: storedMap.length }
}

interface SuperBlocks {
  readonly fullBytes: number
  readonly storedBytes: number
  /** Into the open super block, which is opened when there is none. */
  add(block: Buffer): { readonly superBlock: SuperBlock; readonly index: number }
  /** Lets the open super block be compressed while the next one is filled; gives the stored bytes of the one before. */
  close(): AsyncGenerator<Buffer, void, undefined>
  /** The stored bytes of what is still there. */
  end(): AsyncGenerator<Buffer, void, undefined>
}

function storeSuperBlocks(options: BlockStoring): SuperBlocks {
  const { sizes, place } = options
  // Small files are many: none needs more room than its content.
  const wantedBytes = Math.max(1, Math.min(options.superBlockBytes, options.fileBytes))
  const fullBytes = Math.ceil(wantedBytes / sizes.sizeBytes) * sizes.sizeBytes
  let open: { readonly superBlock: SuperBlockDraft; readonly buffer: Buffer } | undefined
  let blockCount = 0
  let sealing: (typeof open & { readonly stored: Promise<Buffer> }) | undefined
  let spare: Buffer | undefined
  let storedBytes = 0

  async function* finishSealing(): AsyncGenerator<Buffer, void, undefined> {
    if (sealing === undefined) return
    const { superBlock, buffer } = sealing
    const stored = await sealing.stored
    superBlock.offsetBytes = place.offsetBytes + storedBytes
    superBlock.storedBytes = stored.length
    storedBytes += stored.length
    spare = buffer
    sealing = undefined
    yield stored
  }
  async function* close(): AsyncGenerator<Buffer, void, undefined> {
    if (open === undefined) return
    yield* finishSealing()
    const stored = seal(options, open.buffer.subarray(0, open.superBlock.sizeBytes))
    // Its failure is thrown when it is awaited.
    stored.catch(() => undefined)
    sealing = { ...open, stored }
    open = undefined
  }
  return {
    fullBytes,
    get storedBytes() {
      return storedBytes
    },
    add: (block) => {
      if (open === undefined) {
        const superBlock = { ...place, offsetBytes: 0, storedBytes: 0, sizeBytes: 0 }
        open = { superBlock, buffer: spare ?? Buffer.allocUnsafeSlow(fullBytes) }
        spare = undefined
        blockCount = 0
      }
      const { superBlock, buffer } = open
      block.copy(buffer, superBlock.sizeBytes)
      superBlock.sizeBytes += block.length
      blockCount += 1
      return { superBlock, index: blockCount - 1 }
    },
    close,
    async *end() {
      yield* close()
      yield* finishSealing()
    },
  }
}

async function seal(options: BlockStoring, content: Buffer): Promise<Buffer> {
  const { compressType, compressLevel } = options
  return encrypt(options, await compressWhole(content, compressType, compressLevel, 'raw'))
}

function encrypt({ cipherPass }: BlockStoring, bytes: Buffer): Buffer {
  return cipherPass === undefined ? bytes : encryptWhole(bytes, cipherPass, 'raw')
}
