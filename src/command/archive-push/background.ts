/** archive-push:async: pushes what is ready, several files at once, and leaves an answer for each in the spool. */
import { asAppError } from '../../base/error.ts'
import { MIB, SECOND_MS } from '../../base/units.ts'
import { assertNotStopped } from '../../repo/stop-file.ts'
import { type Context, stanzaOf } from '../command.ts'
import { openSpool, type Spool, writeError, writeGlobalError, writeOk } from '../spool/spool.ts'
import { lockStanza } from '../stanza-lock.ts'
import { noteDropped, publishDrops } from './drops.ts'
import { catchUp } from './missing.ts'
import { openLoad, openTargets, pushFile } from './push-file.ts'
import { isOverflow, listReady, overflowText, sizeOfFirst } from './ready.ts'

/** How long to copy what repositories lack before looking for new WAL again. */
const CATCH_UP_MS = 2 * SECOND_MS
/** Segments under way at once, together: each is held in memory until it is stored. */
const HELD_BYTES_MAX = 128 * MIB

/**
 * Works until nothing new is ready, a round has failed, or `archive-push-batch-size` has been pushed; PostgreSQL's next call then
 * starts a new run. Only the holder of the stanza's archive lock works; `lock-acquire` when that is somebody else.
 */
export async function pushReady(context: Context): Promise<number> {
  const { config } = context
  const [walDir = ''] = config.parameters
  const spool = openSpool(context, 'out')
  await using _lock = await lockStanza(context, ['archive'], config.indexes('repo'))
  try {
    await spool.create()
    let pushedBytes = 0
    for (;;) {
      const round = await openRound(context, spool, walDir)
      if (round.names.length === 0) {
        if ((await settle(context)) === 'done') return 0
        continue
      }
      if (round.isOverflow) return await drop(context, spool, round.names)
      const rest = config.bytes('archive-push-batch-size') - pushedBytes
      const count = Math.floor(rest / Math.max(1, round.segmentBytes))
      if (count < 1 && pushedBytes > 0) return 0
      const batch = { ...round, names: round.names.slice(0, Math.max(1, count)) }
      if ((await pushRound(context, spool, batch)) === 'failed') return 0
      pushedBytes += batch.names.length * batch.segmentBytes
    }
  } catch (error) {
    await writeGlobalError(context, spool, error)
    throw error
  }
}

interface Round {
  readonly walDir: string
  /** What is ready and has no answer yet, ascending. */
  readonly names: readonly string[]
  readonly segmentBytes: number
  /** More is ready than `archive-push-queue-max` allows. */
  readonly isOverflow: boolean
}

/** Clears the spool of answers nobody will ask for any more, and looks what there is to do. */
async function openRound(context: Context, spool: Spool, walDir: string): Promise<Round> {
  const { config } = context
  assertNotStopped(config.text('lock-path'), stanzaOf(context))
  const ready = await listReady(walDir)
  const wanted = new Set(ready.map((name) => `${name}.ok`))
  const answers = await spool.list()
  for (const name of answers) if (!wanted.has(name)) await spool.remove(name)
  const answered = new Set(answers)
  const segmentBytes = sizeOfFirst(walDir, ready)
  return {
    walDir,
    names: ready.filter((name) => !answered.has(`${name}.ok`)),
    segmentBytes,
    isOverflow: isOverflow(context, ready, segmentBytes),
  }
}

/** What is left to do when nothing waits: for the repositories that could not be reached, and a while at a time. */
async function settle(context: Context): Promise<'done' | 'more'> {
  const targets = await openTargets(context)
  await publishDrops(context, targets)
  return await catchUp(context, targets, context.clock.nowMs() + CATCH_UP_MS)
}

/** All of the queue goes, so that the archive has one hole and not many. */
async function drop(context: Context, spool: Spool, names: readonly string[]): Promise<number> {
  await noteDropped(context, names)
  for (const name of names) {
    const warning = overflowText(context, name)
    context.log.warn(warning)
    await writeOk(spool, name, [warning])
  }
  return 0
}

/**
 * Several files at once. After the first failure no other is begun, unless there are several repositories: then the one that
 * works gets what is ready, although PostgreSQL keeps it until all have it.
 */
async function pushRound(
  context: Context,
  spool: Spool,
  { walDir, names, segmentBytes }: Round,
): Promise<'pushed' | 'failed'> {
  const { config, log } = context
  log.info(`push ${names.length} WAL file(s) to archive: ${names[0]}...${names.at(-1)}`)
  const targets = await openTargets(context)
  const pending = names.values()
  let outcome: 'pushed' | 'failed' = 'pushed'
  const lane = async (): Promise<void> => {
    for (const name of pending) {
      if (context.signal.aborted) return
      try {
        const load = await openLoad(context, { name, path: `${walDir}/${name}` }, names[0])
        await writeOk(spool, name, await pushFile(context, targets, load))
        log.detail(`pushed WAL file '${name}' to the archive`)
      } catch (error) {
        outcome = 'failed'
        log.warn(
          `could not push WAL file '${name}' to the archive (will be retried): ${asAppError(error).text}`,
        )
        await writeError(spool, name, error)
      }
      if (outcome === 'failed' && targets.length === 1) return
    }
  }
  const heldMax = Math.max(1, Math.floor(HELD_BYTES_MAX / Math.max(1, segmentBytes)))
  const lanes = Math.min(config.integer('process-max'), names.length, heldMax)
  await Promise.all(Array.from({ length: lanes }, lane))
  context.signal.throwIfAborted()
  return outcome
}
