/** A storage that fails at one call: for showing that whatever a command was doing, the repository stays true. */
import { AppError, type ErrorKind } from '../../src/base/error.ts'
import { type ByteSource, collect } from '../../src/pipe/pipe.ts'
import type {
  GetRange,
  LinkEntry,
  NameEntry,
  ObjectEntry,
  PutOptions,
  Storage,
  StorageEntry,
} from '../../src/storage/storage.ts'

export interface FaultPlan {
  /** Which call fails, from 1; 0 is never. Every call of the interface counts, reading or writing. */
  readonly failAt: number
  /**
   * - `error-before`: nothing is done.
   * - `error-after`: everything is done, then the answer is lost.
   * - `partial`: half is done. A put on-sync stores half its bytes, an atomic one nothing; removeAll and removeEach
   *   remove half the objects; a get gives half the bytes; other calls do nothing.
   */
  readonly mode: 'error-before' | 'error-after' | 'partial'
  /** `dead`: nothing is done after it either, as when the process was killed. Default `works`. */
  readonly afterwards?: 'works' | 'dead'
}

export interface FaultyStorage extends Storage {
  /** Calls so far, the failed one included. */
  readonly calls: number
  /** Each call: `put archive/demo/archive.info`. */
  readonly log: readonly string[]
}

export function faultyStorage(inner: Storage, plan: FaultPlan): FaultyStorage {
  return new FailingStorage(inner, plan)
}

const WRITTEN_BYTES_MAX = 1024 * 1024 * 1024

/** What a call does: all of it, and half of it when it can be done by halves. */
interface Deed<T> {
  readonly whole: () => Promise<T>
  readonly half?: () => Promise<unknown>
}

class FailingStorage implements FaultyStorage {
  readonly log: string[] = []
  readonly #inner: Storage
  readonly #plan: FaultPlan

  constructor(inner: Storage, plan: FaultPlan) {
    this.#inner = inner
    this.#plan = plan
  }

  get calls(): number {
    return this.log.length
  }

  get location(): string {
    return this.#inner.location
  }

  async put(key: string, body: ByteSource | Buffer, options?: PutOptions): Promise<number> {
    const putHalf = async (): Promise<void> => {
      if (options?.durable !== 'on-sync') return
      const bytes = Buffer.isBuffer(body) ? body : await collect(body, WRITTEN_BYTES_MAX)
      await this.#inner.put(key, bytes.subarray(0, bytes.length / 2), options)
    }
    return await this.#call('file-write', `put ${key}`, {
      whole: async () => await this.#inner.put(key, body, options),
      half: putHalf,
    })
  }

  async *get(key: string, range?: GetRange): AsyncGenerator<Buffer, void, undefined> {
    const fails = this.#count(`get ${key}`)
    const failure = this.#failure('file-read', `get ${key}`)
    if (fails && (this.#plan.mode === 'error-before' || this.#isDead())) throw failure
    for await (const chunk of this.#inner.get(key, range)) {
      if (fails && this.#plan.mode === 'partial') {
        yield chunk.subarray(0, chunk.length / 2)
        throw failure
      }
      yield chunk
    }
    if (fails) throw failure
  }

  async stat(key: string): Promise<ObjectEntry | undefined> {
    const whole = async (): Promise<ObjectEntry | undefined> => await this.#inner.stat(key)
    return await this.#call('file-open', `stat ${key}`, { whole })
  }

  async list(prefix: string): Promise<readonly StorageEntry[]> {
    const whole = async (): Promise<readonly StorageEntry[]> => await this.#inner.list(prefix)
    return await this.#call('path-open', `list ${prefix}`, { whole })
  }

  async names(prefix: string): Promise<readonly NameEntry[]> {
    const whole = async (): Promise<readonly NameEntry[]> => await this.#inner.names(prefix)
    return await this.#call('path-open', `names ${prefix}`, { whole })
  }

  async listAll(prefix: string): Promise<readonly ObjectEntry[]> {
    const whole = async (): Promise<readonly ObjectEntry[]> => await this.#inner.listAll(prefix)
    return await this.#call('path-open', `listAll ${prefix}`, { whole })
  }

  async remove(key: string): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.remove(key)
    }
    await this.#call('file-remove', `remove ${key}`, { whole })
  }

  async removeAll(prefix: string): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.removeAll(prefix)
    }
    const half = async (): Promise<void> => {
      const objects = await this.#inner.listAll(prefix)
      for (const { name } of objects.slice(0, Math.ceil(objects.length / 2))) {
        await this.#inner.remove(prefix === '' ? name : `${prefix}/${name}`)
      }
    }
    await this.#call('path-remove', `removeAll ${prefix}`, { whole, half })
  }

  async removeEach(prefix: string, entries: readonly NameEntry[]): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.removeEach(prefix, entries)
    }
    const half = async (): Promise<void> => {
      await this.#inner.removeEach(prefix, entries.slice(0, Math.ceil(entries.length / 2)))
    }
    await this.#call('file-remove', `removeEach ${prefix}`, { whole, half })
  }

  async removeLeftOvers(prefix: string, beforeMs: number): Promise<number> {
    const whole = async (): Promise<number> => await this.#inner.removeLeftOvers(prefix, beforeMs)
    return await this.#call('file-remove', `removeLeftOvers ${prefix}`, { whole })
  }

  async sync(prefix: string): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.sync(prefix)
    }
    await this.#call('path-sync', `sync ${prefix}`, { whole })
  }

  async makePrefix(prefix: string): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.makePrefix(prefix)
    }
    await this.#call('path-create', `makePrefix ${prefix}`, { whole })
  }

  async links(prefix: string): Promise<readonly LinkEntry[]> {
    const whole = async (): Promise<readonly LinkEntry[]> => await this.#inner.links(prefix)
    return await this.#call('path-open', `links ${prefix}`, { whole })
  }

  async link(key: string, target: string): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.link(key, target)
    }
    await this.#call('file-write', `link ${key}`, { whole })
  }

  async linkFrom(key: string, existing: string): Promise<void> {
    const whole = async (): Promise<void> => {
      await this.#inner.linkFrom(key, existing)
    }
    await this.#call('file-write', `linkFrom ${key}`, { whole })
  }

  async #call<T>(kind: ErrorKind, name: string, { whole, half }: Deed<T>): Promise<T> {
    if (!this.#count(name)) return await whole()
    switch (this.#isDead() ? 'error-before' : this.#plan.mode) {
      case 'error-before':
        break
      case 'error-after':
        await whole()
        break
      case 'partial':
        await half?.()
        break
    }
    throw this.#failure(kind, name)
  }

  /** Notes the call; true when it is the one that fails. */
  #count(name: string): boolean {
    this.log.push(name)
    return this.log.length === this.#plan.failAt || this.#isDead()
  }

  #isDead(): boolean {
    const { afterwards, failAt } = this.#plan
    return afterwards === 'dead' && failAt > 0 && this.log.length > failAt
  }

  #failure(kind: ErrorKind, name: string): AppError {
    return new AppError(kind, `planned failure (${this.#plan.mode}) of '${name}'`)
  }
}
