/** What the archives of a stanza lack and why, as their own notes tell (decision 012). For info and check. */
import { type Drop, mergeDrops, type MissingNote } from '../format/archive-notes.ts'
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
  return { missing: [...missing.values()], drops }
}

async function countMissing(
  holder: Repo,
  lacking: Repo | undefined,
  { stanza, note }: { readonly stanza: string; readonly note: MissingNote },
): Promise<number> {
  const place = (repo: Repo): Parameters<typeof missingFiles>[0] => ({
    storage: repo.storage,
    stanza,
    archiveId: note.archiveId,
    // Listing needs none.
    cipherPass: undefined,
  })
  const count = async (other: Repo | undefined): Promise<number> => {
    let files = 0
    const to = other === undefined ? undefined : place(other)
    for await (const _ of missingFiles(place(holder), to, note.from)) files += 1
    return files
  }
  return await count(lacking).catch(async () => await count(undefined).catch(() => 0))
}

/** One sentence for each, with times in UTC. */
export function tellArchiveStory({ missing, drops }: ArchiveStory): readonly string[] {
  return [
    ...missing.map(({ repoKey, sinceMs, from, heldBy, count, reason }) => {
      const [why = ''] = reason.split('\n')
      return `repo${repoKey} misses ${count} WAL file(s) from ${from} on, since ${utc(sinceMs)}; they will be copied from repo${heldBy}: ${why}`
    }),
    ...drops.map(
      ({ first, last, count, firstMs }) =>
        `WAL ${first} to ${last} (${count} file(s)) dropped at ${utc(firstMs)} because of archive-push-queue-max`,
    ),
  ]
}

function utc(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
