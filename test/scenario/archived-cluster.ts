/** A running cluster that archives with pgsurety into a repository of its own, and clusters restored from it. */
import assert from 'node:assert/strict'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { AppError } from '../../src/base/error.ts'
import { restore } from '../../src/command/restore/restore.ts'
import { type Cluster, type ClusterOptions, openCluster, startCluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { launcher, pgsurety, temporaryFolder, writeAs } from '../harness/run.ts'

export interface ArchivedClusterOptions extends ClusterOptions {
  /** Lines for `[global]` besides the paths. */
  readonly lines?: readonly string[]
}

export interface RestoreRun {
  readonly dataDir: string
  /** Standard output. */
  readonly output: string
  /** Every log line, without date and time. */
  readonly log: string
}

/** Stanza `demo`, which exists, without backups. */
export interface ArchivedCluster extends AsyncDisposable {
  readonly cluster: Cluster
  /** A folder of the unprivileged user, for what the test makes; holds `repo` and `pgsurety.conf`. */
  readonly folder: string
  readonly config: string
  /** Runs a command in a process of its own, which must succeed; its standard output. */
  run(...argv: readonly string[]): Promise<string>
  /** Restores inside this process into `folder/name`, or `name` itself when it is a path. */
  restoreFiles(name: string, ...argv: readonly string[]): Promise<RestoreRun>
  /** The same, and opens what is there, not started. It would not archive. */
  restore(name: string, ...argv: readonly string[]): Promise<Cluster>
}

export async function startArchivedCluster(
  options: ArchivedClusterOptions,
): Promise<ArchivedCluster> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await temporaryFolder('scenario')).path
  const config = join(folder, 'pgsurety.conf')
  const common = [`--config=${config}`, '--stanza=demo']
  const push = [launcher(), ...common, 'archive-push', '"%p"'].join(' ')
  const settings = { archive_mode: 'on', archive_command: push, ...options.settings }
  const cluster = stack.use(await startCluster({ ...options, settings }))
  await writeAs(config, configText(folder, cluster, options.lines ?? []))
  const run: ArchivedCluster['run'] = async (...argv) =>
    (await pgsurety([...common, ...argv])).stdout
  const restoreFiles: ArchivedCluster['restoreFiles'] = async (name, ...argv) => {
    const dataDir = resolve(folder, name)
    const ran = testContext({ argv: [...common, `--pg1-path=${dataDir}`, ...argv, 'restore'] })
    assert.equal(await restore(ran.context), 0)
    return { dataDir, output: ran.output(), log: ran.logText() }
  }
  await run('stanza-create')
  const owned = stack.move()
  return {
    cluster,
    folder,
    config,
    run,
    restoreFiles,
    restore: async (name, ...argv) => {
      const { dataDir } = await restoreFiles(name, '--archive-mode=off', ...argv)
      return await openCluster({ version: options.version, dataDir })
    },
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

function configText(folder: string, cluster: Cluster, lines: readonly string[]): string {
  return [
    '[global]',
    `repo1-path=${folder}/repo`,
    `lock-path=${folder}/lock`,
    'log-level-file=off',
    'repo1-retention-full=9',
    'start-fast=y',
    'compress-type=zst',
    'process-max=2',
    // Files that are objects of their own can be looked at, and damaged.
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

/** Resolves when all the WAL that a server has written so far is in the archive. */
export async function archiveAll(cluster: Cluster): Promise<void> {
  // A switch without anything new would name a segment that is never archived.
  const segment = await cluster.psql(
    "select pg_create_restore_point('end'); select pg_walfile_name(pg_switch_wal())",
  )
  const wanted = segment.split('\n').at(-1) ?? ''
  await until(`${wanted} is archived`, async () => {
    const archived = await cluster.psql('select last_archived_wal from pg_stat_archiver')
    return archived.slice(0, 24) >= wanted
  })
}

/** Resolves when a server has ended its recovery and takes writes. */
export async function untilPromoted(cluster: Cluster): Promise<void> {
  await until('recovery has ended', async () => {
    return (await cluster.psql('select pg_is_in_recovery()')) === 'f'
  })
}

/** Resolves when a server has come to its target and waits there. PostgreSQL 14 and later. */
export async function untilPaused(cluster: Cluster): Promise<void> {
  await until('recovery is paused', async () => {
    return (await cluster.psql('select pg_get_wal_replay_pause_state()')) === 'paused'
  })
}

/** `[058] text` of the error that something must end with. */
export async function refusal(running: Promise<unknown>): Promise<string> {
  const error = await running.then(
    () => assert.fail('it was not refused'),
    (thrown: unknown) => thrown,
  )
  assert(error instanceof AppError, String(error))
  return `[${String(error.exitCode).padStart(3, '0')}] ${error.text}`
}

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await holds()) return
    await setTimeout(50)
  }
  assert.fail(`it never became true that ${what}`)
}
