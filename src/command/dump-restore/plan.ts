/** What a dump-restore will do, from reading only: which archives, which entries of them, under which name, and what is against it. */
import { AppError } from '../../base/error.ts'
import { type ArchiveHead, readArchiveHead } from '../../format/archive-toc.ts'
import type { DumpArchive, DumpedDatabase } from '../../format/dump-manifest.ts'
import { readDumpObject } from '../../repo/dump-sets.ts'
import { type Jobs, jobsForRestore, jobsOr } from '../jobs.ts'
import type { Deviations } from './database-sql.ts'
import type { DumpSet } from './dump-set.ts'
import { needsOf } from './needs.ts'
import type { Target } from './open-target.ts'
import { deviationsFor, findings } from './preflight.ts'
import type { Request } from './request.ts'
import { dataList, runLists, type RunLists, type Selection, selectEntries } from './selection.ts'
import type { Finding, Situation } from './situation.ts'
import { freeBytesAt, tryLocale, trySettings } from './target.ts'

export interface ArchivePlan {
  readonly archive: DumpArchive
  readonly head: Pick<ArchiveHead, 'sizeBytes'>
  readonly lists: RunLists
}

export interface DatabasePlan {
  readonly source: DumpedDatabase
  /** The name it will have. */
  readonly name: string
  readonly replaces: boolean
  readonly selection: Selection
  /** The archive that holds the schema, and all data when there is no other. */
  readonly schema: ArchivePlan
  readonly data: readonly ArchivePlan[]
  readonly deviations: Deviations
  /** Of objects, not of the database: one that is not there makes pg_restore use none. */
  readonly tablespaces: 'kept' | 'left-out'
  readonly findings: readonly Finding[]
  readonly jobs: Jobs
}

export interface PlanInput {
  readonly request: Request
  readonly set: DumpSet
  readonly target: Target
  readonly rolesToCome: ReadonlySet<string>
  /** Of this machine. */
  readonly processors: number
}

export async function planDatabase(
  { request, set, target, rolesToCome, processors }: PlanInput,
  source: DumpedDatabase,
): Promise<DatabasePlan> {
  const { schemaArchive, dataArchives } = archivesOf(source)
  const head = await headOf(set, schemaArchive)
  const selection = selectEntries(head.entries, request.asked)
  const needs = needsOf(head.entries.filter(({ dumpId }) => selection.ids.has(dumpId)))
  const name = request.toName ?? source.name
  const wish = {
    name,
    replace: request.replace,
    owners: request.owners,
    privileges: request.privileges,
    role: request.role,
    rolesToCome,
  }
  const { server } = target
  const situation: Situation = {
    source,
    sourceMajor: Number.parseInt(set.manifest.server.version, 10),
    clients: { dump: set.manifest.clientVersion, restore: target.programs.version },
    needs,
    selection,
    target: server,
    locale: await tryLocale(target.session, source.definition),
    refusedSettings: await trySettings(target.session, source.definition, server),
    freeBytes: await freeBytesAt(server.dataDirectory, target.client.address.env['PGHOST']),
  }
  const schema = { archive: schemaArchive, head, lists: runLists(head.entries, selection) }
  const data = await Promise.all(
    dataArchives.map(async (archive) => await planData(set, archive, selection)),
  )
  return {
    source,
    name,
    replaces: request.replace !== undefined,
    selection,
    schema,
    data,
    deviations: deviationsFor(wish, situation),
    tablespaces: [...needs.tablespaces].every((tablespace) => server.tablespaces.has(tablespace))
      ? 'kept'
      : 'left-out',
    findings: findings(wish, situation),
    jobs: jobsOr(request.jobs, () =>
      jobsForRestore(processors, {
        sizeBytes: source.archives.reduce((sum, one) => sum + one.contentSizeBytes, 0),
        archives: source.archives.length,
        afterwards: schema.lists.finish.length,
      }),
    ),
  }
}

function archivesOf({ archives }: DumpedDatabase): {
  readonly schemaArchive: DumpArchive
  readonly dataArchives: readonly DumpArchive[]
} {
  const [schemaArchive, ...more] = archives.filter(({ part }) => part !== 'data')
  if (schemaArchive === undefined || more.length > 0) {
    throw new AppError('format', 'a database of the dump set has not one archive with its schema')
  }
  return { schemaArchive, dataArchives: archives.filter(({ part }) => part === 'data') }
}

async function planData(
  set: DumpSet,
  archive: DumpArchive,
  selection: Selection,
): Promise<ArchivePlan> {
  const head = await headOf(set, archive)
  const data = dataList(head.entries, selection)
  return { archive, head, lists: { schema: [], data, finish: [], last: [] } }
}

async function headOf({ place, manifest }: DumpSet, archive: DumpArchive): Promise<ArchiveHead> {
  return await readArchiveHead(readDumpObject(place, manifest, archive))
}
