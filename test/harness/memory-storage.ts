/** A storage that is a map: what thousands of damaged repositories are made of without copying one. */
import { AppError } from '../../src/base/error.ts'
import { compareBytes } from '../../src/base/text.ts'
import { type ByteSource, collect } from '../../src/pipe/pipe.ts'
import type {
  GetRange,
  LinkEntry,
  NameEntry,
  ObjectEntry,
  Storage,
  StorageEntry,
} from '../../src/storage/storage.ts'

const WRITTEN_BYTES_MAX = 1024 * 1024 * 1024

export class MemoryStorage implements Storage {
  readonly location = 'memory'
  readonly #objects: Map<string, Buffer>

  /** The map is read and written as it is. */
  constructor(objects: Map<string, Buffer>) {
    this.#objects = objects
  }

  async put(key: string, body: ByteSource | Buffer): Promise<number> {
    const bytes = Buffer.isBuffer(body) ? Buffer.from(body) : await collect(body, WRITTEN_BYTES_MAX)
    this.#objects.set(key, bytes)
    return bytes.length
  }

  async *get(key: string, range?: GetRange): AsyncGenerator<Buffer, void, undefined> {
    const bytes = await Promise.resolve(this.#objects.get(key))
    if (bytes === undefined) throw new AppError('file-missing', `'${key}' is not there`)
    const { offsetBytes, sizeBytes } = range ?? { offsetBytes: 0, sizeBytes: bytes.length }
    const part = bytes.subarray(offsetBytes, offsetBytes + sizeBytes)
    if (part.length > 0) yield part
    if (part.length < sizeBytes) throw new AppError('format', `'${key}' is too short`)
  }

  async stat(key: string): Promise<ObjectEntry | undefined> {
    const bytes = await Promise.resolve(this.#objects.get(key))
    return bytes && entryOf(key.slice(key.lastIndexOf('/') + 1), bytes)
  }

  async list(prefix: string): Promise<readonly StorageEntry[]> {
    const entries = new Map<string, StorageEntry>()
    for (const { name, ...rest } of await this.listAll(prefix)) {
      const [first = '', ...more] = name.split('/')
      entries.set(first, more.length === 0 ? { ...rest, name } : { kind: 'prefix', name: first })
    }
    return [...entries.values()].toSorted((left, right) => compareBytes(left.name, right.name))
  }

  async names(prefix: string): Promise<readonly NameEntry[]> {
    return (await this.list(prefix)).map(({ kind, name }) => ({ kind, name }))
  }

  async listAll(prefix: string): Promise<readonly ObjectEntry[]> {
    const start = prefix === '' ? '' : `${prefix}/`
    const keys = await Promise.resolve([...this.#objects].filter(([key]) => key.startsWith(start)))
    return keys
      .map(([key, bytes]) => entryOf(key.slice(start.length), bytes))
      .toSorted((left, right) => compareBytes(left.name, right.name))
  }

  async remove(key: string): Promise<void> {
    await Promise.resolve(this.#objects.delete(key))
  }

  async removeAll(prefix: string): Promise<void> {
    for (const { name } of await this.listAll(prefix)) this.#objects.delete(`${prefix}/${name}`)
  }

  async removeEach(prefix: string, entries: readonly NameEntry[]): Promise<void> {
    for (const { kind, name } of entries) {
      const key = prefix === '' ? name : `${prefix}/${name}`
      if (kind === 'object') await this.remove(key)
      else await this.removeAll(key)
    }
  }

  async removeLeftOvers(): Promise<number> {
    return await Promise.resolve(0)
  }

  async sync(): Promise<void> {}

  async makePrefix(): Promise<void> {}

  async links(): Promise<readonly LinkEntry[]> {
    return await Promise.resolve([])
  }

  async linkFrom(): Promise<void> {}

  async link(): Promise<void> {}
}

function entryOf(name: string, bytes: Buffer): ObjectEntry {
  return { kind: 'object', name, sizeBytes: bytes.length, modifiedMs: 0 }
}
