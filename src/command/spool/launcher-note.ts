/**
 * A note that lets the launcher answer PostgreSQL from the spool without starting Node (`bin/pgsurety`, which must agree).
 *
 * It holds what a full run found out: that these arguments, in this directory, with these configuration files, mean this
 * spool and this lock path, and that success has nothing to print. The launcher trusts it only while every file and
 * directory named is older than the note, and none has appeared that was absent. The note is dated before the
 * configuration was read, so a change during the run outdates it as well. Anything unusual leaves no note, which costs
 * time and nothing else.
 */
import { realpathSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Context } from '../command.ts'
import { type Spool, TEMP_SUFFIX } from './spool.ts'

/** First line of a note: another version of the launcher does not understand it. */
const HEAD = 'pgsurety-note-1'
/** Time stamps of files lag behind the clock by some milliseconds. */
const DATED_BACK_MS = 100

/** Writes the note for the command that has just succeeded, or none; `facts` are for the launcher. Never throws: without a note all works as before. */
export function leaveNote(context: Context, spool: Spool, facts: readonly string[] = []): void {
  const path = join(dirname(spool.path), `${context.config.command}.note`)
  const temp = `${path}${TEMP_SUFFIX}`
  try {
    const lines = noteLines(context, facts)
    if (lines === undefined) {
      rmSync(path, { force: true })
      return
    }
    writeFileSync(temp, `${lines.join('\n')}\n`, { mode: 0o640 })
    const startedS = (context.clock.nowMs() - DATED_BACK_MS) / 1000 - process.uptime()
    utimesSync(temp, startedS, startedS)
    renameSync(temp, path)
  } catch {
    // The spool may be gone, the disk full: the next run tries again.
  }
}

/** Undefined when a later run could have something to say or might be meant differently. */
function noteLines(
  { config, argv, env }: Context,
  facts: readonly string[],
): readonly string[] | undefined {
  const options = argv.slice(0, argv.length - config.parameters.length)
  const speaks = ['log-level-console', 'log-level-stderr'] as const
  const isQuiet = speaks.every((name) => ['off', 'error', 'warn'].includes(config.text(name)))
  const isConfiguredElsewhere = Object.keys(env).some(
    (name) => /^(?:PGBACKREST|PGSURETY)_/.test(name) && name !== 'PGSURETY_NODE',
  )
  if (!isQuiet || isConfiguredElsewhere || config.warnings.length > 0) return undefined
  const { present, absent } = config.consulted()
  const lines = [
    HEAD,
    `${options.length}`,
    options.join(' '),
    process.cwd(),
    config.text('lock-path'),
    ...facts,
    ...withFoldersAbove(present).map((path) => `= ${path}`),
    ...absent.map((path) => `- ${path}`),
    'end',
  ]
  // The shell compares and opens these as they are.
  const plain = [...options, ...lines.slice(3)].every((text) =>
    /^(?:[=-] |\d+ )?[\x21-\x7e]+$/.test(text),
  )
  return plain ? lines : undefined
}

/** A file may be replaced by renaming any folder above it, or above what a link leads to. */
function withFoldersAbove(paths: readonly string[]): readonly string[] {
  const all = new Set<string>()
  for (const path of paths.flatMap((one) => [one, realpathSync(one)])) {
    for (let at = path; ; at = dirname(at)) {
      all.add(at)
      if (dirname(at) === at) break
    }
  }
  return [...all]
}
