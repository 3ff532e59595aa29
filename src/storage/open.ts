/** Opening a storage from plain data: what a worker thread is told, since it cannot be handed an open storage. */
import { openPosixStorage } from './posix.ts'
import type { Storage } from './storage.ts'

/** Everything needed to open a storage; structured-cloneable. */
export interface StorageSpec {
  readonly type: 'posix'
  /** UTF-8 path of the repository's root. */
  readonly root: string
}

export function openStorage(spec: StorageSpec): Storage {
  return openPosixStorage({ root: spec.root })
}

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
