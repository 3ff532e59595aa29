/** Where and how one file of a backup is stored. */
import type { Manifest, ManifestFile } from '../../format/manifest.ts'
import { fileKey } from '../../format/repo-path.ts'
import type { Container } from '../../pipe/compress.ts'
import type { GetRange } from '../../storage/storage.ts'

export interface StoredFile {
  readonly key: string
  /** Its bytes in a bundle; undefined when the object is the file. */
  readonly range: GetRange | undefined
  readonly container: Container
}

export function storedFile(stanza: string, manifest: Manifest, file: ManifestFile): StoredFile {
  const key = fileKey(stanza, file, manifest.label, manifest.options.compressType)
  if (file.bundleId === undefined) return { key, range: undefined, container: 'normal' }
  return {
    key,
    range: { offsetBytes: file.bundleOffsetBytes, sizeBytes: file.repoSizeBytes },
    container: manifest.bundleRaw ? 'raw' : 'normal',
  }
}
