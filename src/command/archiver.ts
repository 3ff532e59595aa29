/** Why a WAL segment does not arrive: what the server knows about its archiver, put into sentences. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { asAppError, errnoOf } from '../base/error.ts'
import type { PgConnection } from '../postgres/connection.ts'
import { integerColumn, textColumn } from '../postgres/row.ts'

export interface ArchiverFacts {
  readonly archiveCommand: string
  /** Empty: archive_command is used. */
  readonly archiveLibrary: string
  /** Since the statistics were reset, as pg_stat_archiver counts. */
  readonly archivedCount: number
  readonly failedCount: number
  /** Empty when there is none. */
  readonly lastArchived: string
  readonly lastFailed: string
  /** The last failure is later than the last success. */
  readonly isFailing: boolean
  /** Segments with a `.ready` file; undefined when that cannot be told. */
  readonly waitingCount: number | undefined
}

/** Hints for an error about `segment`. Never throws: a diagnosis must not hide the error it explains. */
export async function diagnoseArchiving(
  connection: PgConnection,
  dataDir: string,
  segment: string,
): Promise<readonly string[]> {
  try {
    return explainArchiving(await readArchiverFacts(connection, dataDir), segment)
  } catch (error) {
    return [`what the server knows cannot be told: ${asAppError(error).message}`]
  }
}

async function readArchiverFacts(
  connection: PgConnection,
  dataDir: string,
): Promise<ArchiverFacts> {
  const [row] = await connection.rows(
    `select archived_count::text, coalesce(last_archived_wal, '') as last_archived_wal,
            failed_count::text, coalesce(last_failed_wal, '') as last_failed_wal,
            coalesce(last_failed_time >= coalesce(last_archived_time, '-infinity'), false)::text as failing
       from pg_stat_archiver`,
  )
  return {
    archiveCommand: connection.archiveCommand,
    archiveLibrary: connection.archiveLibrary,
    archivedCount: integerColumn(row, 'archived_count'),
    failedCount: integerColumn(row, 'failed_count'),
    lastArchived: textColumn(row, 'last_archived_wal'),
    lastFailed: textColumn(row, 'last_failed_wal'),
    isFailing: textColumn(row, 'failing') === 'true',
    waitingCount: await countReady(dataDir),
  }
}

async function countReady(dataDir: string): Promise<number | undefined> {
  try {
    const names = await readdir(join(dataDir, 'pg_wal', 'archive_status'))
    return names.filter((name) => name.endsWith('.ready')).length
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return undefined
  }
}

/** The likeliest cause first, then the facts it follows from. */
export function explainArchiving(facts: ArchiverFacts, segment: string): readonly string[] {
  const { archiveCommand, archiveLibrary, archivedCount, failedCount, waitingCount } = facts
  return [
    likelyCause(facts, segment),
    `pg_stat_archiver: ${archivedCount} WAL segment(s) archived${last(facts.lastArchived)}, ${failedCount} failure(s)${last(facts.lastFailed)}.`,
    ...(waitingCount === undefined
      ? []
      : [`${waitingCount} WAL segment(s) wait in pg_wal/archive_status (.ready).`]),
    archiveLibrary === ''
      ? `archive_command is '${archiveCommand}'.`
      : `archive_library is '${archiveLibrary}'.`,
  ]
}

function likelyCause(facts: ArchiverFacts, segment: string): string {
  if (facts.archiveLibrary !== '') {
    return 'archive_library is set: PostgreSQL does not use archive_command.'
  }
  if (facts.isFailing) {
    return (
      'archive_command fails: the PostgreSQL server log has its error. ' +
      'Are its options correct, above all --stanza? Is there a stop file?'
    )
  }
  // History and backup files are archived too; only a segment tells how far the archiver has come.
  if (/^[0-9A-F]{24}$/.test(facts.lastArchived) && facts.lastArchived >= segment) {
    return (
      `archive_command succeeded for WAL segment ${facts.lastArchived}: ` +
      'does it push to another stanza or repository than this one?'
    )
  }
  return (
    'archive_command has not ended, with or without success, for this segment: ' +
    'is it slow or waiting, or did the archiver process end (see the PostgreSQL server log)?'
  )
}

function last(segment: string): string {
  return segment === '' ? '' : `, last ${segment}`
}
