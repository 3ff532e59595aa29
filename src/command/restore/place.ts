/** Directories and links of a restored cluster: made before its files, made durable after them. */
import { chmod, chown, lchown, lstat, mkdir, open, stat, symlink } from 'node:fs/promises'
import { posix } from 'node:path'
import { errnoOf } from '../../base/error.ts'
import { compareBytes, toBytes, toHumanText } from '../../base/text.ts'
import type { Manifest, OwnerName } from '../../format/manifest.ts'
import { attempt, systemError } from '../../storage/posix-error.ts'
import { dataDirOf, diskPathOf, targetPath } from './mapping.ts'

/** Numeric owner for a manifest's names; undefined leaves ownership to the current user. */
export type OwnerOf = (
  user: OwnerName,
  group: OwnerName,
) => { readonly uid: number; readonly gid: number } | undefined

type Owner = { readonly uid: number; readonly gid: number } | undefined

/** Makes every directory, then every link; corrects owner and mode of what is there. */
export async function buildTree(manifest: Manifest, ownerOf: OwnerOf): Promise<void> {
  const linked = new Set(manifest.links.map(({ name }) => name))
  await makeTargets(manifest, ownerOf)
  for (const path of manifest.paths.toSorted((left, right) =>
    compareBytes(left.name, right.name),
  )) {
    // The top of pg_tblspc only groups the tablespaces in the manifest; a link's place is made by its target.
    if (path.name === 'pg_tblspc' || /^pg_tblspc\/\d+$/.test(path.name) || linked.has(path.name))
      continue
    await makeLinksAbove(manifest, path.name)
    const disk = diskPathOf(manifest, path.name)
    const owner = ownerOf(path.user, path.group)
    await makeDirectory(disk, owner)
    await dressDirectory(disk, { mode: path.mode, owner })
  }
  for (const link of manifest.links) {
    await makeLink(diskPathOf(manifest, link.name), link.destination)
    const owner = ownerOf(link.user, link.group)
    if (owner !== undefined)
      await lchown(toBytes(diskPathOf(manifest, link.name)), owner.uid, owner.gid)
  }
}

async function makeTargets(manifest: Manifest, ownerOf: OwnerOf): Promise<void> {
  const modes = new Map(manifest.paths.map((path) => [path.name, path]))
  for (const target of manifest.targets) {
    const path = modes.get(target.name)
    const owned = path ?? modes.get('pg_data')
    const owner = owned === undefined ? undefined : ownerOf(owned.user, owned.group)
    await makeDirectory(targetPath(manifest, target), owner)
    if (path !== undefined && !(target.kind === 'link' && target.file !== undefined)) {
      await dressDirectory(targetPath(manifest, target), { mode: path.mode, owner })
    }
  }
}

/** A directory below a linked directory is reached through the link, so the link comes first. */
async function makeLinksAbove(manifest: Manifest, name: string): Promise<void> {
  for (const link of manifest.links) {
    if (name.startsWith(`${link.name}/`))
      await makeLink(diskPathOf(manifest, link.name), link.destination)
  }
}

async function makeLink(path: string, destination: string): Promise<void> {
  try {
    await symlink(toBytes(destination), toBytes(path))
  } catch (error) {
    if (errnoOf(error) === 'EEXIST' && (await lstat(toBytes(path))).isSymbolicLink()) return
    throw systemError('file-write', `unable to create link '${toHumanText(path)}'`, error)
  }
}

/** Makes missing parents too, which the server must be able to enter: they get the same owner. */
async function makeDirectory(path: string, owner: Owner): Promise<void> {
  await attempt('path-create', `unable to create path '${toHumanText(path)}'`, async () => {
    for (const missing of await missingDirectories(path)) {
      await mkdir(toBytes(missing), { mode: 0o700 })
      if (owner !== undefined) await chown(toBytes(missing), owner.uid, owner.gid)
    }
  })
}

/** `path` and the directories above it that do not exist, outermost first. */
async function missingDirectories(path: string): Promise<readonly string[]> {
  const missing: string[] = []
  for (let above = path; !(await isDirectory(above)); above = posix.dirname(above)) {
    missing.unshift(above)
  }
  return missing
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(toBytes(path))).isDirectory()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return false
    throw error
  }
}

interface Dress {
  readonly mode: number
  readonly owner: Owner
}

async function dressDirectory(path: string, { mode, owner }: Dress): Promise<void> {
  if (owner !== undefined) await chown(toBytes(path), owner.uid, owner.gid)
  await chmod(toBytes(path), mode)
}

/** Makes the names in every directory of the restored cluster durable, `global` excepted: it still lacks pg_control. */
export async function syncTree(manifest: Manifest): Promise<void> {
  const directories = new Set(manifest.targets.map((target) => targetPath(manifest, target)))
  for (const { name } of manifest.paths) {
    if (name !== 'pg_tblspc' && !/^pg_tblspc\/\d+$/.test(name))
      directories.add(diskPathOf(manifest, name))
  }
  directories.delete(`${dataDirOf(manifest)}/global`)
  for (const directory of directories) await syncDirectory(directory)
}

export async function syncDirectory(path: string): Promise<void> {
  await attempt('path-sync', `unable to sync path '${toHumanText(path)}'`, async () => {
    await using directory = await open(toBytes(path), 'r')
    await directory.sync()
  })
}
