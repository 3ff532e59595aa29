/** What tools restore of one backup, one after the other to the same place: compared as trees, or started. */
import { existsSync } from 'node:fs'
import { readFile, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCluster } from '../harness/cluster.ts'
import { runAs } from '../harness/run.ts'
import { compareTrees } from '../harness/tree.ts'
import type { SharedRepository, Tool } from './shared-stanza.ts'

/** Restores one backup into `data` and `tablespaces` of a folder, its path. The restored cluster does not archive. */
async function restore(
  repository: SharedRepository,
  tool: Tool,
  label: string,
  argv: readonly string[] = [],
): Promise<string> {
  const place = placeOf(repository)
  await runAs(['mkdir', '-m', '700', place, `${place}/data`])
  await restoreInto(repository, tool, [`--set=${label}`, ...argv])
  return place
}

function placeOf(repository: SharedRepository): string {
  return join(repository.folder, 'restored')
}

async function restoreInto(
  repository: SharedRepository,
  tool: Tool,
  argv: readonly string[],
): Promise<void> {
  const place = placeOf(repository)
  await repository.run(tool, [
    ...argv,
    `--pg1-path=${place}/data`,
    `--tablespace-map-all=${place}/tablespaces`,
    '--archive-mode=off',
    'restore',
  ])
}

/**
 * Differences of what `others` restore from what `first` restores, both with the options `argv`, as lines: content, modes, owners, link targets and
 * the files' modification times.
 */
export async function restoreDifferences(
  repository: SharedRepository,
  label: string,
  [first, ...others]: readonly [Tool, ...Tool[]],
  argv: readonly string[] = [],
): Promise<readonly string[]> {
  const expected = await restoreAside(repository, first, label, argv)
  const differences: string[] = []
  for (const other of others) {
    const found = await restoreAside(repository, other, label, argv)
    // pgBackRest before 2.51 leaves the checkpoint in pg_control as it was.
    const ignore = [first, other].includes('2.45') ? [/^data\/global\/pg_control$/] : []
    const lines = await compareTrees(expected, found, { ignore, modifiedTimes: 'compare' })
    differences.push(...lines.map((line) => `${first}, ${other}: ${line}`))
    await rm(found, { recursive: true })
  }
  await rm(expected, { recursive: true })
  return differences
}

/**
 * Differences, as above, between backup `label` restored afresh by one tool, and by another one over what it has restored of
 * another backup.
 */
export async function deltaDifferences(
  repository: SharedRepository,
  label: string,
  { over, fresh, delta }: { readonly over: string; readonly fresh: Tool; readonly delta: Tool },
): Promise<readonly string[]> {
  const expected = await restoreAside(repository, fresh, label)
  const found = await restore(repository, delta, over)
  await restoreInto(repository, delta, [`--set=${label}`, '--delta'])
  await maskRun(`${found}/data`)
  const differences = await compareTrees(expected, found, { ignore: [], modifiedTimes: 'compare' })
  await rm(expected, { recursive: true })
  await rm(found, { recursive: true })
  return differences
}

/**
 * Differences, as above, of what both make of the same directory: restored afresh with `links`, then changed by a shell script
 * that runs in it. One list for each of `ways`, the options with which it is restored over.
 */
export async function overDifferences(
  repository: SharedRepository,
  label: string,
  options: {
    readonly links: readonly string[]
    readonly change: string
    readonly ways: readonly (readonly string[])[]
  },
): Promise<readonly (readonly string[])[]> {
  const place = await restore(repository, '2.60', label, options.links)
  await runAs(['sh', '-ec', options.change], { cwd: `${place}/data` })
  const changed = `${place}-changed`
  await rename(place, changed)
  const differences: (readonly string[])[] = []
  for (const way of options.ways) {
    for (const tool of ['2.60', 'pgsurety'] as const) {
      await runAs(['cp', '-a', changed, place])
      await restoreInto(repository, tool, [`--set=${label}`, ...options.links, ...way])
      await rename(place, `${place}-by-${tool}`)
      await maskRun(`${place}-by-${tool}/data`)
    }
    const [theirs, ours] = [`${place}-by-2.60`, `${place}-by-pgsurety`]
    differences.push(await compareTrees(theirs, ours, { ignore: [], modifiedTimes: 'compare' }))
    await rm(theirs, { recursive: true })
    await rm(ours, { recursive: true })
  }
  await rm(changed, { recursive: true })
  return differences
}

/** Makes room for the next restore. */
async function restoreAside(
  repository: SharedRepository,
  tool: Tool,
  label: string,
  argv: readonly string[] = [],
): Promise<string> {
  const place = await restore(repository, tool, label, argv)
  const aside = `${place}-by-${tool}`
  await rename(place, aside)
  await maskRun(`${aside}/data`)
  return aside
}

/** Makes equal what no two restores have in common: their time, and the program to get WAL with. */
async function maskRun(dataDir: string): Promise<void> {
  const path = `${dataDir}/postgresql.auto.conf`
  const text = await readFile(path, 'latin1')
  const masked = text
    // Ours goes on after that, to stop a recovery that pgBackRest would let end.
    .replaceAll(/^restore_command = '.* archive-get %f "%p"[^']*'$/gm, 'restore_command')
    .replaceAll(/^(#.* on )\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/gm, '$1then')
  await writeFile(path, masked, 'latin1')
  for (const name of ['postgresql.auto.conf', 'recovery.signal', 'standby.signal']) {
    if (existsSync(`${dataDir}/${name}`)) await utimes(`${dataDir}/${name}`, 0, 0)
  }
}

/** What a query gives in the cluster that `tool` restores, after it has recovered to the end of the WAL. */
export async function answerAfterRecovery(
  repository: SharedRepository,
  backup: { readonly tool: Tool; readonly label: string },
  sql: string,
): Promise<string> {
  const place = await restore(repository, backup.tool, backup.label)
  const { version } = repository.cluster
  await using cluster = await openCluster({ version, dataDir: `${place}/data` })
  await cluster.start()
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await cluster.psql('select pg_is_in_recovery()')) === 'f') break
    await sleep(50)
  }
  const answer = await cluster.psql(`select pg_is_in_recovery(); ${sql}`)
  await cluster.stop()
  await rm(place, { recursive: true })
  return answer
}
