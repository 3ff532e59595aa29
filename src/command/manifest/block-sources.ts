/** What must be read, and from which backups, to restore a block-incremental file. Pure. */
import type { MapBlock, SuperBlock } from '../../format/block-map.ts'

/** What one backup gives. */
export interface BlockSource {
  /** Place in the manifest's references. */
  readonly reference: number
  /** 0 when the file is an object of its own there. */
  readonly bundleId: number
  readonly reads: Amount
  readonly superBlocks: Amount
  readonly blocks: Amount
}

export interface Amount {
  readonly total: number
  readonly bytes: number
}

/** Oldest backup first. Super blocks that lie one after the other are read at once. */
export function summarizeBlocks(
  map: readonly MapBlock[],
  blockBytes: number,
): readonly BlockSource[] {
  const references = new Set(map.map(({ superBlock }) => superBlock.reference))
  return [...references]
    .toSorted((left, right) => left - right)
    .map((reference) => {
      const blocks = map.filter(({ superBlock }) => superBlock.reference === reference)
      return sourceOf(reference, blocks, blockBytes)
    })
}

function sourceOf(reference: number, blocks: readonly MapBlock[], blockBytes: number): BlockSource {
  const superBlocks = [...new Set(blocks.map(({ superBlock }) => superBlock))].toSorted(
    (left, right) => left.offsetBytes - right.offsetBytes,
  )
  const starts = superBlocks.filter(
    ({ offsetBytes }, index) => endOf(superBlocks[index - 1]) !== offsetBytes,
  )
  return {
    reference,
    bundleId: superBlocks[0]?.bundleId ?? 0,
    reads: { total: starts.length, bytes: sum(superBlocks, 'storedBytes') },
    superBlocks: { total: superBlocks.length, bytes: sum(superBlocks, 'sizeBytes') },
    blocks: { total: blocks.length, bytes: blocks.length * blockBytes },
  }
}

function endOf(superBlock: SuperBlock | undefined): number | undefined {
  return superBlock && superBlock.offsetBytes + superBlock.storedBytes
}

function sum(superBlocks: readonly SuperBlock[], size: 'storedBytes' | 'sizeBytes'): number {
  return superBlocks.reduce((total, superBlock) => total + superBlock[size], 0)
}
