/**
 * check: proves that WAL gets from the server into every repository, by closing a segment and waiting for it to arrive.
 */
import { AppError, isErrorKind } from '../base/error.ts'
import { parseSegmentName, type SegmentName } from '../format/wal.ts'
import { switchWal } from '../postgres/backup-mode.ts'
import { loadArchiveInfo, loadBackupInfo, openRepos, type Repo } from '../repo/repo.ts'
import { diagnoseArchiving } from './archiver.ts'
import { archivePlace, awaitSegments } from './backup/wal.ts'
import { type Context, stanzaOf } from './command.ts'
import { matchInfoFiles, openPrimary, type Server } from './preflight.ts'

/** One repository that holds the segment. */
interface Proof {
  readonly repo: number
  /** Full path of the stored segment. */
  readonly path: string
}

export async function check(context: Context): Promise<number> {
  const { config, log } = context
  const stanza = stanzaOf(context)
  await using primary = await openPrimary(context, 'check')
  const repos = openRepos(config, context.openStorage)
  for (const repo of repos) {
    log.info(`check repo${repo.key} configuration (primary)`)
    const archive = await loadArchiveInfo(repo, stanza)
    matchInfoFiles(archive, await loadBackupInfo(repo, stanza), primary.control)
  }
  const segment = parseSegmentName(await switchWal(primary.connection))
  const proofs: Proof[] = []
  for (const repo of repos) {
    log.info(`check repo${repo.key} archive for WAL (primary)`)
    const path = await awaitArchived(context, { primary, repo, segment })
    log.info(`WAL segment ${segment} successfully archived to '${path}' on repo${repo.key}`)
    proofs.push({ repo: repo.key, path })
  }
  context.print(
    config.text('output') === 'json'
      ? `${JSON.stringify({ stanza, segment, repos: proofs })}\n`
      : `stanza '${stanza}': WAL segment ${segment} is archived\n${proofs.map(({ repo, path }) => `  repo${repo}: ${path}\n`).join('')}`,
  )
  return 0
}

interface Waiting {
  readonly primary: Server
  readonly repo: Repo
  readonly segment: SegmentName
}

/** The stored segment's path. A segment that does not come is reported with what the server knows about archiving. */
async function awaitArchived(
  context: Context,
  { primary, repo, segment }: Waiting,
): Promise<string> {
  try {
    const found = await awaitSegments(context, await archivePlace(context, repo), [segment])
    return `${repo.storage.location}/${found.get(segment)?.key ?? ''}`
  } catch (error) {
    if (!isErrorKind(error, 'archive-timeout')) throw error
    throw new AppError('archive-timeout', error.message, {
      hint: await diagnoseArchiving(primary.connection, context.config.text('pg-path', 1), segment),
      cause: error,
    })
  }
}
