/**
 * The spool: a directory on this host in which a background process and the commands that PostgreSQL runs meet.
 *
 * `<spool-path>/archive/<stanza>/out` holds an answer for each WAL file that is still ready, `in` the segments fetched in
 * advance. Layout, names and contents are pgBackRest 2.60's, so that either program goes on where the other stopped.
 * Everything here can be made anew: a lost answer is asked for again, a lost segment fetched again. So nothing is synced.
 */
import { join } from 'node:path'
import { AppError, asAppError, errnoOf, type ErrorKind } from '../../base/error.ts'
import { readdir, readFile, rename, rm, writeFile } from '../../base/files.ts'
import { makeFolder } from '../../base/folder.ts'
import { type Context, stanzaOf } from '../command.ts'
import { parseStatus, renderStatus, type Status, type StatusKind } from './status.ts'

/** The name in place of a WAL file's of the answer to everybody. */
const EVERYBODY = 'global'
export const TEMP_SUFFIX = '.pgbackrest.tmp'
const FILE_MODE = 0o640

/** An answer that is there. */
export interface Answer {
  readonly kind: StatusKind
  /** Undefined: nothing to say, which only an `ok` may have. */
  readonly status: Status | undefined
}

export interface Spool {
  /** The directory, absolute. */
  readonly path: string
  /** Names in it; [] when it is not there. */
  list(): Promise<readonly string[]>
  /** Makes the directory when it is missing. */
  create(): Promise<void>
  /** No error when the file is not there. */
  remove(name: string): Promise<void>
}

/** `out` for what is pushed, `in` for what is fetched. */
export function openSpool(context: Context, queue: 'in' | 'out'): Spool {
  const path = join(context.config.text('spool-path'), 'archive', stanzaOf(context), queue)
  return {
    path,
    list: async () => {
      try {
        return await readdir(path)
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return []
        throw spoolError('path-open', `unable to list spool path '${path}'`, error)
      }
    },
    create: async () => {
      try {
        await makeFolder(path)
      } catch (error) {
        throw spoolError('path-create', `unable to create spool path '${path}'`, error)
      }
    },
    remove: async (name) => {
      try {
        await rm(join(path, name), { force: true })
      } catch (error) {
        throw spoolError('file-remove', `unable to remove '${path}/${name}'`, error)
      }
    },
  }
}

/** Forgets all that was fetched for a stanza or is known of its pushes: a restored cluster has another history. */
export async function clearSpool(context: Context): Promise<void> {
  const path = join(context.config.text('spool-path'), 'archive', stanzaOf(context))
  try {
    // A background process that is about to end may still add to it.
    await rm(path, { recursive: true, force: true, maxRetries: 5 })
  } catch (error) {
    throw spoolError('path-remove', `unable to remove spool path '${path}'`, error)
  }
}

/** The `.ok` for one WAL file. Undefined when there is none. */
export async function readOk(spool: Spool, file: string): Promise<Answer | undefined> {
  const name = `${file}.ok`
  const text = await readIfThere(join(spool.path, name))
  return text === undefined ? undefined : { kind: 'ok', status: parseStatus(text, name) }
}

/** The answer for one WAL file: `.ok` before `.error` before the error of all. Undefined when there is none. */
export async function readAnswer(spool: Spool, file: string): Promise<Answer | undefined> {
  const ok = await readOk(spool, file)
  if (ok !== undefined) return ok
  for (const name of [`${file}.error`, `${EVERYBODY}.error`]) {
    const text = await readIfThere(join(spool.path, name))
    if (text === undefined) continue
    const status = parseStatus(text, name)
    if (status !== undefined) return { kind: 'error', status }
    throw new AppError('assert', `status file '${name}' has no content`)
  }
  return undefined
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw spoolError('file-open', `unable to read '${path}'`, error)
  }
}

/** `warnings`: what the command that waits shall say. */
export async function writeOk(
  spool: Spool,
  file: string,
  warnings: readonly string[],
): Promise<void> {
  const text = warnings.join('\n')
  await writeAnswer(spool, `${file}.ok`, text === '' ? undefined : { code: 0, text })
}

export async function writeError(spool: Spool, file: string, error: unknown): Promise<void> {
  const { exitCode, text } = asAppError(error)
  await writeAnswer(spool, `${file}.error`, { code: exitCode, text })
}

/** What ended the background process, whatever WAL file it was at. Never throws: `error` is what matters. */
export async function writeGlobalError(
  { log }: Context,
  spool: Spool,
  error: unknown,
): Promise<void> {
  try {
    await spool.create()
    await writeError(spool, EVERYBODY, error)
  } catch (failure) {
    log.warn(`nobody can be told of an error: ${asAppError(failure).text}`)
  }
}

/** Takes back what an earlier background process had to say about a file, so that only news is read. */
export async function removeErrors(spool: Spool, file: string): Promise<void> {
  await spool.remove(`${file}.error`)
  await spool.remove(`${EVERYBODY}.error`)
}

async function writeAnswer(spool: Spool, name: string, status: Status | undefined): Promise<void> {
  const path = join(spool.path, name)
  try {
    await writeFile(`${path}${TEMP_SUFFIX}`, renderStatus(status), { mode: FILE_MODE })
    await rename(`${path}${TEMP_SUFFIX}`, path)
  } catch (error) {
    throw spoolError('file-write', `unable to write '${path}'`, error)
  }
}

function spoolError(kind: ErrorKind, doing: string, cause: unknown): AppError {
  return new AppError(kind, `${doing}: ${asAppError(cause).message}`, {
    hint: 'spool-path must be a directory that the user who runs PostgreSQL may write to.',
    cause,
  })
}
