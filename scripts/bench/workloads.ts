/** All works with their goals, by what they are done on. */
import { openClusterBed } from './cluster-bed.ts'
import { loadMixed, loadPgbench, loadSmall } from './data.ts'
import { openDumpBed } from './dump-bed.ts'
import { openManyBed } from './many-bed.ts'
import { openRecoveryBed } from './recovery-bed.ts'
import type { Row } from './result.ts'
import type { Bed, Scene } from './scene.ts'
import { openWalBed } from './wal-bed.ts'

export interface Work extends Pick<Row, 'name' | 'what' | 'settings' | 'goals' | 'peer'> {
  /** The name that the bed knows it by. */
  readonly task: string
  /** Less than that of other works: each run takes a minute. */
  readonly runsMax?: number
}

export interface Workload {
  readonly open: (scene: Scene) => Promise<Bed>
  readonly works: readonly Work[]
}

const DEFAULTS = "each one's defaults"
const ALIKE = 'zst-3, 2 processes, bundle, block'
const PLAIN = 'zst-3, 2 processes, neither bundle nor block'
const WAL = 'zst-3'
const ASYNC = 'zst-3, 2 processes'
const ONE_JOB = 'zst-3, 1 job'

/** Of dumps: less data than backups have, for every row is made text. */
const part = (scene: Scene, share: number): Scene => ({ ...scene, scale: scene.scale * share })

/** The same works on any data; `on` says which. A fingerprint reads all rows once more, and may cost as much as the dump. */
const dumpWorks = (name: string, on: string): readonly Work[] => [
  {
    name: `dump-${name}`,
    task: 'dump',
    what: `dump without fingerprint, ${on}`,
    settings: ONE_JOB,
    peer: 'pg_dump',
    goals: { wall: 1 },
  },
  {
    name: `fingerprint-${name}`,
    task: 'fingerprint',
    what: `dump with fingerprint, ${on}`,
    settings: ONE_JOB,
    peer: 'no fingerprint',
    goals: { wall: 2 },
  },
  {
    name: `dump-restore-${name}`,
    task: 'restore',
    what: `restore of the dump without proof, ${on}`,
    settings: ONE_JOB,
    peer: 'pg_restore',
    goals: { wall: 1 },
  },
]

export const WORKLOADS: readonly Workload[] = [
  {
    open: async (scene) => await openClusterBed(scene, loadPgbench),
    works: [
      {
        name: 'full-pgbench-defaults',
        task: 'full-defaults',
        what: 'full backup, pgbench 150',
        settings: DEFAULTS,
        goals: { wall: 0.2 },
        runsMax: 3,
      },
      {
        name: 'full-pgbench',
        task: 'full',
        what: 'full backup, pgbench 150',
        settings: ALIKE,
        goals: { wall: 0.9, cpu: 1, share: 0.85 },
      },
      {
        name: 'full-pgbench-plain',
        task: 'full-plain',
        what: 'full backup, pgbench 150',
        settings: PLAIN,
        goals: { wall: 1.2 },
      },
      {
        name: 'restore-pgbench-plain',
        task: 'restore-plain',
        what: 'restore, pgbench 150',
        settings: PLAIN,
        goals: { wall: 1.2 },
      },
      {
        name: 'restore-pgbench',
        task: 'restore',
        what: 'restore, pgbench 150',
        settings: ALIKE,
        goals: { wall: 0.8 },
      },
      {
        name: 'delta-pgbench',
        task: 'delta',
        what: 'delta restore, 1 % of pages changed',
        settings: ALIKE,
        goals: { wall: 0.8 },
      },
      {
        name: 'verify-pgbench',
        task: 'verify',
        what: 'verify, pgbench 150',
        settings: ALIKE,
        goals: { wall: 0.8 },
      },
      {
        name: 'diff-pgbench',
        task: 'diff',
        what: 'differential backup, 1 % of pages changed',
        settings: ALIKE,
        goals: { wall: 0.8 },
      },
    ],
  },
  {
    open: async (scene) => await openClusterBed(scene, loadMixed),
    works: [
      {
        name: 'full-mixed-defaults',
        task: 'full-defaults',
        what: 'full backup, 4 GB of mixed data',
        settings: DEFAULTS,
        goals: { wall: 0.2 },
        runsMax: 3,
      },
      {
        name: 'full-mixed',
        task: 'full',
        what: 'full backup, 4 GB of mixed data',
        settings: ALIKE,
        goals: { wall: 0.9, cpu: 1, share: 0.85 },
      },
      {
        name: 'restore-mixed',
        task: 'restore',
        what: 'restore, 4 GB of mixed data',
        settings: ALIKE,
        goals: { wall: 0.8 },
      },
    ],
  },
  {
    open: async (scene) => await openClusterBed(scene, loadSmall),
    works: [
      {
        name: 'full-small',
        task: 'full',
        what: 'full backup, 20,000 small relations',
        settings: ALIKE,
        goals: { wall: 0.8 },
      },
      {
        name: 'restore-small',
        task: 'restore',
        what: 'restore, 20,000 small relations',
        settings: ALIKE,
        goals: { wall: 0.5 },
      },
    ],
  },
  {
    open: openWalBed,
    works: [
      {
        name: 'push-sync',
        task: 'push-sync',
        what: 'archive-push of one segment',
        settings: WAL,
        goals: { wall: 1 },
      },
      {
        name: 'push-sync-defaults',
        task: 'push-sync-defaults',
        what: 'archive-push of one segment',
        settings: DEFAULTS,
        goals: { wall: 1.5 },
      },
      {
        name: 'push-async',
        task: 'push-async',
        what: 'archive-push, asynchronous, 500 segments, each',
        settings: ASYNC,
        goals: { wall: 0.67, cpu: 1 },
      },
      {
        name: 'get-sync',
        task: 'get-sync',
        what: 'archive-get of one segment',
        settings: WAL,
        goals: { wall: 1 },
      },
      {
        name: 'get-async',
        task: 'get-async',
        what: 'archive-get with prefetch, 500 segments, each',
        settings: ASYNC,
        goals: { wall: 0.8 },
      },
    ],
  },
  {
    open: openRecoveryBed,
    works: [
      {
        name: 'recovery',
        task: 'recovery',
        what: 'recovery of 200 segments with prefetch, each',
        settings: ASYNC,
        goals: { wall: 0.8 },
      },
    ],
  },
  {
    open: async (scene) => await openManyBed(scene),
    works: [
      {
        name: 'info',
        task: 'info',
        what: 'info, 500 backups and 100,000 segments',
        settings: 'any',
        goals: { wall: 1 },
      },
      {
        name: 'expire',
        task: 'expire',
        what: 'expire of half of 500 backups and 100,000 segments',
        settings: 'any',
        goals: { wall: 1 },
      },
    ],
  },
  {
    open: async (scene) =>
      await openDumpBed(scene, async (cluster) => {
        await loadPgbench(cluster, part(scene, 1 / 3))
      }),
    works: dumpWorks('pgbench', 'pgbench 50'),
  },
  {
    open: async (scene) =>
      await openDumpBed(scene, async (cluster) => {
        await loadMixed(cluster, part(scene, 1 / 4))
      }),
    works: dumpWorks('mixed', '1 GB of mixed data'),
  },
  {
    open: async (scene) =>
      await openDumpBed(scene, async (cluster) => {
        await loadSmall(cluster, part(scene, 1 / 2))
      }),
    works: dumpWorks('small', '5,000 small tables'),
  },
]
