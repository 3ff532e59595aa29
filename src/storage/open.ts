/** Opening a storage from plain data: what a worker thread is told, since it cannot be handed an open storage. */
import { openPosixStorage } from './posix.ts'
import type { Storage } from './storage.ts'

/** Everything needed to open a storage; structured-cloneable. */
export interface StorageSpec {
  readonly type: 'posix'
  /** UTF-8 path of the repository's root. */
  readonly root: string
}

/** Worker code takes one, so that tests can do its jobs on a storage of theirs. */
export type OpenStorage = (spec: StorageSpec) => Storage

export const openStorage: OpenStorage = ({ root }) => openPosixStorage({ root })

export function isStorageSpec(value: unknown): value is StorageSpec {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    value.type === 'posix' &&
    'root' in value &&
    typeof value.root === 'string'
  )
}
