/**
 * A repository that the real pgBackRest made, cut down to a few dozen files a backup and held in memory, so that it can be
 * verified in a tenth of a second.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { entryOfManifest, renderBackupInfo } from '../../src/format/backup-info.ts'
import type { Manifest } from '../../src/format/manifest.ts'
import { renderManifest } from '../../src/format/manifest-write.ts'
import {
  backupInfoKey,
  copyKeyOf,
  fileKey,
  manifestHistoryKey,
  manifestKey,
} from '../../src/format/repo-path.ts'
import type { Secret } from '../../src/base/secret.ts'
import { loadBackupInfo, loadManifest, type Repo, writeObject } from '../../src/repo/repo.ts'
import { single } from '../../src/pipe/pipe.ts'
import { MemoryStorage } from '../harness/memory-storage.ts'

export const STANZA = 'demo'

export interface SmallRepository {
  readonly objects: Map<string, Buffer>
  readonly repo: Repo
  /** Of backup.info: encrypts manifests. */
  readonly manifestPass: Secret | undefined
  /** Ascending by label. */
  readonly manifests: readonly Manifest[]
}

/** Of 360 files of a new database every tenth, besides all that are stored in more than one backup's blocks. */
const KEPT_EVERY = 12

export async function smallRepository(
  path: string,
  cipherPass: Secret | undefined,
): Promise<SmallRepository> {
  const objects = new Map<string, Buffer>()
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    objects.set(file.slice(path.length + 1), await readFile(file))
  }
  const repo: Repo = { key: 1, storage: new MemoryStorage(objects), cipherPass }
  const info = await loadBackupInfo(repo, STANZA)
  const manifests: Manifest[] = []
  for (const { label } of info.backups) {
    const manifest = cutDown(await loadManifest(repo, STANZA, label, info.cipherPass))
    manifests.push(manifest)
    await storeManifest(repo, { manifest, pass: info.cipherPass, copies: 'all' })
  }
  const backups = manifests.map((manifest) => ({
    ...entryOfManifest(manifest),
    version: manifest.writerVersion ?? '',
  }))
  const text = renderBackupInfo({ ...info, backups })
  await storeInfo(repo, text)
  dropUnclaimed(objects, manifests)
  assert.ok(manifests.every(({ files }) => files.length >= 20 && files.length < 120))
  return { objects, repo, manifestPass: info.cipherPass, manifests }
}

function cutDown(manifest: Manifest): Manifest {
  const files = manifest.files.filter(
    ({ name, reference }, index) =>
      hashOf(name) % KEPT_EVERY === 0 ||
      (reference === undefined && manifest.kind !== 'full') ||
      index === 0,
  )
  return { ...manifest, files }
}

/** The same for the same name in every backup. */
function hashOf(name: string): number {
  return Array.from(name).reduce(
    (hash, character) => (hash * 31 + character.charCodeAt(0)) % 9973,
    7,
  )
}

export interface StoredManifest {
  readonly manifest: Manifest
  readonly pass: Secret | undefined
  readonly copies: 'main' | 'both' | 'all'
}

export async function storeManifest(
  repo: Repo,
  { manifest, pass, copies }: StoredManifest,
): Promise<void> {
  const text = renderManifest(manifest)
  const key = manifestKey(STANZA, manifest.label)
  await writeObject(repo.storage, key, single(text), pass)
  if (copies !== 'main') await writeObject(repo.storage, copyKeyOf(key), single(text), pass)
  if (copies !== 'all') return
  await writeObject(
    repo.storage,
    manifestHistoryKey(STANZA, manifest.label),
    single(gzipSync(text)),
    pass,
  )
}

async function storeInfo(repo: Repo, text: Buffer): Promise<void> {
  const key = backupInfoKey(STANZA)
  await writeObject(repo.storage, key, single(text), repo.cipherPass)
  await writeObject(repo.storage, copyKeyOf(key), single(text), repo.cipherPass)
}

function dropUnclaimed(objects: Map<string, Buffer>, manifests: readonly Manifest[]): void {
  const claimed = new Set(
    manifests.flatMap((manifest) => manifest.files.map((file) => keyOf(manifest, file))),
  )
  for (const key of objects.keys()) {
    const isData = /^backup\/demo\/[^/]+\/(?:pg_|bundle)/.test(key)
    if (isData && !claimed.has(key) && !key.includes('/bundle/')) objects.delete(key)
  }
}

export function keyOf(manifest: Manifest, file: Manifest['files'][number]): string {
  return fileKey(STANZA, file, manifest.label, manifest.options.compressType)
}
