/**
 * A data directory with a true pg_control and a handful of files, and WAL segments with true headers, without a server: a
 * whole life of backups fits into seconds. And what all of it was, for comparing.
 */
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { postgresBin } from '../harness/peers.ts'
import { runAs, unprivileged } from '../harness/run.ts'
import { segment } from '../harness/stand-in.ts'

/** Name in the manifest → SHA-1. */
export type Snapshot = ReadonlyMap<string, string>

const FILES_MAX = 12

export class TinyCluster {
  readonly dataDir: string
  readonly #folder: string
  readonly #random: () => number
  readonly #segment: Buffer
  #segments = 0

  private constructor(folder: string, random: () => number) {
    this.#folder = folder
    this.#random = random
    this.dataDir = join(folder, 'data')
    const real = join(folder, 'real')
    for (const name of ['global', 'base/1', 'pg_wal', 'pg_tblspc']) {
      mkdirSync(join(this.dataDir, name), { recursive: true, mode: 0o700 })
    }
    for (const name of ['PG_VERSION', 'global/pg_control']) {
      copyFileSync(join(real, name), join(this.dataDir, name))
    }
    const first = readdirSync(join(real, 'pg_wal')).find((name) => /^0{7}1/.test(name))
    this.#segment = readFileSync(join(real, 'pg_wal', first ?? ''))
  }

  /** Runs initdb, in a process of the unprivileged user. */
  static async prepare(folder: string): Promise<void> {
    const initdb = join(await postgresBin('15'), 'initdb')
    const real = join(folder, 'real')
    await runAs([initdb, '-D', real, '-U', unprivileged.name, '--no-sync', '--wal-segsize=1'])
  }

  static open(folder: string, random: () => number): TinyCluster {
    return new TinyCluster(folder, random)
  }

  /** Adds, changes and removes a few files, at this time. */
  change(nowMs: number): void {
    const below = join(this.dataDir, 'base/1')
    for (let count = Math.floor(this.#random() * 4); count >= 0; count -= 1) {
      const path = join(below, String(16_384 + Math.floor(this.#random() * FILES_MAX)))
      if (this.#random() < 0.2) {
        rmSync(path, { force: true })
        continue
      }
      const size = this.#random() < 0.1 ? 0 : 1 + Math.floor(this.#random() * 20_000)
      writeFileSync(path, this.#bytes(size))
      utimesSync(path, nowMs / 1000, nowMs / 1000)
    }
  }

  /** A full WAL segment, its number the next one. */
  nextSegment(): { readonly path: string; readonly name: string; readonly checksum: string } {
    this.#segments += 1
    const name = segment(1, this.#segments)
    const content = Buffer.from(this.#segment)
    // Where it stands in the WAL.
    content.writeBigUInt64LE(BigInt(this.#segments * content.length), 8)
    this.#bytes(1000).copy(content, 8192)
    const path = join(this.#folder, name)
    writeFileSync(path, content)
    return { path, name, checksum: sha1(content) }
  }

  snapshot(): Snapshot {
    const files = new Map<string, string>()
    for (const entry of readdirSync(this.dataDir, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      files.set(`pg_data${path.slice(this.dataDir.length)}`, sha1(readFileSync(path)))
    }
    return files
  }

  #bytes(size: number): Buffer {
    return Buffer.from(Array.from({ length: size }, () => Math.floor(this.#random() * 256)))
  }
}

export function sha1(content: Buffer): string {
  return createHash('sha1').update(content).digest('hex')
}
