/** What must go before a backup's files come: decided purely, done by the shell below. */
import { lstat, readdir, readlink, rm, unlink } from 'node:fs/promises'
import { errnoOf } from '../../base/error.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import type { Manifest } from '../../format/manifest.ts'
import { systemError } from '../../storage/posix-error.ts'
import { MARKER_NAME } from './destination.ts'
import { diskPathOf, targetPath } from './mapping.ts'

/** Something on disk that this restore removes. Paths are byte strings. */
export interface Removal {
  readonly path: string
  readonly kind: 'file' | 'directory'
}

/** What one directory entry is. */
type EntryKind = 'file' | 'directory' | 'link' | 'special'

interface Expected {
  readonly files: ReadonlySet<string>
  readonly paths: ReadonlySet<string>
  readonly links: ReadonlyMap<string, string>
  /** Names directly in the data directory that stay whatever the manifest says. */
  readonly spared: ReadonlySet<string>
}

/** Names that a restore with `--type=preserve` leaves to the cluster. */
export const PRESERVED_NAMES = [
  'postgresql.auto.conf',
  'recovery.signal',
  'standby.signal',
] as const

export function expectedOf(manifest: Manifest, type: string): Expected {
  return {
    files: new Set(manifest.files.map(({ name }) => name)),
    paths: new Set(manifest.paths.map(({ name }) => name)),
    links: new Map(manifest.links.map(({ name, destination }) => [name, destination])),
    spared: new Set(
      [MARKER_NAME, ...(type === 'preserve' ? PRESERVED_NAMES : [])].map(
        (name) => `pg_data/${name}`,
      ),
    ),
  }
}

/** `keep`, `remove`, or `enter` (a directory that stays). Pure: decides about one entry by its manifest name. */
export function decide(
  expected: Expected,
  entry: {
    readonly name: string
    readonly kind: EntryKind
    readonly destination: string | undefined
  },
): 'keep' | 'remove' | 'enter' {
  const { name, kind } = entry
  if (expected.spared.has(name)) return 'keep'
  const link = expected.links.get(name)
  if (link !== undefined) return kind === 'link' && entry.destination === link ? 'keep' : 'remove'
  if (kind === 'directory') return expected.paths.has(name) ? 'enter' : 'remove'
  if (kind === 'file') return expected.files.has(name) ? 'keep' : 'remove'
  return 'remove'
}

/** Everything in the target directories that the backup does not have. Missing directories have nothing to remove. */
export async function findRemovals(manifest: Manifest, type: string): Promise<readonly Removal[]> {
  const expected = expectedOf(manifest, type)
  const removals: Removal[] = []
  for (const { name, path } of directoriesOf(manifest))
    await scan({ expected, removals }, name, path)
  return removals
}

/** Directories to fill: manifest name and place. Of a tablespace only the sub-directory of this PostgreSQL version. */
export function directoriesOf(
  manifest: Manifest,
): readonly { readonly name: string; readonly path: string }[] {
  const directories: { name: string; path: string }[] = []
  for (const target of manifest.targets) {
    if (target.kind === 'link' && target.file !== undefined) continue
    if (target.kind === 'link' && target.tablespaceId !== undefined) {
      const below = manifest.paths.filter(
        ({ name }) => name.startsWith(`${target.name}/`) && name.split('/').length === 3,
      )
      for (const { name } of below) directories.push({ name, path: diskPathOf(manifest, name) })
    } else {
      directories.push({ name: target.name, path: targetPath(manifest, target) })
    }
  }
  return directories
}

interface Scan {
  readonly expected: Expected
  readonly removals: Removal[]
}

async function scan(state: Scan, name: string, path: string): Promise<void> {
  for (const entry of await listDirectory(path)) {
    const child = { name: `${name}/${entry}`, path: `${path}/${entry}` }
    const kind = await kindOf(child.path)
    if (kind === undefined) continue
    const destination = kind === 'link' ? await readlink(toBytes(child.path), 'latin1') : undefined
    const decision = decide(state.expected, { name: child.name, kind, destination })
    if (decision === 'enter') await scan(state, child.name, child.path)
    if (decision === 'remove') {
      state.removals.push({ path: child.path, kind: kind === 'directory' ? 'directory' : 'file' })
    }
  }
}

/** Names in a directory (byte strings), [] when it does not exist. */
export async function listDirectory(path: string): Promise<readonly string[]> {
  try {
    return (await readdir(toBytes(path), { encoding: 'latin1' })).toSorted()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw systemError('path-open', `unable to list '${toHumanText(path)}'`, error)
  }
}

async function kindOf(path: string): Promise<EntryKind | undefined> {
  try {
    const found = await lstat(toBytes(path))
    if (found.isDirectory()) return 'directory'
    if (found.isSymbolicLink()) return 'link'
    return found.isFile() ? 'file' : 'special'
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

export async function remove(removals: readonly Removal[]): Promise<void> {
  for (const { path, kind } of removals) {
    try {
      if (kind === 'directory') await rm(toBytes(path), { recursive: true })
      else await unlink(toBytes(path))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') continue
      throw systemError('file-remove', `unable to remove '${toHumanText(path)}'`, error)
    }
  }
}
