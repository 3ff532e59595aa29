/** Two stanzas and two repositories in one configuration, one of them encrypted: each tool goes on where the other was. */
import assert from 'node:assert/strict'
import { readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Cluster, openCluster, startCluster } from '../harness/cluster.ts'
import { pgBackRest } from '../harness/peers.ts'
import { launcher, runAs, type RunResult, temporaryFolder, writeAs } from '../harness/run.ts'
import { until, untilPromoted } from '../scenario/archived-cluster.ts'
import { buildWhenStale, type Tool } from './shared-stanza.ts'

const stack = new AsyncDisposableStack()
const clusters = new Map<string, Cluster>()
let folder: string
let program: string

before(async () => {
  await buildWhenStale()
  program = await pgBackRest('2.60')
  folder = stack.use(await temporaryFolder('repositories')).path
  await runAs(['mkdir', join(folder, 'lock')])
  for (const stanza of ['demo', 'other']) {
    const command = `read -r command <${folder}/${stanza}; exec $command archive-push "%p" # pgbackrest`
    clusters.set(
      stanza,
      stack.use(
        await startCluster({
          version: '15',
          settings: { archive_mode: 'on', archive_command: command },
        }),
      ),
    )
  }
  await writeAs(join(folder, 'conf'), configText())
  await archiveWith('pgsurety')
})

after(async () => {
  await stack.disposeAsync()
})

function configText(): string {
  const sections = [...clusters].flatMap(([stanza, cluster]) => [
    `[${stanza}]`,
    `pg1-path=${cluster.dataDir}`,
    `pg1-port=${cluster.port}`,
    `pg1-socket-path=${cluster.socketDir}`,
    `pg1-user=${cluster.user}`,
  ])
  return [
    '[global]',
    `repo1-path=${folder}/plain`,
    `repo2-path=${folder}/sealed`,
    'repo2-cipher-type=aes-256-cbc',
    'repo2-cipher-pass=secret',
    'repo1-retention-full=9',
    'repo2-retention-full=9',
    `lock-path=${folder}/lock`,
    'log-level-file=off',
    'start-fast=y',
    'archive-timeout=20s',
    ...sections,
    '',
  ].join('\n')
}

function commandOf(tool: Tool, stanza: string): readonly string[] {
  const path = tool === 'pgsurety' ? launcher() : program
  return [path, `--config=${folder}/conf`, `--stanza=${stanza}`]
}

async function archiveWith(tool: Tool): Promise<void> {
  for (const stanza of clusters.keys()) {
    await writeAs(join(folder, `${stanza}.new`), `${commandOf(tool, stanza).join(' ')}\n`)
    await rename(join(folder, `${stanza}.new`), join(folder, stanza))
  }
}

async function attempt(tool: Tool, stanza: string, ...argv: readonly string[]): Promise<RunResult> {
  return await runAs([...commandOf(tool, stanza), ...argv], { allowFailure: 'allow' })
}

async function run(tool: Tool, stanza: string, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await attempt(tool, stanza, ...argv)
  assert.equal(code, 0, `${tool} ${stanza} ${argv.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

test('stanzas and repositories are created, checked, backed up to and told by either tool', async () => {
  await run('pgsurety', 'demo', 'stanza-create')
  await run('2.60', 'other', 'stanza-create')
  for (const tool of ['pgsurety', '2.60'] as const) {
    await archiveWith(tool)
    for (const stanza of clusters.keys()) await run(tool, stanza, 'check')
    await run(tool, 'demo', '--type=full', 'backup')
    await run(tool, 'demo', '--repo=2', '--type=full', 'backup')
  }

  for (const output of ['--output=text', '--output=json']) {
    for (const stanza of ['demo', 'other']) {
      const theirs = await run('2.60', stanza, output, 'info')
      assert.equal(await run('pgsurety', stanza, output, 'info'), theirs)
      assert.match(theirs, stanza === 'demo' ? /repo-key":2|repo2: backup/ : /no valid backups/)
    }
  }
})

/** Restores with one tool; `2 <label>`: the key of the repository and the backup that it says it takes. */
async function restored(
  tool: Tool,
  stanza: string,
  ...argv: readonly string[]
): Promise<string | undefined> {
  const target = `--pg1-path=${join(folder, 'restored')}`
  await rm(join(folder, 'restored'), { recursive: true, force: true })
  const options = [target, '--archive-mode=off', '--log-level-console=info', ...argv]
  const said = await run(tool, stanza, ...options, 'restore')
  return /repo(\d): restore backup set ([\w-]+)/.exec(said)?.slice(1, 3).join(' ')
}

/** The same, of what pgsurety would take. */
async function planned(stanza: string, ...argv: readonly string[]): Promise<string | undefined> {
  const options = [`--pg1-path=${join(folder, 'planned')}`, '--plan', '--output=json', ...argv]
  const plan = await run('pgsurety', stanza, ...options, 'restore')
  const found = /"label":"([\w-]+)","repo":(\d)/.exec(plan)
  return found?.slice(1, 3).toReversed().join(' ')
}

/** What the restored cluster answers when it has recovered to the end of the WAL. */
async function answerOfRestored(sql: string): Promise<string> {
  await using cluster = await openCluster({ version: '15', dataDir: join(folder, 'restored') })
  await cluster.start()
  await untilPromoted(cluster)
  return await cluster.psql(sql)
}

test('a backup is restored from the first repository that has one, as pgBackRest does', async () => {
  await run('pgsurety', 'other', '--repo=2', '--type=full', 'backup')
  const only = await restored('2.60', 'other')
  assert.match(only ?? '', /^2 \d/)
  assert.equal(await planned('other'), only)

  const first = await restored('2.60', 'demo')
  assert.match(first ?? '', /^1 \d/)
  assert.equal(await planned('demo'), first)

  const second = await restored('2.60', 'demo', '--repo=2')
  assert.match(second ?? '', /^2 \d/)
  assert.equal(await planned('demo', '--repo=2'), second)

  await rename(join(folder, 'plain'), join(folder, 'away'))
  assert.equal(await restored('2.60', 'demo'), second)
  assert.equal(await planned('demo'), second)
  // Where neither can be had, that one is out of reach counts, not that the other was never used.
  const unused = [`--repo2-path=${join(folder, 'lock')}`, '--plan', 'restore']
  assert.equal((await attempt('pgsurety', 'demo', ...unused)).code, 73)
  await rename(join(folder, 'away'), join(folder, 'plain'))
})

test('with a repository out of reach recovery does not end early; with --repo it does without that one', async () => {
  const cluster = clusters.get('demo')
  assert(cluster !== undefined)
  await archiveWith('pgsurety')
  await cluster.psql('create table late as select generate_series(1, 10) as n')
  await archiveOne(cluster)
  await rename(join(folder, 'plain'), join(folder, 'away'))

  assert.match((await restored('pgsurety', 'demo')) ?? '', /^2 /)
  await assert.rejects(
    answerOfRestored('select 1'),
    /archive-get|does not start|unable to find a valid/,
  )
  assert.match((await restored('pgsurety', 'demo', '--repo=2')) ?? '', /^2 /)
  assert.equal(await answerOfRestored('select count(*) from late'), '10')

  await rename(join(folder, 'away'), join(folder, 'plain'))
})

test('WAL that the repository of the backup lacks comes from another one, at the plan and in recovery', async () => {
  const cluster = clusters.get('demo')
  assert(cluster !== undefined)
  const info = await run('pgsurety', 'demo', '--repo=1', '--output=json', 'info')
  const needed = /.*"archive":\{"start":"([0-9A-F]{24})"/s.exec(info)?.[1] ?? ''
  const place = join(folder, 'plain/archive/demo/15-1', needed.slice(0, 16))
  const stored = (await readdir(place)).find((name) => name.startsWith(needed)) ?? ''
  await rename(join(place, stored), join(folder, stored))

  const alone = ['--repo=1', `--pg1-path=${join(folder, 'refused')}`, 'restore']
  const refused = await attempt('pgsurety', 'demo', ...alone)
  assert.equal(refused.code, 82)
  assert.match(
    refused.stderr + refused.stdout,
    new RegExp(`segment ${needed} is not in the archive\n`),
  )
  assert.match((await restored('pgsurety', 'demo')) ?? '', /^1 /)
  assert.equal(await answerOfRestored('select count(*) from late'), '10')

  await rename(join(folder, 'sealed'), join(folder, 'away'))
  const doubted = await attempt('pgsurety', 'demo', ...alone.slice(1))
  await rename(join(folder, 'away'), join(folder, 'sealed'))
  assert.equal(doubted.code, 103)
  assert.match(doubted.stderr + doubted.stdout, /that can be read:\n.*repo2: \[/s)
  await rename(join(folder, stored), join(place, stored))
})

test('a segment goes where it can, and the push fails until every repository has it', async () => {
  const cluster = clusters.get('demo')
  assert(cluster !== undefined)
  await archiveWith('pgsurety')
  await rename(join(folder, 'sealed'), join(folder, 'away'))
  const segment = await cluster.psql(
    "select pg_create_restore_point('gap'); select pg_walfile_name(pg_switch_wal())",
  )
  const name = segment.split('\n').at(-1) ?? ''
  await until('the push fails', async () =>
    (await cluster.psql('select last_failed_wal from pg_stat_archiver')).includes(name),
  )
  assert.deepEqual(await holders(name), ['1'])
  await rename(join(folder, 'away'), join(folder, 'sealed'))
  await until('the push succeeds', async () =>
    (await cluster.psql('select last_archived_wal from pg_stat_archiver')).includes(name),
  )
  assert.deepEqual(await holders(name), ['1', '2'])
})

/** Keys of the repositories from which pgBackRest gets a segment. */
async function holders(name: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const repo of ['1', '2']) {
    const target = join(folder, 'got')
    const { code } = await attempt('2.60', 'demo', `--repo=${repo}`, 'archive-get', name, target)
    if (code === 0) found.push(repo)
  }
  return found
}

test('archive-get takes what any repository has, and doubts "not found" while one is unreachable', async () => {
  const target = join(folder, 'got')
  await rename(join(folder, 'plain'), join(folder, 'away'))
  for (const tool of ['pgsurety', '2.60'] as const) {
    assert.equal(
      (await attempt(tool, 'demo', 'archive-get', '00000001.history', target)).code,
      {
        pgsurety: 103,
        '2.60': 1,
      }[tool],
    )
  }
  await rename(join(folder, 'away'), join(folder, 'plain'))
})

test('with a repository that may lag behind archiving and backups go on without it, and it catches up by itself', async () => {
  const cluster = clusters.get('demo')
  assert(cluster !== undefined)
  await archiveWith('pgsurety')
  const conf = await readFile(join(folder, 'conf'), 'utf8')
  await writeAs(join(folder, 'conf'), conf.replace('[demo]', 'repo2-archive-required=n\n[demo]'))
  await rename(join(folder, 'sealed'), join(folder, 'away'))
  const names = [await archiveOne(cluster), await archiveOne(cluster)]
  await run('pgsurety', 'demo', '--type=full', 'backup')
  for (const name of names) assert.deepEqual(await holders(name), ['1'])
  assert.match(
    await run('pgsurety', 'demo', 'info'),
    new RegExp(
      `archive incomplete\\n +repo2 misses \\d+ WAL file\\(s\\) from ${names[0]} on, since 2.*: repository path '.*/sealed' does not exist`,
    ),
  )

  await rename(join(folder, 'away'), join(folder, 'sealed'))
  const last = await archiveOne(cluster)

  for (const name of [...names, last]) assert.deepEqual(await holders(name), ['1', '2'])
  assert(!(await run('pgsurety', 'demo', 'info')).includes('incomplete'))
  assert.equal((await attempt('2.60', 'demo', '--repo=2', 'verify')).code, 0)
  await writeAs(join(folder, 'conf'), conf)
})

/** Has the server fill a segment, which it must be told is archived at the first attempt; its name. */
async function archiveOne(cluster: Cluster): Promise<string> {
  const failures = 'select failed_count from pg_stat_archiver'
  const failedBefore = await cluster.psql(failures)
  const found = await cluster.psql(
    "select pg_create_restore_point('one'); select pg_walfile_name(pg_switch_wal())",
  )
  const name = found.split('\n').at(-1) ?? ''
  await until('the push succeeds', async () =>
    (await cluster.psql('select last_archived_wal from pg_stat_archiver')).includes(name),
  )
  assert.equal(await cluster.psql(failures), failedBefore)
  return name
}
