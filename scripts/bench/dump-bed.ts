/** Works on logical dumps of a running cluster: beside pg_dump and pg_restore, and with a fingerprint beside without. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cluster } from '../../test/harness/cluster.ts'
import { type Load, startLoaded } from './data.ts'
import { measure } from './measure.ts'
import type { Sample } from './result.ts'
import {
  type Bed,
  type Contestant,
  freshFolder,
  measureSide,
  openSide,
  type Scene,
  type Side,
} from './scene.ts'

const RESTORED = 'restored'

export async function openDumpBed(scene: Scene, load: Load): Promise<Bed> {
  await using stack = new AsyncDisposableStack()
  const folder = join(scene.folder, 'dumps')
  await freshFolder(folder)
  const cluster = stack.use(
    await startLoaded({ root: folder, load, archiveCommand: 'true' }, scene),
  )
  const side = await openSide(scene, folder, {
    engine: 'pgsurety',
    settings: 'alike',
    lines: [
      `pg1-path=${cluster.dataDir}`,
      `pg1-port=${cluster.port}`,
      `pg1-socket-path=${cluster.socketDir}`,
      'pg1-user=postgres',
      `pg-client-path=${scene.pgBin}`,
    ],
  })
  const works = new DumpWorks(scene, { folder, cluster, side })
  const owned = stack.move()
  return {
    contest: async (name) => ({ count: 1, contestants: await works.contestants(name) }),
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Place {
  readonly folder: string
  readonly cluster: Cluster
  readonly side: Side
}

class DumpWorks {
  readonly #pgBin: string
  readonly #folder: string
  readonly #cluster: Cluster
  readonly #side: Side

  constructor({ pgBin }: Scene, { folder, cluster, side }: Place) {
    this.#pgBin = pgBin
    this.#folder = folder
    this.#cluster = cluster
    this.#side = side
  }

  async contestants(name: string): Promise<readonly Contestant[]> {
    switch (name) {
      case 'dump':
        return [
          { tool: 'pgsurety', run: async () => await this.#dump('none') },
          { tool: 'pg_dump', run: async () => await this.#pgDump() },
        ]
      case 'fingerprint':
        return [
          { tool: 'pgsurety', run: async () => await this.#dump('full') },
          { tool: 'no fingerprint', run: async () => await this.#dump('none') },
        ]
      case 'restore':
        await this.#dump('none')
        await this.#pgDump()
        return [
          { tool: 'pgsurety', run: async () => await this.#dumpRestore() },
          { tool: 'pg_restore', run: async () => await this.#pgRestore() },
        ]
      default:
        throw new Error(`no work '${name}'`)
    }
  }

  get #archive(): string {
    return join(this.#folder, 'by-pg_dump')
  }

  /** The server's own work is not in the processor time, of nobody's. */
  async #dump(fingerprint: 'full' | 'none'): Promise<Sample> {
    await freshFolder(this.#side.repo)
    return await measureSide(this.#side, [
      '--db-include=postgres',
      '--jobs=1',
      `--fingerprint=${fingerprint}`,
      'dump',
    ])
  }

  async #pgDump(): Promise<Sample> {
    await rm(this.#archive, { force: true })
    const form = ['--format=custom', '--compress=zstd:3', `--file=${this.#archive}`]
    return await measure({ argv: this.#program('pg_dump', form), place: this.#folder })
  }

  async #dumpRestore(): Promise<Sample> {
    await this.#forgetRestored()
    return await measureSide(this.#side, [
      '--database=postgres',
      '--jobs=1',
      `--to-database=${RESTORED}`,
      '--no-prove',
      'dump-restore',
    ])
  }

  async #pgRestore(): Promise<Sample> {
    await this.#forgetRestored()
    await this.#cluster.psql(`create database ${RESTORED} template template0`)
    const argv = this.#program('pg_restore', [`--dbname=${RESTORED}`, this.#archive])
    return await measure({ argv, place: this.#folder })
  }

  async #forgetRestored(): Promise<void> {
    await this.#cluster.psql(`drop database if exists ${RESTORED}`)
    await this.#cluster.psql('checkpoint')
  }

  #program(name: string, more: readonly string[]): readonly string[] {
    const { socketDir, port } = this.#cluster
    const server = [`--host=${socketDir}`, `--port=${port}`, '--username=postgres']
    const database = name === 'pg_dump' ? ['--dbname=postgres'] : []
    return [join(this.#pgBin, name), ...server, ...database, ...more]
  }
}
