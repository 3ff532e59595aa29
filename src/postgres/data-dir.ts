/**
 * Listing a cluster: everything a backup takes from the data directory and the places its links lead to.
 *
 * The rules are in skip-rules.ts and link-rules.ts; this walks and looks. All names and paths given back are byte strings.
 * Not for: reading the files.
 */
import { lstatSync, type Stats } from 'node:fs'
import { readdir, readlink, stat } from 'node:fs/promises'
import { posix } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AppError, errnoOf, type ErrorKind } from '../base/error.ts'
import { compareBytes, toBytes, toByteString, toHumanText } from '../base/text.ts'
import type { ManifestTarget } from '../format/manifest.ts'
import { checkLinks } from './link-rules.ts'
import { openOwners, type Owners } from './owner-names.ts'
import { tablespaceDirName } from './postgres.ts'
import {
  baseName,
  decideEntry,
  parentName,
  withoutUnlogged,
  type EntryKind,
  type SkipRules,
} from './skip-rules.ts'

export interface ListOptions {
  /** Human text, as configured. */
  readonly dataDir: string
  readonly version: string
  readonly catalogVersion: number
  readonly online: 'online' | 'offline'
  /** Names (byte strings) by OID from the server; unused when offline. */
  readonly tablespaces: ReadonlyMap<number, string>
  /** Human text; see `SkipRules`. */
  readonly exclude: readonly string[]
}

interface Owned {
  readonly name: string
  /** False: the numeric owner has no name on this system. */
  readonly user: string | false
  readonly group: string | false
}

export interface ListedPath extends Owned {
  /** Permission bits, 0o7777. */
  readonly mode: number
}

export interface ListedFile extends ListedPath {
  readonly sizeBytes: number
  /** Modification time, whole seconds since the epoch. */
  readonly timestampS: number
  readonly diskPath: string
}

export interface ListedLink extends Owned {
  readonly destination: string
}

/** Lists are sorted by name, in byte order. */
export interface ClusterListing {
  readonly targets: readonly ManifestTarget[]
  readonly paths: readonly ListedPath[]
  readonly files: readonly ListedFile[]
  readonly links: readonly ListedLink[]
  /** Entries left out; for a directory whose contents are left out, the directory. */
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  readonly warnings: readonly string[]
}

/** How many entries are looked at before others have their turn. */
const LOOK_MAX = 64

const PG_DATA = 'pg_data'
const PG_TBLSPC = 'pg_tblspc'

interface Entry {
  readonly name: string
  readonly diskPath: string
  readonly stats: Stats
}

interface Walk {
  readonly options: ListOptions
  readonly rules: SkipRules
  readonly dataDir: string
  readonly owners: Owners
  /** Owner and mode of PGDATA, which the manifest's made-up paths of tablespaces share. */
  readonly root: ListedPath
  readonly targets: ManifestTarget[]
  readonly paths: ListedPath[]
  readonly files: ListedFile[]
  readonly links: ListedLink[]
  readonly skipped: { readonly name: string; readonly reason: string }[]
  readonly warnings: string[]
}

/**
 * Lists a cluster that may be running: files and directories that vanish meanwhile are left out. Throws `path-missing`,
 * `path-open`, `file-open`, `link-expected` (something else than a link in pg_tblspc), `link-destination` (a link to a link,
 * into PGDATA, or overlapping another), `tablespace-map` (a tablespace the server did not name).
 */
export async function listCluster(options: ListOptions): Promise<ClusterListing> {
  const dataDir = posix.resolve(toByteString(options.dataDir))
  const owners = openOwners()
  const stats = await statDataDir(dataDir)
  const root = await pathOf(owners, PG_DATA, stats)
  const walk: Walk = {
    options,
    rules: { online: options.online, exclude: options.exclude.map(toByteString) },
    dataDir,
    owners,
    root,
    targets: [{ name: PG_DATA, kind: 'path', path: toByteString(options.dataDir) }],
    paths: [],
    files: [],
    links: [],
    skipped: [],
    warnings: [],
  }
  await walkDirectory(walk, { name: PG_DATA, diskPath: dataDir, stats })
  checkLinks(dataDir, walk.targets)
  return finish(walk)
}

function finish(walk: Walk): ClusterListing {
  const { kept, unlogged } = withoutUnlogged(walk.files)
  const skipped = [
    ...walk.skipped,
    ...unlogged.map(({ name }) => ({ name, reason: 'is an unlogged relation' })),
  ]
  return {
    targets: sorted(walk.targets),
    paths: sorted(walk.paths),
    files: sorted(kept),
    links: sorted(walk.links),
    skipped: sorted(skipped),
    warnings: walk.warnings,
  }
}

function sorted<Item extends { readonly name: string }>(items: readonly Item[]): readonly Item[] {
  return items.toSorted((left, right) => compareBytes(left.name, right.name))
}

/** PGDATA itself may be reached through a link. */
async function statDataDir(dataDir: string): Promise<Stats> {
  try {
    return await stat(toBytes(dataDir))
  } catch (cause) {
    const kind = errnoOf(cause) === 'ENOENT' ? 'path-missing' : 'path-open'
    throw ioError(kind, 'open the data directory', dataDir, cause)
  }
}

async function walkDirectory(walk: Walk, directory: Entry): Promise<void> {
  const names = await namesIn(directory.diskPath)
  if (names === undefined) return
  walk.paths.push(await pathOf(walk.owners, directory.name, directory.stats))
  for (const [index, name] of names.entries()) {
    if (index % LOOK_MAX === LOOK_MAX - 1) await nextTurn()
    const entry = look(`${directory.name}/${name}`, `${directory.diskPath}/${name}`)
    if (entry !== undefined) await takeEntry(walk, entry)
  }
}

/** The names in a directory; undefined when it is gone. */
async function namesIn(diskPath: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(toBytes(diskPath), { encoding: 'latin1' })
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined
    throw ioError('path-open', 'list directory', diskPath, cause)
  }
}

/**
 * The entry itself, not where it leads; undefined when it is gone. Synchronous: the kernel has most of it in memory, and a
 * round trip through libuv's pool costs several times as much.
 */
function look(name: string, diskPath: string): Entry | undefined {
  try {
    const stats = lstatSync(toBytes(diskPath), { throwIfNoEntry: false })
    return stats === undefined ? undefined : { name, diskPath, stats }
  } catch (cause) {
    throw ioError('file-open', 'look at', diskPath, cause)
  }
}

/** Also called for what a link leads to, under the link's name: the same rules hold for it. */
async function takeEntry(walk: Walk, entry: Entry): Promise<void> {
  const kind = kindOf(entry.stats)
  const decision = decideEntry(entry.name, kind, walk.rules)
  if (decision.action !== 'take') {
    walk.skipped.push({ name: entry.name, reason: decision.reason })
    if (kind === 'special') {
      walk.warnings.push(`exclude special file '${toHumanText(entry.diskPath)}' from backup`)
    }
    if (decision.action === 'take-empty') {
      walk.paths.push(await pathOf(walk.owners, entry.name, entry.stats))
    }
    return
  }
  if (parentName(entry.name) === `${PG_DATA}/${PG_TBLSPC}` && kind !== 'link') {
    throw new AppError('link-expected', `'${toHumanText(entry.diskPath)}' is not a symlink`, {
      hint: 'Directory pg_tblspc should contain only symlinks; in-place tablespaces cannot be backed up.',
    })
  }
  if (kind === 'directory') await walkDirectory(walk, entry)
  else if (kind === 'link') await takeLink(walk, entry)
  else walk.files.push(await fileOf(walk.owners, entry))
}

function kindOf(stats: Stats): EntryKind {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'directory'
  return stats.isSymbolicLink() ? 'link' : 'special'
}

async function takeLink(walk: Walk, link: Entry): Promise<void> {
  const destination = await destinationText(link.diskPath)
  if (destination === undefined) return
  const diskPath = posix.resolve(posix.dirname(link.diskPath), destination)
  const found = look(link.name, diskPath)
  if (found === undefined) throw danglingLink(link, diskPath)
  if (found.stats.isSymbolicLink()) {
    throw new AppError(
      'link-destination',
      `link '${toHumanText(link.diskPath)}' cannot reference another link '${toHumanText(diskPath)}'`,
    )
  }
  const owned = await ownedOf(walk.owners, link.name, link.stats)
  if (parentName(link.name) === `${PG_DATA}/${PG_TBLSPC}`) {
    walk.links.push({ ...owned, destination })
    await takeTablespace(walk, found)
    return
  }
  const decision = decideEntry(link.name, kindOf(found.stats), walk.rules)
  if (decision.action !== 'skip') {
    walk.links.push({ ...owned, destination })
    walk.targets.push(linkTarget(link.name, destination, found.stats))
  }
  await takeEntry(walk, found)
}

function linkTarget(name: string, destination: string, found: Stats): ManifestTarget {
  const common = { name, kind: 'link', tablespaceId: undefined, tablespaceName: undefined } as const
  if (found.isDirectory()) return { ...common, path: destination, file: undefined }
  return { ...common, path: posix.dirname(destination), file: posix.basename(destination) }
}

/** Takes the directory this release uses in a tablespace; other releases may use others beside it. */
async function takeTablespace(walk: Walk, location: Entry): Promise<void> {
  const oid = baseName(location.name)
  const name = `${PG_TBLSPC}/${oid}`
  const tablespaceId = Number(oid)
  const tablespaceName =
    walk.options.online === 'offline' ? `ts${oid}` : walk.options.tablespaces.get(tablespaceId)
  if (!Number.isSafeInteger(tablespaceId) || tablespaceName === undefined) {
    throw new AppError('tablespace-map', `tablespace with oid '${oid}' is unknown`, {
      hint: 'Was a tablespace created or dropped during the backup?',
    })
  }
  const versionDir = tablespaceDirName(walk.options.version, walk.options.catalogVersion)
  const entry = look(`${name}/${versionDir}`, `${location.diskPath}/${versionDir}`)
  if (entry === undefined) {
    throw new AppError('path-missing', `tablespace '${oid}' has no directory '${versionDir}'`, {
      hint: `Was the tablespace dropped during the backup, or is '${toHumanText(location.diskPath)}' not mounted?`,
    })
  }
  walk.targets.push({
    name,
    kind: 'link',
    path: location.diskPath,
    file: undefined,
    tablespaceId,
    tablespaceName,
  })
  if (!walk.paths.some((path) => path.name === PG_TBLSPC)) {
    walk.paths.push({ ...walk.root, name: PG_TBLSPC })
  }
  walk.paths.push({ ...walk.root, name })
  await walkDirectory(walk, entry)
}

/** What a link says; undefined when it is gone. */
async function destinationText(diskPath: string): Promise<string | undefined> {
  try {
    return await readlink(toBytes(diskPath), { encoding: 'latin1' })
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') return undefined
    throw ioError('file-open', 'read link', diskPath, cause)
  }
}

function danglingLink(link: Entry, diskPath: string): AppError {
  const message = `link '${toHumanText(link.diskPath)}' leads to '${toHumanText(diskPath)}', which is missing`
  return new AppError('file-missing', message, {
    hint: 'Is a file system not mounted, or can the link be removed?',
  })
}

async function ownedOf(owners: Owners, name: string, stats: Stats): Promise<Owned> {
  return { name, user: await owners.userOf(stats.uid), group: await owners.groupOf(stats.gid) }
}

async function pathOf(owners: Owners, name: string, stats: Stats): Promise<ListedPath> {
  return { ...(await ownedOf(owners, name, stats)), mode: stats.mode & 0o7777 }
}

async function fileOf(owners: Owners, { name, diskPath, stats }: Entry): Promise<ListedFile> {
  return {
    ...(await pathOf(owners, name, stats)),
    sizeBytes: stats.size,
    timestampS: Math.floor(stats.mtimeMs / 1000),
    diskPath,
  }
}

function ioError(kind: ErrorKind, doing: string, diskPath: string, cause: unknown): AppError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new AppError(kind, `unable to ${doing} '${toHumanText(diskPath)}': ${reason}`, { cause })
}
