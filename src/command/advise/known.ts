/** What the repository knows of a stanza's dumps, their restores and its backups. */
import { asAppError, isErrorKind } from '../../base/error.ts'
import { SECOND_MS } from '../../base/units.ts'
import type { BackupEntry } from '../../format/backup-info.ts'
import type { DumpProof } from '../../format/dump-proof.ts'
import { loadDumpProofs } from '../../repo/dump-proofs.ts'
import { listDumpSets, loadDumpManifest, openDumps } from '../../repo/dump-sets.ts'
import { loadBackupInfo, openRepos, type Repo } from '../../repo/repo.ts'
import { type Context, stanzaOf } from '../command.ts'
import { storedBytes } from '../info/dumps-report.ts'
import type { Stored } from './decide.ts'
import type { DumpedSize } from './growth.ts'

/** The newest sets tell enough. */
const SETS_MAX = 20

export interface Known {
  /** Oldest first. */
  readonly dumps: readonly KnownDump[]
  readonly proofs: readonly DumpProof[]
  /** The newest full one. */
  readonly backup: Stored | undefined
  /** The newest that builds on another. */
  readonly increment: Stored | undefined
}

interface KnownDump extends DumpedSize {
  readonly label: string
  readonly dumpMs: number
  readonly storedBytes: number
}

/** Of the first repository that has any. One that cannot be read is a warning: advice is not worth failing for. */
export async function readRepos(context: Context): Promise<Known> {
  for (const repo of openRepos(context.config, context.openStorage)) {
    try {
      const known = await readRepo(repo, stanzaOf(context))
      if (known.dumps.length > 0 || known.backup !== undefined) return known
    } catch (error) {
      context.signal.throwIfAborted()
      context.log.warn(`repo${repo.key}: ${asAppError(error).text}`)
    }
  }
  return { dumps: [], proofs: [], backup: undefined, increment: undefined }
}

async function readRepo(repo: Repo, stanza: string): Promise<Known> {
  const sets = await listDumpSets(repo, stanza)
  const labels = sets.filter(({ state }) => state === 'whole').map(({ label }) => label)
  const backups = await newestBackups(repo, stanza)
  if (labels.length === 0) return { dumps: [], proofs: [], ...backups }
  const place = await openDumps(repo, stanza)
  const dumps: KnownDump[] = []
  const proofs: DumpProof[] = []
  for (const label of labels.slice(-SETS_MAX)) {
    const { databases } = await loadDumpManifest(place, label)
    for (const database of databases) {
      const { name, sizeBytes, dumpMs, snapshot } = database
      const stored = storedBytes(database)
      dumps.push({ label, name, sizeBytes, dumpMs, storedBytes: stored, atMs: snapshot.timeMs })
    }
    proofs.push(...(await loadDumpProofs(place, label)))
  }
  return { dumps, proofs, ...backups }
}

async function newestBackups(
  repo: Repo,
  stanza: string,
): Promise<Pick<Known, 'backup' | 'increment'>> {
  try {
    const { backups } = await loadBackupInfo(repo, stanza)
    return {
      backup: storedOf(backups.findLast(({ kind }) => kind === 'full')),
      increment: storedOf(backups.findLast(({ kind }) => kind !== 'full')),
    }
  } catch (error) {
    if (isErrorKind(error, 'file-missing')) return { backup: undefined, increment: undefined }
    throw error
  }
}

function storedOf(entry: BackupEntry | undefined): Stored | undefined {
  if (entry === undefined) return undefined
  const { label, startS, stopS, sizeBytes, repoSizeDeltaBytes } = entry
  return {
    label,
    durationMs: (stopS - startS) * SECOND_MS,
    sizeBytes,
    storedBytes: repoSizeDeltaBytes,
  }
}
