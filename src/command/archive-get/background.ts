/** archive-get:async: fetches segments in advance into the spool, several at once. */
import { join } from 'node:path'
import { asAppError } from '../../base/error.ts'
import type { Context } from '../command.ts'
import {
  openSpool,
  type Spool,
  TEMP_SUFFIX,
  writeError,
  writeGlobalError,
  writeOk,
} from '../spool/spool.ts'
import { lockStanza } from '../stanza-lock.ts'
import { assertOneContent, deliver, findEverywhere, identifyCluster, type Match } from './fetch.ts'

/**
 * The parameters are the segments wanted, in order. Fetches them up to the first that no repository has, for which it
 * leaves an empty answer. Only the holder of the archive lock works; `lock-acquire` when that is somebody else.
 */
export async function fetchAhead(context: Context): Promise<number> {
  const { config, log } = context
  const spool = openSpool(context, 'in')
  await using _lock = await lockStanza(context, ['archive'], config.indexes('repo'))
  try {
    await spool.create()
    const { parameters } = config
    log.info(
      `get ${parameters.length} WAL file(s) from archive: ${parameters[0]}...${parameters.at(-1)}`,
    )
    const { found, missing } = await locate(context)
    await fetchAll(context, spool, found)
    if (missing !== undefined) await writeOk(spool, missing, [])
    return 0
  } catch (error) {
    await writeGlobalError(context, spool, error)
    throw error
  }
}

interface Wanted {
  readonly name: string
  readonly matches: readonly Match[]
}

async function locate(
  context: Context,
): Promise<{ readonly found: readonly Wanted[]; readonly missing: string | undefined }> {
  const cluster = await identifyCluster(context)
  const found: Wanted[] = []
  for (const name of context.config.parameters) {
    const matches = await findEverywhere(context, name, cluster)
    if (matches.length === 0) return { found, missing: name }
    assertOneContent(name, matches)
    found.push({ name, matches })
  }
  return { found, missing: undefined }
}

/** Whoever takes a segment from the spool trusts it: it is whole under its name, after a power cut too. */
async function fetchAll(context: Context, spool: Spool, wanted: readonly Wanted[]): Promise<void> {
  const pending = wanted.values()
  let failed = false
  const lane = async (): Promise<void> => {
    for (const { name, matches } of pending) {
      if (context.signal.aborted) return
      const path = join(spool.path, name)
      try {
        const temp = `${path}${TEMP_SUFFIX}`
        await deliver(context, { name, path, temp, durability: 'synced', matches })
        context.log.detail(`found ${name} in the archive`)
      } catch (error) {
        failed = true
        context.log.warn(
          `could not get ${name} from the archive (will be retried): ${asAppError(error).text}`,
        )
        await writeError(spool, name, error)
      }
      if (failed) return
    }
  }
  const lanes = Math.min(context.config.integer('process-max'), wanted.length)
  await Promise.all(Array.from({ length: lanes }, lane))
  context.signal.throwIfAborted()
}
