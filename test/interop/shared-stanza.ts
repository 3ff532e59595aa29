/** A running cluster and repositories that pgsurety and real pgBackRests share, each through one configuration file. */
import { execFile } from 'node:child_process'
import { chmod, glob, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isLabel } from '../../src/format/label.ts'
import { type Cluster, type ClusterOptions, startCluster } from '../harness/cluster.ts'
import { type PgBackRestVersion, pgBackRest } from '../harness/peers.ts'
import { checkout, launcher, runAs, temporaryFolder, writeAs } from '../harness/run.ts'

/** A version is that of a real pgBackRest. */
export type Tool = 'pgsurety' | PgBackRestVersion

export interface SharedCluster extends AsyncDisposable {
  readonly cluster: Cluster
  /** A repository that does not exist yet, and its configuration file. `lines` follow the paths in `[global]`. */
  openRepository(name: string, lines: readonly string[]): Promise<SharedRepository>
}

/** Stanza `demo` of the cluster in one repository, which is removed when disposed. */
export interface SharedRepository extends AsyncDisposable {
  readonly cluster: Cluster
  readonly path: string
  /** A folder of the unprivileged user, for what the test makes. */
  readonly folder: string
  /** Runs a command, which must succeed; its standard output. */
  run(tool: Tool, argv: readonly string[]): Promise<string>
  /** From now on the cluster archives into this repository, with this tool. */
  archiveWith(tool: Tool): Promise<void>
  /** Labels of all backups, oldest first. */
  labels(): Promise<readonly string[]>
}

/** The launcher runs what was built, which starts faster than the sources. Builds it when a source is newer. */
export async function buildWhenStale(): Promise<void> {
  const built = await modifiedMs(join(checkout, 'dist/pgsurety.js'))
  for await (const name of glob('src/**/*.ts', { cwd: checkout })) {
    if ((await modifiedMs(join(checkout, name))) < built) continue
    await promisify(execFile)(process.execPath, [join(checkout, 'scripts/build.ts')])
    return
  }
}

/** 0 for a file that is not there. */
async function modifiedMs(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  return found?.mtimeMs ?? 0
}

/** Until the first `archiveWith` the cluster's WAL is thrown away. */
export async function startSharedCluster(options: ClusterOptions): Promise<SharedCluster> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('shared')).path
  // Both tools want to see `pgbackrest` in archive_command. What runs is read anew for every segment: no restart.
  const script = join(folder, 'archive-for-pgbackrest.sh')
  const commandFile = join(folder, 'archive-command')
  await writeAs(script, `#!/bin/sh\nread -r command <${commandFile}\nexec $command "$1"\n`)
  await chmod(script, 0o700)
  await replaceFile(commandFile, 'true')
  const settings = { archive_mode: 'on', archive_command: `${script} "%p"`, ...options.settings }
  const cluster = stack.use(await startCluster({ ...options, settings }))
  const owned = stack.move()
  return {
    cluster,
    openRepository: async (name, lines) =>
      await openRepository({ cluster, folder, commandFile, name, lines }),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

interface RepositoryOptions {
  readonly cluster: Cluster
  readonly folder: string
  readonly commandFile: string
  readonly name: string
  readonly lines: readonly string[]
}

async function openRepository(options: RepositoryOptions): Promise<SharedRepository> {
  const { cluster, commandFile } = options
  const folder = join(options.folder, options.name)
  const path = join(folder, 'repo')
  const config = join(folder, 'pgbackrest.conf')
  await runAs(['mkdir', folder, join(folder, 'lock')])
  await writeAs(config, configText({ ...options, folder, path }))
  const commandOf = async (tool: Tool): Promise<readonly string[]> => [
    tool === 'pgsurety' ? launcher() : await pgBackRest(tool),
    `--config=${config}`,
    '--stanza=demo',
  ]
  return {
    cluster,
    path,
    folder,
    run: async (tool, argv) => (await runAs([...(await commandOf(tool)), ...argv])).stdout,
    archiveWith: async (tool) => {
      await replaceFile(commandFile, [...(await commandOf(tool)), 'archive-push'].join(' '))
    },
    labels: async () => {
      const names = await readdir(join(path, 'backup/demo'))
      return names.filter(isLabel).toSorted()
    },
    [Symbol.asyncDispose]: async () => {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function configText({
  cluster,
  folder,
  path,
  lines,
}: RepositoryOptions & { readonly path: string }): string {
  return [
    '[global]',
    `repo1-path=${path}`,
    'repo1-retention-full=9',
    `lock-path=${join(folder, 'lock')}`,
    'log-level-file=off',
    'start-fast=y',
    'process-max=2',
    // What pgBackRest does when nothing else is said.
    ...(lines.some((line) => line.startsWith('repo1-bundle=')) ? [] : ['repo1-bundle=n']),
    ...lines,
    '[demo]',
    `pg1-path=${cluster.dataDir}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDir}`,
    `pg1-user=${cluster.user}`,
    '',
  ].join('\n')
}

/** The archiver may read it at any moment. */
async function replaceFile(path: string, line: string): Promise<void> {
  await writeAs(`${path}.new`, `${line}\n`)
  await rename(`${path}.new`, path)
}
