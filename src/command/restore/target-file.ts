/** A file of the restored cluster, while it is made: what is there, what is written, what it looks like in the end. */
import { createHash } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  openSync,
  readSync,
  write,
  writeSync,
} from 'node:fs'
import { toBytes, toHumanText } from '../../base/text.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import type { Did } from '../../worker/message.ts'
import { systemError } from '../../storage/posix-error.ts'

/** What a file shall look like, whatever the umask and the old file were. */
export interface Looks {
  readonly mode: number
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly timestampS: number
}

export interface Target extends Looks {
  /** Byte string. */
  readonly diskPath: string
}

export interface Content {
  readonly sizeBytes: number
  /** Lower-case hex SHA-1. */
  readonly checksum: string
}

/** Closed when disposed. */
export interface OpenFile extends Disposable {
  readonly descriptor: number
}

/** `w`: a new file, or an old one made empty. */
export function openTarget({ diskPath, mode }: Target, flags: 'w' | 'r+'): OpenFile {
  try {
    const descriptor = openSync(toBytes(diskPath), flags, mode)
    return {
      descriptor,
      [Symbol.dispose]: () => {
        closeSync(descriptor)
      },
    }
  } catch (error) {
    const doing = `unable to open file '${toHumanText(diskPath)}' for write`
    throw systemError('file-open', doing, error)
  }
}

/** Undefined when there is none, or it cannot be read: writing it anew reports what is wrong. */
export function openExisting({ diskPath }: Target): OpenFile | undefined {
  try {
    const descriptor = openSync(toBytes(diskPath), 'r')
    return {
      descriptor,
      [Symbol.dispose]: () => {
        closeSync(descriptor)
      },
    }
  } catch {
    return undefined
  }
}

export function writeAll(descriptor: number, bytes: Buffer, offsetBytes: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, offsetBytes + done)
  }
}

/** `writeAll` in libuv's pool; the caller has something else to do meanwhile. */
export async function writeAside(
  descriptor: number,
  bytes: Buffer,
  offsetBytes: number,
): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += await writeSome(descriptor, bytes.subarray(done), offsetBytes + done)
  }
}

async function writeSome(descriptor: number, bytes: Buffer, offsetBytes: number): Promise<number> {
  return await new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, offsetBytes, (error, writtenBytes) => {
      if (error === null) resolve(writtenBytes)
      else reject(error)
    })
  })
}

/** As many bytes as there are, or fit. */
export function readFull(descriptor: number, into: Buffer, offsetBytes: number): number {
  let done = 0
  while (done < into.length) {
    const got = readSync(descriptor, into, done, into.length - done, offsetBytes + done)
    if (got === 0) break
    done += got
  }
  return done
}

const READ_BYTES = MIB

/** All of a file, which has about `sizeBytes`. */
export function measureFile(descriptor: number, sizeBytes: number, did: Did): Content {
  const hash = createHash('sha1')
  const buffer = Buffer.allocUnsafeSlow(Math.max(1, Math.min(READ_BYTES, sizeBytes)))
  for (let doneBytes = 0; ; ) {
    const got = readFull(descriptor, buffer, doneBytes)
    hash.update(buffer.subarray(0, got))
    did(got)
    doneBytes += got
    if (got < buffer.length) return { sizeBytes: doneBytes, checksum: hash.digest('hex') }
  }
}

/** Owner, mode and time stamp; each is one more change for the disk, so only what is not right already. */
export function dress(descriptor: number, { mode, owner, timestampS }: Looks): void {
  const found = fstatSync(descriptor)
  if (owner !== undefined && (found.uid !== owner.uid || found.gid !== owner.gid)) {
    fchownSync(descriptor, owner.uid, owner.gid)
  }
  // A change of owner may have taken bits away.
  if ((found.mode & MODE_BITS) !== mode || owner !== undefined) fchmodSync(descriptor, mode)
  if (found.mtimeMs !== timestampS * SECOND_MS) futimesSync(descriptor, timestampS, timestampS)
}

const MODE_BITS = 0o7777
