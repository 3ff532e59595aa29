/** The same repository expired by pgBackRest and by us, with the same options: what remains is the same. */
import assert from 'node:assert/strict'
import { cp, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { asAppError } from '../../src/base/error.ts'
import { expire } from '../../src/command/expire/expire.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest } from '../harness/peers.ts'
import { type Folder, runAs, temporaryFolder } from '../harness/run.ts'
import {
  segment,
  segments,
  STAND_IN_STANZA,
  type StandIn,
  writeStandIn,
} from '../harness/stand-in.ts'
import { dropPrivileges } from '../scenario/unprivileged.ts'

const DAY_S = 86_400
const NOW_S = Math.floor(Date.now() / 1000)

let folder: Folder
let real: string

before(async () => {
  real = await pgBackRest('2.60')
  folder = await temporaryFolder('expire')
  dropPrivileges()
})

after(async () => {
  await folder[Symbol.asyncDispose]()
})

/** Three sets of backups over two timelines. */
const CHAINS: StandIn = {
  backups: [
    {
      label: '20260101-000000F',
      stopS: NOW_S - 20 * DAY_S,
      archive: [segment(1, 2), segment(1, 3)],
    },
    {
      label: '20260101-000000F_20260102-000000D',
      stopS: NOW_S - 19 * DAY_S,
      archive: [segment(1, 0x20), segment(1, 0x20)],
    },
    {
      label: '20260101-000000F_20260103-000000I',
      stopS: NOW_S - 18 * DAY_S,
      archive: [segment(1, 0x30), segment(1, 0x31)],
      prior: '20260101-000000F_20260102-000000D',
    },
    {
      label: '20260201-000000F',
      stopS: NOW_S - 10 * DAY_S,
      archive: [segment(1, 0x90), segment(1, 0x92)],
    },
    {
      label: '20260201-000000F_20260202-000000D',
      stopS: NOW_S - 9 * DAY_S,
      archive: [segment(1, 0xa0), segment(1, 0xa0)],
    },
    {
      label: '20260201-000000F_20260203-000000I',
      stopS: NOW_S - 8 * DAY_S,
      archive: [segment(1, 0xb0), segment(1, 0xb1)],
      prior: '20260201-000000F_20260202-000000D',
    },
    {
      label: '20260201-000000F_20260204-000000D',
      stopS: NOW_S - 7 * DAY_S,
      archive: [segment(1, 0x110), segment(1, 0x110)],
    },
    {
      label: '20260301-000000F',
      stopS: NOW_S - 2 * DAY_S,
      archive: [segment(2, 0x160), segment(2, 0x162)],
    },
    {
      label: '20260301-000000F_20260302-000000I',
      stopS: NOW_S - DAY_S,
      archive: [segment(2, 0x180), segment(2, 0x182)],
    },
  ],
  wal: {
    '15-1': [
      ...segments(1, 1, 4),
      ...segments(1, 0x1e, 0x32),
      ...segments(1, 0x8f, 0x93),
      ...segments(1, 0x9f, 0xb2),
      ...segments(1, 0xfe, 0x112),
      ...segments(2, 0x151, 0x164),
      ...segments(2, 0x17f, 0x183),
      ...segments(2, 0x1ff, 0x201),
      '00000002.history',
      `${segment(1, 0x151)}.partial`,
      `${segment(1, 0x20)}.00000028.backup`,
    ],
  },
}

/** Two upgrades, the last of which reset the timeline; a damaged full backup; what interrupted runs left. */
const UPGRADED: StandIn = {
  versions: ['14', '15', '16'],
  backups: [
    {
      label: '20260101-000000F',
      stopS: NOW_S - 20 * DAY_S,
      archive: [segment(1, 2), segment(1, 3)],
    },
    {
      label: '20260101-000000F_20260102-000000D',
      stopS: NOW_S - 19 * DAY_S,
      archive: [segment(1, 0x20), segment(1, 0x20)],
    },
    {
      label: '20260201-000000F',
      historyId: 2,
      stopS: NOW_S - 10 * DAY_S,
      archive: [segment(5, 0x90), segment(5, 0x92)],
    },
    {
      label: '20260201-000000F_20260202-000000D',
      historyId: 2,
      stopS: NOW_S - 9 * DAY_S,
      archive: [segment(5, 0xa0), segment(5, 0xa0)],
    },
    {
      label: '20260301-000000F',
      historyId: 3,
      stopS: NOW_S - 2 * DAY_S,
      archive: [segment(3, 0x10), segment(3, 0x11)],
      pageErrors: 'found',
    },
    {
      label: '20260301-000000F_20260302-000000I',
      historyId: 3,
      stopS: NOW_S - DAY_S,
      archive: [segment(3, 0x20), segment(3, 0x22)],
      state: 'unlisted',
    },
    {
      label: '20260301-000000F_20260303-000000I',
      historyId: 3,
      stopS: NOW_S - DAY_S,
      state: 'unfinished',
    },
    { label: '20260304-000000F', historyId: 3, stopS: NOW_S - DAY_S, state: 'unfinished' },
  ],
  wal: {
    '14-1': segments(1, 1, 0x40),
    '15-2': [...segments(5, 0x80, 0x110), '00000005.history'],
    '16-3': [
      ...segments(1, 1, 8),
      ...segments(2, 9, 12),
      ...segments(3, 13, 0x40),
      '00000002.history',
      '00000003.history',
    ],
  },
}

/** One backup of a running cluster, one of a stopped one, and WAL of a cluster that has no backup yet. */
const MIXED: StandIn = {
  versions: ['14', '15'],
  backups: [
    {
      label: '20260101-000000F',
      stopS: NOW_S - 20 * DAY_S,
      archive: [segment(1, 5), segment(1, 6)],
    },
    { label: '20260201-000000F', stopS: NOW_S - 9 * DAY_S },
    {
      label: '20260201-000000F_20260202-000000I',
      stopS: NOW_S - 8 * DAY_S,
      archive: [segment(1, 9), segment(1, 9)],
    },
  ],
  wal: { '14-1': segments(1, 1, 20), '15-2': segments(1, 1, 20) },
}

interface Case {
  readonly standIn: 'chains' | 'upgraded' | 'mixed'
  /** Options after `--repo1-retention-`, others with their dashes. */
  readonly options: readonly string[]
}

const STAND_INS = { chains: CHAINS, upgraded: UPGRADED, mixed: MIXED } as const

const OPTION_SETS: readonly (readonly string[])[] = [
  [],
  ['full=1'],
  ['full=2'],
  ['full=3'],
  ['full=9'],
  ['diff=1'],
  ['diff=2', 'full=2'],
  ['diff=3', 'archive-type=diff'],
  ['full=3', 'archive=1'],
  ['full=2', 'archive=2', 'archive-type=diff'],
  ['full=2', 'archive=2', 'archive-type=incr'],
  ['full=9', 'archive=1', 'archive-type=incr'],
  ['full=9', 'archive=4', 'archive-type=incr'],
  ['full=2', 'archive-type=incr'],
  ['full=1', 'full-type=time'],
  ['full=5', 'full-type=time'],
  ['full=15', 'full-type=time'],
  ['full=15', 'full-type=time', 'archive=1'],
  ['full=60', 'full-type=time', 'diff=2'],
  ['full=2', 'history=0'],
  ['full=1', 'history=100'],
  ['--oldest'],
  ['full=1', '--oldest'],
  ['full=1', '--dry-run'],
  ['full=1', '--archive-expire-before=000000010000000000000010'],
  ['full=1', '--archive-expire-before=0000000100000001000000A0'],
  ['full=1', '--archive-expire-before=000000090000000000000000'],
  ['full=2', '--set=20260101-000000F'],
  ['--set=20260201-000000F'],
  ['full=1', '--set=20260201-000000F_20260202-000000D'],
  ['full=1', 'full-type=time', '--set=20260201-000000F_20260202-000000I'],
  ['--set=20260301-000000F'],
  ['--set=20260301-000000F_20260302-000000I'],
  ['--set=nonsense'],
  ['--set=20260301-000000F', '--oldest'],
  ['--archive-expire-before=nonsense'],
  ['full=1', '--no-checksum-page-error'],
]

for (const standIn of ['chains', 'upgraded', 'mixed'] as const) {
  test(`what remains is what pgBackRest leaves, of the repository '${standIn}'`, async (t) => {
    for (const options of OPTION_SETS) {
      await t.test(`with ${options.join(' ') || 'no option'}`, async () => {
        await compare({ standIn, options })
      })
    }
  })
}

let cases = 0

async function compare({ standIn, options }: Case): Promise<void> {
  cases += 1
  const at = join(folder.path, String(cases))
  const argv = options.map((option) =>
    option.startsWith('--') ? option : `--repo1-retention-${option}`,
  )
  writeStandIn(join(at, 'theirs'), STAND_INS[standIn])
  await cp(join(at, 'theirs'), join(at, 'ours'), { recursive: true, verbatimSymlinks: true })
  const common = [`--stanza=${STAND_IN_STANZA}`, `--lock-path=${join(at, 'lock')}`, '--no-config']

  const theirs = await runAs(
    [
      real,
      ...common,
      `--repo1-path=${join(at, 'theirs')}`,
      '--log-level-file=off',
      '--log-level-console=info',
      ...argv,
      'expire',
    ],
    { allowFailure: 'allow' },
  )
  const ours = await runOurs([...common, `--repo1-path=${join(at, 'ours')}`, ...argv, 'expire'])

  const told = `${theirs.stdout}${theirs.stderr}\n${ours.logText}`
  if (theirs.stdout.includes('does not exist')) {
    // A typing error: theirs goes on and ends well.
    assert.equal(ours.code, 75, told)
    return
  }
  assert.equal(ours.code, theirs.code, told)
  const [left, right] = [await tree(join(at, 'ours')), await tree(join(at, 'theirs'))]
  assert.deepEqual(left, right, told)
  for (const file of ['backup/demo/backup.info', 'archive/demo/archive.info.copy']) {
    assert.equal(await content(join(at, 'ours', file)), await content(join(at, 'theirs', file)))
  }
  if (theirs.code === 0) assert.deepEqual(actions(ours.logText), actions(theirs.stdout))
}

/** An info file without what names its writer. */
async function content(path: string): Promise<string> {
  return (await readFile(path, 'latin1')).replaceAll(/^backrest-(?:version|checksum)=.*$/gm, '')
}

async function runOurs(
  argv: readonly string[],
): Promise<{ readonly code: number; readonly logText: string }> {
  const ran = testContext({ argv })
  try {
    return { code: await expire(ran.context), logText: ran.logText() }
  } catch (error) {
    const failed = asAppError(error)
    return { code: failed.exitCode, logText: `${ran.logText()}${failed.text}` }
  }
}

/** Names of everything below, with targets of links. */
async function tree(root: string): Promise<readonly string[]> {
  const names: string[] = []
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    names.push(join(entry.parentPath, entry.name).slice(root.length + 1))
  }
  return names.toSorted()
}

/** What the log says is done, in order. */
function actions(log: string): readonly string[] {
  return log
    .split('\n')
    .filter((line) => /INFO: .*(?:expire |remove |no archive)/.test(line))
    .map((line) => line.replace(/^.*INFO: /, '').replace(/\/\S*\/(?:ours|theirs)\//, ''))
    .filter((line) => !line.includes('command '))
}
