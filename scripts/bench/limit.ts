/**
 * What no backup can beat on this machine: every core reads, hashes (SHA-1) and compresses (zst-3) the files of a cluster
 * with native code, and does nothing else. What is compressed goes nowhere.
 *
 *   node scripts/bench/limit.ts FOLDER
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { constants, zstdCompressSync } from 'node:zlib'

const PIECE_BYTES = 2 * 1024 * 1024

export function limitCommand(dataDir: string): readonly string[] {
  return [process.execPath, import.meta.filename, dataDir]
}

function spend(path: string, buffer: Buffer): void {
  const file = openSync(path, 'r')
  const hash = createHash('sha1')
  const params = { [constants.ZSTD_c_compressionLevel]: 3 }
  for (;;) {
    const got = readSync(file, buffer)
    if (got === 0) break
    hash.update(buffer.subarray(0, got))
    // Room for all of it: libzstd then compresses from buffer to buffer.
    const chunkSize = got + Math.ceil(got / 256) + 1024
    zstdCompressSync(buffer.subarray(0, got), { params, chunkSize })
  }
  hash.digest()
  closeSync(file)
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('/pg_wal'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted((left, right) => statSync(right).size - statSync(left).size)
}

/** Each thread takes the next file that none has taken. */
function work(files: readonly string[], taken: Int32Array): void {
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES)
  for (;;) {
    const path = files[Atomics.add(taken, 0, 1)]
    if (path === undefined) return
    spend(path, buffer)
  }
}

interface Share {
  readonly files: readonly string[]
  readonly taken: Int32Array
}

const isShare = (value: unknown): value is Share =>
  typeof value === 'object' && value !== null && 'files' in value && 'taken' in value

if (!isMainThread && isShare(workerData)) work(workerData.files, workerData.taken)

if (isMainThread && process.argv[1] === import.meta.filename) {
  const share: Share = {
    files: filesBelow(process.argv[2] ?? '.'),
    taken: new Int32Array(new SharedArrayBuffer(4)),
  }
  const url = new URL(import.meta.url)
  for (let thread = 1; thread < availableParallelism(); thread += 1) {
    new Worker(url, { workerData: share }).on('error', (error: Error) => {
      throw error
    })
  }
  work(share.files, share.taken)
}
