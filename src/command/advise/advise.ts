/** advise: which kind of backup suits which database, from what was measured of it. Reads only. */
import { asAppError, isErrorKind } from '../../base/error.ts'
import { toOneLine } from '../../base/text.ts'
import { formatDuration, formatSize, SECOND_MS } from '../../base/units.ts'
import type { DumpProof } from '../../format/dump-proof.ts'
import { integerColumn, textColumn } from '../../postgres/row.ts'
import { loadDumpProofs } from '../../repo/dump-proofs.ts'
import { listDumpSets, loadDumpManifest, openDumps } from '../../repo/dump-sets.ts'
import { loadBackupInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { addressOf, connectClients, firstDatabase } from '../client-server.ts'
import { type Context, stanzaOf } from '../command.ts'
import { advise as decide, type Advice, type Measures, type Timed, type Wishes } from './decide.ts'
import { type DumpedSize, growthBytesPerDay } from './growth.ts'

/** The newest sets tell enough. */
const SETS_MAX = 20

export async function advise(context: Context): Promise<number> {
  const { config, print } = context
  const wishes: Wishes = {
    rpoMs: config.has('rpo') ? config.timeMs('rpo') : undefined,
    rtoMs: config.has('rto') ? config.timeMs('rto') : undefined,
  }
  const known = await readRepos(context)
  const databases = (await listSizes(context)).map(({ name, sizeBytes }) => {
    const measures = measuresOf(name, sizeBytes, known)
    return { measures, advice: decide(measures, wishes) }
  })
  if (config.text('output') === 'json') {
    const rows = databases.map(({ measures, advice }) => ({ ...measures, ...advice }))
    print(`${JSON.stringify({ stanza: stanzaOf(context), databases: rows })}\n`)
    return 0
  }
  for (const { measures, advice } of databases) print(adviceText(measures, advice))
  return 0
}

interface Size {
  readonly name: string
  readonly sizeBytes: number
}

async function listSizes(context: Context): Promise<readonly Size[]> {
  const server = await connectClients(context, addressOf(context))
  await using session = await server.open(firstDatabase(context.config))
  const rows = await session.rows(
    `select datname::text as name,
       case when has_database_privilege(oid, 'connect') or pg_has_role('pg_read_all_stats', 'usage')
         then pg_catalog.pg_database_size(oid)::text end as size
     from pg_catalog.pg_database where not datistemplate order by datname`,
  )
  const hidden = rows.filter(({ size }) => size === null).map((row) => textColumn(row, 'name'))
  if (hidden.length > 0) {
    context.log.warn(
      `no advice on ${hidden.map((name) => `'${toOneLine(name)}'`).join(', ')}: this user may not ask for the size\n` +
        'HINT: grant it connect there, or pg_read_all_stats.',
    )
  }
  return rows
    .filter(({ size }) => size !== null)
    .map((row) => ({ name: textColumn(row, 'name'), sizeBytes: integerColumn(row, 'size') }))
}

interface Known {
  /** Oldest first. */
  readonly dumps: readonly (DumpedSize & { readonly label: string; readonly dumpMs: number })[]
  readonly proofs: readonly DumpProof[]
  readonly backup: Timed | undefined
}

/** Of the first repository that has any. One that cannot be read is a warning: advice is not worth failing for. */
async function readRepos(context: Context): Promise<Known> {
  for (const repo of openRepos(context.config, context.openStorage)) {
    try {
      const known = await readRepo(repo, stanzaOf(context))
      if (known.dumps.length > 0 || known.backup !== undefined) return known
    } catch (error) {
      context.signal.throwIfAborted()
      context.log.warn(`repo${repo.key}: ${asAppError(error).text}`)
    }
  }
  return { dumps: [], proofs: [], backup: undefined }
}

async function readRepo(repo: Repo, stanza: string): Promise<Known> {
  const sets = await listDumpSets(repo, stanza)
  const labels = sets.filter(({ state }) => state === 'whole').map(({ label }) => label)
  const backup = await newestFull(repo, stanza)
  if (labels.length === 0) return { dumps: [], proofs: [], backup }
  const place = await openDumps(repo, stanza)
  const dumps: Known['dumps'][number][] = []
  const proofs: DumpProof[] = []
  for (const label of labels.slice(-SETS_MAX)) {
    const { databases } = await loadDumpManifest(place, label)
    for (const { name, sizeBytes, dumpMs, snapshot } of databases) {
      dumps.push({ label, name, sizeBytes, dumpMs, atMs: snapshot.timeMs })
    }
    proofs.push(...(await loadDumpProofs(place, label)))
  }
  return { dumps, proofs, backup }
}

async function newestFull(repo: Repo, stanza: string): Promise<Timed | undefined> {
  try {
    const { backups } = await loadBackupInfo(repo, stanza)
    const newest = backups.findLast(({ kind }) => kind === 'full')
    if (newest === undefined) return undefined
    const { label, startS, stopS, sizeBytes } = newest
    return { label, durationMs: (stopS - startS) * SECOND_MS, sizeBytes }
  } catch (error) {
    if (isErrorKind(error, 'file-missing')) return undefined
    throw error
  }
}

function measuresOf(name: string, sizeBytes: number, { dumps, proofs, backup }: Known): Measures {
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
    dump: newest && {
      label: newest.label,
      durationMs: newest.dumpMs,
      sizeBytes: newest.sizeBytes,
    },
    restore: restore && {
      label: restore.label,
      durationMs: restore.dataMs + restore.finishMs,
      sizeBytes: restore.sizeBytes,
      proved: restore.verdict === 'proved' ? 'proved' : 'not proved',
    },
    backup,
  }
}

const FAULTY: ReadonlySet<string> = new Set(['differs', 'had errors'])

const USES = {
  dump: 'dumps',
  backup: 'backups and WAL',
  both: 'both, backups with WAL and dumps',
} as const

function adviceText(measures: Measures, { use, reasons }: Advice): string {
  const { name, sizeBytes, growthBytesPerDay: growth, dump, restore, backup } = measures
  const growthText =
    growth === undefined
      ? ''
      : `, ${growth < 0 ? '-' : '+'}${formatSize(Math.abs(growth))} a day by its dumps`
  return [
    `database '${name}': ${USES[use]}`,
    `  size     ${formatSize(sizeBytes)}${growthText}`,
    `  dump     ${timedText(dump)}`,
    `  restore  ${timedText(restore)}`,
    `  backup   ${timedText(backup)}${backup === undefined ? '' : ', of the whole cluster'}`,
    ...reasons.map((reason) => `  because  ${reason}`),
    '',
  ].join('\n')
}

function timedText(what: Timed | undefined): string {
  if (what === undefined) return 'none'
  return `${formatDuration(what.durationMs)} for ${formatSize(what.sizeBytes)} (${what.label})`
}
