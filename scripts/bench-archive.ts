/**
 * Times what PostgreSQL waits for when a segment has been pushed, or fetched, in the background already: pgsurety's launcher
 * beside the real pgBackRest and a shell that does nothing, in turn on the same machine.
 *
 *   node scripts/bench-archive.ts [--runs=200]
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startAsyncBed } from '../test/interop/async-bed.ts'
import { runAs, unprivileged } from '../test/harness/run.ts'

const { values } = parseArgs({ options: { runs: { type: 'string', default: '200' } } })
const runs = Number(values.runs)

await using bed = await startAsyncBed(['archive-get-queue-max=8MiB'])
await bed.archiveWith('pgsurety')
await bed.untilArchived(await bed.fill(12))
await bed.archiveWith('nothing')
const segment = await bed.fill(1)
const push = ['archive-push', `pg_wal/${segment}`]
// Twice: the note that the launcher goes by is left by the second run when the first one made the spool.
for (const tool of ['pgsurety', 'pgbackrest', 'pgsurety'] as const) {
  await runAs([...bed.commandOf(tool), ...push], { cwd: bed.cluster.dataDir })
}

const as = process.getuid?.() === 0 ? { uid: unprivileged.uid, gid: unprivileged.gid } : {}
const options = {
  cwd: bed.cluster.dataDir,
  env: { PATH: '/usr/bin:/bin', HOME: '/tmp', TZ: 'UTC' },
  ...as,
} as const

function timeMs(argv: readonly string[]): number {
  const [program = '', ...args] = argv
  const startMs = performance.now()
  const { status, stderr } = spawnSync(program, args, options)
  const tookMs = performance.now() - startMs
  if (status !== 0) throw new Error(`${argv.join(' ')}: ${status} ${String(stderr)}`)
  return tookMs
}

interface Candidate {
  readonly name: string
  readonly argv: readonly string[]
  /** Brings back what a run used up. */
  readonly before?: () => void
}

/** In turn, so that whatever else the machine does hits all of them. */
function compare(what: string, candidates: readonly Candidate[]): void {
  const times = new Map<string, number[]>(candidates.map(({ name }) => [name, []]))
  for (let run = 0; run < runs; run += 1) {
    for (const { name, argv, before } of candidates) {
      before?.()
      times.get(name)?.push(timeMs(argv))
    }
  }
  const medians = [...times].map(([name, all]) => {
    const sorted = all.toSorted((left, right) => left - right)
    return `${name} ${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(2)} ms`
  })
  console.log(`${what}, median of ${runs}: ${medians.join('   ')}`)
}

const nothing = { name: 'sh -c :', argv: ['/bin/sh', '-c', ':'] }
compare('archive-push of a segment that has been pushed', [
  nothing,
  { name: 'pgsurety', argv: [...bed.commandOf('pgsurety'), ...push] },
  { name: 'pgbackrest', argv: [...bed.commandOf('pgbackrest'), ...push] },
])

// Other arguments have a note of their own, and with this one they leave none.
const full = [...bed.commandOf('pgsurety'), '--log-level-console=info', ...push]
compare('the same with a start of Node', [{ name: 'pgsurety', argv: full }])

const names = readdirSync(join(bed.folder, 'truth')).toSorted().slice(-13)
const [first = '', wanted = ''] = names
const target = 'pg_wal/RECOVERYXLOG'
await runAs([...bed.commandOf('pgsurety'), 'archive-get', first, target], {
  cwd: bed.cluster.dataDir,
})
const folder = join(bed.folder, 'spool/archive/demo/in')
function fetchedAgain(): void {
  for (const name of names.slice(1, 9)) {
    copyFileSync(join(bed.folder, 'truth', name), join(folder, name))
  }
}
const get = ['archive-get', wanted, target]
compare('archive-get of a segment that has been fetched', [
  nothing,
  { name: 'pgsurety', argv: [...bed.commandOf('pgsurety'), ...get], before: fetchedAgain },
  { name: 'pgbackrest', argv: [...bed.commandOf('pgbackrest'), ...get], before: fetchedAgain },
])
