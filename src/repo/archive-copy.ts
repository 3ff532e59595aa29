/** Comparing the archives of two repositories, and copying from one to the other what the other lacks. */
import { createHash } from 'node:crypto'
import { AppError } from '../base/error.ts'
import type { ArchiveHistory } from '../format/archive-info.ts'
import { archivePrefix } from '../format/repo-path.ts'
import { archiveId, parseArchivedSegment, parseArchiveId } from '../format/wal.ts'
import { decryptor, encryptor } from '../pipe/cipher.ts'
import { decompressor } from '../pipe/compress.ts'
import { type ByteSource, through } from '../pipe/pipe.ts'
import type { NameEntry } from '../storage/storage.ts'
import type { ArchivedFile, ArchivePlace } from './archive.ts'

/** Where a stanza's WAL lies in a repository, with that of earlier major versions. */
export interface ArchiveWithHistory extends ArchivePlace {
  readonly history: readonly ArchiveHistory[]
}

/** The archives of one cluster in two repositories. */
export interface ArchivePair {
  readonly holder: ArchivePlace
  readonly lacking: ArchivePlace
  /** Nothing before this file is missing. */
  readonly from: string
}

/**
 * What to compare when `lacking` misses WAL since a file of one archive: that archive, and all that a stanza-upgrade has begun
 * since. A cluster that `lacking` never had is left out.
 */
export function archivesSince(
  since: { readonly archiveId: string; readonly from: string },
  holder: ArchiveWithHistory,
  lacking: ArchiveWithHistory,
): readonly ArchivePair[] {
  const firstId = parseArchiveId(since.archiveId)?.historyId ?? 0
  return holder.history
    .filter(({ id }) => id >= firstId)
    .flatMap((row) => {
      const same = lacking.history.filter(
        ({ version, systemId }) => version === row.version && systemId === row.systemId,
      )
      const there = same.find(({ id }) => id === row.id) ?? same.at(-1)
      if (there === undefined) return []
      return [
        {
          holder: { ...holder, archiveId: archiveId(row.version, row.id) },
          lacking: { ...lacking, archiveId: archiveId(there.version, there.id) },
          from: row.id === firstId ? since.from : '',
        },
      ]
    })
}

/**
 * The files of `holder` from the one called `from` on that `lacking` has not got, segments in order; with no `lacking`, all.
 * Segments are the same when they are called the same, however they are compressed.
 */
export async function* missingFiles(
  holder: ArchivePlace,
  lacking: ArchivePlace | undefined,
  from: string,
): AsyncGenerator<ArchivedFile, void, undefined> {
  const root = await holder.storage.names(prefixOf(holder))
  yield* missingIn({ holder, lacking, from: '' }, '', root.filter(isHistory))
  for (const { kind, name } of root) {
    if (kind !== 'prefix' || !/^[0-9A-F]{16}$/.test(name) || name < from.slice(0, 16)) continue
    const entries = await holder.storage.names(`${prefixOf(holder)}/${name}`)
    yield* missingIn({ holder, lacking, from }, `/${name}`, entries)
  }
}

function isHistory({ kind, name }: NameEntry): boolean {
  return kind === 'object' && name.endsWith('.history')
}

interface Comparison {
  readonly holder: ArchivePlace
  readonly lacking: ArchivePlace | undefined
  readonly from: string
}

async function* missingIn(
  { holder, lacking, from }: Comparison,
  folder: string,
  entries: readonly NameEntry[],
): AsyncGenerator<ArchivedFile, void, undefined> {
  const objects = entries.filter(({ kind, name }) => kind === 'object' && name >= from)
  if (objects.length === 0) return
  const there =
    lacking === undefined ? [] : await lacking.storage.names(`${prefixOf(lacking)}${folder}`)
  const known = new Set(there.map(({ name }) => identityOf(name)))
  for (const { name } of objects) {
    if (known.has(identityOf(name))) continue
    const segment = parseArchivedSegment(name)
    yield {
      key: `${prefixOf(holder)}${folder}/${name}`,
      checksum: segment?.checksum,
      compressType: segment?.compressType ?? 'none',
    }
  }
}

/** A stored segment without its checksum and compression. */
function identityOf(name: string): string {
  const segment = parseArchivedSegment(name)
  return segment === undefined ? name : `${segment.segment}${segment.partial ? '.partial' : ''}`
}

function prefixOf(place: ArchivePlace): string {
  return archivePrefix(place.stanza, place.archiveId)
}

/**
 * Copies one file of `from` to its place in `to`, encrypted as `to` is; durable when resolved. A segment is compared with
 * the checksum in its name before, so that damage does not spread: `checksum`.
 */
export async function copyArchived(
  from: ArchivePlace,
  to: ArchivePlace,
  file: ArchivedFile,
): Promise<void> {
  const stored = await readAndProve(from, file)
  const filters = to.cipherPass === undefined ? [] : [encryptor(to.cipherPass, 'normal')]
  const key = `${prefixOf(to)}${file.key.slice(prefixOf(from).length)}`
  await to.storage.put(key, through(unchanged(from, file, stored), ...filters))
}

/** SHA-1 of the stored bytes, decrypted but still compressed. */
async function readAndProve(from: ArchivePlace, file: ArchivedFile): Promise<string> {
  const stored = createHash('sha1')
  const content = createHash('sha1')
  const seen = async function* (): ByteSource {
    for await (const chunk of decrypted(from, file)) {
      stored.update(chunk)
      yield chunk
    }
  }
  const filters = file.compressType === 'none' ? [] : [decompressor(file.compressType, 'normal')]
  for await (const chunk of through(seen(), ...filters)) content.update(chunk)
  const found = content.digest('hex')
  if (file.checksum !== undefined && file.checksum !== found) {
    throw new AppError(
      'checksum',
      `WAL segment '${from.storage.location}/${file.key}' has checksum '${found}' but its name says '${file.checksum}'`,
    )
  }
  return stored.digest('hex')
}

/** The stored bytes once more; fails before their end when they are not those that were proved. */
async function* unchanged(from: ArchivePlace, file: ArchivedFile, sha1: string): ByteSource {
  const hash = createHash('sha1')
  for await (const chunk of decrypted(from, file)) {
    hash.update(chunk)
    yield chunk
  }
  if (hash.digest('hex') !== sha1) {
    throw new AppError(
      'file-read',
      `'${from.storage.location}/${file.key}' changed while it was read`,
    )
  }
}

function decrypted({ storage, cipherPass }: ArchivePlace, { key }: ArchivedFile): ByteSource {
  return through(
    storage.get(key),
    ...(cipherPass === undefined ? [] : [decryptor(cipherPass, 'normal')]),
  )
}
