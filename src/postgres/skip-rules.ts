/**
 * What a backup leaves out of a cluster, and what is special about what it takes. Pure; PostgreSQL 13 to 18.
 *
 * Names are manifest names (byte strings): `pg_data/base/5/1259`, `pg_tblspc/16384/PG_15_202209061/5/16390`. The rules are
 * pgBackRest's (2.60): a file left out must be one that PostgreSQL recreates, or that must not be restored.
 */

export interface SkipRules {
  /** `offline`: the cluster is shut down, so its WAL directory is part of its state. */
  readonly online: 'online' | 'offline'
  /** Paths relative to PGDATA (byte strings); one that ends in `/` leaves out the contents, not the directory. */
  readonly exclude: readonly string[]
}

export type EntryKind = 'file' | 'directory' | 'link' | 'special'

export type Decision =
  | { readonly action: 'take' }
  | { readonly action: 'skip'; readonly reason: string }
  /** Record the directory, skip what is in it. */
  | { readonly action: 'take-empty'; readonly reason: string }

const TAKE: Decision = { action: 'take' }

const PG_DATA = 'pg_data'
const PG_WAL = `${PG_DATA}/pg_wal`

/** Directories directly in PGDATA whose contents do not survive a restart, or must not be restored. */
const EMPTY_DIRECTORIES: ReadonlySet<string> = new Set(
  [
    'pg_dynshmem',
    'pg_notify',
    'pg_replslot',
    'pg_serial',
    'pg_snapshots',
    'pg_stat_tmp',
    'pg_subtrans',
  ].map((name) => `${PG_DATA}/${name}`),
)

const SKIPPED_FILES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    backup_label: 'belongs to another backup',
    'backup_label.old': 'belongs to another backup',
    backup_manifest: 'belongs to another backup',
    'backup_manifest.tmp': 'belongs to another backup',
    'postgresql.auto.conf.tmp': 'is a partial write',
    'postmaster.opts': 'belongs to the running server',
    'postmaster.pid': 'belongs to the running server',
    'recovery.signal': 'would start a recovery',
    'standby.signal': 'would start a standby',
  }).map(([name, reason]) => [`${PG_DATA}/${name}`, reason]),
)

const DATABASE_DIRECTORY = String.raw`(?:pg_data/(?:global|base/\d+)|pg_tblspc/\d+/PG_[^/]+/\d+)`
const DATABASE_FILE = new RegExp(`^${DATABASE_DIRECTORY}/[^/]+$`)
const CACHE_FILE = new RegExp(String.raw`^${DATABASE_DIRECTORY}/pg_internal\.init(?:\.\d+)?$`)
const TEMPORARY_RELATION = new RegExp(
  String.raw`^${DATABASE_DIRECTORY}/t\d+_\d+(?:_(?:fsm|vm))?(?:\.\d+)?$`,
)
/** Group 1 is the path of the relation's main fork. */
const RELATION = new RegExp(String.raw`^(${DATABASE_DIRECTORY}/\d+)(?:_(?:fsm|vm))?(?:\.\d+)?$`)

/** Decides one directory entry. Unlogged relations need the whole list: `withoutUnlogged`. */
export function decideEntry(name: string, kind: EntryKind, rules: SkipRules): Decision {
  if (baseName(name).startsWith('pgsql_tmp')) return skip('is temporary')
  const relative = name.startsWith(`${PG_DATA}/`) ? name.slice(PG_DATA.length + 1) : undefined
  if (relative !== undefined && rules.exclude.includes(relative)) {
    return skip(`is excluded by '${relative}'`)
  }
  switch (kind) {
    case 'directory':
      if (relative !== undefined && rules.exclude.includes(`${relative}/`)) {
        return { action: 'take-empty', reason: `contents are excluded by '${relative}/'` }
      }
      return decideDirectory(name, rules)
    case 'file':
      return decideFile(name, rules)
    case 'special':
      return skip('is a socket, pipe or device')
    case 'link':
      return TAKE
  }
}

function decideDirectory(name: string, rules: SkipRules): Decision {
  if (EMPTY_DIRECTORIES.has(name)) {
    return { action: 'take-empty', reason: 'contents are recreated by PostgreSQL' }
  }
  if (rules.online === 'online' && name === `${PG_WAL}/archive_status`) {
    return { action: 'take-empty', reason: 'contents belong to the running server' }
  }
  return TAKE
}

function decideFile(name: string, rules: SkipRules): Decision {
  const reason = SKIPPED_FILES.get(name)
  if (reason !== undefined) return skip(reason)
  if (rules.online === 'online' && parentName(name) === PG_WAL)
    return skip('comes from the archive')
  if (CACHE_FILE.test(name)) return skip('is a cache')
  if (TEMPORARY_RELATION.test(name)) return skip('is a temporary relation')
  return TAKE
}

function skip(reason: string): Decision {
  return { action: 'skip', reason }
}

/**
 * Splits off the files of unlogged relations, which PostgreSQL empties at the end of recovery. Their `_init` fork, which
 * marks them and from which they are recreated, stays.
 */
export function withoutUnlogged<Entry extends { readonly name: string }>(
  files: readonly Entry[],
): { readonly kept: readonly Entry[]; readonly unlogged: readonly Entry[] } {
  const names = new Set(files.map((file) => file.name))
  const isUnlogged = (file: Entry): boolean => {
    const main = RELATION.exec(file.name)?.[1]
    return main !== undefined && names.has(`${main}_init`)
  }
  return {
    kept: files.filter((file) => !isUnlogged(file)),
    unlogged: files.filter(isUnlogged),
  }
}

/** Whether a file consists of pages with checksums. */
export function pageCheckable(name: string): boolean {
  if (!DATABASE_FILE.test(name) || name === `${PG_DATA}/global/pg_control`) return false
  return !name.endsWith('/pg_filenode.map') && !name.endsWith('/PG_VERSION')
}

/** Which 1 GiB segment of its relation a file is: 2 for `16384.2`, 0 for `16384`. */
export function segmentNumberOf(name: string): number {
  return Number(/\.(\d+)$/.exec(name)?.[1] ?? 0)
}

const REPLICATED = /^(?:pg_data\/(?:base|global|pg_xact|pg_multixact)|pg_tblspc)\//

/** Whether a backup from a standby must take this file from the primary: what replication does not keep equal. */
export function onlyFromPrimary(name: string): boolean {
  return name === `${PG_DATA}/global/pg_control` || !REPLICATED.test(name)
}

/** `c` of `a/b/c`. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** `a/b` of `a/b/c`. */
export function parentName(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')))
}
