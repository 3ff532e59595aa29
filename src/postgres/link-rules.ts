/** Where the links of a cluster may point. Pure; restore asks the same after mapping links to new places. */
import { posix } from 'node:path'
import { AppError } from '../base/error.ts'
import type { ManifestTarget } from '../format/manifest.ts'

/**
 * Throws `link-destination` when a link leads into the data directory, or when two targets overlap: the same bytes would
 * be in the backup twice, and restoring one would remove the other. All strings are byte strings.
 */
export function checkLinks(dataDir: string, targets: readonly ManifestTarget[]): void {
  const links = targets.flatMap((target) => {
    if (target.kind === 'path') return []
    const path = posix.join(destinationOf(dataDir, target), target.file ?? '')
    return [{ name: target.name, path, holds: target.file === undefined ? 'tree' : 'file' }]
  })
  for (const link of links) {
    if (isWithin(link.path, dataDir)) {
      throw overlap(`link '${link.name}' destination '${link.path}' is in the data directory`)
    }
    if (link.holds === 'file') continue
    if (isWithin(dataDir, link.path)) {
      throw overlap(`link '${link.name}' destination '${link.path}' holds the data directory`)
    }
    const inner = links.find((other) => other !== link && isWithin(other.path, link.path))
    if (inner !== undefined) throw overlap(describe(inner, link))
  }
  const files = new Map<string, (typeof links)[number]>()
  for (const link of links) {
    const twin = files.get(link.path)
    if (twin !== undefined) throw overlap(describe(twin, link))
    files.set(link.path, link)
  }
}

interface Place {
  readonly name: string
  readonly path: string
}

function describe(inner: Place, outer: Place): string {
  return `link '${inner.name}' (${inner.path}) destination is the same as or inside that of link '${outer.name}' (${outer.path})`
}

function overlap(message: string): AppError {
  return new AppError('link-destination', message)
}

/** Absolute path of a link target; a relative one starts at the directory that holds the link. */
export function destinationOf(dataDir: string, target: ManifestTarget): string {
  const below = target.name.replace(/^pg_data\//, '')
  return posix.resolve(dataDir, posix.dirname(below), target.path)
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`)
}
