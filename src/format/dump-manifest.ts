/**
 * The manifest of a dump set: what it holds, of which moment, and the digests that tell whether it still is what was written.
 *
 * `dump/<stanza>/<label>/manifest.json` is written last: a set without it does not exist.
 */

/** One stored object of a set. */
export interface DumpObject {
  /** Below the set's prefix: `0001-orders.dump.zst`. */
  readonly name: string
  /** As stored: compressed, encrypted. */
  readonly sizeBytes: number
  /** SHA-256 of what is stored, 64 hex digits. */
  readonly sha256: string
  /** As pg_dump wrote it. */
  readonly contentSizeBytes: number
  readonly contentSha256: string
}

/** An archive of pg_dump, in its custom format. */
export interface DumpArchive extends DumpObject {
  /**
   * `whole`: all of the database. With several jobs a database is one `schema` (everything but data) and several `data`, of one
   * snapshot: stock pg_restore takes them one after the other, sections pre-data, data, post-data.
   */
  readonly part: 'whole' | 'schema' | 'data'
}

/** What CREATE DATABASE and ALTER DATABASE must say to make a database like the source. */
export interface DatabaseDefinition {
  readonly owner: string
  readonly encoding: string
  /** `libc`, `icu`, `builtin`. */
  readonly localeProvider: string
  readonly collate: string
  readonly ctype: string
  /** Of ICU and the builtin provider. */
  readonly locale: string | null
  readonly icuRules: string | null
  readonly collationVersion: string | null
  readonly tablespace: string
  readonly connectionLimit: number
  readonly comment: string | null
  /** `datacl` as `GRANT`s would say it: who, which privilege, may grant on; null when it was never changed. */
  readonly grants:
    | readonly {
        readonly grantee: string
        readonly privilege: string
        readonly grantable: boolean
      }[]
    | null
  /** Of pg_db_role_setting: role null is every role. */
  readonly settings: readonly DatabaseSetting[]
}

export interface DatabaseSetting {
  readonly role: string | null
  readonly name: string
  readonly value: string
}

export interface DumpedDatabase {
  readonly name: string
  readonly oid: number
  readonly sizeBytes: number
  readonly definition: DatabaseDefinition
  /** The moment of the dump's and the fingerprint's common snapshot. */
  readonly snapshot: {
    /** As pg_export_snapshot named it. */
    readonly id: string
    /** As pg_current_snapshot said it: `xmin:xmax:xip`. */
    readonly transactions: string
    readonly lsn: string
    readonly timeMs: number
  }
  readonly archives: readonly DumpArchive[]
  /** A DatabaseFingerprint as JSON; absent when none was asked for. */
  readonly fingerprint: DumpObject | null
  readonly dumpMs: number
  readonly fingerprintMs: number
}

export interface DumpManifest {
  readonly version: 1
  /** `20261123-140501L`. */
  readonly label: string
  readonly stanza: string
  /** Of pgsurety. */
  readonly toolVersion: string
  readonly startedMs: number
  readonly endedMs: number
  readonly server: {
    /** `17.11`. */
    readonly version: string
    readonly systemId: string
    readonly inRecovery: boolean
    readonly timeline: number
  }
  /** Of pg_dump. */
  readonly clientVersion: string
  readonly compressType: string
  readonly compressLevel: number
  readonly cipher: { readonly type: string; readonly keyId: string } | null
  /** Roles, tablespaces and their settings as SQL; `withoutPasswords` when the user may not read them. */
  readonly globals: (DumpObject & { readonly withoutPasswords: boolean }) | null
  readonly databases: readonly DumpedDatabase[]
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
}
