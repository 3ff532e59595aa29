/** PostgreSQL's own client programs on this machine: which there are, and which one fits a server. */
import { execFile } from 'node:child_process'
import { access, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../base/error.ts'

/** A folder that holds `psql`, `pg_dump`, `pg_dumpall` and `pg_restore` of one version. */
export interface ClientPrograms {
  readonly folder: string
  /** `17`. */
  readonly major: number
  /** The minor release: 11 of `17.11`. */
  readonly minor: number
  /** As `pg_dump --version` says it: `17.11`. */
  readonly version: string
}

const PROGRAMS = ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql'] as const
export type ClientProgram = (typeof PROGRAMS)[number]

/** Where packages put one folder for each version: Debian's and Ubuntu's, PGDG's for Red Hat and SUSE. */
const VERSIONED_PLACES = [
  { above: '/usr/lib/postgresql', below: 'bin' },
  { above: '/usr', below: 'bin', named: /^pgsql-\d+$/ },
  { above: '/usr/lib', below: 'bin', named: /^postgresql\d+$/ },
] as const

const run = promisify(execFile)

/**
 * All that are found, newest first: in `asked` when it is given and nowhere else, or in the folders of packages and PATH.
 * Empty when there are none.
 */
export async function findClientPrograms(
  asked: readonly string[],
  pathVariable: string | undefined,
): Promise<readonly ClientPrograms[]> {
  const folders = asked.length > 0 ? asked : await usualFolders(pathVariable)
  const found: ClientPrograms[] = []
  for (const folder of new Set(folders)) {
    const programs = await programsIn(folder)
    if (programs !== undefined) found.push(programs)
  }
  return found.toSorted((left, right) => right.major - left.major || right.minor - left.minor)
}

/**
 * Those of the server's own major version, else the next newer ones: what pg_dump writes can be restored to servers of its own
 * version and newer, so a newer pg_dump makes dumps that the server they are from may not understand. Undefined: all are older.
 */
export function fittingPrograms(
  found: readonly ClientPrograms[],
  serverMajor: number,
): ClientPrograms | undefined {
  const major = found.findLast((programs) => programs.major >= serverMajor)?.major
  return found.find((programs) => programs.major === major)
}

/** The same; throws `version-not-supported` when all are older than the server. */
export function programsFor(found: readonly ClientPrograms[], serverMajor: number): ClientPrograms {
  const fitting = fittingPrograms(found, serverMajor)
  if (fitting !== undefined) return fitting
  const [newest] = found
  if (newest === undefined) {
    throw new AppError('file-missing', 'no folder has pg_dump, pg_dumpall, pg_restore and psql', {
      hint: [
        "Install PostgreSQL's client programs (Debian: postgresql-client-17), not older than the server.",
        WHERE_HINT,
      ],
    })
  }
  throw new AppError(
    'version-not-supported',
    `pg_dump '${newest.version}' in '${newest.folder}' is older than the server's version '${serverMajor}'`,
    {
      hint: [
        `Install PostgreSQL's client programs of version ${serverMajor} or newer (Debian: postgresql-client-${serverMajor}).`,
        WHERE_HINT,
      ],
    },
  )
}

const WHERE_HINT = 'Where are they, if they are installed (pg-client-path)?'

export function programPath(programs: ClientPrograms, name: ClientProgram): string {
  return join(programs.folder, name)
}

async function usualFolders(pathVariable: string | undefined): Promise<readonly string[]> {
  const folders: string[] = []
  for (const place of VERSIONED_PLACES) {
    const names = await readdir(place.above).catch(() => [])
    for (const name of names) {
      if ('named' in place && !place.named.test(name)) continue
      folders.push(join(place.above, name, place.below))
    }
  }
  return [...folders, ...(pathVariable ?? '').split(delimiter).filter((folder) => folder !== '')]
}

async function programsIn(folder: string): Promise<ClientPrograms | undefined> {
  try {
    for (const name of PROGRAMS) await access(join(folder, name))
    const { stdout } = await run(join(folder, 'pg_dump'), ['--version'], {
      env: { LC_ALL: 'C', PATH: '/usr/bin:/bin' },
    })
    const [, major, minor] = / (\d+)\.(\d+)/.exec(stdout) ?? []
    if (major === undefined || minor === undefined) return undefined
    return { folder, major: Number(major), minor: Number(minor), version: `${major}.${minor}` }
  } catch {
    return undefined
  }
}
