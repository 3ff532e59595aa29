/** What must be true of a repository whatever happened to the commands that wrote to it. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { loadConfig } from '../../src/config/config.ts'
import { isLabel } from '../../src/format/label.ts'
import { fileKey } from '../../src/format/repo-path.ts'
import {
  loadArchiveInfo,
  loadBackupInfo,
  loadManifest,
  openRepos,
  type Repo,
} from '../../src/repo/repo.ts'

/** The only repository of a configuration. */
export function openRepo(argv: readonly string[]): Repo {
  const config = loadConfig({ argv: [...argv, 'info'], env: {}, programName: 'pgsurety' })
  const [repo] = openRepos(config)
  assert(repo !== undefined)
  return repo
}

/**
 * Both info files can be read, and every backup that backup.info lists is whole: its manifest can be read, and every file
 * in it is stored with the size the manifest says; but for those in `known`. The labels, ascending.
 */
export async function provenBackups(
  repo: Repo,
  stanza: string,
  known: readonly string[] = [],
): Promise<readonly string[]> {
  await loadArchiveInfo(repo, stanza)
  const info = await loadBackupInfo(repo, stanza)
  const labels = info.backups.map(({ label }) => label)
  const folders = new Map<string, ReadonlyMap<string, number>>()
  for (const label of labels.filter((one) => !known.includes(one))) {
    const manifest = await loadManifest(repo, stanza, label, info.cipherPass)
    const { compressType } = manifest.options
    for (const file of manifest.files) {
      // Bundled backups store no empty files.
      if (manifest.bundle && file.sizeBytes === 0) continue
      const owner = file.reference ?? label
      const sizes = folders.get(owner) ?? (await storedSizes(repo, `backup/${stanza}/${owner}`))
      folders.set(owner, sizes)
      const key = fileKey(stanza, file, label, compressType)
      const size = sizes.get(key)
      const end = file.bundleOffsetBytes + file.repoSizeBytes
      if (file.bundleId === undefined) assert.equal(size, end, `size of '${key}'`)
      else assert(size !== undefined && size >= end, `size of '${key}'`)
    }
  }
  return labels
}

/** Sizes of all objects below a prefix, by key. */
async function storedSizes(repo: Repo, prefix: string): Promise<ReadonlyMap<string, number>> {
  const objects = await repo.storage.listAll(prefix)
  return new Map(objects.map(({ name, sizeBytes }) => [`${prefix}/${name}`, sizeBytes]))
}

/** Where a backup set lies. */
export function backupFolder(repo: Repo, stanza: string, label = ''): string {
  return join(repo.storage.location, 'backup', stanza, label)
}

/** Labels that have a folder, finished or not, ascending. */
export async function labelsOnDisk(repo: Repo, stanza: string): Promise<readonly string[]> {
  const names = await readdir(backupFolder(repo, stanza))
  return names.filter(isLabel).toSorted()
}
