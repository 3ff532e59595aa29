/** Puts what a program writes into a dump set while it comes: compressed once, encrypted, with digests of before and after. */
import type { DumpManifest, DumpObject } from '../../format/dump-manifest.ts'
import { dumpPrefix } from '../../format/repo-path.ts'
import { encryptor } from '../../pipe/cipher.ts'
import { compressor } from '../../pipe/compress.ts'
import { type CompressType, extensionOf } from '../../pipe/compress-type.ts'
import { digest } from '../../pipe/digest.ts'
import { type ByteSource, type Filter, through } from '../../pipe/pipe.ts'
import { type DumpPlace, objectsOf } from '../../repo/dump-sets.ts'
import { isObjectName } from './choose.ts'

export interface SetBeingMade {
  readonly place: DumpPlace
  readonly label: string
  readonly compressType: CompressType
  readonly compressLevel: number
}

/** `name` without the extension of the compression. When `content` throws, nothing is stored. */
export async function storeObject(
  { place, label, compressType, compressLevel }: SetBeingMade,
  name: string,
  content: ByteSource,
): Promise<DumpObject> {
  const before = digest()
  const after = digest()
  const filters: Filter[] = [before, compressor(compressType, compressLevel, 'normal')]
  if (place.pass !== undefined) filters.push(encryptor(place.pass, 'normal'))
  const stored = `${name}${extensionOf(compressType)}`
  await place.storage.put(
    `${dumpPrefix(place.stanza, label)}/${stored}`,
    through(content, ...filters, after),
    // Nothing points to it before the manifest is written.
    { durable: 'on-sync' },
  )
  return {
    name: stored,
    sizeBytes: after.sizeBytes,
    sha256: after.sha256,
    contentSizeBytes: before.sizeBytes,
    contentSha256: before.sha256,
  }
}

/** Of databases that were begun again or dropped meanwhile: objects that the manifest, which is still to be stored, does not name. */
export async function removeUnnamed(
  { place: { storage, stanza }, label }: SetBeingMade,
  manifest: DumpManifest,
): Promise<void> {
  const prefix = dumpPrefix(stanza, label)
  const named = new Set(objectsOf(manifest).map(({ name }) => name))
  const names = await storage.names(prefix)
  await storage.removeEach(
    prefix,
    names.filter(({ name }) => isObjectName(name) && !named.has(name)),
  )
}
