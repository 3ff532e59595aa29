/** A running cluster that archives with the real pgBackRest, and one configuration file per repository. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Cluster, type ClusterOptions, startCluster } from './cluster.ts'
import { pgBackRest } from './peers.ts'
import { runAs, type RunResult, temporaryFolder } from './run.ts'

export interface ArchivingOptions extends ClusterOptions {
  /** Repository name → lines for `[global]` besides the paths. All of them archive stanza `demo`. */
  readonly repos: Readonly<Record<string, readonly string[]>>
}

export interface Archiving extends AsyncDisposable {
  readonly cluster: Cluster
  /** Holds `<repo>.conf`, `lock` and each repository as a folder of its name. */
  readonly folder: string
  /** Runs the real pgBackRest on one repository; exit codes are the caller's business. */
  pgBackRest(repo: string, argv: readonly string[], zone?: string): Promise<RunResult>
  /** Writes `<name>.conf` for the stanzas `demo` and `other` and the repository folder `repo`; its path. */
  writeConfig(name: string, repo: string, lines: readonly string[]): Promise<string>
}

export async function startArchiving(options: ArchivingOptions): Promise<Archiving> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('archiving')).path
  const program = await pgBackRest('2.60')
  const names = Object.keys(options.repos)
  await runAs(['mkdir', ...['lock', 'log', ...names].map((name) => join(folder, name))])
  const pushes = names.map(
    (name) => `${program} --config=${folder}/${name}.conf --stanza=demo archive-push "%p"`,
  )
  const cluster = stack.use(
    await startCluster({
      ...options,
      settings: { archive_mode: 'on', archive_command: pushes.join(' && '), ...options.settings },
    }),
  )
  const writeConfig: Archiving['writeConfig'] = async (name, repo, lines) => {
    const path = join(folder, `${name}.conf`)
    await writeFile(path, configText({ folder, repo, lines, cluster }))
    return path
  }
  for (const [name, lines] of Object.entries(options.repos)) await writeConfig(name, name, lines)
  const owned = stack.move()
  return {
    cluster,
    folder,
    writeConfig,
    pgBackRest: async (repo, argv, zone = 'UTC') =>
      await runAs([program, `--config=${folder}/${repo}.conf`, ...argv], {
        env: { TZ: zone },
        allowFailure: 'allow',
      }),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

interface ConfigFacts {
  readonly folder: string
  readonly repo: string
  readonly lines: readonly string[]
  readonly cluster: Cluster
}

function configText({ folder, repo, lines, cluster }: ConfigFacts): string {
  const server = [
    `pg1-path=${cluster.dataDir}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDir}`,
    `pg1-user=${cluster.user}`,
  ]
  return [
    '[global]',
    `repo1-path=${folder}/${repo}`,
    `lock-path=${folder}/lock`,
    `log-path=${folder}/log`,
    'repo1-retention-full=9',
    'start-fast=y',
    ...lines,
    '[demo]',
    ...server,
    '[other]',
    ...server,
    '',
  ].join('\n')
}
