/** A running cluster, a repository for its dumps, and the commands on both, inside this process. */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { dump } from '../../src/command/dump/dump.ts'
import type { DumpManifest } from '../../src/format/dump-manifest.ts'
import { isDumpLabel } from '../../src/format/label.ts'
import {
  type DumpPlace,
  listDumpSets,
  loadDumpManifest,
  openDumps,
} from '../../src/repo/dump-sets.ts'
import { openRepos } from '../../src/repo/repo.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { testContext, type TestContext, type TestContextOptions } from '../harness/context.ts'
import { postgresBin, type PostgresVersion } from '../harness/peers.ts'
import { temporaryFolder, writeAs } from '../harness/run.ts'

export interface DumpedCluster extends AsyncDisposable {
  readonly cluster: Cluster
  readonly folder: string
  readonly repoPath: string
  readonly config: string
  /** Folder of client programs that are not older than the server. */
  readonly bin: string
  /** A context for a command on the stanza `demo`. */
  context(argv: readonly string[], rest?: Partial<TestContextOptions>): TestContext
  /** Dumps, which must succeed, and what was made. */
  dump(...argv: readonly string[]): Promise<DumpManifest>
  place(): Promise<DumpPlace>
  /** Labels of sets that exist, oldest first. */
  labels(): Promise<readonly string[]>
}

export interface DumpedClusterOptions {
  readonly version?: PostgresVersion
  /** Lines for `[global]`. */
  readonly lines?: readonly string[]
  readonly settings?: Readonly<Record<string, string>>
  readonly listenAddresses?: string
}

/** The passphrase of repositories that are encrypted. */
export const PASSPHRASE = 'a passphrase, with "quotes"'

export const ENCRYPTED = ['repo1-cipher-type=aes-256-cbc', `repo1-cipher-pass=${PASSPHRASE}`]

export async function startDumpedCluster({
  version = '15',
  lines = [],
  settings = {},
  listenAddresses = '',
}: DumpedClusterOptions = {}): Promise<DumpedCluster> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('dump')).path
  const cluster = stack.use(await startCluster({ version, settings, listenAddresses }))
  const bin = existsSync(join(cluster.bin, 'pg_dump')) ? cluster.bin : await postgresBin('17')
  const repoPath = join(folder, 'repo')
  await mkdir(repoPath)
  const config = join(folder, 'pgsurety.conf')
  const text = [
    '[global]',
    `repo1-path=${repoPath}`,
    `lock-path=${folder}/lock`,
    'log-level-file=off',
    `pg-client-path=${bin}`,
    ...lines,
    '[demo]',
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDir}`,
    `pg1-user=${cluster.user}`,
    '',
  ].join('\n')
  await writeAs(config, text)
  const context: DumpedCluster['context'] = (argv, rest = {}) =>
    testContext({
      argv: [`--config=${config}`, '--stanza=demo', ...argv],
      env: { PATH: '/usr/bin:/bin', HOME: folder },
      ...rest,
    })
  const repo = () => {
    const [first] = openRepos(context(['dump']).context.config)
    if (first === undefined) throw new Error('no repository')
    return first
  }
  const place = async (): Promise<DumpPlace> => await openDumps(repo(), 'demo')
  const labels = async (): Promise<readonly string[]> =>
    (await listDumpSets(repo(), 'demo'))
      .filter(({ state, label }) => state === 'whole' && isDumpLabel(label))
      .map(({ label }) => label)
  const owned = stack.move()
  return {
    cluster,
    folder,
    repoPath,
    config,
    bin,
    context,
    place,
    labels,
    dump: async (...argv) => {
      await dump(context([...argv, 'dump']).context)
      return await loadDumpManifest(await place(), (await labels()).at(-1) ?? '')
    },
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}
