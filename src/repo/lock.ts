/**
 * Stanza locks: how commands on one host keep out of each other's way, pgBackRest's own included.
 *
 * A lock is flock(2) on `<lock-path>/<stanza>-<type>-<repo key>.lock`; the file's JSON says who holds it and how far it is
 * (pgBackRest 2.60, `common/lock.c`). The lock belongs to the open file, so the kernel frees it however the process ends; a
 * file that can be locked is stale, whatever it says. Not for: locking between hosts.
 */
import { spawn } from 'node:child_process'
import { constants, ftruncateSync, writeSync } from 'node:fs'
import { type FileHandle, open, readdir, readFile, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError, asAppError, type ErrorKind, errnoOf } from '../base/error.ts'
import { makeFolder } from '../base/folder.ts'

/** `dump` is ours: pgBackRest never takes it. */
export type LockType = 'archive' | 'backup' | 'dump' | 'restore'

export interface LockOptions {
  /** Directory of the lock files, UTF-8; made when missing. */
  readonly lockPath: string
  readonly stanza: string
  readonly type: LockType
  /** Undefined: the name without it, which pgBackRest before 2.53 uses. */
  readonly repoKey: number | undefined
  /** A lock held under the same id counts as ours: the processes of one command share it. */
  readonly execId: string
}

/** Released by disposing. */
export interface StanzaLock extends AsyncDisposable {
  /** Shows others how far the command is. Cheap: writes only when it is news of more than 0.1 %. Never throws. */
  progress(state: { readonly sizeBytes: number; readonly completeBytes: number }): void
}

/** What a lock file says. Sizes and percent appear with the first progress. */
export interface LockContent {
  readonly pid: number
  readonly execId: string
  readonly sizeBytes: number | undefined
  readonly completeBytes: number | undefined
  /** 0 to 100, two decimals. */
  readonly percent: number | undefined
}

/** A release between our open and our flock is rare, many in a row are not an accident. */
const ATTEMPTS_MAX = 20
const FILE_MODE = 0o640
/** What counts as news, in hundredths of a percent. */
const PROGRESS_STEP = 10

export function lockFile({
  lockPath,
  stanza,
  type,
  repoKey,
}: Pick<LockOptions, 'lockPath' | 'stanza' | 'type' | 'repoKey'>): string {
  return join(lockPath, `${stanza}-${type}${repoKey === undefined ? '' : `-${repoKey}`}.lock`)
}

/** A lock file that is there, held or not. */
export interface LockFile extends Pick<LockOptions, 'stanza' | 'type' | 'repoKey'> {
  readonly path: string
}

/** The lock files of one stanza, or of every one. */
export async function listLockFiles(
  lockPath: string,
  stanza: string | undefined,
): Promise<readonly LockFile[]> {
  const files: LockFile[] = []
  for (const name of await namesIn(lockPath)) {
    const [, owner = '', type, repoKey] =
      /^(.+)-(archive|backup|dump|restore)(?:-(\d+))?\.lock$/.exec(name) ?? []
    if (type !== 'archive' && type !== 'backup' && type !== 'dump' && type !== 'restore') continue
    if (stanza !== undefined && owner !== stanza) continue
    const key = repoKey === undefined ? undefined : Number(repoKey)
    files.push({ path: join(lockPath, name), stanza: owner, type, repoKey: key })
  }
  return files
}

async function namesIn(lockPath: string): Promise<readonly string[]> {
  try {
    return await readdir(lockPath)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw lockError('path-open', `unable to list lock path '${lockPath}'`, error)
  }
}

/** Takes the lock or throws `lock-acquire` at once; there is no waiting. */
export async function acquireLock(options: LockOptions): Promise<StanzaLock> {
  const path = lockFile(options)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const file = await openLockFile(path)
    try {
      if ((await flock(file, 'exclusive')) === 'refused')
        return await joinOrRefuse(file, path, options)
      if (await isStillNamed(file, path)) return holdLock(file, path, options.execId)
    } catch (error) {
      await file.close()
      throw error
    }
    await file.close()
  }
  throw new AppError('lock-acquire', `unable to acquire lock on file '${path}': it keeps changing`)
}

/** What the lock file says, or undefined when it is missing or makes no sense. Not whether the lock is held. */
export async function readLock(path: string): Promise<LockContent | undefined> {
  try {
    return parseContent(await readFile(path, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw lockError('file-read', `unable to read lock file '${path}'`, error)
  }
}

/** Whether some process holds the lock. */
export async function isLocked(path: string): Promise<boolean> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw lockError('file-open', `unable to open lock file '${path}'`, error)
  }
  try {
    // Shared, so that two who only ask do not take each other for a holder.
    return (await flock(file, 'shared')) === 'refused'
  } finally {
    await file.close()
  }
}

async function openLockFile(path: string): Promise<FileHandle> {
  const { O_RDWR, O_CREAT } = constants
  try {
    return await open(path, O_RDWR | O_CREAT, FILE_MODE)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw notAllowed(path, error)
  }
  try {
    await makeFolder(dirname(path))
    return await open(path, O_RDWR | O_CREAT, FILE_MODE)
  } catch (error) {
    throw notAllowed(path, error)
  }
}

function notAllowed(path: string, cause: unknown): AppError {
  return new AppError(
    'lock-acquire',
    `unable to acquire lock on file '${path}': ${asAppError(cause).message}`,
    { hint: `does the user running pgsurety have permissions on the '${path}' file?`, cause },
  )
}

/**
 * flock(2) without waiting, by the program of that name: it locks the descriptor it inherits, and since the lock belongs
 * to the open file, which is ours too, it stays when the program ends. Nobody else inherits it: Node opens with O_CLOEXEC.
 */
async function flock(file: FileHandle, mode: 'exclusive' | 'shared'): Promise<'got' | 'refused'> {
  const { promise, resolve, reject } = Promise.withResolvers<'got' | 'refused'>()
  const args = [mode === 'exclusive' ? '-x' : '-s', '-n', '3']
  const child = spawn('flock', args, { stdio: ['ignore', 'ignore', 'pipe', file.fd] })
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  child.on('error', (cause) => {
    const hint =
      "the 'flock' program belongs to the package util-linux; is it installed and in PATH?"
    reject(
      new AppError('execute', `unable to run program 'flock': ${cause.message}`, { hint, cause }),
    )
  })
  child.on('close', (code, signal) => {
    // 1 is util-linux's answer for "somebody else has it", with no complaint.
    if (code === 0) resolve('got')
    else if (code === 1 && complaint === '') resolve('refused')
    else
      reject(
        new AppError('execute', `program 'flock' failed: ${complaint.trim() || signal || code}`),
      )
  })
  return await promise
}

/** False when a holder that just finished took the name away: our lock would then be on a file nobody else opens. */
async function isStillNamed(file: FileHandle, path: string): Promise<boolean> {
  try {
    const ours = await file.stat({ bigint: true })
    const named = await stat(path, { bigint: true })
    return ours.dev === named.dev && ours.ino === named.ino
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw lockError('lock-acquire', `unable to get info for lock file '${path}'`, error)
  }
}

/** Somebody else has the lock: another process of this command, or the reason for the error. */
async function joinOrRefuse(
  file: FileHandle,
  path: string,
  { execId }: LockOptions,
): Promise<StanzaLock> {
  // Read from the locked file itself: the name may already be another's.
  const content = parseContent(await file.readFile('utf8'))
  if (content?.execId === execId) {
    await file.close()
    return { progress: () => undefined, [Symbol.asyncDispose]: async () => undefined }
  }
  const holder = content === undefined ? '' : ` Process ${content.pid} holds it${soFar(content)}.`
  throw new AppError(
    'lock-acquire',
    `unable to acquire lock on file '${path}': Resource temporarily unavailable`,
    { hint: `is another pgBackRest process running?${holder}` },
  )
}

function soFar({ execId, percent }: LockContent): string {
  return ` (execution ${execId}${percent === undefined ? '' : `, ${percent.toFixed(2)}% complete`})`
}

function holdLock(file: FileHandle, path: string, execId: string): StanzaLock {
  const pid = process.pid
  let shown = { sizeBytes: -1, hundredths: 0 }
  try {
    rewrite(file, JSON.stringify({ execId, pid }))
  } catch (error) {
    throw lockError('file-write', `unable to write lock file '${path}'`, error)
  }
  return {
    progress: ({ sizeBytes, completeBytes }) => {
      const hundredths = hundredthsOf(completeBytes, sizeBytes)
      const step = Math.abs(hundredths - shown.hundredths)
      if (sizeBytes === shown.sizeBytes && step < PROGRESS_STEP && completeBytes < sizeBytes) return
      shown = { sizeBytes, hundredths }
      const content = { execId, pctCplt: hundredths, pid, sz: sizeBytes, szCplt: completeBytes }
      try {
        rewrite(file, JSON.stringify(content))
      } catch {
        // A full /tmp must not end a backup for want of a progress display; the lock itself is not in the content.
      }
    },
    [Symbol.asyncDispose]: async () => {
      try {
        // First the name, then the lock: the other way round this could remove the file of the next holder.
        await unlink(path)
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') {
          throw lockError('file-remove', `unable to remove lock file '${path}'`, error)
        }
      } finally {
        await file.close()
      }
    },
  }
}

function hundredthsOf(completeBytes: number, sizeBytes: number): number {
  return sizeBytes === 0 ? 0 : Math.floor((completeBytes / sizeBytes) * 10_000)
}

/** One write, then the cut: a reader in between sees the new text with the old one's end at most. */
function rewrite(file: FileHandle, text: string): void {
  ftruncateSync(file.fd, writeSync(file.fd, text, 0, 'utf8'))
}

function lockError(kind: ErrorKind, doing: string, cause: unknown): AppError {
  return new AppError(kind, `${doing}: ${asAppError(cause).message}`, { cause })
}

function parseContent(text: string): LockContent | undefined {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null) return undefined
  if (!('execId' in value) || typeof value.execId !== 'string') return undefined
  if (!('pid' in value) || typeof value.pid !== 'number') return undefined
  const hundredths = 'pctCplt' in value ? numberOf(value.pctCplt) : undefined
  return {
    pid: value.pid,
    execId: value.execId,
    sizeBytes: 'sz' in value ? numberOf(value.sz) : undefined,
    completeBytes: 'szCplt' in value ? numberOf(value.szCplt) : undefined,
    percent: hundredths === undefined ? undefined : hundredths / 100,
  }
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

/** Undefined for what is not JSON: an empty or half-written lock file is somebody in the middle of something. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
