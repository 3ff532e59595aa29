/**
 * archive-push: PostgreSQL's archive_command. Exit 0 is a promise that the segment is durable in the repository, because
 * PostgreSQL recycles its own copy on the strength of it.
 */
import { realpathSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { AppError, errnoOf } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import type { WalFile } from '../wal-segment.ts'
import { openLoad, openTargets, pushFile, type Target } from './push-file.ts'

const CATCH_UP_MS = 2 * SECOND_MS

export async function archivePush(context: Context): Promise<number> {
  const { config, log } = context
  assertNotStopped(config.text('lock-path'), stanzaOf(context))
  const file = locate(context)
  if (config.flag('archive-async')) {
    const { pushInBackground } = await import('./foreground.ts')
    return await pushInBackground(context, file)
  }
  if (config.has('archive-push-queue-max')) {
    const queue = await import('./ready.ts')
    const walDir = dirname(file.path)
    const ready = await queue.listReady(walDir)
    if (queue.isOverflow(context, ready, queue.sizeOfFirst(walDir, ready))) {
      const { noteDropped } = await import('./drops.ts')
      await noteDropped(context, [file.name])
      log.warn(queue.overflowText(context, file.name))
      return 0
    }
  }
  const load = await openLoad(context, file)
  const targets = await openTargets(context)
  for (const warning of await pushFile(context, targets, load)) log.warn(warning)
  log.info(`pushed WAL file '${file.name}' to the archive`)
  await settle(context, targets)
  return 0
}

/** What is left to do for repositories that could not be reached before. The server waits: a little at a time. */
async function settle(context: Context, targets: readonly Target[]): Promise<void> {
  if (context.config.has('archive-push-queue-max')) {
    const { publishDrops } = await import('./drops.ts')
    await publishDrops(context, targets)
  }
  if (targets.length === 1) return
  const { catchUp } = await import('./missing.ts')
  await catchUp(context, targets, context.clock.nowMs() + CATCH_UP_MS)
}

/** The file to push: absolute, or relative to the data directory, which must then be the current directory. */
function locate({ config }: Context): WalFile {
  const parameter = config.parameters[0] ?? ''
  if (parameter.startsWith('/')) return { name: basename(parameter), path: parameter }
  if (!config.has('pg-path', 1)) {
    throw new AppError(
      'option-required',
      "option 'pg1-path' must be specified when relative wal paths are used",
      {
        hint: [
          'is %f passed to archive-push instead of %p?',
          'PostgreSQL may pass relative paths even with %p depending on the environment.',
        ],
      },
    )
  }
  const dataDir = config.text('pg-path', 1)
  if (process.cwd() !== dataDir) {
    const here = realpathSync('.')
    const there = realpathOf(dataDir)
    if (here !== there) {
      throw new AppError(
        'option-invalid-value',
        `PostgreSQL working directory '${here}' is not the same as option pg1-path '${dataDir}'`,
        { hint: 'is the PostgreSQL data_directory configured the same as the pg1-path option?' },
      )
    }
  }
  return { name: basename(parameter), path: `${dataDir}/${parameter}` }
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw new AppError(
      'path-missing',
      `unable to open pg1-path '${path}': ${errnoOf(error) ?? String(error)}`,
      {
        cause: error,
      },
    )
  }
}
