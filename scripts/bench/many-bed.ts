/** Works on a repository that has grown for years: many backups, very many WAL files, a few bytes each. */
import { execFileSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { runAs, unprivileged } from '../../test/harness/run.ts'
import { segment, segments, type StandInBackup, writeStandIn } from '../../test/harness/stand-in.ts'
import type { Sample } from './result.ts'
import {
  type Bed,
  type Contestant,
  freshFolder,
  measureSide,
  openSide,
  scaled,
  type Scene,
  type Side,
} from './scene.ts'

const BACKUPS = 500
const SEGMENTS_PER_BACKUP = 200
/** A full backup a week, differential ones on the other days. */
const BACKUPS_PER_SET = 7
const DAY_S = 86_400
const FIRST_DAY_S = Date.UTC(2025, 0, 1) / 1000

export async function openManyBed(scene: Scene, backups = scaled(scene, BACKUPS)): Promise<Bed> {
  const folder = join(scene.folder, 'many')
  const model = join(folder, 'model')
  await freshFolder(folder)
  await freshFolder(model)
  writeStandIn(model, {
    backups: Array.from({ length: backups }, (_, day) => standIn(day)),
    wal: { '15-1': segments(1, 1, backups * SEGMENTS_PER_BACKUP) },
  })
  const { uid, gid } = unprivileged
  if (process.getuid?.() === 0) execFileSync('chown', ['-R', `${uid}:${gid}`, model])
  const keptSets = Math.ceil(backups / BACKUPS_PER_SET / 2)
  return {
    contest: async (name) => {
      const contestants: Contestant[] = []
      for (const engine of scene.engines.keys()) {
        const lines = ['pg1-path=/nowhere']
        const side = await openSide(scene, folder, { engine, settings: 'alike', lines })
        contestants.push({ tool: engine, run: runOf({ name, keptSets }, side, model) })
      }
      return { count: 1, contestants }
    },
    [Symbol.asyncDispose]: async () => {
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function standIn(day: number): StandInBackup {
  const full = `${nameOfDay(day - (day % BACKUPS_PER_SET))}-000000F`
  const first = day * SEGMENTS_PER_BACKUP + 10
  return {
    label: day % BACKUPS_PER_SET === 0 ? full : `${full}_${nameOfDay(day)}-000000D`,
    stopS: FIRST_DAY_S + day * DAY_S + 60,
    archive: [segment(1, first), segment(1, first + 1)],
  }
}

function nameOfDay(day: number): string {
  const date = new Date((FIRST_DAY_S + day * DAY_S) * 1000)
  return date.toISOString().slice(0, 10).replaceAll('-', '')
}

interface Many {
  readonly name: string
  /** expire keeps so many full backups. */
  readonly keptSets: number
}

/** expire takes half of the backups, of a repository made anew each time: hard links, for it writes into no file. */
function runOf({ name, keptSets }: Many, side: Side, model: string): () => Promise<Sample> {
  const keep = `--repo1-retention-full=${keptSets}`
  return async () => {
    await rm(side.repo, { recursive: true, force: true })
    await runAs(['cp', '-al', model, side.repo])
    return await measureSide(side, name === 'expire' ? [keep, 'expire'] : [name])
  }
}
