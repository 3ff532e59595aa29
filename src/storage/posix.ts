/**
 * Storage on a local or mounted file system.
 *
 * Temporary names, modes and the order of write, fsync, rename and directory fsync are pgBackRest's (2.60, drivers
 * `posix` and `cifs`), so both programs can work in one repository. Modes are subject to the umask. Symbolic links are
 * read through, but never listed, and never followed when removing.
 *
 * Contents are read and written by synchronous calls: they end in the page cache, and a round trip through libuv's pool
 * costs more than most of them (half the time of a backup of many small files). What waits for the disk, waits aside.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { resolve } from 'node:path'
import { AppError, errnoOf } from '../base/error.ts'
import { fdatasync, fsync, link, open, rename, stat, symlink, unlink } from '../base/files.ts'
import { compareBytes, toBytes } from '../base/text.ts'
import { KIB, MIB } from '../base/units.ts'
import type { ByteSource } from '../pipe/pipe.ts'
import { checkKey, checkPrefix, joinKey, parentOf } from './key.ts'
import { PosixTree } from './posix-tree.ts'
import type {
  GetRange,
  LinkEntry,
  NameEntry,
  ObjectEntry,
  PutOptions,
  Storage,
  StorageEntry,
} from './storage.ts'

export interface PosixStorageOptions {
  /** Directory of the repository, UTF-8. A put creates it when its parent exists; everything else needs it. */
  readonly root: string
  /** Default 0640 and 0750. */
  readonly modes?: { readonly fileMode: number; readonly pathMode: number } | undefined
}

export function openPosixStorage(options: PosixStorageOptions): Storage {
  return new PosixStorage(options)
}

/** Ends the name of every file that is not complete yet (pgBackRest 2.60). */
const TEMP_SUFFIX = '.pgbackrest.tmp'
const READ_CHUNK_BYTES = MIB

/** Most objects are small; they should not cost a whole chunk of memory each. */
const FIRST_READ_CHUNK_BYTES = 64 * KIB
/** Calls under way at once for one listing: hides latency, keeps memory small. */
const LIST_CALLS_MAX = 64

class PosixStorage implements Storage {
  readonly location: string
  readonly #tree: PosixTree
  readonly #fileMode: number

  constructor({ root, modes }: PosixStorageOptions) {
    this.location = resolve(root)
    this.#tree = new PosixTree(this.location, modes?.pathMode ?? 0o750)
    this.#fileMode = modes?.fileMode ?? 0o640
  }

  async put(key: string, body: ByteSource | Buffer, options: PutOptions = {}): Promise<number> {
    checkKey(key)
    if (options.durable === 'on-sync') return await this.#write(key, body, 'content')
    const temp = tempKey(key)
    const sizeBytes = await this.#write(temp, body, 'everything')
    await this.#moveInto(key, temp)
    await this.#tree.makeNameDurable(key)
    return sizeBytes
  }

  async *get(key: string, range?: GetRange): AsyncGenerator<Buffer, void, undefined> {
    checkKey(key)
    const file = await this.#openForRead(key)
    try {
      yield* range === undefined ? this.#readAll(file, key) : this.#readRange(file, key, range)
    } finally {
      closeSync(file)
    }
  }

  async stat(key: string): Promise<ObjectEntry | undefined> {
    checkKey(key)
    try {
      const found = await stat(this.#tree.path(key))
      if (!found.isFile()) return undefined
      const name = key.slice(key.lastIndexOf('/') + 1)
      return { kind: 'object', name, sizeBytes: found.size, modifiedMs: Math.trunc(found.mtimeMs) }
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        throw this.#tree.error('file-open', 'get info for', key, error)
      }
      await this.#tree.requireRoot()
      return undefined
    }
  }

  async list(prefix: string): Promise<readonly StorageEntry[]> {
    const names = await this.names(prefix)
    const entries: StorageEntry[] = []
    for (let at = 0; at < names.length; at += LIST_CALLS_MAX) {
      const batch = names.slice(at, at + LIST_CALLS_MAX).map(async ({ name, kind }) => {
        if (kind === 'object') return await this.stat(joinKey(prefix, name))
        return { kind, name }
      })
      // Undefined: removed since the directory was read.
      entries.push(...(await Promise.all(batch)).filter((entry) => entry !== undefined))
    }
    return entries
  }

  async names(prefix: string): Promise<readonly NameEntry[]> {
    checkPrefix(prefix)
    const entries: NameEntry[] = []
    for (const { name, kind } of await this.#tree.read(prefix)) {
      if (kind === 'other' || name.endsWith(TEMP_SUFFIX)) continue
      entries.push({ kind: kind === 'file' ? 'object' : 'prefix', name })
    }
    return entries.toSorted((left, right) => compareBytes(left.name, right.name))
  }

  async listAll(prefix: string): Promise<readonly ObjectEntry[]> {
    checkPrefix(prefix)
    const objects: ObjectEntry[] = []
    const pending = ['']
    for (let below = pending.pop(); below !== undefined; below = pending.pop()) {
      const at = below === '' ? prefix : joinKey(prefix, below)
      for (const entry of await this.list(at)) {
        const name = joinKey(below, entry.name)
        if (entry.kind === 'prefix') pending.push(name)
        else objects.push({ ...entry, name })
      }
    }
    return objects.toSorted((left, right) => compareBytes(left.name, right.name))
  }

  async remove(key: string): Promise<void> {
    checkKey(key)
    if ((await this.#tree.unlink(key)) === 'removed') {
      await this.#tree.syncDirectory(parentOf(key))
    }
  }

  async removeAll(prefix: string): Promise<void> {
    checkPrefix(prefix)
    if ((await this.#removeBelow(prefix)) === 'removed') {
      await this.#tree.syncDirectory(parentOf(prefix))
    }
  }

  async removeEach(prefix: string, entries: readonly NameEntry[]): Promise<void> {
    const keys = entries.map(({ name }) => joinKey(prefix, name))
    for (const key of keys) checkKey(key)
    const outcomes = new Set<'removed' | 'missing'>()
    for (const [index, { kind }] of entries.entries()) {
      const key = keys[index] ?? ''
      outcomes.add(await (kind === 'object' ? this.#tree.unlink(key) : this.#removeBelow(key)))
    }
    if (outcomes.has('removed')) await this.#tree.syncDirectory(prefix)
  }

  async #removeBelow(prefix: string): Promise<'removed' | 'missing'> {
    const kind = await this.#tree.kindOf(prefix)
    // An object of this very name is not below the prefix.
    if (kind === 'missing' || kind === 'file') return 'missing'
    if (kind === 'directory') await this.#tree.removeTree(prefix)
    else await this.#tree.unlink(prefix)
    return 'removed'
  }

  async removeLeftOvers(prefix: string, beforeMs: number): Promise<number> {
    checkPrefix(prefix)
    let removed = 0
    for (const { name, kind } of await this.#tree.read(prefix)) {
      if (kind === 'directory' || !name.endsWith(TEMP_SUFFIX)) continue
      const key = joinKey(prefix, name)
      const modifiedMs = await this.#tree.modifiedMs(key)
      if (modifiedMs === undefined || modifiedMs >= beforeMs) continue
      if ((await this.#tree.unlink(key)) === 'removed') removed += 1
    }
    return removed
  }

  async sync(prefix: string): Promise<void> {
    checkPrefix(prefix)
    if ((await this.#tree.kindOf(prefix)) === 'directory') await this.#tree.syncTree(prefix)
  }

  async makePrefix(prefix: string): Promise<void> {
    checkPrefix(prefix)
    await this.#tree.make(prefix)
  }

  async links(prefix: string): Promise<readonly LinkEntry[]> {
    checkPrefix(prefix)
    const entries: LinkEntry[] = []
    for (const { name, kind } of await this.#tree.read(prefix)) {
      const target =
        kind === 'other' ? await this.#tree.linkTarget(joinKey(prefix, name)) : undefined
      if (target !== undefined) entries.push({ name, target })
    }
    return entries.toSorted((left, right) => compareBytes(left.name, right.name))
  }

  async link(key: string, target: string): Promise<void> {
    checkKey(key)
    const temp = tempKey(key)
    await this.#tree.withParents(temp, async () => {
      await symlink(toBytes(target), this.#tree.path(temp))
    })
    await this.#moveInto(key, temp)
  }

  async linkFrom(key: string, existing: string): Promise<void> {
    checkKey(key)
    checkKey(existing)
    if ((await this.stat(existing)) === undefined) {
      const message = `unable to open missing file ${this.#tree.shown(existing)} to link it`
      throw new AppError('file-missing', message)
    }
    const from = this.#tree.path(existing)
    const to = this.#tree.path(key)
    await this.#tree.withParents(key, async () => {
      try {
        await link(from, to)
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error
        await unlink(to)
        await link(from, to)
      }
    })
  }

  async #moveInto(key: string, temp: string): Promise<void> {
    try {
      await rename(this.#tree.path(temp), this.#tree.path(key))
    } catch (error) {
      await this.#discard(temp)
      throw this.#tree.error('file-move', 'move temporary file to', key, error)
    }
  }

  /** Writes and syncs a new file: its content and size, or `everything` fsync knows of. Leaves nothing on error. */
  async #write(
    key: string,
    body: ByteSource | Buffer,
    synced: 'content' | 'everything',
  ): Promise<number> {
    const file = await this.#create(key)
    try {
      const sizeBytes = await this.#writeBody(file, key, body)
      await this.#tree.attempt('file-sync', 'sync file', key, async () => {
        await (synced === 'content' ? fdatasync(file) : fsync(file))
      })
      return sizeBytes
    } catch (error) {
      await this.#discard(key)
      throw error
    } finally {
      closeSync(file)
    }
  }

  /** Always a new file: writing into the old one would change every older backup that is hard-linked to it. */
  async #create(key: string): Promise<number> {
    const path = this.#tree.path(key)
    return await this.#tree.withParents(key, async () => {
      try {
        return openSync(path, 'wx', this.#fileMode)
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error
      }
      await unlink(path)
      return openSync(path, 'wx', this.#fileMode)
    })
  }

  async #writeBody(file: number, key: string, body: ByteSource | Buffer): Promise<number> {
    if (Buffer.isBuffer(body)) return this.#writeChunk(file, key, body)
    let sizeBytes = 0
    for await (const chunk of body) sizeBytes += this.#writeChunk(file, key, chunk)
    return sizeBytes
  }

  #writeChunk(file: number, key: string, chunk: Buffer): number {
    try {
      for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at)
    } catch (error) {
      throw this.#tree.error('file-write', 'write file', key, error)
    }
    return chunk.length
  }

  /** Removes what a failed write left. Its own failure would hide the reason, and left-overs are never listed. */
  async #discard(key: string): Promise<void> {
    await unlink(this.#tree.path(key)).catch(() => undefined)
  }

  async #openForRead(key: string): Promise<number> {
    try {
      // Not synchronous: a loop of reads must let others have their turn.
      return await open(this.#tree.path(key), 'r')
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.#tree.error('file-open', 'open file', key, error)
      await this.#tree.requireRoot()
      throw this.#tree.error('file-missing', 'open missing file', key, error)
    }
  }

  async *#readAll(file: number, key: string): AsyncGenerator<Buffer, void, undefined> {
    let buffer = Buffer.allocUnsafeSlow(FIRST_READ_CHUNK_BYTES)
    for (;;) {
      const bytesRead = this.#readChunk(file, key, buffer)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
      const hasMore = bytesRead === buffer.length
      if (hasMore && bytesRead < READ_CHUNK_BYTES) buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES)
    }
  }

  async *#readRange(
    file: number,
    key: string,
    { offsetBytes, sizeBytes }: GetRange,
  ): AsyncGenerator<Buffer, void, undefined> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(sizeBytes, READ_CHUNK_BYTES))
    for (let done = 0; done < sizeBytes; ) {
      const wanted = buffer.subarray(0, sizeBytes - done)
      const bytesRead = this.#readChunk(file, key, wanted, offsetBytes + done)
      if (bytesRead === 0) {
        const range = `${sizeBytes} bytes at offset ${offsetBytes}`
        const message = `unable to read ${range} of ${this.#tree.shown(key)}: it is too short`
        throw new AppError('format', message)
      }
      done += bytesRead
      yield wanted.subarray(0, bytesRead)
    }
  }

  #readChunk(file: number, key: string, buffer: Buffer, offsetBytes: number | null = null): number {
    try {
      return readSync(file, buffer, 0, buffer.length, offsetBytes)
    } catch (error) {
      // A directory: a prefix of other objects, not an object itself.
      if (errnoOf(error) !== 'EISDIR') throw this.#tree.error('file-read', 'read', key, error)
      throw this.#tree.error('file-missing', 'open missing file', key, error)
    }
  }
}

function tempKey(key: string): string {
  // Unique, so that two writers of one key never write into each other's file.
  return `${key}.${randomUUID().slice(0, 8)}${TEMP_SUFFIX}`
}
