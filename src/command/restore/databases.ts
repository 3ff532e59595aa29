/** Which databases a restore leaves out: their files are made as holes of the right size, which cost no space. Pure. */
import { AppError } from '../../base/error.ts'
import { nearestName, toHumanText } from '../../base/text.ts'
import type { Manifest, ManifestFile } from '../../format/manifest.ts'

export interface DatabaseChoice {
  /** Names or oids. */
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}

/** Oids from here on are those of users' databases; the others come with initdb. */
const FIRST_USER_OID = 16384
const SYSTEM_NAMES: ReadonlySet<string> = new Set(['postgres', 'template0', 'template1'])

/** `pg_data/base/5/1259`, `pg_tblspc/16384/PG_15_202209061/5/16390`: the oid of the database that a file belongs to. */
const DATABASE_FILE = /^(?:pg_data\/base|pg_tblspc\/\d+\/[^/]+)\/(\d+)\/(.+)$/

interface Database {
  readonly oid: number
  /** Undefined: made after the backup began, so that only its files are known. */
  readonly name: string | undefined
}

/**
 * Oids of the databases that are left out: with `include` all users' databases but those, and always those of `exclude`.
 * `db-missing` for one that the backup does not have; `db-invalid` for one that cannot be included.
 */
export function databasesLeftOut(
  manifest: Manifest,
  { include, exclude }: DatabaseChoice,
): ReadonlySet<number> {
  if (include.length === 0 && exclude.length === 0) return new Set()
  const databases = databasesOf(manifest)
  if (databases.length === 0) {
    throw new AppError('format', 'no databases found for selective restore', {
      hint: 'is this a valid cluster?',
    })
  }
  const leftOut = new Set(exclude.map((wanted) => find(databases, wanted, 'exclude').oid))
  if (include.length === 0) return leftOut
  const included = new Set<number>()
  for (const wanted of include) {
    const database = find(databases, wanted, 'include')
    assertIncludable(database, wanted, leftOut)
    included.add(database.oid)
  }
  for (const database of databases) {
    if (!isSystem(database) && !included.has(database.oid)) leftOut.add(database.oid)
  }
  return leftOut
}

/** The files that are made as holes: those of the databases left out, but not what tells PostgreSQL their version. */
export function isLeftOut({ name }: ManifestFile, leftOut: ReadonlySet<number>): boolean {
  if (leftOut.size === 0) return false
  const [, oid, below] = DATABASE_FILE.exec(name) ?? []
  return below !== undefined && below !== 'PG_VERSION' && leftOut.has(Number(oid))
}

/** Those that the manifest lists, and those that it has files of. */
function databasesOf(manifest: Manifest): readonly Database[] {
  const databases = new Map<number, Database>()
  for (const { name } of manifest.files) {
    const [, oid, below] = DATABASE_FILE.exec(name) ?? []
    if (below === 'PG_VERSION') databases.set(Number(oid), { oid: Number(oid), name: undefined })
  }
  for (const { oid, name } of manifest.databases) {
    databases.set(oid, { oid, name: toHumanText(name) })
  }
  return [...databases.values()]
}

function isSystem({ oid, name }: Database): boolean {
  return oid < FIRST_USER_OID || (name !== undefined && SYSTEM_NAMES.has(name))
}

function find(
  databases: readonly Database[],
  wanted: string,
  purpose: 'include' | 'exclude',
): Database {
  const found =
    databases.find(({ oid }) => String(oid) === wanted) ??
    databases.find(({ name }) => name === wanted)
  if (found !== undefined) return found
  const names = databases.map(({ oid, name }) => name ?? String(oid))
  const near = nearestName(wanted, names)
  throw new AppError('db-missing', `database to ${purpose} '${wanted}' does not exist`, {
    hint: `the backup has: ${names.join(', ')}${near === undefined ? '' : `; did you mean '${near}'?`}`,
  })
}

function assertIncludable(database: Database, wanted: string, excluded: ReadonlySet<number>): void {
  if (isSystem(database)) {
    throw new AppError(
      'db-invalid',
      'system databases (template0, postgres, etc.) are included by default',
    )
  }
  if (excluded.has(database.oid)) {
    throw new AppError('db-invalid', `database to include '${wanted}' is in the exclude list`)
  }
}
