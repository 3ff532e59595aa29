/**
 * expire with each call to the storage failing once, in every way, and killed at random moments: what backup.info lists can
 * be restored at every moment, and the same command again finishes the work.
 */
import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AppError } from '../../src/base/error.ts'
import { expire } from '../../src/command/expire/expire.ts'
import { isSegmentName, nextSegment, parseSegmentName } from '../../src/format/wal.ts'
import { MIB } from '../../src/base/units.ts'
import { loadBackupInfo, type Repo } from '../../src/repo/repo.ts'
import { openPosixStorage } from '../../src/storage/posix.ts'
import { testContext } from '../harness/context.ts'
import { type FaultPlan, faultyStorage } from '../harness/faulty-storage.ts'
import { type Folder, temporaryFolder } from '../harness/run.ts'
import {
  segment,
  segments,
  STAND_IN_STANZA,
  type StandIn,
  writeStandIn,
} from '../harness/stand-in.ts'
import { chooseSeed, KillMoments, type Outcome, runAndKill } from './killing.ts'
import { backupFolder, labelsOnDisk, openRepo, provenBackups } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

const MODES = ['error-before', 'error-after', 'partial'] as const
/** With PGSURETY_TEST_FULL a hundred. */
const KILLS = process.env['PGSURETY_TEST_FULL'] === undefined ? 10 : 100

const F1 = '20260101-000000F'
const F2 = '20260201-000000F'
const D2 = `${F2}_20260202-000000D`
const F3 = '20260301-000000F'

/** Two sets go in whole, and a part of a third; WAL of an older cluster goes, and a timeline. */
const STAND_IN: StandIn = {
  versions: ['14', '15'],
  backups: [
    { label: '20251201-000000F', stopS: 900, archive: [segment(1, 2), segment(1, 2)] },
    { label: F1, historyId: 2, stopS: 1000, archive: [segment(1, 2), segment(1, 3)] },
    {
      label: `${F1}_20260102-000000I`,
      historyId: 2,
      stopS: 1100,
      archive: [segment(1, 5), segment(1, 5)],
    },
    { label: F2, historyId: 2, stopS: 2000, archive: [segment(2, 9), segment(2, 10)] },
    { label: D2, historyId: 2, stopS: 2100, archive: [segment(2, 12), segment(2, 12)] },
    {
      label: `${F2}_20260203-000000I`,
      historyId: 2,
      stopS: 2200,
      archive: [segment(2, 14), segment(2, 15)],
      prior: D2,
    },
    { label: F3, historyId: 2, stopS: 3000, archive: [segment(3, 20), segment(3, 20)] },
    { label: `${F3}_20260302-000000I`, historyId: 2, stopS: 3100, state: 'unfinished' },
  ],
  wal: {
    '14-1': segments(1, 1, 3),
    '15-2': [
      ...segments(1, 1, 7),
      ...segments(2, 7, 18),
      ...segments(3, 18, 22),
      '00000002.history',
      '00000003.history',
    ],
  },
}

const OPTIONS = [
  '--repo1-retention-full=2',
  '--repo1-retention-diff=1',
  '--repo1-retention-archive=1',
  '--repo1-retention-history=0',
]
const KEPT = [F2, F3]

let folder: Folder
let common: readonly string[]
let repo: Repo

before(async () => {
  folder = await temporaryFolder('expire-faults')
  dropPrivileges()
  writeStandIn(at('kept'), STAND_IN)
  const leftOver = at('kept/archive/demo/15-2/0000000300000000/x.pgbackrest.tmp')
  writeFileSync(leftOver, 'half')
  utimesSync(leftOver, 1000, 1000)
  common = [
    '--no-config',
    `--stanza=${STAND_IN_STANZA}`,
    `--repo1-path=${at('repo')}`,
    `--lock-path=${at('lock')}`,
  ]
  repo = openRepo(common)
  putBack()
})

after(async () => {
  await folder[Symbol.asyncDispose]()
})

function at(name: string): string {
  return join(folder.path, name)
}

function putBack(): void {
  rmSync(at('repo'), { recursive: true, force: true })
  cpSync(at('kept'), at('repo'), {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
  })
}

interface Ran {
  readonly error: AppError | undefined
  readonly calls: readonly string[]
}

async function run(plan: FaultPlan): Promise<Ran> {
  const storage = faultyStorage(openPosixStorage({ root: at('repo') }), plan)
  const argv = [...common, ...OPTIONS, 'expire']
  const { context } = testContext({ argv, openStorage: () => storage })
  try {
    assert.equal(await expire(context), 0)
    return { error: undefined, calls: storage.log }
  } catch (error) {
    assert(error instanceof AppError, String(error))
    return { error, calls: storage.log }
  }
}

/** Every listed backup is whole, with its WAL; what stays in the end was there all the time. */
async function assertListedRestores(): Promise<void> {
  const labels = await provenBackups(repo, STAND_IN_STANZA)
  for (const label of KEPT) assert(labels.includes(label), `${label} is not listed`)
  const info = await loadBackupInfo(repo, STAND_IN_STANZA)
  for (const backup of info.backups) {
    const id = backup.historyId === 1 ? '14-1' : '15-2'
    for (const reference of backup.references) assert(labels.includes(reference), reference)
    const stop = backup.archiveStop ?? ''
    let wanted = parseSegmentName(backup.archiveStart ?? '')
    for (; wanted <= stop; wanted = nextSegment(wanted, 16 * MIB)) {
      assert(storedSegments(id).has(wanted), `${backup.label} misses ${wanted}`)
    }
  }
  // Those that are not listed any more will be, by whatever command is next, when they have a manifest.
  for (const label of await labelsOnDisk(repo, STAND_IN_STANZA)) {
    const names = readdirSync(backupFolder(repo, STAND_IN_STANZA, label))
    const [manifest, copy] = ['', '.copy'].map((end) => names.includes(`backup.manifest${end}`))
    assert(copy || !manifest, `${label} lacks the copy of its manifest`)
  }
}

function storedSegments(id: string): ReadonlySet<string> {
  const names = readdirSync(at(`repo/archive/demo/${id}`), { recursive: true, encoding: 'utf8' })
  return new Set(names.map((name) => name.slice(17, 41)).filter(isSegmentName))
}

async function assertFinished(): Promise<void> {
  await assertListedRestores()
  assert.deepEqual(await provenBackups(repo, STAND_IN_STANZA), KEPT)
  const folders = await labelsOnDisk(repo, STAND_IN_STANZA)
  assert.deepEqual(folders, [...KEPT, `${F3}_20260302-000000I`])
  const archive = readdirSync(at('repo/archive/demo'), { recursive: true, encoding: 'utf8' })
  assert.deepEqual(
    archive.filter((name) => /-1$|\.history$|x\.pgbackrest\.tmp$/.test(name)).toSorted(),
    ['15-2/00000002.history', '15-2/00000003.history'],
  )
  assert.deepEqual([...storedSegments('15-2')].toSorted(), [
    ...segments(2, 9, 10),
    ...segments(3, 20, 22),
  ])
  assert.deepEqual(
    readdirSync(at('repo/backup/demo/backup.history/2026')).toSorted(),
    KEPT.map((label) => `${label}.manifest.gz`),
  )
}

for (const mode of MODES) {
  test(`each call failing (${mode}): told, what is listed restores, and the next run finishes`, async (t) => {
    let failAt = 1
    for (; ; failAt += 1) {
      putBack()
      const { error, calls } = await run({ failAt, mode })
      const call = calls[failAt - 1]
      if (call === undefined) break
      // What has two copies may be read from the other one.
      if (error === undefined) assert.match(call, /^get .*\.info(?:\.copy)?$/)
      await assertListedRestores()
      const again = await run({ failAt: 0, mode })
      assert.equal(again.error, undefined, `after ${call}: ${again.error?.text}`)
      await assertFinished()
    }
    t.diagnostic(`${failAt - 1} calls failed`)
    assert(failAt > 50)
  })
}

test(`killed at ${KILLS} moments: what is listed restores, and the next run finishes`, async (t) => {
  const seed = chooseSeed()
  const moments = new KillMoments(seed)
  const argv = [...common, ...OPTIONS, '--log-level-file=off', 'expire']
  const outcomes: Outcome[] = [await runAndKill(argv, 600_000)]
  for (const outcome of outcomes) moments.learn(outcome)
  assert.equal(outcomes[0]?.code, 0, outcomes[0]?.output)
  let halfway = 0
  for (let index = 0; index < KILLS; index += 1) {
    putBack()
    // Most of such a short run is its start: the later of two moments.
    const outcome = await runAndKill(argv, Math.max(moments.nextMs(), moments.nextMs()))
    moments.learn(outcome)
    outcomes.push(outcome)
    await assertListedRestores()
    const folders = await labelsOnDisk(repo, STAND_IN_STANZA)
    const found = folders.filter((label) => label.endsWith('F'))
    if (outcome.code === null && found.length < 4) halfway += 1
    const again = await run({ failAt: 0, mode: 'error-before' })
    assert.equal(again.error, undefined, again.error?.text)
    await assertFinished()
  }
  const killed = outcomes.filter(({ code }) => code === null).length
  t.diagnostic(`seed ${seed}: ${killed} of ${KILLS} runs were killed, ${halfway} while removing`)
  // Of ten, seven on average: the later of two moments is often past the end.
  assert(killed > KILLS / 5)
})
