/** Where a backup's files go: the manifest with its targets and links moved to where this restore wants them. Pure. */
import { AppError } from '../../base/error.ts'
import { compareBytes, nearestName, toByteString } from '../../base/text.ts'
import type { Manifest, ManifestLink, ManifestTarget } from '../../format/manifest.ts'
import { checkLinks, destinationOf } from '../../postgres/link-rules.ts'

export interface MappingOptions {
  /** pg1-path. */
  readonly dataDir: string
  /** Tablespace name or oid → directory. */
  readonly tablespaceMap: ReadonlyMap<string, string>
  readonly tablespaceMapAll: string | undefined
  /** Link name relative to the data directory → destination. */
  readonly linkMap: ReadonlyMap<string, string>
  readonly linkAll: 'keep' | 'dissolve'
}

export interface Mapped {
  readonly manifest: Manifest
  /** One line per directory that is not where it was. */
  readonly remaps: readonly string[]
  /** Links that become ordinary files and directories inside the data directory. */
  readonly dissolved: readonly string[]
}

/** `tablespace-map`, `link-map` (unknown or contradictory names) or `link-destination` errors. */
export function mapManifest(manifest: Manifest, options: MappingOptions): Mapped {
  const remaps: string[] = []
  const moved = moveTargets(manifest, options, remaps)
  const linked = addLinks(moved, options, remaps)
  const { manifest: mapped, dissolved } = dissolveLinks(linked, options)
  checkLinks(dataDirOf(mapped), mapped.targets)
  return { manifest: mapped, remaps, dissolved }
}

function moveTargets(manifest: Manifest, options: MappingOptions, remaps: string[]): Manifest {
  const destinations = tablespaceDestinations(manifest, options)
  const targets = manifest.targets.map((target): ManifestTarget => {
    const path =
      target.name === 'pg_data' ? toByteString(options.dataDir) : destinations.get(target.name)
    if (path === undefined || path === target.path) return target
    remaps.push(
      target.name === 'pg_data'
        ? `remap data directory to '${options.dataDir}'`
        : `map tablespace '${target.name}' directory to '${path}'`,
    )
    return { ...target, path }
  })
  const links = manifest.links.map((link): ManifestLink => {
    const destination = destinations.get(link.name.replace(/^pg_data\/pg_tblspc\//, 'pg_tblspc/'))
    return destination === undefined ? link : { ...link, destination }
  })
  return { ...manifest, targets, links }
}

/** Target name of every tablespace that moves → its new directory (byte string). */
function tablespaceDestinations(
  manifest: Manifest,
  options: MappingOptions,
): ReadonlyMap<string, string> {
  const destinations = new Map<string, string>()
  const known = new Set<string>()
  for (const target of manifest.targets) {
    if (target.kind !== 'link' || target.tablespaceId === undefined) continue
    const tablespace = { oid: String(target.tablespaceId), name: target.tablespaceName ?? '' }
    known.add(tablespace.name).add(tablespace.oid)
    const path = tablespacePath(tablespace, options)
    if (path !== undefined) destinations.set(target.name, toByteString(path))
  }
  for (const wanted of options.tablespaceMap.keys()) {
    if (known.has(wanted)) continue
    const near = nearestName(wanted, known)
    throw new AppError('tablespace-map', `unable to remap invalid tablespace '${wanted}'`, {
      hint:
        known.size === 0
          ? 'the backup has no tablespaces.'
          : `the backup has: ${[...known].join(', ')}${near === undefined ? '' : `; did you mean '${near}'?`}`,
    })
  }
  return destinations
}

/** Where one tablespace goes; undefined leaves it where it was. One by one wins over all at once. */
function tablespacePath(
  { oid, name }: { readonly oid: string; readonly name: string },
  { tablespaceMap, tablespaceMapAll }: MappingOptions,
): string | undefined {
  const byName = tablespaceMap.get(name)
  const byOid = tablespaceMap.get(oid)
  if (byName !== undefined && byOid !== undefined && byName !== byOid) {
    throw new AppError(
      'tablespace-map',
      `tablespace remapped by name '${name}' and id ${oid} with different paths`,
    )
  }
  const all = tablespaceMapAll === undefined ? undefined : `${tablespaceMapAll}/${name}`
  const path = byName ?? byOid ?? all
  if (path === undefined) return undefined
  if (!path.startsWith('/')) {
    throw new AppError('tablespace-map', `path '${path}' of tablespace '${name}' must begin with /`)
  }
  return withoutExtraSlashes(path)
}

/** `/a//b/` → `/a/b`. */
function withoutExtraSlashes(path: string): string {
  return path.replaceAll(/\/+/g, '/').replace(/(.)\/$/, '$1')
}

function addLinks(manifest: Manifest, options: MappingOptions, remaps: string[]): Manifest {
  let mapped = manifest
  for (const [link, destination] of options.linkMap) {
    const name = `pg_data/${toByteString(link)}`
    if (name.startsWith('pg_data/pg_tblspc/')) {
      throw new AppError('link-map', `unable to remap tablespace link '${link}'`, {
        hint: "use '--tablespace-map' for tablespaces.",
      })
    }
    mapped = linkOne(mapped, name, toByteString(withoutExtraSlashes(destination)))
    remaps.push(`map link '${link}' to '${destination}'`)
  }
  return mapped
}

function linkOne(manifest: Manifest, name: string, destination: string): Manifest {
  const isFile = manifest.files.some((file) => file.name === name)
  const path = manifest.paths.find((entry) => entry.name === name)
  if (!isFile && path === undefined) {
    throw new AppError(
      'link-map',
      `unable to map link '${name.slice('pg_data/'.length)}': it is not in the backup`,
    )
  }
  const target = linkTarget(name, destination, isFile ? 'file' : 'directory')
  const owner = path ?? manifest.paths[0]
  const link: ManifestLink = {
    name,
    destination,
    user: owner?.user ?? false,
    group: owner?.group ?? false,
  }
  return {
    ...manifest,
    targets: withEntry(manifest.targets, target),
    links: withEntry(manifest.links, link),
  }
}

/** Sorted by name, as the lists of a manifest are; the entry replaces one of its name. */
function withEntry<T extends { readonly name: string }>(
  entries: readonly T[],
  entry: T,
): readonly T[] {
  return [...entries.filter(({ name }) => name !== entry.name), entry].toSorted((left, right) =>
    compareBytes(left.name, right.name),
  )
}

function linkTarget(name: string, destination: string, to: 'file' | 'directory'): ManifestTarget {
  const slash = to === 'file' ? destination.lastIndexOf('/') : destination.length
  if (slash <= 0) {
    throw new AppError(
      'link-map',
      `'${destination}' cannot be the destination of link '${name.slice('pg_data/'.length)}'`,
      { hint: to === 'file' ? 'a file is linked as directory/file.' : undefined },
    )
  }
  return {
    name,
    kind: 'link',
    path: destination.slice(0, slash),
    file: to === 'file' ? destination.slice(slash + 1) : undefined,
    tablespaceId: undefined,
    tablespaceName: undefined,
  }
}

function dissolveLinks(
  manifest: Manifest,
  options: MappingOptions,
): { readonly manifest: Manifest; readonly dissolved: readonly string[] } {
  const mapped = new Set([...options.linkMap.keys()].map((link) => `pg_data/${toByteString(link)}`))
  const stays = (name: string): boolean =>
    options.linkAll === 'keep' || mapped.has(name) || name.startsWith('pg_data/pg_tblspc/')
  const dissolved = manifest.links.filter(({ name }) => !stays(name)).map(({ name }) => name)
  const gone = new Set(dissolved)
  return {
    manifest: {
      ...manifest,
      links: manifest.links.filter(({ name }) => !gone.has(name)),
      targets: manifest.targets.filter(({ name }) => !gone.has(name)),
    },
    dissolved,
  }
}

/** Absolute directory of a target, byte string. */
export function targetPath(manifest: Manifest, target: ManifestTarget): string {
  return destinationOf(dataDirOf(manifest), target)
}

export function dataDirOf(manifest: Manifest): string {
  const target = manifest.targets.find(({ name }) => name === 'pg_data')
  if (target === undefined) throw new AppError('format', 'the manifest has no pg_data target')
  return target.path
}

/** Where a manifest name lies on disk (byte string): through PGDATA's links, or in its tablespace. */
export function diskPathOf(manifest: Manifest, name: string): string {
  if (name === 'pg_data') return dataDirOf(manifest)
  if (name.startsWith('pg_data/')) return `${dataDirOf(manifest)}/${name.slice('pg_data/'.length)}`
  const [root, oid, ...rest] = name.split('/')
  const target = manifest.targets.find((entry) => entry.name === `${root}/${oid}`)
  if (target === undefined) throw new AppError('format', `the manifest has no target for '${name}'`)
  return [targetPath(manifest, target), ...rest].join('/')
}
