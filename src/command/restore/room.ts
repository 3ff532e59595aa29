/** Whether there is room where a restore will write: nothing in the way that was not offered. Reading only. */
import { lstat, readlink } from 'node:fs/promises'
import { AppError, errnoOf } from '../../base/error.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import type { Manifest, ManifestTarget } from '../../format/manifest.ts'
import { directoriesOf, listDirectory, PRESERVED_NAMES } from './clean.ts'
import { assertOurs, MARKER_NAME, PARTIAL_SUFFIX } from './destination.ts'
import { dataDirOf, targetPath } from './mapping.ts'

const HINT = 'try using --delta if this is what you intended.'

interface RoomOptions {
  /** The manifest as it is stored, before anything was moved. */
  readonly stored: Manifest
  /** `empty`: every place must be; `reuse`: what is there may be kept, replaced and removed. */
  readonly want: 'empty' | 'reuse'
  readonly type: string
}

/** Throws `path-not-empty`, `file-exists`, or `path-open` for a directory that is not ours. */
export async function assertRoom(manifest: Manifest, options: RoomOptions): Promise<void> {
  for (const { path } of directoriesOf(manifest)) {
    const names = await listDirectory(path)
    if (names.length === 0) continue
    if (options.want === 'empty') assertEmpty(path, names, options.type)
    await assertOurs(path)
  }
  if (options.want === 'empty') await assertNoLinkedFiles(manifest)
  else await assertOwnTablespaces(manifest, options.stored)
}

function assertEmpty(path: string, names: readonly string[], type: string): void {
  const ignored = new Set<string>([
    MARKER_NAME,
    // A restore that was killed while it put the marker.
    `${MARKER_NAME}${PARTIAL_SUFFIX}`,
    ...(type === 'preserve' ? PRESERVED_NAMES : []),
  ])
  const first = names.find((name) => !ignored.has(name))
  if (first === undefined) return
  throw new AppError(
    'path-not-empty',
    `unable to restore to path '${toHumanText(path)}' because it contains files ('${toHumanText(first)}')`,
    { hint: HINT },
  )
}

/** A file that a link of the backup points at, outside the data directory, is not overwritten unasked. */
async function assertNoLinkedFiles(manifest: Manifest): Promise<void> {
  for (const target of manifest.targets) {
    if (target.kind !== 'link' || target.file === undefined) continue
    const path = `${targetPath(manifest, target)}/${target.file}`
    if (!(await exists(path))) continue
    throw new AppError(
      'file-exists',
      `unable to restore file '${toHumanText(path)}' because it already exists`,
      { hint: HINT },
    )
  }
}

/**
 * A copy of a cluster beside it must not take the cluster's own tablespaces: they are another's unless the data directory
 * is where the backup had it, or its link leads there already.
 */
async function assertOwnTablespaces(manifest: Manifest, stored: Manifest): Promise<void> {
  if (dataDirOf(manifest) === dataDirOf(stored)) return
  for (const { name, path } of directoriesOf(manifest)) {
    const target = manifest.targets.find((root) => isTablespaceOf(root, name))
    if (target === undefined || (await listDirectory(path)).length === 0) continue
    const linked = await linkTarget(`${dataDirOf(manifest)}/${target.name}`)
    if (linked === target.path) continue
    throw new AppError(
      'path-not-empty',
      `tablespace directory '${toHumanText(path)}' contains files that may belong to another cluster`,
      { hint: 'give the tablespace another directory with --tablespace-map.' },
    )
  }
}

function isTablespaceOf(target: ManifestTarget, name: string): boolean {
  return name.startsWith('pg_tblspc/') && name.startsWith(`${target.name}/`)
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(toBytes(path))
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw error
  }
}

async function linkTarget(path: string): Promise<string | undefined> {
  try {
    return await readlink(toBytes(path), 'latin1')
  } catch {
    // Not there, or not a link: it does not lead anywhere.
    return undefined
  }
}
