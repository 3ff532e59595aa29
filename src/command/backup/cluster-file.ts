/** Reading one file of a cluster that may be growing, shrinking or going while it is read. */
import { openSync, readSync } from 'node:fs'
import { AppError, errnoOf } from '../../base/error.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import { lendBuffer } from '../../pipe/codecs.ts'
import type { ByteSource } from '../../pipe/pipe.ts'
import type { Did } from '../../worker/message.ts'

/** A descriptor, or undefined when the file is gone. */
export function openClusterFile(diskPath: string): number | undefined {
  try {
    return openSync(toBytes(diskPath), 'r')
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return undefined
    throw new AppError(
      'file-open',
      `unable to open file '${toHumanText(diskPath)}' for read: ${errno ?? String(error)}`,
      {
        hint: 'backup must run as the user that owns the cluster, or one that may read its files.',
        cause: error,
      },
    )
  }
}

interface Reading {
  readonly file: number
  /** For messages. */
  readonly diskPath: string
  /** Size when the manifest was built. */
  readonly sizeBytes: number
  /** `exact`: no byte past `sizeBytes`; `to-end`: as long as the file is now. */
  readonly extent: 'exact' | 'to-end'
  readonly bufferBytes: number
}

/** Two buffers in turn, as `ahead` needs them. */
export async function* readClusterFile(reading: Reading): ByteSource {
  const { sizeBytes, extent, bufferBytes } = reading
  const limit = extent === 'exact' ? sizeBytes : Number.MAX_SAFE_INTEGER
  const chunkBytes = Math.max(1, Math.min(bufferBytes, limit))
  using lent = lendBuffer(chunkBytes)
  using lentToo = lendBuffer(limit > chunkBytes ? chunkBytes : 0)
  let { buffer } = lent
  let { buffer: other } = lentToo
  let done = 0
  while (done < limit) {
    const wanted = buffer.subarray(0, limit - done)
    const got = readAt(reading, wanted, done)
    if (got === 0) return
    yield buffer.subarray(0, got)
    ;[buffer, other] = [other, buffer]
    done += got
  }
}

function readAt({ file, diskPath }: Reading, wanted: Buffer, position: number): number {
  try {
    return readSync(file, wanted, 0, wanted.length, position)
  } catch (error) {
    throw new AppError(
      'file-read',
      `unable to read '${toHumanText(diskPath)}' at byte ${position}: ${errnoOf(error) ?? String(error)}`,
      { cause: error },
    )
  }
}

/** A file may be read more than once: each of its bytes is told once. */
export function firstTimeTold(did: Did, read: () => ByteSource): () => ByteSource {
  let toldBytes = 0
  return async function* () {
    let readBytes = 0
    for await (const chunk of read()) {
      readBytes += chunk.length
      did(Math.max(0, readBytes - toldBytes))
      toldBytes = Math.max(toldBytes, readBytes)
      yield chunk
    }
  }
}
