/**
 * What a fingerprint of a database is: plain data that two servers of different major versions can both compute, and that one
 * file of a dump set holds.
 *
 * A table's digest is the sum, modulo 2^256, of the BLAKE2s-256 of every row, taken as a little-endian number. A row is its line of
 * `COPY (SELECT …) TO STDOUT` without the line feed: its columns in byte order of their names, each in the text form of
 * FINGERPRINT_SETTINGS (fingerprint/settings.ts), `"char"` as a number. The sum does not depend on the order of rows, and counts a row that is there twice twice. Anybody can
 * compute it again with psql and ten lines of a script.
 */

/** How much of a table's content its digest covers. */
export type TableCoverage =
  /** Every row. */
  | { readonly kind: 'full' }
  /** All rows are counted; the digest is that of the rows whose key falls into the sample, the same on every server. */
  | { readonly kind: 'sampled'; readonly percent: number }
  /** All rows are counted, and nothing more. */
  | { readonly kind: 'counted' }

export interface TableFingerprint {
  readonly schema: string
  readonly name: string
  /** Of the table, in the database it was taken from: pg_restore's lists name it. */
  readonly oid: number
  /** Names in the order in which they stand in a row's line. */
  readonly columns: readonly string[]
  readonly coverage: TableCoverage
  /** Decimal digits. */
  readonly rows: string
  /**
   * Set on a partition below a table that is partitioned by the hash of an enum. Enum values hash by OIDs, which a restored database
   * has anew: there its rows are in whichever of that table's partitions, and only all of these together are the same.
   */
  readonly spreadBelow?: { readonly schema: string; readonly name: string }
  /** 64 hex digits; absent when rows are only counted. */
  readonly digest?: string
  /** Rows by the first byte of their hash, to tell how many differ: see row-buckets.ts. */
  readonly buckets?: string
}

export interface SequenceFingerprint {
  readonly schema: string
  readonly name: string
  /** Decimal digits. */
  readonly lastValue: string
  readonly isCalled: boolean
  /**
   * No snapshot holds a sequence still: its value some time after the dump read it, when it has moved since this one was read.
   * The dump's is between the two.
   */
  readonly later?: { readonly lastValue: string; readonly isCalled: boolean }
}

export interface LargeObjectsFingerprint {
  readonly count: string
  readonly sizeBytes: string
  /**
   * As a table's, of lines `oid TAB size TAB \\N` and `oid TAB offset TAB piece`: pieces of 2048 bytes, in hex digits without the
   * zero digits at their end. A piece that is all zeros has no line, as a hole has none.
   */
  readonly digest: string
}

/** One thing the schema says: a table's column, an index, a policy, a grant. Two schemas are equal when their facts are. */
export interface SchemaFact {
  /** `table`, `column`, `constraint`, `index`, `trigger`, `policy`, `grant`, `extension` and so on. */
  readonly kind: string
  /** Unique within the kind; as a person would write it: `public.orders`, `public.orders.total`. */
  readonly name: string
  /** What must be equal, without anything that servers or versions decide: names of schemas in full, no OIDs. */
  readonly definition: string
  /** Catalog and OID as pg_restore's list has them, where it has. */
  readonly oid?: number
  /** OID of the table it belongs to. */
  readonly tableOid?: number
}

export const UNCOVERED_KINDS = [
  'foreign table',
  'generated column',
  'unlogged table',
  'unlogged sequence',
  'materialized view',
  'large objects',
] as const

/** What no digest covers, and why. */
export interface Uncovered {
  readonly kind: (typeof UNCOVERED_KINDS)[number]
  readonly name: string
  readonly reason: string
}

export interface DatabaseFingerprint {
  readonly version: 1
  /** Major version of the server: `15`. Facts that a server words itself compare within one version only. */
  readonly serverMajor: number
  /** Of the server's text, `UTF8`: a sample is chosen by bytes. */
  readonly encoding: string
  readonly tables: readonly TableFingerprint[]
  readonly sequences: readonly SequenceFingerprint[]
  readonly largeObjects: LargeObjectsFingerprint
  readonly facts: readonly SchemaFact[]
  readonly uncovered: readonly Uncovered[]
}
