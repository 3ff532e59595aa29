/** Works on a running cluster: full backup, restore, differential backup of blocks, delta restore, verify. */
import { closeSync, fstatSync, globSync, openSync, readSync, writeSync } from 'node:fs'
import { chmod, readdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../../test/harness/cluster.ts'
import { type Load, startLoaded } from './data.ts'
import { limitCommand } from './limit.ts'
import { measure } from './measure.ts'
import type { Sample } from './result.ts'
import {
  type Bed,
  type Contest,
  type Contestant,
  type Engine,
  freshFolder,
  isSettingsName,
  measureSide,
  openSide,
  runSide,
  type Scene,
  type SettingsName,
  type Side,
} from './scene.ts'

const PAGE_BYTES = 8192
/** One page in so many is changed. */
const CHANGED_EVERY = 100
const ENTRIES_REMOVED_MAX = 5000

export async function openClusterBed(scene: Scene, load: Load): Promise<Bed> {
  await using stack = new AsyncDisposableStack()
  const folder = join(scene.folder, 'cluster')
  await freshFolder(folder)
  // pgBackRest wants its name in archive_command.
  const archiver = join(folder, 'archive-for-pgbackrest.sh')
  await writeFile(archiver, `#!/bin/sh\nexec $(cat ${folder}/archiver) archive-push "$1"\n`)
  await chmod(archiver, 0o755)
  await writeFile(join(folder, 'archiver'), 'true')
  const cluster = stack.use(
    await startLoaded({ root: folder, load, archiveCommand: `${archiver} "%p"` }, scene),
  )
  const works = new ClusterWorks(scene, { folder, cluster })
  const owned = stack.move()
  return {
    contest: async (name) => await works.contest(name),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

interface Place {
  readonly folder: string
  readonly cluster: Cluster
}

class ClusterWorks {
  readonly #scene: Scene
  readonly #folder: string
  readonly #cluster: Cluster
  /** Sides with a full backup of the cluster as it is. */
  readonly #backedUp = new Set<string>()
  readonly #sides = new Map<string, Side>()
  #clearings = 0

  constructor(scene: Scene, { folder, cluster }: Place) {
    this.#scene = scene
    this.#folder = folder
    this.#cluster = cluster
  }

  async contest(name: string): Promise<Contest> {
    const [verb = '', settings = 'alike'] = name.split('-')
    if (!isSettingsName(settings)) throw new Error(`no settings '${settings}'`)
    const contestants: Contestant[] = []
    for (const engine of this.#scene.engines.keys()) {
      const side = await this.#side(engine, settings)
      contestants.push({ tool: engine, run: await this.#runOf(verb, side) })
    }
    if (verb === 'full' && settings !== 'plain') contestants.push(this.#baseBackup(settings))
    if (verb === 'full' && settings === 'alike') contestants.push(this.#limit())
    return { count: 1, contestants }
  }

  async #runOf(verb: string, side: Side): Promise<() => Promise<Sample>> {
    switch (verb) {
      case 'full':
        return async () => await this.#full(side)
      case 'restore':
        await this.#needBackup(side)
        return async () => await this.#restore(side, [])
      case 'delta':
        await this.#needBackup(side)
        return async () => await this.#delta(side)
      case 'diff':
        await this.#needBackup(side)
        return async () => await this.#diff(side)
      case 'verify':
        await this.#needBackup(side)
        return async () => await measureSide(side, ['verify'])
      default:
        throw new Error(`no work '${verb}'`)
    }
  }

  get #target(): string {
    return join(this.#folder, 'restored')
  }

  async #side(engine: Engine, settings: SettingsName): Promise<Side> {
    const { dataDir, port, socketDir } = this.#cluster
    const name = `${engine}-${settings}`
    const lines = [
      `pg1-path=${dataDir}`,
      `pg1-port=${port}`,
      `pg1-socket-path=${socketDir}`,
      'pg1-user=postgres',
    ]
    const side =
      this.#sides.get(name) ??
      (await openSide(this.#scene, this.#folder, { engine, settings, lines }))
    this.#sides.set(name, side)
    return side
  }

  /** A repository without backups, to which the server archives. */
  async #emptyRepo(side: Side): Promise<void> {
    await freshFolder(side.repo)
    await runSide(side, ['stanza-create'])
    await this.#archiveTo(side)
    await this.#cluster.psql('checkpoint')
  }

  async #archiveTo(side: Side): Promise<void> {
    await writeFile(join(this.#folder, 'archiver'), side.command.join(' '))
    await this.#cluster.psql('select pg_reload_conf()')
    const status = join(this.#cluster.dataDir, 'pg_wal/archive_status')
    while ((await readdir(status)).some((name) => name.endsWith('.ready'))) await sleep(100)
  }

  async #full(side: Side): Promise<Sample> {
    await this.#emptyRepo(side)
    const sample = await measureSide(side, ['--type=full', 'backup'])
    this.#backedUp.add(side.repo)
    return sample
  }

  async #needBackup(side: Side): Promise<void> {
    if (this.#backedUp.has(side.repo)) return
    await this.#emptyRepo(side)
    await runSide(side, ['--type=full', 'backup'])
    this.#backedUp.add(side.repo)
  }

  async #restore(side: Side, more: readonly string[]): Promise<Sample> {
    if (more.length === 0) await this.#clearTarget()
    await chmod(this.#target, 0o700)
    return await measureSide(side, [...more, `--pg1-path=${this.#target}`, 'restore'])
  }

  /**
   * Many old files are moved aside until all is done: ext4 looks long for inodes that were not in use a minute ago, and whoever
   * comes next would pay for it.
   */
  async #clearTarget(): Promise<void> {
    const entries = await readdir(this.#target, { recursive: true }).catch(() => [])
    this.#clearings += 1
    const old = `${this.#target}-${this.#clearings}`
    if (entries.length > ENTRIES_REMOVED_MAX) await rename(this.#target, old)
    await freshFolder(this.#target)
  }

  /** What is there is a restored cluster of which one page in a hundred is not as it was. */
  async #delta(side: Side): Promise<Sample> {
    if (globSync(join(this.#target, 'PG_VERSION')).length === 0) await this.#restore(side, [])
    changePages(this.#target)
    return await this.#restore(side, ['--delta'])
  }

  /** Always the changes since the full backup, which are the same each time. */
  async #diff(side: Side): Promise<Sample> {
    if (!this.#backedUp.has(`${side.repo} changed`)) {
      for (const one of this.#sides.values()) this.#backedUp.add(`${one.repo} changed`)
      await this.#cluster.psql(
        `update pgbench_accounts set abalance = abalance + 1 where aid % ${61 * CHANGED_EVERY} = 1`,
      )
    }
    await this.#archiveTo(side)
    await this.#cluster.psql('checkpoint')
    return await measureSide(side, ['--type=diff', 'backup'])
  }

  #baseBackup(settings: SettingsName): Contestant {
    const target = join(this.#folder, 'base-backup')
    const server = [
      '-h',
      this.#cluster.socketDir,
      '-p',
      String(this.#cluster.port),
      '-U',
      'postgres',
    ]
    const form =
      settings === 'alike' ? ['-Ft', '--compress=server-zstd:level=3,workers=2'] : ['-Fp']
    const program = join(this.#scene.pgBin, 'pg_basebackup')
    const argv = [program, ...server, '-D', target, '-c', 'fast', '-X', 'none', ...form]
    return {
      tool: 'pg_basebackup',
      run: async () => {
        await writeFile(join(this.#folder, 'archiver'), 'true')
        await this.#cluster.psql('checkpoint')
        await freshFolder(target)
        const sample = await measure({ argv, place: this.#folder })
        await freshFolder(target)
        // Most of the work is the server's, which is not measured.
        return { ...sample, cpuSeconds: undefined }
      },
    }
  }

  #limit(): Contestant {
    const argv = limitCommand(this.#cluster.dataDir)
    return { tool: 'limit', run: async () => await measure({ argv, place: this.#folder }) }
  }
}

/** Changes a byte in one page of a hundred, in every file that is a hundred pages long. */
function changePages(dataDir: string): void {
  const page = Buffer.alloc(1)
  for (const path of globSync(join(dataDir, 'base/*/*'))) {
    const file = openSync(path, 'r+')
    try {
      const pages = fstatSync(file).size / PAGE_BYTES
      for (let number = CHANGED_EVERY / 2; number < pages; number += CHANGED_EVERY) {
        const at = number * PAGE_BYTES + PAGE_BYTES / 2
        readSync(file, page, 0, 1, at)
        page[0] = ((page[0] ?? 0) + 1) % 256
        writeSync(file, page, 0, 1, at)
      }
    } finally {
      closeSync(file)
    }
  }
}
