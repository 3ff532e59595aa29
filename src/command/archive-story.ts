/** What the archives of a stanza lack and why, as their own notes tell (decision 012). For info and check. */
import { type Drop, mergeDrops, type MissingNote } from '../format/archive-notes.ts'
import { archivePrefix } from '../format/repo-path.ts'
import { isSegmentName, parseArchivedSegment, parseArchiveId } from '../format/wal.ts'
import { missingFiles } from '../repo/archive-copy.ts'
import { readDrops, readMissingNote } from '../repo/archive-notes.ts'
import type { Repo } from '../repo/repo.ts'

export interface ArchiveStory {
  readonly missing: readonly Missing[]
  /** Oldest first. */
  readonly drops: readonly Drop[]
}

export interface Missing extends MissingNote {
  /** The repository that has it. */
  readonly heldBy: number
  /** WAL files to copy; as many as there may be at most when the repository that misses them cannot be reached. */
  readonly count: number
}

export const NO_STORY: ArchiveStory = { missing: [], drops: [] }

/** Repositories that cannot be read tell nothing: that they cannot be is told elsewhere. */
export async function readArchiveStory(
  repos: readonly Repo[],
  stanza: string,
  lackingKeys: readonly number[],
): Promise<ArchiveStory> {
  const missing = new Map<number, Missing>()
  let drops: readonly Drop[] = []
  for (const holder of repos) {
    drops = mergeDrops(drops, await readDrops(holder, stanza).catch(() => []))
    for (const key of lackingKeys) {
      if (key === holder.key || missing.has(key)) continue
      const note = await readMissingNote(holder, stanza, key).catch(() => undefined)
      if (note === undefined) continue
      const lacking = repos.find((repo) => repo.key === key)
      const count = await countMissing(holder, lacking, { stanza, note })
      missing.set(key, { ...note, heldBy: holder.key, count })
    }
  }
  return { missing: [...missing.values()], drops: await stillHoles(repos, stanza, drops) }
}

/** Without those that lie before everything any archive has left: nothing that is there needs them. */
async function stillHoles(
  repos: readonly Repo[],
  stanza: string,
  drops: readonly Drop[],
): Promise<readonly Drop[]> {
  if (drops.length === 0) return drops
  const begins: string[] = []
  for (const repo of repos) {
    // What cannot be read may begin anywhere.
    begins.push(...(await beginsOf(repo, stanza).catch(() => [''])))
  }
  if (begins.length === 0) return drops
  return drops.filter(
    ({ last }) =>
      !isSegmentName(last.slice(0, 24)) || begins.some((begin) => begin <= positionOf(last)),
  )
}

/** The position of the oldest segment of every timeline in an archive. */
async function beginsOf({ storage }: Repo, stanza: string): Promise<readonly string[]> {
  const begins: string[] = []
  for (const { name: id } of await storage.list(archivePrefix(stanza))) {
    if (parseArchiveId(id) === undefined) continue
    const folders = (await storage.list(archivePrefix(stanza, id)))
      .map(({ name }) => name)
      .filter((name) => /^[0-9A-F]{16}$/.test(name))
    // Of every timeline, the first folder has the oldest segments.
    for (const folder of folders.filter(
      (name, at) => folders[at - 1]?.slice(0, 8) !== name.slice(0, 8),
    )) {
      const entries = await storage.list(`${archivePrefix(stanza, id)}/${folder}`)
      const first = entries.find(({ name }) => parseArchivedSegment(name) !== undefined)
      if (first !== undefined) begins.push(positionOf(first.name))
    }
  }
  return begins
}

/** A segment without its timeline. */
function positionOf(name: string): string {
  return name.slice(8, 24)
}

async function countMissing(
  holder: Repo,
  lacking: Repo | undefined,
  { stanza, note }: { readonly stanza: string; readonly note: MissingNote },
): Promise<number> {
  const firstId = parseArchiveId(note.archiveId)?.historyId ?? 0
  const count = async (other: Repo | undefined): Promise<number> => {
    let files = 0
    for (const { name: id } of await holder.storage.list(archivePrefix(stanza))) {
      const historyId = parseArchiveId(id)?.historyId
      if (historyId === undefined || historyId < firstId) continue
      // Listing needs no passphrase.
      const place = { stanza, archiveId: id, cipherPass: undefined }
      const from = { ...place, storage: holder.storage }
      const to = other === undefined ? undefined : { ...place, storage: other.storage }
      const start = historyId === firstId ? note.from : ''
      for await (const _ of missingFiles(from, to, start)) files += 1
    }
    return files
  }
  return await count(lacking).catch(async () => await count(undefined).catch(() => 0))
}

/** One sentence for each, with times in UTC. */
export function tellArchiveStory({ missing, drops }: ArchiveStory): readonly string[] {
  return [
    ...missing.map(
      ({ repoKey, sinceMs, from, heldBy, count, reason }) =>
        `repo${repoKey} misses ${count} WAL file(s) from ${from} on, since ${utc(sinceMs)}; they will be copied from repo${heldBy}: ${inOneLine(reason)}`,
    ),
    ...drops.map(
      ({ first, last, count, firstMs }) =>
        `WAL ${first} to ${last} (${count} file(s)) dropped at ${utc(firstMs)} because of archive-push-queue-max`,
    ),
  ]
}

/** What was unreachable is in the last lines of an error. */
function inOneLine(reason: string): string {
  return [...new Set(reason.split('\n'))].join(' ')
}

function utc(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
