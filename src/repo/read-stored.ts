/** The content of one file of a backup, wherever it is stored: in another backup, in a bundle, in blocks. */
import { type ByteSource, through } from '../pipe/pipe.ts'
import type { Storage } from '../storage/storage.ts'
import { loadBlockMap, openBlocks } from './stored-blocks.ts'
import {
  contentFilters,
  naming,
  type StoredBlocks,
  type StoredFile,
  type StoredSet,
} from './stored-file.ts'

/** In order, as it was in the cluster. Size and checksum are the caller's to compare. Errors name the object. */
export function readStored(storage: Storage, set: StoredSet, file: StoredFile): ByteSource {
  switch (file.kind) {
    case 'empty':
      return nothing()
    case 'whole': {
      const stored = storage.get(file.key, file.range)
      const content = through(stored, ...contentFilters(set, file.container))
      return naming(`${storage.location}/${file.key}`, content)
    }
    case 'blocks':
      return readAllBlocks(storage, set, file)
  }
}

async function* nothing(): ByteSource {}

async function* readAllBlocks(storage: Storage, set: StoredSet, file: StoredBlocks): ByteSource {
  const map = await loadBlockMap(storage, set, file)
  const everything = openBlocks(storage, { set, file, map }).read([...map.keys()])
  for await (const { bytes } of everything) yield bytes
}
