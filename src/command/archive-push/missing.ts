/** Repositories that need not have every segment at once: what they miss is noted in the others, and copied later. */
import { AppError, asAppError } from '../../base/error.ts'
import { isSegmentName } from '../../format/wal.ts'
import { type ArchivePlace, findSegment } from '../../repo/archive.ts'
import {
  type ArchivePair,
  archivesSince,
  type ArchiveWithHistory,
  copyArchived,
  missingFiles,
} from '../../repo/archive-copy.ts'
import { readMissingNote, removeMissingNote, writeMissingNote } from '../../repo/archive-notes.ts'
import type { Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'
import type { Target } from './push-file.ts'

export interface Lack {
  readonly repo: Repo
  readonly error: AppError
}

export interface Lacking {
  /** Repositories that have the file. */
  readonly holders: readonly { readonly repo: Repo; readonly place: ArchivePlace }[]
  readonly lacks: readonly Lack[]
  /** The file, or one before it: nothing earlier will be looked for. */
  readonly from: string
}

/** Resolves when every holder knows what the others lack: only then may the server forget the file. */
export async function noteMissing(
  context: Context,
  { holders, lacks, from }: Lacking,
): Promise<void> {
  const stanza = stanzaOf(context)
  for (const { repo: holder, place } of holders) {
    for (const { repo, error } of lacks) {
      const known = await readMissingNote(holder, stanza, repo.key)
      // What is missing of another archive is of an earlier one: it includes all that came later.
      if (known !== undefined && (known.archiveId !== place.archiveId || known.from <= from)) {
        continue
      }
      await writeMissingNote(holder, stanza, {
        repoKey: repo.key,
        location: repo.storage.location,
        sinceMs: known?.sinceMs ?? context.clock.nowMs(),
        archiveId: place.archiveId,
        from,
        reason: known?.reason ?? `[${error.exitCode}] ${error.message}`,
      })
    }
  }
}

/**
 * Copies what repositories lack that can be reached again, until `deadlineMs`. `more` when that was not enough time. Never
 * throws: what fails is warned of and tried again after the next push.
 */
export async function catchUp(
  context: Context,
  targets: readonly Target[],
  deadlineMs: number,
): Promise<'done' | 'more'> {
  let outcome: 'done' | 'more' = 'done'
  for (const { repo, place } of targets) {
    for (const holder of targets) {
      if (holder.repo === repo || place instanceof AppError || holder.place instanceof AppError) {
        continue
      }
      try {
        const gap = { from: { ...holder, place: holder.place }, to: { repo, place }, deadlineMs }
        if ((await closeGap(context, gap)) === 'more') outcome = 'more'
      } catch (error) {
        const { exitCode, text } = asAppError(error)
        context.log.warn(
          `repo${repo.key} could not catch up from repo${holder.repo.key} (will be retried): [${exitCode}] ${text}`,
        )
      }
    }
  }
  return outcome
}

interface Side {
  readonly repo: Repo
  readonly place: ArchiveWithHistory
}

interface Gap {
  readonly from: Side
  readonly to: Side
  readonly deadlineMs: number
}

async function closeGap(context: Context, { from, to, deadlineMs }: Gap): Promise<'done' | 'more'> {
  const { log, clock, signal } = context
  const stanza = stanzaOf(context)
  const note = await readMissingNote(from.repo, stanza, to.repo.key)
  if (note === undefined) return 'done'
  let copied = 0
  for (const pair of archivesSince(note, from.place, to.place)) {
    for await (const file of missingFiles(pair.holder, pair.lacking, pair.from)) {
      signal.throwIfAborted()
      if (clock.nowMs() >= deadlineMs) {
        log.info(
          `repo${to.repo.key} is catching up: ${copied} WAL file(s) copied from repo${from.repo.key}`,
        )
        return 'more'
      }
      await copyArchived(pair.holder, pair.lacking, file)
      copied += 1
    }
    if (await isInNeither(pair)) {
      log.warn(
        `repo${to.repo.key} misses WAL from ${pair.from} on, which repo${from.repo.key} no longer has`,
      )
    }
  }
  await removeMissingNote(from.repo, stanza, to.repo.key)
  log.info(
    `repo${to.repo.key} has caught up: ${copied} WAL file(s) copied from repo${from.repo.key}, which it had missed since ${new Date(note.sinceMs).toISOString()}`,
  )
  return 'done'
}

/** The first segment of the gap has been expired: it cannot be closed completely. */
async function isInNeither({ holder, lacking, from }: ArchivePair): Promise<boolean> {
  if (!isSegmentName(from)) return false
  const found = [...(await findSegment(holder, from)), ...(await findSegment(lacking, from))]
  return found.length === 0
}
