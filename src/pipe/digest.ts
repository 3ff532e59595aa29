import { createHash } from 'node:crypto'
import type { SyncFilter } from './pipe.ts'

/** A filter that passes bytes on unchanged, counting them and computing their SHA-256. */
export interface Digest extends SyncFilter {
  /** Bytes seen so far. */
  readonly sizeBytes: number
  /** 64 lower-case hex digits, once all has been seen. */
  readonly sha256: string
}

export function digest(): Digest {
  const hash = createHash('sha256')
  let sizeBytes = 0
  let sha256: string | undefined
  return {
    get sizeBytes() {
      return sizeBytes
    },
    get sha256() {
      sha256 ??= hash.digest('hex')
      return sha256
    },
    update: (chunk) => {
      hash.update(chunk)
      sizeBytes += chunk.length
      return [chunk]
    },
    end: () => [],
    close: () => undefined,
  }
}
