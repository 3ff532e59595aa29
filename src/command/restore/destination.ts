/** What lies where a restore is about to write. Reading only. */
import { readFile, readdir, stat } from 'node:fs/promises'
import { AppError, errnoOf, isErrorKind } from '../../base/error.ts'
import { toBytes, toHumanText } from '../../base/text.ts'
import { parseManifest } from '../../format/manifest-read.ts'
import { INVALID_CHECKPOINT_LSN } from '../../postgres/control-file.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'

/** The manifest that lies in a data directory while a restore of it is unfinished (pgBackRest's name). */
export const MARKER_NAME = 'backup.manifest'
/** Ends the name of a file that a restore has not completed. */
export const PARTIAL_SUFFIX = '.pgbackrest.tmp'

export interface Destination {
  readonly dataDir: string
  /** `missing` and `empty` are safe to fill. */
  readonly content: 'missing' | 'empty' | 'cluster' | 'other'
  /** First line of postmaster.pid; undefined when there is none. */
  readonly postmasterPid: string | undefined
  /** System id of the cluster that is there, as far as it can be known. */
  readonly systemId: bigint | undefined
  /** An earlier restore of this directory did not finish, or finished and was never started. */
  readonly unfinished: 'yes' | 'no'
  readonly standbySignal: 'yes' | 'no'
}

export async function inspectDestination(dataDir: string): Promise<Destination> {
  const names = await namesIn(dataDir)
  if (names === undefined || names.length === 0) {
    return {
      dataDir,
      content: names === undefined ? 'missing' : 'empty',
      postmasterPid: undefined,
      systemId: undefined,
      unfinished: 'no',
      standbySignal: 'no',
    }
  }
  const marker = names.includes(MARKER_NAME)
  return {
    dataDir,
    content: names.includes('PG_VERSION') || marker ? 'cluster' : 'other',
    postmasterPid: await postmasterPid(dataDir, names),
    ...(await clusterIn(dataDir, marker ? 'unfinished' : 'finished')),
    standbySignal: names.includes('standby.signal') ? 'yes' : 'no',
  }
}

/** Whose files they are, and whether an earlier restore may simply go on with them. */
async function clusterIn(
  dataDir: string,
  marked: 'unfinished' | 'finished',
): Promise<Pick<Destination, 'systemId' | 'unfinished'>> {
  const control = await controlOf(dataDir)
  if (marked === 'finished') return { systemId: control?.systemId, unfinished: 'no' }
  const untouched = control === undefined || control.checkpointLsn === INVALID_CHECKPOINT_LSN
  return {
    systemId: control?.systemId ?? (await systemIdOfMarker(dataDir)),
    unfinished: untouched ? 'yes' : 'no',
  }
}

async function namesIn(directory: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(directory)
  } catch (error) {
    const errno = errnoOf(error)
    if (errno === 'ENOENT') return undefined
    throw new AppError('path-open', `unable to list '${directory}': ${errno ?? String(error)}`, {
      hint: 'restore must run as the user that owns the data directory, or as root.',
      cause: error,
    })
  }
}

async function controlOf(
  dataDir: string,
): Promise<{ readonly systemId: bigint; readonly checkpointLsn: bigint } | undefined> {
  try {
    const { control } = await readControlFile(dataDir)
    return control
  } catch (error) {
    // Damaged or from an unknown version: there may be a good reason to restore over it, but nothing to compare.
    if (isErrorKind(error, 'file-missing', 'checksum', 'format', 'version-not-supported'))
      return undefined
    throw error
  }
}

async function systemIdOfMarker(dataDir: string): Promise<bigint | undefined> {
  try {
    const content = await readFile(`${dataDir}/${MARKER_NAME}`)
    return parseManifest(content, `${dataDir}/${MARKER_NAME}`).db.systemId
  } catch (error) {
    if (isErrorKind(error, 'checksum', 'format', 'json-format')) return undefined
    throw error
  }
}

async function postmasterPid(
  dataDir: string,
  names: readonly string[],
): Promise<string | undefined> {
  if (!names.includes('postmaster.pid')) return undefined
  const text = await readFile(`${dataDir}/postmaster.pid`, 'utf8')
  return text.split('\n')[0] ?? ''
}

/** A running server, or one that did not shut down: its files must not be touched. */
export function assertNotRunning({ dataDir, postmasterPid: pid }: Destination): void {
  if (pid === undefined) return
  throw new AppError('pg-running', `unable to restore while PostgreSQL is running (pid ${pid})`, {
    hint: [
      `presence of 'postmaster.pid' in '${dataDir}' indicates PostgreSQL is running.`,
      `stop it with 'pg_ctl -D ${dataDir} stop'.`,
      "remove 'postmaster.pid' only if PostgreSQL is not running.",
    ],
  })
}

/** Another cluster's directory is never a target, whatever options were given. */
export function assertSameCluster(
  { dataDir, systemId }: Destination,
  backupSystemId: bigint,
): void {
  if (systemId === undefined || systemId === backupSystemId) return
  throw new AppError(
    'db-mismatch',
    `'${dataDir}' holds another cluster: its system-id is ${systemId}, the backup's is ${backupSystemId}`,
    {
      hint: [
        'is pg1-path right, and the stanza the one of this cluster?',
        'to give up what is there, move it away first; restore does not overwrite another cluster.',
      ],
    },
  )
}

/** Throws `path-open` unless the directory (byte string) has the owner's full rights and belongs to us, or we are root. */
export async function assertOurs(directory: string): Promise<void> {
  const found = await stat(toBytes(directory))
  const uid = process.getuid?.() ?? 0
  if (uid !== 0 && found.uid !== uid) {
    throw new AppError(
      'path-open',
      `unable to restore to path '${toHumanText(directory)}' not owned by current user`,
      {
        hint: 'run restore as the owner of the directory.',
      },
    )
  }
  if ((found.mode & 0o700) !== 0o700) {
    throw new AppError(
      'path-open',
      `unable to restore to path '${toHumanText(directory)}' without rwx permissions`,
    )
  }
}
