/**
 * Times backup, restore and a cold archive-push beside the real pgBackRest on the same cluster, same machine, same minutes.
 *
 *   node scripts/bench.ts [--scale=100] [--runs=3] [--pushes=15]
 *
 * Runs alternate, so that whatever else the machine does hits both. Prints medians, the ratio, and our peak memory.
 */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Cluster, startCluster } from '../test/harness/cluster.ts'
import { pgBackRest } from '../test/harness/peers.ts'
import { checkout, runAs, spawnAs, temporaryFolder } from '../test/harness/run.ts'

const { values } = parseArgs({
  options: {
    scale: { type: 'string', default: '100' },
    runs: { type: 'string', default: '3' },
    pushes: { type: 'string', default: '15' },
  },
})

interface Sample {
  readonly seconds: number
  readonly peakBytes: number
}

/** One program with the options that both take. */
interface Tool {
  readonly name: string
  readonly command: readonly string[]
}

/** Wall time and peak resident memory (of the process and its children, added up) of one run, begun on a disk at rest. */
async function timed(argv: readonly string[]): Promise<Sample> {
  execFileSync('sync')
  const started = performance.now()
  const child = spawnAs(argv)
  child.stdin.end()
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  child.stderr.on('data', (text: Buffer) => (output += text.toString()))
  let peakBytes = 0
  const poll = setInterval(() => {
    peakBytes = Math.max(peakBytes, treeBytes(child.pid ?? 0))
  }, 100)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  clearInterval(poll)
  if (code !== 0) throw new Error(`${argv.join(' ')} exited with ${code}\n${output}`)
  return { seconds: (performance.now() - started) / 1000, peakBytes }
}

function treeBytes(pid: number): number {
  try {
    const own = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
    const below =
      children === '' ? [] : children.split(' ').map((child) => treeBytes(Number(child)))
    return Number(own ?? 0) * 1024 + below.reduce((sum, bytes) => sum + bytes, 0)
  } catch {
    return 0
  }
}

function median(samples: readonly number[]): number {
  return samples.toSorted((left, right) => left - right)[Math.floor(samples.length / 2)] ?? 0
}

async function alternate(
  runs: number,
  tools: readonly Tool[],
  once: (tool: Tool, run: number) => Promise<Sample>,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>(tools.map(({ name }) => [name, []]))
  for (let run = 0; run < runs; run += 1) {
    const order = run % 2 === 0 ? tools : tools.toReversed()
    for (const tool of order) samples.get(tool.name)?.push(await once(tool, run))
  }
  return samples
}

function print(what: string, samples: ReadonlyMap<string, readonly Sample[]>, goal: number): void {
  const seconds = (name: string): number =>
    median((samples.get(name) ?? []).map((sample) => sample.seconds))
  const ours = seconds('pgsurety')
  const theirs = seconds('pgbackrest')
  const peak =
    Math.max(...(samples.get('pgsurety') ?? []).map((sample) => sample.peakBytes)) / 1024 / 1024
  for (const [name, all] of samples) {
    console.log(`  ${name}: ${all.map((one) => one.seconds.toFixed(3)).join(' ')}`)
  }
  console.log(
    `${what}: pgsurety ${ours.toFixed(3)} s   pgBackRest ${theirs.toFixed(3)} s   ratio ${(ours / theirs).toFixed(2)} (goal <= ${goal})   peak memory ${peak.toFixed(0)} MB`,
  )
}

async function configure(work: string, cluster: Cluster, name: string): Promise<string> {
  const file = join(work, `${name}.conf`)
  await writeFile(
    file,
    `[global]
repo1-path=${work}/repo-${name}
compress-type=zst
compress-level=3
repo1-bundle=n
process-max=2
start-fast=y
repo1-retention-full=99
lock-path=${work}/lock-${name}
log-level-file=off
log-level-console=warn
[main]
pg1-path=${cluster.dataDir}
pg1-port=${cluster.port}
pg1-socket-path=${cluster.socketDir}
pg1-user=postgres
`,
  )
  return file
}

await using cluster = await startCluster({
  root: '/tmp',
  version: '17',
  checksums: 'on',
  settings: {
    archive_mode: 'on',
    archive_command: 'false',
    max_wal_size: '4GB',
    wal_level: 'replica',
  },
})
await using folder = await temporaryFolder('bench', '/tmp')
const work = folder.path
const theirs = await pgBackRest('2.60')
const tools: Tool[] = []
for (const [name, program] of [
  ['pgsurety', join(checkout, 'bin/pgsurety')],
  ['pgbackrest', theirs],
] as const) {
  tools.push({
    name,
    command: [program, `--config=${await configure(work, cluster, name)}`, '--stanza=main'],
  })
}
const push = tools.map(({ command }) => `${command.join(' ')} archive-push %p`).join(' && ')
await cluster.psql(`alter system set archive_command = '${push}'`)
for (const { command } of tools) await runAs([...command, 'stanza-create'])
console.log(`loading pgbench scale ${values.scale} ...`)
await cluster.pgbench(['-i', '-q', '-s', values.scale])
await cluster.psql('select pg_reload_conf(); checkpoint')
console.log(
  `PostgreSQL ${cluster.version}, ${await cluster.psql('select pg_size_pretty(sum(pg_database_size(oid))) from pg_database')}`,
)

/** The load leaves more WAL than a backup takes to copy: the first one would wait for it, whichever tool takes it. */
async function archiverIsIdle(): Promise<void> {
  const status = join(cluster.dataDir, 'pg_wal/archive_status')
  while ((await readdir(status)).some((name) => name.endsWith('.ready'))) await sleep(500)
}

const runs = Number(values.runs)
await archiverIsIdle()
print(
  'backup',
  await alternate(runs, tools, ({ command }) => timed([...command, '--type=full', 'backup'])),
  1.2,
)
print(
  'restore',
  await alternate(runs, tools, async ({ command }) => {
    const target = join(work, 'restored')
    await rm(target, { recursive: true, force: true })
    return await timed([...command, `--pg1-path=${target}`, 'restore'])
  }),
  1.2,
)

const sample = join(work, 'segments')
await mkdir(sample, { recursive: true })

/** A segment from the middle of what was written last, out of the server's reach. */
async function keepSegment(): Promise<string> {
  await cluster.psql('select pg_switch_wal()')
  const current = await cluster.psql('select pg_walfile_name(pg_current_wal_lsn())')
  const names = (await readdir(join(cluster.dataDir, 'pg_wal')))
    .filter((name) => /^[0-9A-F]{24}$/.test(name) && name < current)
    .toSorted()
  const name = names.at(-4) ?? names.at(-1) ?? ''
  await copyFile(join(cluster.dataDir, 'pg_wal', name), join(sample, name))
  await chmod(join(sample, name), 0o644)
  return name
}

async function benchPush(what: string, options: readonly string[]): Promise<void> {
  const name = await keepSegment()
  const samples = await alternate(Number(values.pushes), tools, async (tool) => {
    const repo = join(work, `repo-${tool.name}`, 'archive', 'main')
    const stored = globSync(`${repo}/*/*/${name}-*`)
    for (const path of stored) await rm(path)
    return await timed([...tool.command, ...options, 'archive-push', join(sample, name)])
  })
  const [stored = ''] = globSync(
    join(work, 'repo-pgsurety', 'archive', 'main', '*', '*', `${name}-*`),
  )
  const { size } = await stat(stored)
  print(
    `archive-push of ${what}, ${options[0] ?? 'zst'}, stored in ${(size / 1024 / 1024).toFixed(1)} MB`,
    samples,
    1.5,
  )
}

// From here on the server keeps its WAL: what is timed must not be archived at the same time.
await cluster.psql("alter system set archive_command = '/bin/true'")
await cluster.psql('select pg_reload_conf()')
await cluster.psql('create table bulk as select g, md5(g::text) from generate_series(1, 2000000) g')
await benchPush('a bulk load', [])
await cluster.pgbench(['-n', '-c', '4', '-T', '15'])
await benchPush('TPC-B transactions', [])
await benchPush('TPC-B transactions', ['--compress-type=gz'])
