/**
 * One run of a program and everything it starts: how long, how much processor time, how much memory, what reached the disk.
 *
 * As root the program gets a control group (version 2) of its own, which also counts what goes on in the background after it
 * has ended. Otherwise processor time is unknown, and memory that of the processes below it.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { onExit, spawnAs } from '../../test/harness/run.ts'
import type { Sample } from './result.ts'

const SAMPLE_MS = 20
const SECTOR_BYTES = 512
const PAGE_BYTES = 4096
/** How long what works on in the background may take. */
const REST_MS_MAX = 60_000

export interface Measuring {
  readonly argv: readonly string[]
  readonly cwd?: string
  /** On the disk that is written to. */
  readonly place: string
  readonly env?: Readonly<Record<string, string>>
}

/** Begins with a disk at rest. Throws with what the program said when it fails. */
export async function measure({ argv, cwd, place, env }: Measuring): Promise<Sample> {
  execFileSync('sync')
  using group = openGroup()
  const writtenBefore = diskBytesWritten(place)
  // The shell waits for a line, so that the program is in its group before it begins.
  const child = spawnAs(['/bin/sh', '-c', 'read -r _; exec "$@"', 'sh', ...argv], { cwd, env })
  const pid = child.pid ?? 0
  group.add(pid)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => (output = `${output}${text.toString()}`.slice(-10_000)))
  }
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let peakBytes = 0
  const poll = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytes(group.members(pid)))
  }, SAMPLE_MS)
  const startedMs = performance.now()
  child.stdin.on('error', () => undefined)
  child.stdin.end('\n')
  const code = await ended
  const seconds = (performance.now() - startedMs) / 1000
  for (let waitedMs = 0; group.members(pid).length > 0; waitedMs += SAMPLE_MS) {
    if (waitedMs > REST_MS_MAX) throw new Error(`${argv.join(' ')} leaves something running`)
    await sleep(SAMPLE_MS)
  }
  clearInterval(poll)
  if (code !== 0) throw new Error(`${argv.join(' ')} exited with ${code}\n${output}`)
  const cpuSeconds = group.cpuSeconds()
  execFileSync('sync')
  return { seconds, cpuSeconds, peakBytes, writtenBytes: diskBytesWritten(place) - writtenBefore }
}

interface Group extends Disposable {
  add(pid: number): void
  /** Processes that live; `pid` is the first one. */
  members(pid: number): readonly number[]
  cpuSeconds(): number | undefined
}

let groupCount = 0

function openGroup(): Group {
  const root = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((path) =>
    existsSync(join(path, 'cgroup.procs')),
  )
  if (root === undefined || process.getuid?.() !== 0) return noGroup()
  groupCount += 1
  const folder = join(root, `pgsurety-bench-${process.pid}-${groupCount}`)
  mkdirSync(folder)
  const forget = onExit(() => {
    rmdirSync(folder)
  })
  return {
    add: (pid) => {
      writeFileSync(join(folder, 'cgroup.procs'), String(pid))
    },
    members: () => numbers(readFileSync(join(folder, 'cgroup.procs'), 'utf8')),
    cpuSeconds: () => {
      const stat = readFileSync(join(folder, 'cpu.stat'), 'utf8')
      return Number(/^usage_usec (\d+)$/m.exec(stat)?.[1]) / 1e6
    },
    [Symbol.dispose]: () => {
      // Something may still run in it after a failure, which is what shall be told; then it is removed at the end.
      try {
        rmdirSync(folder)
        forget()
      } catch {
        process.emitWarning(`control group '${folder}' is in use`)
      }
    },
  }
}

function noGroup(): Group {
  return {
    add: () => undefined,
    members: below,
    cpuSeconds: () => undefined,
    [Symbol.dispose]: () => undefined,
  }
}

function below(pid: number): readonly number[] {
  try {
    const children = numbers(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'))
    return [pid, ...children.flatMap(below)]
  } catch {
    return []
  }
}

function numbers(text: string): readonly number[] {
  return text.split(/\s+/).filter(Boolean).map(Number)
}

/** What several processes share counts for each. */
function residentBytes(pids: readonly number[]): number {
  let bytes = 0
  for (const pid of pids) {
    try {
      bytes += Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * PAGE_BYTES
    } catch {
      // It has ended.
    }
  }
  return bytes
}

/** By whomever, since the machine started; 0 for what is no disk. */
function diskBytesWritten(path: string): number {
  const { dev } = statSync(path)
  const file = `/sys/dev/block/${dev >> 8}:${dev & 0xff}/stat`
  if (!existsSync(file)) return 0
  return Number(readFileSync(file, 'utf8').trim().split(/\s+/)[6]) * SECTOR_BYTES
}
