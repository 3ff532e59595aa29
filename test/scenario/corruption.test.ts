/**
 * Thousands of repositories, each with one random change: verify finds all that the format makes findable, and names the
 * object and the backups. KILL_SEED repeats a run; PGSURETY_TEST_FULL makes 5,000 changes, which takes a quarter of an hour.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Secret } from '../../src/base/secret.ts'
import { verify } from '../../src/command/verify/verify.ts'
import { startArchiving } from '../harness/archiving.ts'
import { testContext } from '../harness/context.ts'
import { MemoryStorage } from '../harness/memory-storage.ts'
import { type Folder, runAs, temporaryFolder } from '../harness/run.ts'
import { damage, type Damage } from './damage.ts'
import { chooseSeed, seededRandom } from './killing.ts'
import { poolHere } from './pool-here.ts'
import { smallRepository, type SmallRepository, STANZA } from './small-repository.ts'

const CHANGES = process.env['PGSURETY_TEST_FULL'] === undefined ? 100 : 5000
const PASS = 'a sound pass phrase'
const REPOS = ['plain', 'sealed'] as const
const LINES = {
  plain: ['compress-type=gz'],
  sealed: [
    'compress-type=zst',
    'repo1-cipher-type=aes-256-cbc',
    `repo1-cipher-pass=${PASS}`,
    'repo1-bundle=y',
    'repo1-block=y',
  ],
} as const

let folder: Folder
const small = new Map<string, SmallRepository>()

before(async () => {
  folder = await temporaryFolder('corruption')
  await using bed = await startArchiving({ version: '15', walSegmentSizeMib: 1, repos: LINES })
  const { cluster } = bed
  await cluster.psql('update pg_database set datistemplate = false')
  for (const name of ['template0', 'template1']) await cluster.psql(`drop database ${name}`)
  await cluster.psql('create table t(a int, b text)')
  const real = async (repo: string, ...argv: readonly string[]): Promise<void> => {
    const { code, stdout } = await bed.pgBackRest(repo, ['--stanza=demo', ...argv])
    assert.equal(code, 0, stdout)
  }
  for (const repo of REPOS) await real(repo, 'stanza-create')
  for (const type of ['full', 'diff', 'incr', 'full']) {
    await cluster.psql(
      `insert into t select n, md5(n::text) from generate_series(1, 2000) n;
       update t set b = '${type}' where a = 5; checkpoint`,
    )
    for (const repo of REPOS) await real(repo, 'backup', `--type=${type}`)
    await cluster.psql("select pg_create_restore_point('x'); select pg_switch_wal()")
    await cluster.psql("select pg_create_restore_point('y'); select pg_switch_wal()")
  }
  await cluster.stop()
  for (const repo of REPOS) {
    await runAs(['cp', join(bed.folder, `${repo}.conf`), join(folder.path, `${repo}.conf`)])
    const pass = repo === 'sealed' ? new Secret(PASS) : undefined
    small.set(repo, await smallRepository(join(bed.folder, repo), pass))
  }
})

after(async () => {
  await folder[Symbol.asyncDispose]()
})

interface Report {
  readonly status: string
  readonly problem: readonly { readonly object: string; readonly backup: readonly string[] }[]
}

async function verified(repo: string, objects: Map<string, Buffer>): Promise<Report> {
  const storage = new MemoryStorage(objects)
  const argv = [
    `--config=${folder.path}/${repo}.conf`,
    `--stanza=${STANZA}`,
    '--output=json',
    'verify',
  ]
  const clock = { nowMs: () => 0, sleep: async () => undefined }
  const run = testContext({ argv, clock, openStorage: () => storage })
  const exitCode = await verify({ ...run.context, openPool: poolHere(storage) })
  const parsed: unknown = JSON.parse(run.output())
  assert(Array.isArray(parsed))
  const [report] = parsed
  assert.equal(exitCode, report.status === 'ok' ? 0 : report.status === 'error' ? 103 : 105)
  return report
}

/** What verify fails to say of a change; undefined when it says all it has to. */
function silence({ problem, status }: Report, { objects, backups }: Damage): string | undefined {
  if (status !== 'error') return `status is ${status}`
  const about = problem.filter(({ object }) => objects.includes(object))
  if (about.length === 0) return `no problem with ${objects.join(' or ')}`
  const named = new Set(about.flatMap(({ backup }) => backup))
  const unnamed = backups.filter((label) => !named.has(label))
  return unnamed.length === 0 ? undefined : `nothing about ${unnamed.join(', ')}`
}

test('repositories that nobody has changed are right', async () => {
  for (const [repo, { objects }] of small) {
    assert.deepEqual((await verified(repo, objects)).problem, [], repo)
  }
})

test(`of ${CHANGES} random changes verify misses none that can be found`, async (context) => {
  const seed = chooseSeed()
  const random = seededRandom(seed)
  const counts = new Map<string, number>()
  for (let changes = 0; changes < CHANGES; ) {
    const repo = REPOS[Math.floor(random() * REPOS.length)] ?? 'plain'
    const original = small.get(repo)
    assert(original !== undefined)
    const objects = new Map(original.objects)
    const storage = new MemoryStorage(objects)
    const patient = { ...original, objects, repo: { ...original.repo, storage }, random }
    const done = await damage(patient)
    if (done === undefined) continue
    changes += 1
    const missed = silence(await verified(repo, objects), done)
    const verdict = missed === undefined ? 'found' : (done.excuse ?? 'missed')
    counts.set(verdict, (counts.get(verdict) ?? 0) + 1)
    assert.notEqual(verdict, 'missed', `KILL_SEED=${seed}, ${repo}: ${done.what}: ${missed}`)
  }
  const told = Array.from(counts, ([verdict, count]) => `${verdict}: ${count}`)
  context.diagnostic(`seed ${seed}: ${told.join('; ')}`)
})
