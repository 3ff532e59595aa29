/**
 * The repository format: info files, manifests, labels, WAL names and where each of them is kept.
 *
 * Pure: text in, values out. Every text is a byte string (base/text.ts), because file names are bytes. Not for: reading
 * or writing anything, encryption, compression, block maps, or deciding what to do with what was read.
 *
 * Everything here follows pgBackRest 2.60 writing format 5, and reads what older versions wrote in format 5. Format 6, an
 * internal option of 2.60, is read only.
 */

/** The one format this program writes: `backrest-format`. */
export const FORMAT_NUMBER = 5

/** The formats it reads. */
export type Format = typeof FORMAT_NUMBER | 6

export function isFormat(value: unknown): value is Format {
  return value === FORMAT_NUMBER || value === 6
}

/** What this program writes as `backrest-version`. pgBackRest accepts any text there. */
export const WRITER_VERSION = 'pgsurety 0.1.0'
