/** Keeping the notes about missing WAL in a repository (format/archive-notes.ts), encrypted where it is. */
import { asAppError } from '../base/error.ts'
import {
  type Drop,
  dropsKey,
  type MissingNote,
  missingNoteKey,
  parseDrops,
  parseMissingNote,
  renderNote,
} from '../format/archive-notes.ts'
import { single } from '../pipe/pipe.ts'
import { readObject, type Repo, writeObject } from './repo.ts'

/** What `repo` knows of the WAL that repository `lackingKey` misses. */
export async function readMissingNote(
  repo: Repo,
  stanza: string,
  lackingKey: number,
): Promise<MissingNote | undefined> {
  return await readNote(repo, missingNoteKey(stanza, lackingKey), parseMissingNote)
}

/** Durable when resolved. */
export async function writeMissingNote(
  repo: Repo,
  stanza: string,
  note: MissingNote,
): Promise<void> {
  await writeObject(
    repo.storage,
    missingNoteKey(stanza, note.repoKey),
    single(renderNote(note)),
    repo.cipherPass,
  )
}

export async function removeMissingNote(
  repo: Repo,
  stanza: string,
  lackingKey: number,
): Promise<void> {
  await repo.storage.remove(missingNoteKey(stanza, lackingKey))
}

/** Oldest first. */
export async function readDrops(repo: Repo, stanza: string): Promise<readonly Drop[]> {
  return (await readNote(repo, dropsKey(stanza), parseDrops)) ?? []
}

/** Durable when resolved. */
export async function writeDrops(
  repo: Repo,
  stanza: string,
  drops: readonly Drop[],
): Promise<void> {
  await writeObject(repo.storage, dropsKey(stanza), single(renderNote(drops)), repo.cipherPass)
}

async function readNote<T>(
  { storage, cipherPass }: Repo,
  key: string,
  parse: (content: Buffer) => T,
): Promise<T | undefined> {
  try {
    return parse(await readObject(storage, key, cipherPass))
  } catch (error) {
    const failed = asAppError(error)
    if (failed.kind === 'file-missing') return undefined
    throw failed
  }
}
