/**
 * check: proves that WAL gets from the server into every repository, by closing a segment and waiting for it to arrive.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError, errnoOf, isErrorKind } from '../base/error.ts'
import { parseSegmentName, type SegmentName } from '../format/wal.ts'
import { switchWal } from '../postgres/backup-mode.ts'
import { textColumn } from '../postgres/row.ts'
import { loadArchiveInfo, loadBackupInfo, openRepos, type Repo } from '../repo/repo.ts'
import { archivePlace, awaitSegments } from './backup/wal.ts'
import { type Context, stanzaOf } from './command.ts'
import { matchInfoFiles, openPrimary, type Primary } from './preflight.ts'

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
  readonly primary: Primary
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
      hint: [...error.hints, ...(await diagnose(primary, context.config.text('pg-path', 1)))],
      cause: error,
    })
  }
}

/** What pg_stat_archiver and the archive_status directory say, as sentences. */
async function diagnose({ connection }: Primary, dataDir: string): Promise<readonly string[]> {
  const [row] = await connection.rows(
    `select archived_count::text, coalesce(last_archived_wal, '') as last_archived_wal,
            failed_count::text, coalesce(last_failed_wal, '') as last_failed_wal,
            coalesce(last_failed_time >= coalesce(last_archived_time, '-infinity'), false)::text as failing
       from pg_stat_archiver`,
  )
  const archived = textColumn(row, 'archived_count')
  const failed = textColumn(row, 'failed_count')
  const waiting = await countReady(dataDir)
  return [
    failed === '0'
      ? 'pg_stat_archiver: PostgreSQL has not recorded a failure of archive_command.'
      : `pg_stat_archiver: archive_command failed ${failed} time(s), last for WAL segment ${textColumn(row, 'last_failed_wal')}` +
        (textColumn(row, 'failing') === 'true'
          ? ', and has not succeeded since.'
          : ', and has succeeded since.'),
    archived === '0'
      ? 'pg_stat_archiver: no WAL segment has been archived yet.'
      : `pg_stat_archiver: ${archived} WAL segment(s) archived, last ${textColumn(row, 'last_archived_wal')}.`,
    ...(waiting === undefined
      ? []
      : [
          `${waiting} WAL segment(s) are waiting to be archived (.ready in pg_wal/archive_status).`,
        ]),
    connection.archiveLibrary === ''
      ? `archive_command is '${connection.archiveCommand}': run it by hand as the server's user to see its error.`
      : `archive_library is '${connection.archiveLibrary}': PostgreSQL ignores archive_command.`,
  ]
}

/** Undefined when the directory cannot be read: a diagnosis must not hide the error it explains. */
async function countReady(dataDir: string): Promise<number | undefined> {
  try {
    const names = await readdir(join(dataDir, 'pg_wal', 'archive_status'))
    return names.filter((name) => name.endsWith('.ready')).length
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return undefined
  }
}
