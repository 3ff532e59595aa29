/** Which files are stored in blocks, and how large their blocks are. Pure; tables and rules of pgBackRest 2.60. */
import { DAY_MS, KIB, MIB, SECOND_MS } from '../../base/units.ts'
import type { BlockSizes } from '../../format/block-map.ts'
import type { ManifestFile } from '../../format/manifest.ts'

/** From the value on, and up to the next larger one. Largest first. */
export type Steps = readonly (readonly [from: number, value: number])[]

export interface BlockRules {
  /** Bytes of a file to bytes of its blocks; smaller files are stored whole. */
  readonly sizes: Steps
  /** Seconds since a file was changed to the factor for its block size; 0: it is stored whole. */
  readonly ages: Steps
  /** Bytes of a block to bytes of its checksum. */
  readonly checksumSizes: Steps
}

export const DAY_S = DAY_MS / SECOND_MS
/** Of blocks smaller than all in the table. */
const CHECKSUM_SIZE_BYTES_MIN = 6

export const BLOCK_RULES: BlockRules = {
  sizes: [
    [914 * MIB, 88 * KIB],
    [740 * MIB, 80 * KIB],
    [585 * MIB, 72 * KIB],
    [448 * MIB, 64 * KIB],
    [329 * MIB, 56 * KIB],
    [228 * MIB, 48 * KIB],
    [146 * MIB, 40 * KIB],
    [96 * MIB, 32 * KIB],
    [43 * MIB, 24 * KIB],
    [11 * MIB, 16 * KIB],
    [16 * KIB, 8 * KIB],
  ],
  ages: [
    [28 * DAY_S, 0],
    [14 * DAY_S, 4],
    [7 * DAY_S, 2],
  ],
  checksumSizes: [
    [4 * MIB, 12],
    [2 * MIB, 11],
    [MIB, 10],
    [512 * KIB, 9],
    [128 * KIB, 8],
    [32 * KIB, 7],
  ],
}

function valueAt(steps: Steps, at: number): number | undefined {
  return steps.find(([from]) => at >= from)?.[1]
}

/** For a file that no backup has in blocks; undefined: it is stored whole. */
export function newBlockSizes(
  { sizeBytes, timestampS }: Pick<ManifestFile, 'sizeBytes' | 'timestampS'>,
  startS: number,
  rules: BlockRules,
): BlockSizes | undefined {
  const factor = valueAt(rules.ages, startS - timestampS) ?? 1
  const blockBytes = (valueAt(rules.sizes, sizeBytes) ?? 0) * factor
  if (blockBytes === 0) return undefined
  const checksumSizeBytes = valueAt(rules.checksumSizes, blockBytes) ?? CHECKSUM_SIZE_BYTES_MIN
  return { sizeBytes: blockBytes, checksumSizeBytes }
}

/**
 * Whether a file is stored as the prior backup has it, whole or in blocks of that size: blocks of another size would have
 * nothing in common with those stored.
 */
export function staysAsBefore(
  { sizeBytes }: Pick<ManifestFile, 'sizeBytes'>,
  before: ManifestFile | undefined,
): before is ManifestFile {
  if (before === undefined) return false
  const { block } = before
  if (before.sizeBytes === sizeBytes) return true
  return block !== undefined && block.mapSizeBytes > 0 && sizeBytes >= block.sizeBytes
}
