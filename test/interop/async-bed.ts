/** A cluster that archives asynchronously with either tool, and a copy of every segment as the server wrote it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { pgBackRest } from '../harness/peers.ts'
import { launcher, runAs, type RunResult, temporaryFolder, writeAs } from '../harness/run.ts'
import { until } from '../scenario/archived-cluster.ts'

export const TOOLS = ['pgsurety', 'pgbackrest'] as const

export type AsyncTool = (typeof TOOLS)[number]

export interface AsyncBed extends AsyncDisposable {
  readonly cluster: Cluster
  readonly folder: string
  /** `<spool-path>/archive/demo/out`. */
  readonly out: string
  /** The command line of a tool, without the command. */
  commandOf(tool: AsyncTool): readonly string[]
  run(tool: AsyncTool, ...argv: readonly string[]): Promise<RunResult>
  /** From the next segment on the server archives with this tool, or not at all. */
  archiveWith(tool: AsyncTool | 'nothing'): Promise<void>
  /** Has the server fill some segments; the name of the last. */
  fill(count: number): Promise<string>
  /** Resolves when the server has been told that a segment and all before it are archived. */
  untilArchived(segment: string): Promise<void>
  /** Every segment that the server wanted archived is stored, in every repository, as it was. How many those are. */
  assertComplete(): Promise<number>
}

/** Stanza `demo`, which exists, in repositories `repo1` and, when `repos` says so, `repo2` of the folder. */
export async function startAsyncBed(
  lines: readonly string[] = [],
  repos: 1 | 2 = 1,
): Promise<AsyncBed> {
  await using stack = new AsyncDisposableStack()
  const program = await pgBackRest('2.60')
  const folder = stack.use(await temporaryFolder('async')).path
  const names = ['lock', 'log', 'spool', 'truth']
  await runAs(['mkdir', ...names.map((name) => join(folder, name))])
  const script = join(folder, 'archive-for-pgbackrest.sh')
  const commandFile = join(folder, 'command')
  await writeAs(
    script,
    `#!/bin/sh\nread -r command <${commandFile}\ncase $command in true) exit 1 ;; esac\n` +
      `name=\${1##*/}\n[ -e ${folder}/truth/$name ] || cp "$1" ${folder}/truth/$name || exit 1\nexec $command "$1"\n`,
  )
  await chmod(script, 0o700)
  await writeAs(commandFile, 'true\n')
  const cluster = stack.use(
    await startCluster({
      version: '15',
      walSegmentSizeMib: 1,
      settings: { archive_mode: 'on', archive_command: `${script} "%p"` },
    }),
  )
  const keys = repos === 1 ? [1] : [1, 2]
  await writeAs(join(folder, 'conf'), configText({ cluster, folder, lines, keys }))
  const commandOf: AsyncBed['commandOf'] = (tool) => [
    tool === 'pgsurety' ? launcher() : program,
    `--config=${folder}/conf`,
    '--stanza=demo',
    `--spool-path=${folder}/spool`,
  ]
  const run: AsyncBed['run'] = async (tool, ...argv) => {
    // Only the commands that use the spool take its path.
    const command = commandOf(tool).filter((word) => !word.startsWith('--spool-path'))
    return await runAs([...command, ...argv], { allowFailure: 'allow', cwd: cluster.dataDir })
  }
  const created = await run('pgbackrest', 'stanza-create')
  assert.equal(created.code, 0, created.stderr)
  const owned = stack.move()
  return {
    cluster,
    folder,
    out: join(folder, 'spool/archive/demo/out'),
    commandOf,
    run,
    archiveWith: async (tool) => {
      const line = tool === 'nothing' ? 'true' : [...commandOf(tool), 'archive-push'].join(' ')
      await writeAs(`${commandFile}.new`, `${line}\n`)
      await rename(`${commandFile}.new`, commandFile)
      // After three failures the archiver sleeps for a minute, unless something wakes it.
      await cluster.psql('select pg_reload_conf()')
    },
    fill: async (count) => {
      let segment = ''
      for (let done = 0; done < count; done += 1) {
        const found = await cluster.psql(
          "select pg_create_restore_point('x'); select pg_walfile_name(pg_switch_wal())",
        )
        segment = found.split('\n').at(-1) ?? ''
      }
      return segment
    },
    untilArchived: async (segment) => {
      await until(`${segment} is archived`, async () => {
        const ready = await readdir(join(cluster.dataDir, 'pg_wal/archive_status'))
        return !ready.some((name) => name.endsWith('.ready') && name.slice(0, 24) <= segment)
      })
    },
    assertComplete: async () => await assertComplete(folder, keys),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

interface ConfigFacts {
  readonly cluster: Cluster
  readonly folder: string
  readonly lines: readonly string[]
  readonly keys: readonly number[]
}

function configText({ cluster, folder, lines, keys }: ConfigFacts): string {
  return [
    '[global]',
    ...keys.map((key) => `repo${key}-path=${folder}/repo${key}`),
    ...keys.map((key) => `repo${key}-retention-full=9`),
    `lock-path=${folder}/lock`,
    `log-path=${folder}/log`,
    `spool-path=${folder}/spool`,
    'archive-async=y',
    // How long pgBackRest waits for a background process that was killed.
    'archive-timeout=4s',
    'compress-type=zst',
    'process-max=2',
    'start-fast=y',
    ...lines,
    '[demo]',
    `pg1-path=${cluster.dataDir}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDir}`,
    `pg1-user=${cluster.user}`,
    '',
  ].join('\n')
}

/** The server's own copies are the truth; a repository's names hold the checksums of what they say they hold. */
async function assertComplete(folder: string, keys: readonly number[]): Promise<number> {
  const truth = (await readdir(join(folder, 'truth'))).filter((name) => /^[0-9A-F]{24}$/.test(name))
  for (const key of keys) {
    for (const name of truth) {
      const content = await readFile(join(folder, 'truth', name))
      const sha1 = createHash('sha1').update(content).digest('hex')
      const place = join(folder, `repo${key}/archive/demo/15-1`, name.slice(0, 16))
      const stored = (await readdir(place)).filter(
        (entry) => entry.startsWith(name) && !entry.endsWith('.tmp'),
      )
      assert.deepEqual(stored, [`${name}-${sha1}.zst`], `${name} in repo${key}`)
    }
  }
  return truth.length
}
