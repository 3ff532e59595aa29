/** A real recovery: PostgreSQL replays segments that it gets through archive-get with prefetch. */
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startCluster } from '../../test/harness/cluster.ts'
import { runAs } from '../../test/harness/run.ts'
import { measure } from './measure.ts'
import type { Sample } from './result.ts'
import {
  type Bed,
  type Contestant,
  freshFolder,
  openSide,
  runSide,
  scaled,
  type Scene,
  type Side,
} from './scene.ts'
import { withSpool } from './wal-bed.ts'

const SEGMENTS = 200
/** Without hot standby the server counts as started when recovery begins; at its end the signal file goes. */
const REPLAY_ALL = `"$1" -D "$2" -l "$2/log" -o "$3" -w -t 300 start || { tail -n 20 "$2/log"; exit 1; }
while [ -e "$2/recovery.signal" ]; do
  [ -e "$2/postmaster.pid" ] || { tail -n 20 "$2/log"; exit 1; }
  sleep 0.02
done
"$1" -D "$2" -m immediate stop`

export async function openRecoveryBed(scene: Scene): Promise<Bed> {
  const folder = join(scene.folder, 'recovery')
  const count = scaled(scene, SEGMENTS)
  await freshFolder(folder)
  const truth = join(folder, 'truth')
  await freshFolder(truth)
  const base = join(folder, 'base')
  await makeHistory({ folder, truth, base, count })
  return {
    contest: async () => {
      const contestants: Contestant[] = []
      for (const engine of scene.engines.keys()) {
        const lines = [`pg1-path=${base}`]
        const side = await openSide(scene, folder, { engine, settings: 'async', lines })
        await archive(side, truth)
        contestants.push({ tool: engine, run: async () => await recover(scene, folder, side) })
      }
      return { count: (await readdir(truth)).length, contestants }
    },
    [Symbol.asyncDispose]: async () => {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface History {
  readonly folder: string
  readonly truth: string
  readonly base: string
  readonly count: number
}

/** A cluster as it was, and all WAL that it wrote from then on. */
async function makeHistory({ folder, truth, base, count }: History): Promise<void> {
  await using cluster = await startCluster({
    root: folder,
    version: '17',
    settings: {
      archive_mode: 'on',
      archive_command: `ln %p ${truth}/%f`,
      shared_buffers: '256MB',
      max_wal_size: '1GB',
      // What is archived is another name of the same file.
      wal_recycle: 'off',
      autovacuum: 'off',
    },
  })
  await cluster.pgbench(['-i', '-q', '-s', '10'])
  await cluster.stop()
  // As the user that will run it.
  await runAs(['cp', '-a', cluster.dataDir, base])
  await rm(truth, { recursive: true })
  await freshFolder(truth)
  await cluster.start()
  while ((await readdir(truth)).length < count) {
    await cluster.psql('update pgbench_accounts set abalance = abalance + 1 where aid % 7 = 1')
    await cluster.pgbench(['-n', '-c', '4', '-t', '2000'])
    await cluster.psql('select pg_switch_wal()')
  }
  await cluster.stop()
}

async function archive(side: Side, truth: string): Promise<void> {
  await freshFolder(side.repo)
  await runSide(side, ['--no-online', 'stanza-create'])
  for (const name of (await readdir(truth)).toSorted()) {
    await runSide(side, ['--no-archive-async', 'archive-push', join(truth, name)], truth)
  }
}

/** From the start of the server until it has replayed all there is and accepts connections. */
async function recover(scene: Scene, folder: string, side: Side): Promise<Sample> {
  const dataDir = join(folder, 'recovered')
  await rm(dataDir, { recursive: true, force: true })
  await runAs(['cp', '-a', join(folder, 'base'), dataDir])
  await freshFolder(side.spool)
  const restore = [...withSpool(side), `--pg1-path=${dataDir}`, 'archive-get', '%f', '"%p"'].join(
    ' ',
  )
  const settings = [
    `restore_command = '${restore}'`,
    'archive_mode = off',
    'hot_standby = off',
    'recovery_target_action = promote',
  ]
  await cp(join(folder, 'base/postgresql.auto.conf'), join(dataDir, 'postgresql.auto.conf'))
  await writeFile(join(dataDir, 'postgresql.auto.conf'), `${settings.join('\n')}\n`)
  await writeFile(join(dataDir, 'recovery.signal'), '')
  const control = join(scene.pgBin, 'pg_ctl')
  const options = `-k ${folder} -p ${20_000 + (process.pid % 40_000)} -c listen_addresses=''`
  const argv = ['/bin/sh', '-c', REPLAY_ALL, 'sh', control, dataDir, options]
  return await measure({ argv, place: folder })
}
