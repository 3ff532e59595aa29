/** A small block-incremental file whose stored bytes are all there: decoded without waiting. */
import { Secret } from '../base/secret.ts'
import { decodeBlockMap, type MapBlock } from '../format/block-map.ts'
import { decryptWhole } from '../pipe/cipher.ts'
import { containerKey } from './stored-blocks.ts'
import { contentInto, type StoredBlocks, type StoredSet } from './stored-file.ts'

interface AllOfIt {
  /** Super blocks, then the map. */
  readonly stored: Buffer
  readonly into: Buffer
}

/**
 * The content, in the first bytes of `into`. Undefined when that has no room, blocks lie elsewhere, or something is not as it
 * should be: whoever reads block by block finds them, or tells what that is. Throws as decoders do.
 */
export function blocksInto(
  set: StoredSet,
  file: StoredBlocks,
  { stored, into }: AllOfIt,
): Buffer | undefined {
  const { startBytes, mapRange, sizes } = file
  const mapAt = mapRange.offsetBytes - startBytes
  const packedMap = stored.subarray(mapAt)
  const pass = set.cipherPass
  const map = decodeBlockMap(
    pass === undefined ? packedMap : decryptWhole(packedMap, new Secret(pass), 'raw'),
    sizes,
  )
  let madeBytes = 0
  for (let at = 0; at < map.length; ) {
    const superBlock = superBlockAt(map, at, sizes.sizeBytes)
    if (superBlock === undefined || containerKey(set, file, superBlock) !== file.key)
      return undefined
    const from = superBlock.offsetBytes - startBytes
    if (from < 0 || from + superBlock.storedBytes > mapAt) return undefined
    const bytes = stored.subarray(from, from + superBlock.storedBytes)
    const content = contentInto(set, 'raw', { bytes, into: into.subarray(madeBytes) })
    if (content?.length !== superBlock.sizeBytes) return undefined
    if (content.buffer !== into.buffer) content.copy(into, madeBytes)
    madeBytes += content.length
    at += Math.ceil(content.length / sizes.sizeBytes)
  }
  return into.subarray(0, madeBytes)
}

/** The super block all of whose blocks follow in the file, in their order. */
function superBlockAt(
  map: readonly MapBlock[],
  at: number,
  blockBytes: number,
): MapBlock['superBlock'] | undefined {
  const superBlock = map[at]?.superBlock
  if (superBlock === undefined) return undefined
  const count = Math.ceil(superBlock.sizeBytes / blockBytes)
  const row = map.slice(at, at + count)
  const isWhole =
    count > 0 &&
    row.length === count &&
    row.every((block, index) => block.superBlock === superBlock && block.index === index)
  return isWhole ? superBlock : undefined
}
