/**
 * PostgreSQL: what is known about its releases, its files and its recovery, and the way to talk to a running server.
 *
 * Pure parts (pg_control, WAL headers, what a backup leaves out, recovery settings) take bytes and text; thin parts
 * (connection, backup mode, reading the data directory) do the I/O. Not for: repositories, copying, commands.
 */

/** One major release. Facts: PostgreSQL's `pg_control.h`, `catversion.h` and `xlog_internal.h`. */
export interface PgRelease {
  /** `9.6`, `15`. */
  readonly version: string
  readonly controlVersion: number
  /** Of the final release; for a beta, of one snapshot. */
  readonly catalogVersion: number
  /** First two bytes of every WAL page, little-endian. */
  readonly walMagic: number
  /** `supported`: backup and restore. `known`: its pg_control and WAL can be read. `beta`: the catalog still changes. */
  readonly status: 'supported' | 'known' | 'beta'
}

const RELEASES: readonly PgRelease[] = [
  release('9.6', 960, 201608131, { walMagic: 0xd093, status: 'known' }),
  release('10', 1002, 201707211, { walMagic: 0xd097, status: 'known' }),
  release('11', 1100, 201809051, { walMagic: 0xd098, status: 'known' }),
  release('12', 1201, 201909212, { walMagic: 0xd101, status: 'known' }),
  release('13', 1300, 202007201, { walMagic: 0xd106, status: 'supported' }),
  release('14', 1300, 202107181, { walMagic: 0xd10d, status: 'supported' }),
  release('15', 1300, 202209061, { walMagic: 0xd110, status: 'supported' }),
  release('16', 1300, 202307071, { walMagic: 0xd113, status: 'supported' }),
  release('17', 1700, 202406281, { walMagic: 0xd116, status: 'supported' }),
  release('18', 1800, 202506291, { walMagic: 0xd118, status: 'supported' }),
  release('19', 1902, 202605131, { walMagic: 0xd121, status: 'beta' }),
]

function release(
  version: string,
  controlVersion: number,
  catalogVersion: number,
  rest: Pick<PgRelease, 'walMagic' | 'status'>,
): PgRelease {
  return { version, controlVersion, catalogVersion, ...rest }
}

/** The release that writes this pg_control. Both numbers count: 13 to 16 share one control version. */
export function releaseOfControl(
  controlVersion: number,
  catalogVersion: number,
): PgRelease | undefined {
  return RELEASES.find(
    (known) => known.controlVersion === controlVersion && isCatalogOf(known, catalogVersion),
  )
}

/** A beta's catalog version moves until the release; it begins with the year. */
function isCatalogOf(known: PgRelease, catalogVersion: number): boolean {
  if (known.status !== 'beta') return known.catalogVersion === catalogVersion
  return Math.floor(known.catalogVersion / 100_000) === Math.floor(catalogVersion / 100_000)
}

/** The release named `15` or `9.6`. */
export function releaseOfVersion(version: string): PgRelease | undefined {
  return RELEASES.find((known) => known.version === version)
}

/** The release whose WAL pages begin with `magic`. */
export function releaseOfWalMagic(magic: number): PgRelease | undefined {
  return RELEASES.find((known) => known.walMagic === magic)
}

/** The directory a release uses inside each tablespace: `PG_15_202209061`. */
export function tablespaceDirName(version: string, catalogVersion: number): string {
  return `PG_${version}_${catalogVersion}`
}
