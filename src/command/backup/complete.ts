/**
 * The end of a backup: from stored files to a backup that exists.
 *
 * Order is the promise: every stored byte is durable, then `backup.manifest.copy`, then `backup.manifest` (now the
 * backup exists), then the history, `latest` and backup.info, which can all be rebuilt from it.
 */

import { compareBytes } from '../../base/text.ts'
import { type BackupInfo, entryOfManifest } from '../../format/backup-info.ts'
import { assertComplete, type Manifest } from '../../format/manifest.ts'
import { manifestPieces } from '../../format/manifest-write.ts'
import {
  backupPrefix,
  copyKeyOf,
  fileKey,
  latestKey,
  manifestHistoryKey,
  manifestKey,
} from '../../format/repo-path.ts'
import { compressor } from '../../pipe/compress.ts'
import { type ByteSource, through } from '../../pipe/pipe.ts'
import {
  loadArchiveInfo,
  type Repo,
  saveArchiveInfo,
  saveBackupInfo,
  writeObject,
} from '../../repo/repo.ts'
import { together } from '../../worker/batch.ts'

export interface Completion {
  readonly repo: Repo
  readonly stanza: string
  /** backup.info as it was at the start of this backup, under the same lock. */
  readonly info: BackupInfo
  readonly symlink: 'on' | 'off'
}

/** Saves the unfinished manifest: what a later run sees of a backup that was interrupted. */
export async function saveDraft(
  { repo, stanza, info }: Completion,
  manifest: Manifest,
): Promise<void> {
  const key = copyKeyOf(manifestKey(stanza, manifest.label))
  await writeObject(repo.storage, key, textOf(manifest), info.cipherPass)
}

/** Made anew for each object: kept whole it would be most of the memory that a backup of many files needs. */
async function* textOf(manifest: Manifest): ByteSource {
  yield* manifestPieces(manifest)
}

export async function complete(completion: Completion, manifest: Manifest): Promise<void> {
  const { repo, stanza, info } = completion
  assertComplete(manifest)
  const { label } = manifest
  const key = manifestKey(stanza, label)
  await makeFolderWhole(completion, manifest)
  await repo.storage.sync(backupPrefix(stanza, label))
  await writeObject(repo.storage, copyKeyOf(key), textOf(manifest), info.cipherPass)
  await writeObject(repo.storage, key, textOf(manifest), info.cipherPass)
  const packed = through(textOf(manifest), compressor('gz', 9, 'normal'))
  await writeObject(repo.storage, manifestHistoryKey(stanza, label), packed, info.cipherPass)
  if (completion.symlink === 'on') await repo.storage.link(latestKey(stanza), label)
  const others = info.backups.filter((backup) => backup.label !== label)
  const backups = [...others, entryOfManifest(manifest)].toSorted((left, right) =>
    compareBytes(left.label, right.label),
  )
  await saveBackupInfo(repo, stanza, { ...info, backups })
  await saveArchiveInfo(repo, stanza, await loadArchiveInfo(repo, stanza))
}

/**
 * Makes the folder of a backup a cluster by itself where pgBackRest does: a full one without bundles has all directories, also
 * empty ones, and links to its tablespaces; one with hard links has in addition what it refers to.
 */
async function makeFolderWhole(
  { repo, stanza, symlink }: Completion,
  manifest: Manifest,
): Promise<void> {
  const { label, kind, bundle, options, files, paths, targets } = manifest
  if (!options.hardlink && (kind !== 'full' || bundle)) return
  const owner = backupPrefix(stanza, label)
  const referred = files.filter(
    ({ reference, bundleId }) => reference !== undefined && bundleId === undefined,
  )
  await together(referred, async (file) => {
    const own = fileKey(stanza, { ...file, reference: undefined }, label, options.compressType)
    await repo.storage.linkFrom(own, fileKey(stanza, file, label, options.compressType))
  })
  for (const { name } of paths) await repo.storage.makePrefix(`${owner}/${name}`)
  if (symlink === 'off') return
  for (const target of targets) {
    if (target.kind !== 'link' || target.tablespaceId === undefined) continue
    await repo.storage.link(`${owner}/pg_data/${target.name}`, `../../${target.name}`)
  }
}
