/**
 * What the manifests of one stopped cluster say, by real pgBackRest and by us: full backups, and incremental ones that both
 * make on pgBackRest's. Text for text, but for the lines that are listed here with the reason.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { isLabel } from '../../src/format/label.ts'
import { pgBackRest } from '../harness/peers.ts'
import { launcher, runAs, temporaryFolder, writeAs } from '../harness/run.ts'
import { CHANGES_COUNT, changeOddCluster, makeOddCluster } from './odd-cluster.ts'
import { buildWhenStale } from './shared-stanza.ts'

/** What may differ, and why. */
const FREE: Readonly<Record<string, string>> = {
  'backrest-checksum': 'is of all the rest',
  'backrest-version': 'names the writer',
  'backup-timestamp-copy-start': 'two backups are never taken at the same time',
  'backup-timestamp-start': 'two backups are never taken at the same time',
  'backup-timestamp-stop': 'two backups are never taken at the same time',
}

interface FreeMembers {
  readonly members: readonly string[]
  readonly why: string
  /** Of files that this backup stores itself, with these settings. */
  readonly when: (layout: Layout, file: FileMembers) => boolean
}

type FileMembers = Readonly<Record<string, unknown>>

/** What may differ of a file: its value, never that it is there. */
const FREE_OF_FILES: readonly FreeMembers[] = [
  {
    members: ['bni', 'bno'],
    why: 'the order of bundles is that in which processes take them',
    when: ({ bundle }) => bundle,
  },
  {
    members: ['bim', 'repo-size', 'rck'],
    why: 'libraries of another version compress otherwise',
    when: ({ compressType }) => compressType === 'zst',
  },
  {
    members: ['bim', 'repo-size', 'rck'],
    why: 'the map of blocks says where they are stored, in numbers that need more or fewer bytes',
    when: (_, file) => 'bi' in file && 'bim' in file,
  },
]

interface Layout {
  readonly compressType: 'none' | 'zst'
  /** Then the folder of each backup is a cluster by itself. */
  readonly hardlink?: true
  readonly bundle: boolean
  readonly block: boolean
}

const ALWAYS: readonly Layout[] = [
  { compressType: 'none', hardlink: true, bundle: false, block: false },
  { compressType: 'zst', bundle: true, block: true },
]
const MORE: readonly Layout[] = [
  { compressType: 'none', bundle: true, block: false },
  { compressType: 'none', bundle: true, block: true },
  { compressType: 'zst', bundle: false, block: false },
  { compressType: 'zst', bundle: true, block: false },
]
const layouts = process.env['PGSURETY_TEST_FULL'] === undefined ? ALWAYS : [...ALWAYS, ...MORE]

test('a manifest of ours says what that of pgBackRest says', async (t) => {
  await buildWhenStale()
  await using folder = await temporaryFolder('manifest')
  const dataDir = await makeOddCluster(folder.path)
  const pairs = await Promise.all(
    layouts.map(async (layout, index) => {
      const pair = { path: join(folder.path, `pair${index}`), layout }
      await preparePair(pair, dataDir)
      return pair
    }),
  )
  for (let round = 0; round <= CHANGES_COUNT; round += 1) {
    if (round > 0) await changeOddCluster(folder.path, round - 1)
    const type = round === 0 ? 'full' : 'incr'
    const compared = await Promise.all(pairs.map(async (pair) => await compareRound(pair, type)))
    for (const [index, { lines, differing }] of compared.entries()) {
      const what = `${JSON.stringify(layouts[index])}, backup ${round + 1}`
      t.diagnostic(`${what}: ${lines} lines`)
      assert.deepEqual(differing, [], what)
    }
  }
})

/** A repository of pgBackRest's, and before each backup a copy of it for us. */
interface Pair {
  readonly path: string
  readonly layout: Layout
}

const SIDES = ['ours', 'theirs'] as const
type Side = (typeof SIDES)[number]

async function preparePair(pair: Pair, dataDir: string): Promise<void> {
  const { path, layout } = pair
  await runAs(['mkdir', path])
  const common = ['log-level-file=off', 'log-level-console=off', 'process-max=2']
  for (const side of SIDES) {
    const paths = [`repo1-path=${path}/${side}`, `lock-path=${path}/lock-${side}`]
    const lines = ['[global]', ...common, 'repo1-retention-full=9', ...paths, ...linesOf(layout)]
    const demo = ['[demo]', `pg1-path=${dataDir}`, '']
    await writeAs(join(path, `${side}.conf`), [...lines, ...demo].join('\n'))
  }
  await run(pair, 'theirs', ['stanza-create'])
}

function linesOf({ compressType, hardlink, bundle, block }: Layout): readonly string[] {
  return [
    `compress-type=${compressType}`,
    `repo1-bundle=${bundle ? 'y' : 'n'}`,
    ...(hardlink ? ['repo1-hardlink=y'] : []),
    ...(bundle ? [`repo1-block=${block ? 'y' : 'n'}`] : []),
  ]
}

async function run({ path }: Pair, side: Side, argv: readonly string[]): Promise<void> {
  const program = side === 'ours' ? launcher() : await pgBackRest('2.60')
  const common = [`--config=${path}/${side}.conf`, '--stanza=demo', '--no-online']
  await runAs([program, ...common, ...argv])
}

interface Compared {
  /** How many were compared. */
  readonly lines: number
  /** Those that only one of the two has. */
  readonly differing: readonly string[]
}

async function compareRound(pair: Pair, type: 'full' | 'incr'): Promise<Compared> {
  const { path } = pair
  await runAs(['rm', '-rf', join(path, 'ours')])
  await runAs(['cp', '-a', join(path, 'theirs'), join(path, 'ours')])
  const argv = ['--checksum-page', '--no-expire-auto', `--type=${type}`, 'backup']
  await Promise.all(SIDES.map(async (side) => await run(pair, side, argv)))
  const [ours, theirs] = [await newestManifest(pair, 'ours'), await newestManifest(pair, 'theirs')]
  const folders = [await newestFolder(pair, 'ours'), await newestFolder(pair, 'theirs')] as const
  const order = ours.toSorted().join() === theirs.toSorted().join() && ours.join() !== theirs.join()
  const differing = [...difference(ours, theirs), ...difference(...folders)]
  return { lines: theirs.length, differing: order ? ['the order of lines'] : differing }
}

/** What only one of the two has. */
function difference(ours: readonly string[], theirs: readonly string[]): readonly string[] {
  return [
    ...ours.filter((line) => !theirs.includes(line)).map((line) => `ours: ${line}`),
    ...theirs.filter((line) => !ours.includes(line)).map((line) => `theirs: ${line}`),
  ]
}

async function newestBackup(
  { path }: Pair,
  side: Side,
): Promise<{ readonly label: string; readonly folder: string }> {
  const backups = join(path, side, 'backup/demo')
  const label = (await readdir(backups)).filter(isLabel).toSorted().at(-1) ?? ''
  return { label, folder: join(backups, label) }
}

/** Everything in its folder, with kind, mode and where links point. */
async function newestFolder(pair: Pair, side: Side): Promise<readonly string[]> {
  const { folder } = await newestBackup(pair, side)
  const format = String.raw`%P %y %m %l\n`
  return (await runAs(['find', folder, '-printf', format])).stdout.split('\n').toSorted()
}

/** Lines with their section, without what may differ. The backup's own label, which is a time, is called `itself`. */
async function newestManifest(pair: Pair, side: Side): Promise<readonly string[]> {
  const { label, folder } = await newestBackup(pair, side)
  const text = await readFile(join(folder, 'backup.manifest'), 'utf8')
  let section = ''
  return text
    .replaceAll(label, 'itself')
    .split('\n')
    .flatMap((line) => {
      if (line.startsWith('[')) section = line
      const [, name = '', members = ''] = /^(.*?)=(\{.*\})$/.exec(line) ?? []
      if (section === '[target:file]' && name !== '') {
        return [`${name}=${JSON.stringify(withoutFree(pair.layout, JSON.parse(members)))}`]
      }
      return (line.split('=')[0] ?? '') in FREE ? [] : [`${section} ${line}`]
    })
}

/** `free` in place of what may differ. A size that is left out is the original size, an offset 0. */
function withoutFree(layout: Layout, file: FileMembers): FileMembers {
  if ('reference' in file) return file
  const free = new Set(
    FREE_OF_FILES.filter(({ when }) => when(layout, file)).flatMap(({ members }) => members),
  )
  return Object.fromEntries(
    Object.entries(file)
      .filter(([name]) => !free.has(name) || (name !== 'bno' && name !== 'repo-size'))
      .map(([name, value]) => [name, free.has(name) ? 'free' : value]),
  )
}
