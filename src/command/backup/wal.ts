/** The WAL a backup needs: waiting until the repository has it, and keeping a copy of it in the backup. */
import { AppError } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import { currentArchive } from '../../format/archive-info.ts'
import { archiveId, type SegmentName } from '../../format/wal.ts'
import { type ArchivedFile, type ArchivePlace, findSegment, theOnly } from '../../repo/archive.ts'
import { loadArchiveInfo, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'

const POLL_FIRST_MS = 50
const POLL_MAX_MS = SECOND_MS

/** Where the current cluster's WAL lies in this repository. */
export async function archivePlace(context: Context, repo: Repo): Promise<ArchivePlace> {
  const stanza = stanzaOf(context)
  const info = await loadArchiveInfo(repo, stanza)
  const current = currentArchive(info)
  return {
    storage: repo.storage,
    stanza,
    archiveId: archiveId(current.version, current.id),
    cipherPass: info.cipherPass,
  }
}

/**
 * Waits until exactly one version of every segment is archived, `archive-timeout` each.
 * `archive-timeout` when one does not come, `archive-duplicate` when versions differ.
 */
export async function awaitSegments(
  context: Context,
  place: ArchivePlace,
  segments: readonly SegmentName[],
): Promise<ReadonlyMap<SegmentName, ArchivedFile>> {
  const found = new Map<SegmentName, ArchivedFile>()
  for (const segment of segments) found.set(segment, await awaitSegment(context, place, segment))
  return found
}

async function awaitSegment(
  context: Context,
  place: ArchivePlace,
  segment: SegmentName,
): Promise<ArchivedFile> {
  const timeoutMs = context.config.timeMs('archive-timeout')
  const deadlineMs = context.clock.nowMs() + timeoutMs
  let pauseMs = POLL_FIRST_MS
  for (;;) {
    const file = theOnly(segment, await findSegment(place, segment))
    if (file !== undefined) return file
    if (context.clock.nowMs() >= deadlineMs) break
    await context.clock.sleep(pauseMs, context.signal)
    pauseMs = Math.min(POLL_MAX_MS, pauseMs * 2)
  }
  throw new AppError(
    'archive-timeout',
    `WAL segment ${segment} was not archived before the ${timeoutMs}ms timeout`,
    {
      hint: [
        'check the archive_command to ensure that all options are correct (especially --stanza).',
        'check the PostgreSQL server log for errors.',
        "run the 'start' command if the stanza was previously stopped.",
        `run 'pgsurety --stanza=${place.stanza} check' to see what archiving says.`,
      ],
    },
  )
}
