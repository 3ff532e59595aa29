/**
 * Programs run the way they run in production: as an unprivileged user, in a clean environment.
 *
 * PostgreSQL and pgBackRest refuse to run as root, and permissions are not checked for root. When the tests run as root
 * everything here runs as `postgres`, or `nobody` where there is no such user; otherwise as the user who runs the tests.
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { accessSync, constants, readFileSync, rmSync, statfsSync } from 'node:fs'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { freemem, userInfo } from 'node:os'
import { join } from 'node:path'

export interface User {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

export interface SpawnOptions {
  /** Default `/`: the unprivileged user may not be able to enter the current one. */
  readonly cwd?: string | undefined
  /** Added to PATH, HOME, LANG and TZ=UTC, which are all a program gets. */
  readonly env?: Readonly<Record<string, string>> | undefined
}

export interface RunOptions extends SpawnOptions {
  /** Standard input; empty by default. */
  readonly input?: string | Buffer | undefined
  /** The program is killed after this; default 120 000. */
  readonly timeoutMs?: number | undefined
  /** `fail` (default) throws on any exit code but 0, and on a signal. */
  readonly allowFailure?: 'fail' | 'allow' | undefined
}

export interface RunResult {
  /** Undefined exit code: killed by `signal`. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}

/** The root of this checkout. */
export const checkout = join(import.meta.dirname, '../..')

/** Whom programs run as. */
export const unprivileged = chooseUser()

function chooseUser(): User {
  const self = userInfo()
  if (self.uid !== 0) return { name: self.username, uid: self.uid, gid: self.gid }
  const users = readFileSync('/etc/passwd', 'utf8').split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('root cannot run these tests: there is neither a user postgres nor nobody')
}

const SOURCE_ENTRY = join(checkout, 'src/cli/main.ts')

/**
 * Set-up for `child_process` to run something as the unprivileged user. Coverage counts for children that run the sources;
 * the bundle's is of no use, and measuring it takes longer than most of its commands.
 */
function spawnSetup(
  argv: readonly string[],
  options: SpawnOptions,
): {
  readonly cwd: string
  readonly env: Record<string, string>
  readonly uid?: number
  readonly gid?: number
} {
  const coverage = process.env['NODE_V8_COVERAGE']
  return {
    cwd: options.cwd ?? '/',
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: '/tmp',
      LANG: 'C.UTF-8',
      TZ: 'UTC',
      ...(coverage === undefined || !argv.includes(SOURCE_ENTRY)
        ? {}
        : { NODE_V8_COVERAGE: coverage }),
      ...options.env,
    },
    ...(userInfo().uid === 0 ? { uid: unprivileged.uid, gid: unprivileged.gid } : {}),
  }
}

const atExit = new Set<() => void>()

/** Last first, as with all that is acquired: a server is stopped before its folder goes. */
function cleanUp(): void {
  for (const action of [...atExit].toReversed()) action()
  atExit.clear()
}

process.once('exit', cleanUp)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    cleanUp()
    process.kill(process.pid, signal)
  })
}

/**
 * Calls `action` when this process ends, also by SIGINT or SIGTERM, unless the result is called before. For what must not
 * outlive a test: `action` is synchronous.
 */
export function onExit(action: () => void): () => void {
  atExit.add(action)
  return () => {
    atExit.delete(action)
  }
}

/** Starts a program as the unprivileged user. It is killed when this process ends. */
export function spawnAs(
  argv: readonly string[],
  options: SpawnOptions = {},
): ChildProcessWithoutNullStreams {
  const [program = '', ...args] = argv
  const child = spawn(program, args, { ...spawnSetup(argv, options), stdio: 'pipe' })
  const forget = onExit(() => {
    child.kill('SIGKILL')
  })
  child.once('close', forget)
  return child
}

/** Runs a program to its end as the unprivileged user. Throws when it cannot be started, fails or takes too long. */
export async function runAs(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const started = performance.now()
  const child = spawnAs(argv, options)
  const output: [Buffer[], Buffer[]] = [[], []]
  child.stdout.on('data', (chunk: Buffer) => output[0].push(chunk))
  child.stderr.on('data', (chunk: Buffer) => output[1].push(chunk))
  // A program may end before it has read its input.
  child.stdin.on('error', () => undefined)
  child.stdin.end(options.input)
  const timeoutMs = options.timeoutMs ?? 120_000
  let timedOut = 'no'
  const timer = setTimeout(() => {
    timedOut = 'yes'
    child.kill('SIGKILL')
  }, timeoutMs)
  const ended = Promise.withResolvers<Pick<RunResult, 'code' | 'signal'>>()
  child.once('error', ended.reject)
  child.once('close', (code, signal) => {
    ended.resolve({ code, signal })
  })
  try {
    const result: RunResult = {
      ...(await ended.promise),
      stdout: Buffer.concat(output[0]).toString(),
      stderr: Buffer.concat(output[1]).toString(),
      durationMs: performance.now() - started,
    }
    if (timedOut === 'yes') throw failure(argv, result, `no end after ${timeoutMs} ms`)
    if (result.code !== 0 && options.allowFailure !== 'allow') {
      throw failure(argv, result, `ended with ${result.signal ?? `exit code ${result.code}`}`)
    }
    return result
  } finally {
    clearTimeout(timer)
  }
}

function failure(argv: readonly string[], result: RunResult, what: string): Error {
  return new Error(`${argv.join(' ')}: ${what}\n${result.stderr}${result.stdout}`.trimEnd())
}

/** Whether the unprivileged user can read this checkout: not, say, below /root. */
export function checkoutReadability(): 'readable' | 'unreadable' {
  const found = spawnSync('test', ['-r', join(checkout, 'package.json')], spawnSetup([], {}))
  return found.status === 0 ? 'readable' : 'unreadable'
}

let readability: 'readable' | 'unreadable' | undefined

/** The command line that runs pgsurety from its sources, for commands written into configurations. */
export function pgsuretyCommand(): readonly string[] {
  readability ??= checkoutReadability()
  if (readability === 'unreadable') {
    const { name } = unprivileged
    throw new Error(`user '${name}' cannot read '${checkout}': run 'npm test', which tests a copy`)
  }
  return [process.execPath, SOURCE_ENTRY]
}

/** The launcher, which runs the build in dist/ when there is one: for what is timed. */
export function launcher(): string {
  return join(checkout, 'bin/pgsurety')
}

/** Runs pgsurety from its sources as the unprivileged user. */
export async function pgsurety(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  return await runAs([...pgsuretyCommand(), ...argv], options)
}

export interface Folder extends AsyncDisposable {
  readonly path: string
}

/** Free memory that a file system in memory must have before tests use it: they hold at most a few GiB at once. */
const MEMORY_BYTES_MIN = 8 * 1024 ** 3

/**
 * Where temporary folders go: memory when there is plenty, for these tests are about content, and thousands of fsyncs a
 * second are not. Not the configured temporary folder: a socket's path must be shorter than 108 bytes.
 */
function temporaryRoot(): string {
  try {
    accessSync('/dev/shm', constants.W_OK | constants.X_OK)
    const { bavail, bsize } = statfsSync('/dev/shm')
    return Math.min(bavail * bsize, freemem()) >= MEMORY_BYTES_MIN ? '/dev/shm' : '/tmp'
  } catch {
    return '/tmp'
  }
}

/** A new folder that belongs to the unprivileged user, mode 0711; removed with all it holds when disposed. */
export async function temporaryFolder(
  name: string,
  root: string = temporaryRoot(),
): Promise<Folder> {
  const path = await mkdtemp(`${root}/pgsurety-${name}-`)
  const forget = onExit(() => {
    rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  })
  await chown(path, unprivileged.uid, unprivileged.gid)
  await chmod(path, 0o711)
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
      forget()
    },
  }
}

/** Writes a file that belongs to the unprivileged user; mode 0600. */
export async function writeAs(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
  await chown(path, unprivileged.uid, unprivileged.gid)
}
