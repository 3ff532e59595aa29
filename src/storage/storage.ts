/**
 * Storage: where a repository's objects live. Shaped for object stores as well as disks.
 *
 * Objects are written whole, once; there is no rename, append or partial write that a caller can see. Not for: what the
 * objects mean, encryption, retries of whole commands.
 *
 * Keys are byte strings (base/text.ts) relative to the repository's root, `/` between parts, no leading `/`, no empty,
 * `.` or `..` part.
 *
 * Errors, for every driver, checked by the contract suite:
 * - `file-missing`: the object is certainly not there.
 * - A storage that cannot be reached or does not allow the call is never `file-missing`, nor an empty list: `path-missing`
 *   (the root itself is not there), `file-open` / `path-open` (denied), `file-read`, `file-write`, `file-sync`,
 *   `file-close`, `file-move`, `file-remove`, `path-create`, `path-remove`, `path-sync`, `host-connect`.
 * - `param-invalid`: not a key. What a source of bytes throws comes out of `put` unchanged.
 */
import type { ByteSource } from '../pipe/pipe.ts'

export interface ObjectEntry {
  readonly kind: 'object'
  /** Name relative to the listed prefix. */
  readonly name: string
  readonly sizeBytes: number
  readonly modifiedMs: number
}

/** What a name stands for, as a listing without sizes and times tells it. */
export interface NameEntry {
  readonly kind: 'object' | 'prefix'
  readonly name: string
}

export interface PrefixEntry {
  /** A "directory": some object has this prefix (on disks it may also be an empty directory). */
  readonly kind: 'prefix'
  readonly name: string
}

export interface LinkEntry {
  readonly name: string
  /** As it stands in the link, a byte string. */
  readonly target: string
}

export type StorageEntry = ObjectEntry | PrefixEntry

export interface PutOptions {
  /**
   * `now` (default): atomic and durable when the call resolves; readers see the old object or the new one, never a part.
   * `on-sync`: for objects that nothing points to yet (the files of a backup in progress). The content is durable when
   * `put` resolves, its name only after a later `sync` of a prefix above it; not atomic.
   */
  readonly durable?: 'now' | 'on-sync'
}

export interface GetRange {
  /** First byte, from 0. */
  readonly offsetBytes: number
  /** Number of bytes. An object that ends before them is `format`: it is there, and wrong. */
  readonly sizeBytes: number
}

export interface Storage {
  /** For messages: `/var/lib/pgbackrest`, `s3://bucket/path`. Holds no secret. */
  readonly location: string
  /**
   * Writes one object; resolves to the number of bytes stored. After an error the key holds the old object, none, or (when
   * only the last step failed) the whole new one; never a part of one, except after a crash during an `on-sync` put.
   */
  put(key: string, body: ByteSource | Buffer, options?: PutOptions): Promise<number>
  /** Bytes of one object, in chunks of at most 1 MiB. Errors surface at the first pull. */
  get(key: string, range?: GetRange): ByteSource
  /** Size and time of one object (named by the last part of its key); undefined only when it is certainly not there. */
  stat(key: string): Promise<ObjectEntry | undefined>
  /** One level below `prefix` (no trailing `/`; `''` is the root), sorted by name in byte order; [] when there is nothing. */
  list(prefix: string): Promise<readonly StorageEntry[]>
  /** What `list` gives, without what costs a call for each object. */
  names(prefix: string): Promise<readonly NameEntry[]>
  /** Every object below `prefix`, names relative to it, sorted in byte order. */
  listAll(prefix: string): Promise<readonly ObjectEntry[]>
  /** Removes one object; no error when it is not there. Durable when resolved. */
  remove(key: string): Promise<void>
  /**
   * Removes every object below `prefix`, on disks also its directories, links (never what they point to) and left-overs
   * of interrupted puts. No error when there is nothing.
   */
  removeAll(prefix: string): Promise<void>
  /**
   * Removes entries directly below `prefix`, one after the other in their order: objects as `remove`, prefixes as `removeAll`.
   * What an interrupted call leaves are the last of them. Durable when resolved, all at once.
   */
  removeEach(prefix: string, entries: readonly NameEntry[]): Promise<void>
  /**
   * Removes what interrupted puts left directly below `prefix` and nobody has written to since `beforeMs`; how many. A put
   * that is still under way then fails, and does no harm. Stores without such left-overs have nothing to do.
   */
  removeLeftOvers(prefix: string, beforeMs: number): Promise<number>
  /** Makes the names of everything written below `prefix` with `on-sync` durable. */
  sync(prefix: string): Promise<void>
  /** Makes a directory that may stay empty, on disks; a no-op elsewhere. Durable after a `sync` of a prefix above it. */
  makePrefix(prefix: string): Promise<void>
  /** Human-only links directly below `prefix`, sorted by name in byte order; `list` leaves them out. */
  links(prefix: string): Promise<readonly LinkEntry[]>
  /** Points a human-only link `key` at `target` (disks only; a no-op on stores without links). */
  link(key: string, target: string): Promise<void>
  /**
   * Makes `key` a second name of the object `existing`, on disks; a no-op on stores where an object has one name. Nothing is
   * copied, and a later `put` of either leaves the other as it was. Durable after a `sync` of a prefix above it.
   */
  linkFrom(key: string, existing: string): Promise<void>
}
