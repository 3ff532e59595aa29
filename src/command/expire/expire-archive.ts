/** Removes the WAL that nobody needs, oldest first: what is cut off leaves WAL without holes. */
import { archivePrefix } from '../../format/repo-path.ts'
import type { NameEntry } from '../../storage/storage.ts'
import type { RepoWork } from './repo-work.ts'
import {
  type ArchivePlan,
  folderFate,
  historyFate,
  keepersOf,
  type RangedPlan,
  within,
} from './wal-retention.ts'

/** Whole directories removed by one call, and made durable with it: 8,192 segments, at most, between two looks at a signal. */
const FOLDERS_AT_ONCE = 32

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
  const { say, repo, stanza, changes } = work
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
  const entries = await repo.storage.names(prefix)
  await expireFolders(work, plan, { prefix, folders: entries.filter(isFolder), removed })
  removed.end()
  // A timeline's history is the last of it to go.
  const histories = entries.filter(
    ({ kind, name }) =>
      kind === 'object' && isHistory(name) && historyFate(plan, timelineOf(name)) === 'remove',
  )
  for (const { name } of histories) say.info(`${archiveId} remove history file ${name}`)
  if (histories.length > 0) await changes.removeEach(prefix, histories)
}

interface Folders {
  readonly prefix: string
  readonly folders: readonly NameEntry[]
  readonly removed: RemovedRuns
}

async function expireFolders(
  work: RepoWork,
  plan: RangedPlan,
  { prefix, folders, removed }: Folders,
): Promise<void> {
  const { say, changes, context } = work
  let whole: NameEntry[] = []
  const removeWhole = async (): Promise<void> => {
    if (whole.length > 0) await changes.removeEach(prefix, whole)
    whole = []
  }
  for (const folder of folders) {
    context.signal.throwIfAborted()
    const fate = folderFate(plan, folder.name)
    if (fate === 'remove') {
      say.detail(`${plan.archiveId} remove archive path ${folder.name}`)
      removed.removed(folder.name)
      whole.push(folder)
    }
    if (fate !== 'remove' || whole.length === FOLDERS_AT_ONCE) await removeWhole()
    if (fate === 'keep') removed.kept()
    if (fate !== 'look') continue
    const near = within(plan, folder.name)
    await expireSegments(work, near, { prefix: `${prefix}/${folder.name}`, removed })
  }
  await removeWhole()
}

async function expireSegments(
  { repo, changes }: RepoWork,
  plan: RangedPlan,
  { prefix, removed }: Pick<Folders, 'prefix' | 'removed'>,
): Promise<void> {
  const going: NameEntry[] = []
  for (const file of await repo.storage.names(prefix)) {
    const [segment] = /^[0-9A-F]{24}/.exec(file.name) ?? []
    if (file.kind !== 'object' || segment === undefined) continue
    if (keepersOf(plan, segment).length > 0) {
      removed.kept()
    } else {
      removed.removed(segment)
      going.push(file)
    }
  }
  if (going.length > 0) await changes.removeEach(prefix, going)
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

function isFolder({ kind, name }: NameEntry): boolean {
  return kind === 'prefix' && /^[0-9A-F]{16}$/.test(name)
}

function isHistory(name: string): boolean {
  return /^[0-9A-F]{8}\.history$/.test(name)
}

function timelineOf(history: string): number {
  return Number.parseInt(history.slice(0, 8), 16)
}
