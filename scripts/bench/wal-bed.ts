/** Works on WAL without a server: what PostgreSQL's archiver and a recovery call, one segment after the other. */
import { chmod, cp, link, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startCluster } from '../../test/harness/cluster.ts'
import { segment } from '../../test/harness/stand-in.ts'
import { measure } from './measure.ts'
import type { Sample } from './result.ts'
import {
  type Bed,
  type Contest,
  type Engine,
  freshFolder,
  openSide,
  runSide,
  scaled,
  type Scene,
  type SettingsName,
  type Side,
} from './scene.ts'

/** Different segments; the others have their content under other names. */
const DISTINCT = 32
const FIRST = 256
/** As the archiver does it: the next segment when the command says that one is safe. */
const PUSH_ALL = `for ready in pg_wal/archive_status/*.ready; do
  name=\${ready##*/} name=\${name%.ready}
  "$@" archive-push "pg_wal/$name" || exit 1
  mv "$ready" "\${ready%.ready}.done"
done`
/** As a recovery does it. */
const GET_ALL = `while read -r name; do "$@" archive-get "$name" pg_wal/RECOVERYXLOG || exit 1; done <wanted`

export async function openWalBed(scene: Scene): Promise<Bed> {
  const folder = join(scene.folder, 'wal')
  await freshFolder(folder)
  const kept = join(folder, 'kept')
  const dataDir = join(folder, 'data')
  await makeSegments(folder, kept, dataDir)
  const names = await readdir(kept)
  return {
    contest: async (name) => await contest(scene, { folder, kept, dataDir, names }, name),
    [Symbol.asyncDispose]: async () => {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Segments of a pgbench that has been running for a while, and the data directory that they belong to. */
async function makeSegments(folder: string, kept: string, dataDir: string): Promise<void> {
  await freshFolder(kept)
  await using cluster = await startCluster({
    root: folder,
    version: '17',
    settings: { wal_keep_size: '2GB', max_wal_size: '4GB' },
  })
  await cluster.pgbench(['-i', '-q', '-s', '20'])
  const first = await cluster.psql('checkpoint; select pg_walfile_name(pg_switch_wal())')
  for (let filled = 0; filled < DISTINCT; ) {
    await cluster.pgbench(['-n', '-c', '4', '-T', '2'])
    filled = Number(
      await cluster.psql(`select count(*) from pg_ls_waldir()
      where name ~ '^[0-9A-F]{24}$' and name > '${first}' and name < pg_walfile_name(pg_current_wal_lsn())`),
    )
  }
  const last = await cluster.psql('select pg_walfile_name(pg_current_wal_lsn())')
  await cluster.stop()
  const names = (await readdir(join(cluster.dataDir, 'pg_wal')))
    .filter((name) => /^[0-9A-F]{24}$/.test(name) && name > first && name < last)
    .toSorted()
    .slice(0, DISTINCT)
  for (const [index, name] of names.entries()) {
    const path = join(kept, String(index))
    await cp(join(cluster.dataDir, 'pg_wal', name), path, { preserveTimestamps: true })
    await chmod(path, 0o644)
  }
  for (const path of ['', 'global', 'pg_wal', 'pg_wal/archive_status']) {
    await freshFolder(join(dataDir, path))
  }
  await cp(join(cluster.dataDir, 'PG_VERSION'), join(dataDir, 'PG_VERSION'))
  await cp(join(cluster.dataDir, 'global/pg_control'), join(dataDir, 'global/pg_control'))
  for (const name of ['PG_VERSION', 'global/pg_control']) await chmod(join(dataDir, name), 0o644)
}

interface Wal {
  readonly folder: string
  readonly kept: string
  readonly dataDir: string
  /** Files in `kept`. */
  readonly names: readonly string[]
}

/** How many segments a work is about, at scale 1. */
const COUNTS: Readonly<Record<string, number>> = {
  'push-sync': 60,
  'push-sync-defaults': 60,
  'push-async': 500,
  'get-sync': 60,
  'get-async': 500,
}

function settingsOf(name: string): SettingsName {
  if (name.endsWith('-defaults')) return 'defaults'
  return name.endsWith('-async') ? 'async' : 'alike'
}

async function contest(scene: Scene, wal: Wal, name: string): Promise<Contest> {
  const count = scaled(scene, COUNTS[name] ?? 1)
  const settings = settingsOf(name)
  const segments = Array.from({ length: count }, (_, index) => segment(1, FIRST + index))
  const contestants = []
  for (const engine of scene.engines.keys()) {
    const side = await openWalSide(scene, wal, { engine, settings })
    const push = async (): Promise<Sample> => await pushAll(wal, side, segments)
    if (name.startsWith('get')) await push()
    const run = name.startsWith('get')
      ? async (): Promise<Sample> => await getAll(wal, side, segments)
      : push
    contestants.push({ tool: engine, run })
  }
  return { count, contestants }
}

async function openWalSide(
  scene: Scene,
  { folder, dataDir }: Wal,
  { engine, settings }: { readonly engine: Engine; readonly settings: SettingsName },
): Promise<Side> {
  const lines = [`pg1-path=${dataDir}`]
  return await openSide(scene, folder, { engine, settings, lines })
}

/** Into an empty repository. */
async function pushAll(wal: Wal, side: Side, segments: readonly string[]): Promise<Sample> {
  const { kept, dataDir, names } = wal
  await freshFolder(side.repo)
  await freshFolder(side.spool)
  await runSide(side, ['--no-online', 'stanza-create'])
  await freshFolder(join(dataDir, 'pg_wal'))
  await freshFolder(join(dataDir, 'pg_wal/archive_status'))
  for (const [index, name] of segments.entries()) {
    const source = join(kept, names[index % names.length] ?? '')
    await link(source, join(dataDir, 'pg_wal', name))
    await writeFile(join(dataDir, 'pg_wal/archive_status', `${name}.ready`), '')
  }
  return await inShell(wal, side, PUSH_ALL)
}

async function getAll(wal: Wal, side: Side, segments: readonly string[]): Promise<Sample> {
  const { dataDir } = wal
  await freshFolder(side.spool)
  await freshFolder(join(dataDir, 'pg_wal'))
  await writeFile(join(dataDir, 'wanted'), `${segments.join('\n')}\n`)
  return await inShell(wal, side, GET_ALL)
}

/**
 * The launcher looks for its notes where the arguments say, or in the default folder: not into the configuration. Both programs
 * refuse the option when they do not work in the background.
 */
export function withSpool({ command, spool, settings }: Side): readonly string[] {
  return settings === 'async' ? [...command, `--spool-path=${spool}`] : command
}

async function inShell({ folder, dataDir }: Wal, side: Side, script: string): Promise<Sample> {
  const argv = ['/bin/sh', '-c', script, 'sh', ...withSpool(side)]
  return await measure({ argv, cwd: dataDir, place: folder })
}
