/** Reads what `info` tells of dump sets. One that cannot be read is a finding of its own, as with repositories. */
import { asAppError } from '../../base/error.ts'
import { loadDumpProofs } from '../../repo/dump-proofs.ts'
import {
  type DumpPlace,
  listDumpSets,
  loadDumpManifest,
  loadDumpNotes,
  openDumps,
} from '../../repo/dump-sets.ts'
import type { Repo } from '../../repo/repo.ts'
import type { DumpContent, ListedDump } from './facts.ts'

/** `label`: of the only set to tell of, or of a backup. */
export async function readDumps(
  repo: Repo,
  stanza: string,
  label: string | undefined,
): Promise<readonly ListedDump[]> {
  const dumps: ListedDump[] = []
  let place: DumpPlace | undefined
  for (const set of await listDumpSets(repo, stanza)) {
    if (set.state === 'left' || (label !== undefined && set.label !== label)) continue
    const found = { repoKey: repo.key, label: set.label }
    if (set.state === 'lost') {
      dumps.push({ ...found, content: undefined, problem: 'its manifest is missing' })
      continue
    }
    try {
      place ??= await openDumps(repo, stanza)
      dumps.push({ ...found, content: await readContent(place, set.label), problem: undefined })
    } catch (error) {
      dumps.push({ ...found, content: undefined, problem: asAppError(error).message })
    }
  }
  return dumps
}

async function readContent(place: DumpPlace, label: string): Promise<DumpContent> {
  return {
    manifest: await loadDumpManifest(place, label),
    annotations: await loadDumpNotes(place, label),
    proofs: await loadDumpProofs(place, label),
  }
}
