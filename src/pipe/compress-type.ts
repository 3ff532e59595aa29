/** Compression types, their file extensions and levels. Plain facts, no codec is loaded here. Source: pgBackRest 2.60. */

export const COMPRESS_TYPES = ['none', 'gz', 'lz4', 'zst', 'bz2'] as const
export type CompressType = (typeof COMPRESS_TYPES)[number]

interface CompressLevels {
  readonly default: number
  readonly min: number
  readonly max: number
}

export const COMPRESS_LEVELS: Readonly<Record<CompressType, CompressLevels>> = {
  none: { default: 0, min: 0, max: 0 },
  gz: { default: 6, min: -1, max: 9 },
  lz4: { default: 1, min: -5, max: 12 },
  zst: { default: 3, min: -7, max: 22 },
  bz2: { default: 9, min: 1, max: 9 },
}

/** `''` for none, else `.gz`, `.lz4`, `.zst`, `.bz2`. */
export function extensionOf(type: CompressType): string {
  return type === 'none' ? '' : `.${type}`
}

/** The type a stored file's name shows by its extension; `none` when it has no known one. */
export function compressTypeOfName(name: string): CompressType {
  return COMPRESS_TYPES.find((type) => type !== 'none' && name.endsWith(`.${type}`)) ?? 'none'
}
