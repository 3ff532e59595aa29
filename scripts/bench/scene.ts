/** What every work needs: a folder on a real disk, the programs that are there, and how they are called. */
import { chown, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pgBackRest, postgresBin } from '../../test/harness/peers.ts'
import { launcher, runAs, temporaryFolder, unprivileged } from '../../test/harness/run.ts'
import { STAND_IN_STANZA } from '../../test/harness/stand-in.ts'
import { measure, type Measuring } from './measure.ts'
import type { Sample, ToolName } from './result.ts'

/** The two that take the same options. */
export type Engine = Extract<ToolName, 'pgsurety' | 'pgbackrest'>

export interface Scene extends AsyncDisposable {
  readonly folder: string
  /** 1 is the size that the goals are for. */
  readonly scale: number
  /** Path of each program that is there. */
  readonly engines: ReadonlyMap<Engine, string>
  readonly pgBin: string
  /** Name of each that is not there, and why. */
  readonly missing: readonly string[]
}

/** A program that does a work, again and again. */
export interface Contestant {
  readonly tool: ToolName
  /** One run, with all that must be done before it and is not measured. */
  readonly run: () => Promise<Sample>
}

export interface Contest {
  /** How many of the counted things one run does. */
  readonly count: number
  readonly contestants: readonly Contestant[]
}

/** Something prepared that several works are done on. */
export interface Bed extends AsyncDisposable {
  contest(name: string): Promise<Contest>
}

export async function openScene(scale: number): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const { path: folder } = stack.use(await temporaryFolder('bench', '/tmp'))
  const engines = new Map<Engine, string>([['pgsurety', launcher()]])
  const missing: string[] = []
  try {
    engines.set('pgbackrest', await pgBackRest('2.60'))
  } catch (error) {
    missing.push(`pgbackrest (${String(error).split('\n')[0]})`)
  }
  const owned = stack.move()
  return {
    folder,
    scale,
    engines,
    missing,
    pgBin: await postgresBin('17'),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

/** A whole number that grows with the scale. */
export function scaled({ scale }: Scene, count: number): number {
  return Math.max(1, Math.round(count * scale))
}

/** The options of `[global]` that both engines get. */
export const SETTINGS = {
  defaults: [],
  alike: [
    'compress-type=zst',
    'compress-level=3',
    'process-max=2',
    'repo1-bundle=y',
    'repo1-block=y',
  ],
  plain: [
    'compress-type=zst',
    'compress-level=3',
    'process-max=2',
    'repo1-bundle=n',
    'repo1-block=n',
  ],
  async: ['compress-type=zst', 'compress-level=3', 'process-max=2', 'archive-async=y'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type SettingsName = keyof typeof SETTINGS

export function isSettingsName(name: string): name is SettingsName {
  return Object.hasOwn(SETTINGS, name)
}

export interface SideOptions {
  readonly engine: Engine
  readonly settings: SettingsName
  /** Of the stanza. */
  readonly lines: readonly string[]
}

/** An engine with a configuration and a repository of its own. */
export interface Side {
  readonly engine: Engine
  readonly settings: SettingsName
  readonly repo: string
  readonly spool: string
  /** Program and options; the command comes next. */
  readonly command: readonly string[]
}

/** Below `folder`. The repository does not exist yet. */
export async function openSide(
  scene: Scene,
  folder: string,
  { engine, settings, lines }: SideOptions,
): Promise<Side> {
  const program = scene.engines.get(engine)
  if (program === undefined) throw new Error(`${engine} is missing`)
  const name = `${engine}-${settings}`
  const file = join(folder, `${name}.conf`)
  const repo = join(folder, `repo-${name}`)
  const spool = join(folder, `spool-${name}`)
  const text = [
    '[global]',
    `repo1-path=${repo}`,
    `lock-path=${join(folder, `lock-${name}`)}`,
    `spool-path=${spool}`,
    'repo1-retention-full=99',
    'start-fast=y',
    'log-level-file=off',
    'log-level-console=warn',
    ...SETTINGS[settings],
    `[${STAND_IN_STANZA}]`,
    ...lines,
  ]
  await writeFile(file, `${text.join('\n')}\n`)
  await freshFolder(spool)
  return {
    engine,
    settings,
    repo,
    spool,
    command: [program, `--config=${file}`, `--stanza=${STAND_IN_STANZA}`],
  }
}

/** An empty folder of the unprivileged user, whatever was there. */
export async function freshFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
  await mkdir(path, { recursive: true, mode: 0o750 })
  await chown(path, unprivileged.uid, unprivileged.gid)
}

export async function runSide(
  { command }: Side,
  argv: readonly string[],
  cwd = '/',
): Promise<void> {
  await runAs([...command, ...argv], { timeoutMs: 600_000, cwd })
}

export async function measureSide(
  { command, repo }: Side,
  argv: readonly string[],
  more: Omit<Measuring, 'argv' | 'place'> = {},
): Promise<Sample> {
  return await measure({ ...more, argv: [...command, ...argv], place: join(repo, '..') })
}
