import { closeSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { AppError, type ErrorKind, errnoOf } from '../base/error.ts'
import { fsync, lstat, mkdir, open, readdir, readlink, rmdir, stat } from '../base/files.ts'
import { toBytes, toHumanText } from '../base/text.ts'
import { joinKey, parentOf } from './key.ts'
import { attempt, systemError } from './posix-error.ts'

interface TreeItem {
  readonly name: string
  /** `other`: links, which are never followed here, sockets and the like. */
  readonly kind: 'file' | 'directory' | 'other'
}

/** After so many synchronous calls others have their turn: signals, above all. */
const CALLS_IN_A_ROW = 64

/** The directories of a repository on disk: where a key lies, and what makes names appear, last and go. */
export class PosixTree {
  readonly #root: string
  readonly #rootBytes: Buffer
  readonly #pathMode: number
  /** Directories whose own name is known to be on disk. The root's is taken to be, until this creates the root. */
  readonly #durable = new Set<string>([''])

  #unlinks = 0

  /** `root` is absolute, UTF-8. */
  constructor(root: string, pathMode: number) {
    this.#root = root
    this.#rootBytes = Buffer.from(root)
    this.#pathMode = pathMode
  }

  path(key: string): Buffer {
    return Buffer.concat([this.#rootBytes, toBytes(`/${key}`)])
  }

  /** The full path in quotes, for messages. */
  shown(key: string): string {
    return `'${this.#root}${key === '' ? '' : '/'}${toHumanText(key)}'`
  }

  /** Runs `call`; a system error becomes `kind`, `unable to <verb> <path>: …`. */
  async attempt<T>(kind: ErrorKind, verb: string, key: string, call: () => Promise<T>): Promise<T> {
    return await attempt(kind, `unable to ${verb} ${this.shown(key)}`, call)
  }

  error(kind: ErrorKind, verb: string, key: string, cause: unknown): unknown {
    return systemError(kind, `unable to ${verb} ${this.shown(key)}`, cause)
  }

  /** Throws `path-missing` when the root is not there: then nothing below it can be called missing. */
  async requireRoot(): Promise<void> {
    try {
      await stat(this.#rootBytes)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') throw this.#rootMissing(error)
      throw this.error('path-open', 'get info for path', '', error)
    }
  }

  #rootMissing(cause: unknown): AppError {
    return new AppError('path-missing', `repository path ${this.shown('')} does not exist`, {
      hint: 'is the file system of the repository mounted?',
      cause,
    })
  }

  async kindOf(key: string): Promise<TreeItem['kind'] | 'missing'> {
    try {
      return itemKind(await lstat(this.path(key)))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('path-open', 'get info for', key, error)
      await this.requireRoot()
      return 'missing'
    }
  }

  /** Of a link its own; undefined when it is missing. */
  async modifiedMs(key: string): Promise<number | undefined> {
    try {
      return (await lstat(this.path(key))).mtimeMs
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('path-open', 'get info for', key, error)
      return undefined
    }
  }

  /** What lies directly in a directory, in no order; [] when it is missing. */
  async read(key: string): Promise<readonly TreeItem[]> {
    try {
      const items = await readdir(this.path(key), { encoding: 'buffer', withFileTypes: true })
      return items.map((item) => ({ name: item.name.toString('latin1'), kind: itemKind(item) }))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('path-open', 'list path', key, error)
      await this.requireRoot()
      return []
    }
  }

  /** Undefined for what is no link, or not there any more. */
  async linkTarget(key: string): Promise<string | undefined> {
    try {
      return (await readlink(this.path(key), { encoding: 'buffer' })).toString('latin1')
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EINVAL') return undefined
      throw this.error('file-open', 'read link', key, error)
    }
  }

  /** Runs `create`; when a directory above `key` is missing, makes it and runs `create` once more. */
  async withParents<T>(key: string, create: () => Promise<T>): Promise<T> {
    try {
      return await create()
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('file-open', 'create', key, error)
    }
    await this.make(parentOf(key))
    return await this.attempt('file-open', 'create', key, create)
  }

  /** Makes the directory and those above it. The root is made only in an existing directory. */
  async make(key: string): Promise<void> {
    try {
      await this.#makeOne(key)
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('path-create', 'create path', key, error)
      if (key === '') throw this.#rootMissing(error)
      await this.make(parentOf(key))
      await this.attempt('path-create', 'create path', key, async () => {
        await this.#makeOne(key)
      })
    }
  }

  async #makeOne(key: string): Promise<void> {
    try {
      await mkdir(this.path(key), this.#pathMode)
      this.#durable.delete(key)
    } catch (error) {
      if (errnoOf(error) !== 'EEXIST') throw error
    }
  }

  /**
   * Syncs the directory of `key`, and once per directory above it the name of that directory, whoever made it:
   * another process may have done so a moment ago and not synced it yet.
   */
  async makeNameDurable(key: string): Promise<void> {
    const fresh: string[] = []
    const syncs = [this.syncDirectory(parentOf(key))]
    for (let at = parentOf(key); at !== ''; at = parentOf(at)) {
      if (this.#durable.has(at)) continue
      syncs.push(this.syncDirectory(parentOf(at)))
      fresh.push(at)
    }
    if (!this.#durable.has('')) {
      const above = dirname(this.#root)
      syncs.push(syncPath(above, `'${above}'`))
      fresh.push('')
    }
    // No name depends on another one: only all of them count.
    await Promise.all(syncs)
    for (const at of fresh) this.#durable.add(at)
  }

  async syncDirectory(key: string): Promise<void> {
    await syncPath(this.path(key), this.shown(key))
  }

  /** Syncs the directory, everything below it, and the directories above it up to the root. */
  async syncTree(key: string): Promise<void> {
    const pending = [key]
    for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
      await this.syncDirectory(at)
      for (const item of await this.read(at)) {
        if (item.kind === 'directory') pending.push(joinKey(at, item.name))
      }
    }
    for (let at = key; at !== ''; at = parentOf(at)) await this.syncDirectory(parentOf(at))
  }

  /** `missing` when there was nothing to remove. A synchronous call, because thousands go one after the other. */
  async unlink(key: string): Promise<'removed' | 'missing'> {
    this.#unlinks += 1
    if (this.#unlinks % CALLS_IN_A_ROW === 0) await setImmediate()
    try {
      unlinkSync(this.path(key))
      return 'removed'
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('file-remove', 'remove file', key, error)
      await this.requireRoot()
      return 'missing'
    }
  }

  /** Removes everything in the directory, then the directory itself unless it is the root. */
  async removeTree(key: string): Promise<void> {
    for (const { name, kind } of await this.read(key)) {
      if (kind === 'directory') await this.removeTree(joinKey(key, name))
      else await this.unlink(joinKey(key, name))
    }
    if (key === '') return
    try {
      await rmdir(this.path(key))
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw this.error('path-remove', 'remove path', key, error)
    }
  }
}

function itemKind(item: { isFile(): boolean; isDirectory(): boolean }): TreeItem['kind'] {
  if (item.isFile()) return 'file'
  return item.isDirectory() ? 'directory' : 'other'
}

async function syncPath(path: Buffer | string, shown: string): Promise<void> {
  const directory = await attempt(
    'path-open',
    `unable to open path ${shown} for sync`,
    async () => await open(path, 'r'),
  )
  try {
    await fsync(directory)
  } catch (error) {
    // Some mounted file systems (CIFS) cannot sync directories; pgBackRest 2.60 does not try to there.
    if (errnoOf(error) === 'EINVAL') return
    throw systemError('path-sync', `unable to sync path ${shown}`, error)
  } finally {
    closeSync(directory)
  }
}
