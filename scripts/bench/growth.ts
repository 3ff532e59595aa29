/** pgsurety alone, with 1, 4 and 16 times as much: what it does must cost in proportion, and no more memory. */
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startCluster } from '../../test/harness/cluster.ts'
import { unprivileged } from '../../test/harness/run.ts'
import { openManyBed } from './many-bed.ts'
import { type Growth, median, type Sample } from './result.ts'
import { freshFolder, measureSide, openSide, runSide, scaled, type Scene } from './scene.ts'
import { openWalBed } from './wal-bed.ts'

const FACTORS = [1, 4, 16] as const
const RUNS = 3

type Point = Growth['points'][number]

/** Name, what grows, and the points of each thing that is done with it. */
interface Growing {
  readonly name: string
  readonly measure: (scene: Scene) => Promise<readonly Growth[]>
}

export const GROWTHS: readonly Growing[] = [
  { name: 'growth-files', measure: async (scene) => await grownCluster(scene, 'files') },
  { name: 'growth-bytes', measure: async (scene) => await grownCluster(scene, 'bytes') },
  { name: 'growth-segments', measure: grownArchive },
  { name: 'growth-backups', measure: grownRepository },
]

async function middle(run: () => Promise<Sample>): Promise<Sample> {
  const samples: Sample[] = []
  for (let done = 0; done < RUNS; done += 1) samples.push(await run())
  const seconds = median(samples.map((one) => one.seconds))
  const peakBytes = Math.max(...samples.map((one) => one.peakBytes))
  return { ...(samples.find((one) => one.seconds === seconds) ?? samples[0] ?? NONE), peakBytes }
}

const NONE: Sample = { seconds: 0, cpuSeconds: undefined, peakBytes: 0, writtenBytes: 0 }
const PAGE_BYTES = 8192
const COUNTS = { files: 6250, bytes: 4 } as const

/** A stopped cluster with more files of one page, or more files of 64 MiB. */
async function grownCluster(scene: Scene, what: 'files' | 'bytes'): Promise<readonly Growth[]> {
  const folder = join(scene.folder, what)
  await freshFolder(folder)
  const backups: Point[] = []
  const restores: Point[] = []
  {
    await using cluster = await startCluster({ root: folder, version: '17', checksums: 'on' })
    const large = await largeFile(cluster)
    await cluster.stop()
    const lines = [`pg1-path=${cluster.dataDir}`]
    for (const factor of FACTORS) {
      const count = scaled(scene, COUNTS[what]) * factor
      const added = join(cluster.dataDir, 'base/90000')
      addFiles(added, count, what === 'bytes' ? join(cluster.dataDir, large) : undefined)
      const side = await openSide(scene, folder, { engine: 'pgsurety', settings: 'alike', lines })
      const target = join(folder, 'restored')
      backups.push({
        count,
        sample: await middle(async () => {
          await freshFolder(side.repo)
          await runSide(side, ['--no-online', 'stanza-create'])
          return await measureSide(side, ['--no-online', '--type=full', 'backup'])
        }),
      })
      restores.push({
        count,
        sample: await middle(async () => {
          await rm(target, { recursive: true, force: true })
          return await measureSide(side, [`--pg1-path=${target}`, 'restore'])
        }),
      })
    }
  }
  await rm(folder, { recursive: true, force: true })
  const text = what === 'files' ? 'files of one page' : 'files of 64 MiB'
  return [
    { name: `growth-${what}-backup`, what: `full backup of ${text}`, points: backups },
    { name: `growth-${what}-restore`, what: `restore of ${text}`, points: restores },
  ]
}

/** Path in the data directory of a table of 64 MiB, with the checksums that a backup looks at. */
async function largeFile(cluster: Awaited<ReturnType<typeof startCluster>>): Promise<string> {
  await cluster.psql(`create table large as
    select g as id, md5(g::text) as note, g % 1000 as amount from generate_series(1, 1100000) g`)
  return await cluster.psql("checkpoint; select pg_relation_filepath('large')")
}

/** Files that PostgreSQL does not know and a backup takes all the same; an empty page is a valid one. */
function addFiles(folder: string, count: number, model: string | undefined): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const page = Buffer.alloc(PAGE_BYTES)
  for (let number = 0; number < count; number += 1) {
    const path = join(folder, String(100_000 + number))
    if (model === undefined) writeFileSync(path, page, { mode: 0o600 })
    else copyFileSync(model, path)
  }
  const { uid, gid } = unprivileged
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${uid}:${gid}`, folder])
}

async function grownArchive(scene: Scene): Promise<readonly Growth[]> {
  const points: Point[] = []
  for (const factor of FACTORS) {
    await using bed = await openWalBed({ ...alone(scene), scale: (scene.scale * factor) / 16 })
    const { count, contestants } = await bed.contest('push-async')
    const [only] = contestants
    if (only !== undefined) points.push({ count, sample: await middle(only.run) })
  }
  return [{ name: 'growth-segments', what: 'archive-push, asynchronous, of segments', points }]
}

async function grownRepository(scene: Scene): Promise<readonly Growth[]> {
  const points: Record<'info' | 'expire', Point[]> = { info: [], expire: [] }
  for (const factor of FACTORS) {
    const count = Math.round(scaled(scene, 480) / 16) * factor
    await using bed = await openManyBed(alone(scene), count)
    for (const verb of ['info', 'expire'] as const) {
      const [only] = (await bed.contest(verb)).contestants
      if (only !== undefined) points[verb].push({ count, sample: await middle(only.run) })
    }
  }
  return (['info', 'expire'] as const).map((verb) => ({
    name: `growth-backups-${verb}`,
    what: `${verb} of backups, with 200 segments each`,
    points: points[verb],
  }))
}

/** Without the peers. */
function alone(scene: Scene): Scene {
  const engines = new Map([...scene.engines].filter(([engine]) => engine === 'pgsurety'))
  return { ...scene, engines }
}
