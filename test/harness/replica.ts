/** Streaming replicas of a test cluster: real ones, made by pg_basebackup. */
import { join } from 'node:path'
import { type Cluster, openCluster } from './cluster.ts'
import { runAs, temporaryFolder } from './run.ts'

/** Makes a standby that streams from `primary`; not started. Disposing stops it and removes every trace. */
export async function makeReplica(primary: Cluster): Promise<Cluster> {
  await using stack = new AsyncDisposableStack()
  const root = stack.use(await temporaryFolder('replica')).path
  const dataDir = join(root, 'data')
  const { tablespaceDir } = primary
  const mapping =
    tablespaceDir === undefined
      ? []
      : [`--tablespace-mapping=${tablespaceDir}=${join(root, 'ts1')}`]
  await runAs([
    join(primary.bin, 'pg_basebackup'),
    `--pgdata=${dataDir}`,
    '--checkpoint=fast',
    '--no-sync',
    '--write-recovery-conf',
    `--host=${primary.socketDir}`,
    `--port=${primary.port}`,
    `--username=${primary.user}`,
    ...mapping,
  ])
  const cluster = stack.use(await openCluster({ version: primary.version, dataDir }))
  const owned = stack.move()
  return {
    ...cluster,
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}
