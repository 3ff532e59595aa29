/** advise: which kind of backup suits which database, from what was measured of it. Reads only. */
import { toOneLine } from '../../base/text.ts'
import { formatDuration, formatSize } from '../../base/units.ts'
import { type Context, stanzaOf } from '../command.ts'
import { advise as decide, type Advice, type Measures, type Stored, type Timed } from './decide.ts'
import { growthBytesPerDay } from './growth.ts'
import { type Known, readRepos } from './known.ts'
import type { Rate } from './rate.ts'
import { type DatabaseFigures, readServer, type ServerFigures } from './server-figures.ts'

export async function advise(context: Context): Promise<number> {
  const { config, print } = context
  const wishes = {
    rpoMs: config.has('rpo') ? config.timeMs('rpo') : undefined,
    rtoMs: config.has('rto') ? config.timeMs('rto') : undefined,
  }
  const known = await readRepos(context)
  const server = await readServer(context)
  const databases = server.databases.map((figures) => {
    const measures = measuresOf(figures, server, known)
    return { measures, jobs: figures.jobs, advice: decide(measures, wishes) }
  })
  if (config.text('output') === 'json') {
    const rows = databases.map(({ measures, jobs, advice }) => ({
      ...measures,
      // Of the whole server, and told there.
      wal: undefined,
      jobs,
      ...advice,
    }))
    print(`${JSON.stringify({ stanza: stanzaOf(context), wal: server.wal, databases: rows })}\n`)
    return 0
  }
  for (const { measures, jobs, advice } of databases) print(adviceText(measures, jobs, advice))
  return 0
}

function measuresOf(
  { name, sizeBytes, changes }: DatabaseFigures,
  { wal }: ServerFigures,
  { dumps, proofs, backup, increment }: Known,
): Measures {
  const own = dumps.filter((dump) => dump.name === name)
  const newest = own.at(-1)
  // One that left something out has not done all the work.
  const restore = proofs.findLast(
    ({ database, extent, verdict }) =>
      database === name && extent === 'whole' && !FAULTY.has(verdict),
  )
  return {
    name,
    sizeBytes,
    growthBytesPerDay: growthBytesPerDay(own),
    changes,
    wal,
    dump: newest && {
      label: newest.label,
      durationMs: newest.dumpMs,
      sizeBytes: newest.sizeBytes,
      storedBytes: newest.storedBytes,
    },
    restore: restore && {
      label: restore.label,
      durationMs: restore.dataMs + restore.finishMs,
      sizeBytes: restore.sizeBytes,
      proved: restore.verdict === 'proved' ? 'proved' : 'not proved',
    },
    backup,
    increment,
  }
}

const FAULTY: ReadonlySet<string> = new Set(['differs', 'had errors'])

const USES = {
  dump: 'dumps',
  backup: 'backups and WAL',
  both: 'both, backups with WAL and dumps',
} as const

function adviceText(
  measures: Measures,
  { jobs, why }: DatabaseFigures['jobs'],
  { use, reasons }: Advice,
): string {
  const { name, sizeBytes, growthBytesPerDay: growth, restore, backup, increment } = measures
  const growthText =
    growth === undefined
      ? 'growth not measured: that takes dumps an hour apart'
      : `${growth < 0 ? '-' : '+'}${formatSize(Math.abs(growth))} a day by its dumps`
  return [
    `database '${toOneLine(name)}': ${USES[use]}`,
    `  size     ${formatSize(sizeBytes)}, ${growthText}`,
    `  changes  ${rateText(measures.changes, (rows) => `${rows} rows a day`)}`,
    `  WAL      ${rateText(measures.wal, (bytes) => `${formatSize(bytes)} a day of the whole server`)}`,
    `  dump     ${storedText(measures.dump)}`,
    `  jobs     ${jobs === undefined ? 'not known' : `${jobs} for a dump`}: ${why}`,
    `  restore  ${timedText(restore)}`,
    `  backup   ${storedText(backup)}${backup === undefined ? '' : ', of the whole server'}`,
    ...(increment === undefined ? [] : [`           ${storedText(increment)}`]),
    ...reasons.map((reason) => `  because  ${reason}`),
    '',
  ].join('\n')
}

function rateText(rate: Rate, text: (perDay: number) => string): string {
  if (rate.state === 'not measured') return `not measured: ${rate.why}`
  return `${text(rate.perDay)} by ${rate.source}`
}

function storedText(what: Stored | undefined): string {
  return what === undefined ? 'none' : `${timedText(what)}, ${formatSize(what.storedBytes)} kept`
}

function timedText(what: Timed | undefined): string {
  if (what === undefined) return 'none'
  return `${formatDuration(what.durationMs)} for ${formatSize(what.sizeBytes)} (${what.label})`
}
