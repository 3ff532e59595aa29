/** What the repositories have of the WAL that a restored cluster will ask for: archive-get takes a file from any of them. */
import { type AppError, asAppError } from '../../base/error.ts'
import {
  archivePlaces,
  type ArchivedCluster,
  listSegments,
  loadHistories,
} from '../../repo/archive.ts'
import { openRepos } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'

export interface Archives {
  /** Timeline number → text of its history file. */
  readonly histories: ReadonlyMap<number, string>
  readonly segments: ReadonlySet<string>
  /** Why a repository could not be asked, by its key. */
  readonly unasked: ReadonlyMap<number, AppError>
}

/** Segments from `fromSegment` on. Throws only when no repository can be asked. */
export async function readArchives(
  context: Context,
  cluster: ArchivedCluster,
  fromSegment: string,
): Promise<Archives> {
  const repos = openRepos(context.config, context.openStorage)
  const histories = new Map<number, string>()
  const segments = new Set<string>()
  const unasked = new Map<number, AppError>()
  for (const repo of repos) {
    try {
      for (const place of await archivePlaces(repo, stanzaOf(context), cluster)) {
        for (const [timeline, text] of await loadHistories(place)) histories.set(timeline, text)
        for (const segment of await listSegments(place, fromSegment)) segments.add(segment)
      }
    } catch (error) {
      const failed = asAppError(error)
      if (repos.length === unasked.size + 1) throw failed
      unasked.set(repo.key, failed)
    }
  }
  return { histories, segments, unasked }
}
