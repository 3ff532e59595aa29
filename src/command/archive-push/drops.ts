/**
 * Remembering WAL that was given up. When that happens the repositories are what cannot be reached; so it is noted in the
 * spool at once, and in every repository as soon as something can be pushed again.
 */
import { AppError, asAppError } from '../../base/error.ts'
import { makeFolder } from '../../base/folder.ts'
import { addDropped, mergeDrops } from '../../format/archive-notes.ts'
import { readDrops, writeDrops } from '../../repo/archive-notes.ts'
import type { Repo } from '../../repo/repo.ts'
import { openPosixStorage } from '../../storage/posix.ts'
import { type Context, stanzaOf } from '../command.ts'
import type { Target } from './push-file.ts'

/** The spool as a place for notes. Outside of `archive/<stanza>`, which a restore empties. */
function notebook({ config }: Context): Repo {
  const storage = openPosixStorage({ root: config.text('spool-path') })
  return { key: 0, storage, cipherPass: undefined }
}

/** Names in the spool are those of a repository, which keeps them apart from pgBackRest's `archive/<stanza>`. */
function notedAs(context: Context): string {
  return `${stanzaOf(context)}.notes`
}

/** Notes that files are given up. Never throws: the server's disk is full, and what cannot be noted is warned of. */
export async function noteDropped(context: Context, names: readonly string[]): Promise<void> {
  try {
    await makeFolder(context.config.text('spool-path'))
    const book = notebook(context)
    let drops = await readDrops(book, notedAs(context))
    for (const name of names) drops = addDropped(drops, name, context.clock.nowMs())
    await writeDrops(book, notedAs(context), drops)
  } catch (error) {
    const { exitCode, text } = asAppError(error)
    context.log.warn(`what is dropped cannot be noted in the spool: [${exitCode}] ${text}`)
  }
}

/**
 * Tells every repository what was given up since the last time. Kept in the spool until all of them know. Never throws: it
 * is done after a push, which has succeeded.
 */
export async function publishDrops(context: Context, targets: readonly Target[]): Promise<void> {
  const stanza = stanzaOf(context)
  try {
    const book = notebook(context)
    const drops = await readDrops(book, notedAs(context))
    if (drops.length === 0) return
    for (const { repo, place } of targets) {
      if (place instanceof AppError) throw place
      await writeDrops(repo, stanza, mergeDrops(await readDrops(repo, stanza), drops))
    }
    await writeDrops(book, notedAs(context), [])
  } catch (error) {
    const failed = asAppError(error)
    // No spool, nothing noted in it.
    if (failed.kind === 'path-missing') return
    context.log.warn(
      `what was dropped cannot be told to every repository (will be retried): [${failed.exitCode}] ${failed.text}`,
    )
  }
}
