/** The worker's look at what the repository may have of a file already: from the prior backup, or an interrupted run. */
import { createHash } from 'node:crypto'
import { isErrorKind } from '../../base/error.ts'
import type { ByteSource } from '../../pipe/pipe.ts'
import type { GetRange, Storage } from '../../storage/storage.ts'
import type { Doubt } from './compare.ts'

/** What the prior backup has, of equal size. */
export interface PriorContent {
  readonly checksum: string
  readonly find: Doubt
}

/** What an interrupted run stored of the file. */
export interface StoredCopy {
  readonly key: string
  /** Undefined: the whole object. */
  readonly range: GetRange | undefined
  readonly sizeBytes: number
  /** Of the stored bytes. */
  readonly checksum: string
  /** Of the file then, when the file must be read to know whether it is still that. */
  readonly content: string | undefined
}

/** Which of the two the file is; `damaged`: the stored copy is not what was stored; `neither`: not known before copying. */
export type Known = 'prior' | 'stored' | 'damaged' | 'neither'

interface Knowing {
  readonly sizeBytes: number
  readonly prior: PriorContent | undefined
  readonly stored: StoredCopy | undefined
}

/** A file of at most this size is read once more at no cost. A larger one whose time has changed most likely changed too. */
const SMALL_BYTES = 1024 * 1024

/** `read` gives the file anew each time. */
export async function known(
  storage: Storage,
  { sizeBytes, prior, stored }: Knowing,
  read: () => ByteSource,
): Promise<Known> {
  if (prior !== undefined && (prior.find === 'hash-first' || sizeBytes <= SMALL_BYTES)) {
    if (await matches(read(), { sizeBytes, checksum: prior.checksum })) return 'prior'
  }
  if (stored === undefined) return 'neither'
  const { content } = stored
  if (content !== undefined && !(await matches(read(), { sizeBytes, checksum: content }))) {
    return 'neither'
  }
  return (await isThere(storage, stored)) ? 'stored' : 'damaged'
}

async function isThere(storage: Storage, stored: StoredCopy): Promise<boolean> {
  try {
    return await matches(storage.get(stored.key, stored.range), stored)
  } catch (error) {
    // `format`: the bundle ends before the range does.
    if (isErrorKind(error, 'file-missing', 'format')) return false
    throw error
  }
}

interface Content {
  readonly sizeBytes: number
  readonly checksum: string
}

async function matches(source: ByteSource, content: Content): Promise<boolean> {
  const hash = createHash('sha1')
  let readBytes = 0
  for await (const chunk of source) {
    hash.update(chunk)
    readBytes += chunk.length
  }
  return readBytes === content.sizeBytes && hash.digest('hex') === content.checksum
}
