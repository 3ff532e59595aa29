/** One WAL file into every repository: what archive-push does, in the foreground or in the background. */
import { AppError, asAppError, type ErrorKind } from '../../base/error.ts'
import { MIB } from '../../base/units.ts'
import { assertWritable, currentArchive } from '../../format/archive-info.ts'
import { archiveId } from '../../format/wal.ts'
import { encryptor } from '../../pipe/cipher.ts'
import { compressTypeOfName } from '../../pipe/compress-type.ts'
import { collect, single, through } from '../../pipe/pipe.ts'
import { readControlFile } from '../../postgres/read-control-file.ts'
import { parseWalHeader } from '../../postgres/wal-header.ts'
import {
  archiveKey,
  findPlainFile,
  findSegment,
  isSegmentFile,
  readArchived,
  theOnly,
} from '../../repo/archive.ts'
import type { ArchiveWithHistory } from '../../repo/archive-copy.ts'
import { loadArchiveInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'
import {
  type Packing,
  readSegment,
  readWal,
  type WalFile,
  type WalSegment,
} from '../wal-segment.ts'

/** History and backup label files are a few lines; more than this is no such file. */
const PLAIN_BYTES_MAX = 16 * MIB

/** A repository as archive-push finds it. */
export interface Target {
  readonly repo: Repo
  /** `best-effort`: PostgreSQL need not keep its WAL until this repository has it. */
  readonly need: 'required' | 'best-effort'
  /** Where this cluster's WAL goes, or why it cannot go there. */
  readonly place: ClusterPlace | AppError
}

interface ClusterPlace extends ArchiveWithHistory {
  readonly repoKey: number
  readonly identity: Identity
}

interface Identity {
  readonly version: string
  readonly systemId: bigint
}

/** A WAL file of which the reading has begun. */
export interface Load {
  readonly file: WalFile
  /** The first of the files that are pushed together. */
  readonly from: string
  /** Undefined for `.history` and `.backup` files. */
  readonly segment: WalSegment | undefined
  readonly packing: Packing
}

/** Begins to read and compress a segment, which takes longest. */
export async function openLoad(
  { config }: Context,
  file: WalFile,
  from: string = file.name,
): Promise<Load> {
  const packing = {
    type: compressTypeOfName(`x.${config.text('compress-type')}`),
    level: config.integer('compress-level'),
  }
  const segment = isSegmentFile(file.name) ? await readSegment(file, packing) : undefined
  return { file, from, segment, packing }
}

/** Every configured repository. One that cannot take this cluster's WAL is no error yet: the others shall have it. */
export async function openTargets(context: Context): Promise<readonly Target[]> {
  const cluster = await clusterIdentity(context)
  const targets: Target[] = []
  for (const repo of openRepos(context.config, context.openStorage)) {
    const need = context.config.flag('repo-archive-required', repo.key) ? 'required' : 'best-effort'
    targets.push({ repo, need, place: await placeFor(context, repo, cluster).catch(asAppError) })
  }
  return targets
}

/** Another content under the same name, and WAL of another cluster. */
const FAULTS_OF_FILE: ReadonlySet<ErrorKind> = new Set(['archive-duplicate', 'archive-mismatch'])

/**
 * Stores the file in every repository that has not got it. The result is what there is to warn of.
 * When a repository fails the others still get the file. Then, unless that one need not have it and another has, the error
 * is thrown: of a single repository as it is, else `command`, or `repo-invalid` when none can take WAL of this cluster.
 */
export async function pushFile(
  context: Context,
  targets: readonly Target[],
  load: Load,
): Promise<readonly string[]> {
  const warnings: string[] = []
  const failures: Failure[] = []
  const holders: Holder[] = []
  for (const target of targets) {
    const { repo, place, need } = target
    try {
      if (place instanceof AppError) throw place
      warnings.push(...(await pushTo(context, place, load)))
      holders.push({ repo, place })
    } catch (error) {
      const failed = asAppError(error)
      // Not a fault of this repository alone: stop at once, as pgBackRest does.
      const isOfFile = !(place instanceof AppError) && FAULTS_OF_FILE.has(failed.kind)
      if (isOfFile || targets.length === 1) throw failed
      failures.push({ repo, need, error: failed })
    }
  }
  if (failures.length === 0) return warnings
  const texts = failures.map(
    ({ repo, error }) => `repo${repo.key}: [${error.exitCode}] ${error.text}`,
  )
  if (targets.every(({ place }) => place instanceof AppError)) {
    throw new AppError('repo-invalid', `unable to find a valid repository:\n${texts.join('\n')}`)
  }
  if (holders.length === 0 || failures.some(({ need }) => need === 'required')) {
    throw new AppError('command', `archive-push command encountered error(s):\n${texts.join('\n')}`)
  }
  const { noteMissing } = await import('./missing.ts')
  await noteMissing(context, { holders, lacks: failures, from: load.from })
  return [
    ...warnings,
    `WAL file '${load.file.name}' is not in every repository, it will be copied later:\n${texts.join('\n')}`,
  ]
}

interface Failure {
  readonly repo: Repo
  readonly need: Target['need']
  readonly error: AppError
}

interface Holder {
  readonly repo: Repo
  readonly place: ClusterPlace
}

async function pushTo(
  context: Context,
  place: ClusterPlace,
  { file, segment, packing }: Load,
): Promise<readonly string[]> {
  if (segment !== undefined) return await pushSegment(context, place, { file, segment, packing })
  await pushPlain(place, file)
  return []
}

/** What pg_control says, when there is a data directory to read it from. */
async function clusterIdentity({ config }: Context): Promise<Identity | undefined> {
  if (!config.has('pg-path', 1)) return undefined
  const { control } = await readControlFile(config.text('pg-path', 1))
  return control
}

/** The place in a repository for this cluster's WAL; `archive-mismatch` when it belongs to another cluster. */
async function placeFor(
  context: Context,
  repo: Repo,
  cluster: Identity | undefined,
): Promise<ClusterPlace> {
  const stanza = stanzaOf(context)
  const info = await loadArchiveInfo(repo, stanza)
  assertWritable(info)
  const current = currentArchive(info)
  if (
    cluster !== undefined &&
    (cluster.version !== current.version || cluster.systemId !== current.systemId)
  ) {
    throw new AppError(
      'archive-mismatch',
      `PostgreSQL version ${cluster.version}, system-id ${cluster.systemId} do not match ` +
        `repo${repo.key} stanza version ${current.version}, system-id ${current.systemId}`,
      { hint: 'are you archiving to the correct stanza?' },
    )
  }
  return {
    storage: repo.storage,
    stanza,
    archiveId: archiveId(current.version, current.id),
    cipherPass: info.cipherPass,
    history: info.history,
    repoKey: repo.key,
    identity: current,
  }
}

async function pushSegment(
  context: Context,
  place: ClusterPlace,
  { file, segment, packing }: Pick<Load, 'file' | 'packing'> & { readonly segment: WalSegment },
): Promise<readonly string[]> {
  const { config } = context
  if (config.flag('archive-header-check')) assertOwnSegment(file, segment.header, place.identity)
  const stored = theOnly(file.name, await findSegment(place, file.name))
  const sha1 = await segment.sha1()
  if (stored !== undefined && stored.checksum !== sha1) {
    throw new AppError(
      'archive-duplicate',
      `WAL file '${file.name}' already exists in the repo${place.repoKey} archive with a different checksum`,
      { hint: 'this is valid in some recovery scenarios but may also indicate a problem.' },
    )
  }
  if (stored !== undefined) {
    await place.storage.sync(parentOf(stored.key))
    if (!config.flag('archive-mode-check')) return []
    return [
      `WAL file '${file.name}' already exists in the repo${place.repoKey} archive with the same checksum\n` +
        'HINT: this is valid in some recovery scenarios but may also indicate a problem.',
    ]
  }
  const filters = place.cipherPass === undefined ? [] : [encryptor(place.cipherPass, 'normal')]
  await place.storage.put(
    archiveKey(place, file.name, sha1, packing.type),
    through(segment.packed(), ...filters),
  )
  return []
}

/** `.history` and `.backup` files: stored as they are; the same name with other content is never overwritten. */
async function pushPlain(place: ClusterPlace, file: WalFile): Promise<void> {
  const content = await collect(readWal(file), PLAIN_BYTES_MAX)
  const stored = await findPlainFile(place, file.name)
  if (stored !== undefined) {
    const before = await collect(readArchived(place, stored), PLAIN_BYTES_MAX)
    if (before.equals(content)) {
      await place.storage.sync(parentOf(stored.key))
      return
    }
    throw new AppError(
      'archive-duplicate',
      `WAL file '${file.name}' already exists in the repo${place.repoKey} archive with different content`,
      {
        hint: 'has another cluster been promoted to the same timeline and archived to this stanza?',
      },
    )
  }
  const filters = place.cipherPass === undefined ? [] : [encryptor(place.cipherPass, 'normal')]
  await place.storage.put(
    archiveKey(place, file.name, undefined, 'none'),
    through(single(content), ...filters),
  )
}

/**
 * The prefix to make durable before a file that is there already counts as pushed: the run that stored it may have been
 * killed before it could, and PostgreSQL recycles its copy on our word.
 */
function parentOf(key: string): string {
  return key.slice(0, key.lastIndexOf('/'))
}

/** Refuses WAL of another cluster or version, whatever pg_control says. */
function assertOwnSegment(file: WalFile, header: Buffer, expected: Identity): void {
  const found = parseWalHeader(header)
  if (found.version === expected.version && found.systemId === expected.systemId) return
  throw new AppError(
    'archive-mismatch',
    `WAL file '${file.path}' version ${found.version}, system-id ${found.systemId} do not match ` +
      `stanza version ${expected.version}, system-id ${expected.systemId}`,
    { hint: 'are you archiving to the correct stanza?' },
  )
}
