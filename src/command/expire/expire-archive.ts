/** Removes the WAL that nobody needs, oldest first: what is cut off leaves WAL without holes. */
import { archivePrefix } from '../../format/repo-path.ts'
import type { RepoWork } from './repo-work.ts'
import {
  type ArchivePlan,
  folderFate,
  historyFate,
  keepersOf,
  type RangedPlan,
} from './wal-retention.ts'

export async function expireArchive(work: RepoWork, plan: ArchivePlan): Promise<void> {
  const { say, changes, repo, stanza } = work
  switch (plan.action) {
    case 'keep':
      return
    case 'remove': {
      const prefix = archivePrefix(stanza, plan.archiveId)
      say.info(`remove archive path ${repo.storage.location}/${prefix}`)
      await changes.removeAll(prefix)
      return
    }
    case 'ranges':
      await expireRanges(work, plan)
  }
}

async function expireRanges(work: RepoWork, plan: RangedPlan): Promise<void> {
  const { say, repo, stanza, changes, context } = work
  const { archiveId } = plan
  for (const { backup, start, stop } of plan.ranges) {
    if (backup === undefined) continue
    const end = stop === undefined ? '' : `, stop = ${stop}`
    say.detail(`${archiveId} archive retention on backup ${backup}, start = ${start}${end}`)
  }
  const prefix = archivePrefix(stanza, archiveId)
  const removed = removedRuns((text) => {
    say.info(`${archiveId} ${text}`)
  })
  const histories: string[] = []
  for (const { kind, name } of await repo.storage.list(prefix)) {
    context.signal.throwIfAborted()
    if (kind === 'object') {
      if (isHistory(name) && historyFate(plan, timelineOf(name)) === 'remove') histories.push(name)
    } else if (/^[0-9A-F]{16}$/.test(name)) {
      await expireFolder(work, plan, { name, prefix: `${prefix}/${name}`, removed })
    }
  }
  removed.end()
  // A timeline's history is the last of it to go.
  for (const name of histories) {
    say.info(`${archiveId} remove history file ${name}`)
    await changes.remove(`${prefix}/${name}`)
  }
}

interface Folder {
  readonly name: string
  readonly prefix: string
  readonly removed: RemovedRuns
}

async function expireFolder(
  { say, repo, changes }: RepoWork,
  plan: RangedPlan,
  { name, prefix, removed }: Folder,
): Promise<void> {
  const fate = folderFate(plan, name)
  if (fate === 'keep') {
    removed.kept()
    return
  }
  if (fate === 'remove') {
    say.detail(`${plan.archiveId} remove archive path ${name}`)
    await changes.removeAll(prefix)
    removed.removed(name)
    return
  }
  for (const file of await repo.storage.list(prefix)) {
    const [segment] = /^[0-9A-F]{24}/.exec(file.name) ?? []
    if (file.kind !== 'object' || segment === undefined) continue
    if (keepersOf(plan, segment).length > 0) {
      removed.kept()
      continue
    }
    await changes.remove(`${prefix}/${file.name}`)
    removed.removed(segment)
  }
}

interface RemovedRuns {
  removed(name: string): void
  kept(): void
  end(): void
}

/** Tells of what was removed in runs: nothing that stays lies between start and stop. */
function removedRuns(tell: (text: string) => void): RemovedRuns {
  let run: { readonly start: string; stop: string } | undefined
  let runs = 0
  const close = (): void => {
    if (run !== undefined) tell(`remove archive, start = ${run.start}, stop = ${run.stop}`)
    run = undefined
  }
  return {
    removed: (name) => {
      if (run === undefined) {
        run = { start: name, stop: name }
        runs += 1
      } else {
        run.stop = name
      }
    },
    kept: close,
    end: () => {
      close()
      if (runs === 0) tell('no archive to remove')
    },
  }
}

function isHistory(name: string): boolean {
  return /^[0-9A-F]{8}\.history$/.test(name)
}

function timelineOf(history: string): number {
  return Number.parseInt(history.slice(0, 8), 16)
}
