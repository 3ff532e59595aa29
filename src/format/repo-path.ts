/** Keys of everything in a repository, relative to its root. Source: pgBackRest 2.60. */
import { type CompressType, extensionOf } from '../pipe/compress-type.ts'
import type { ManifestFile } from './manifest.ts'

export function archivePrefix(stanza: string, archiveId?: string): string {
  return archiveId === undefined ? `archive/${stanza}` : `archive/${stanza}/${archiveId}`
}

export function archiveInfoKey(stanza: string): string {
  return `${archivePrefix(stanza)}/archive.info`
}

export function backupPrefix(stanza: string, label?: string): string {
  return label === undefined ? `backup/${stanza}` : `backup/${stanza}/${label}`
}

export function backupInfoKey(stanza: string): string {
  return `${backupPrefix(stanza)}/backup.info`
}

export function manifestKey(stanza: string, label: string): string {
  return `${backupPrefix(stanza, label)}/backup.manifest`
}

/** Manifests that outlive their backups, by year. */
export function backupHistoryPrefix(stanza: string): string {
  return `${backupPrefix(stanza)}/backup.history`
}

/** A manifest kept after its backup has expired, always gz; filed by the year of the set's full backup. */
export function manifestHistoryKey(stanza: string, label: string): string {
  return `${backupHistoryPrefix(stanza)}/${label.slice(0, 4)}/${label}.manifest.gz`
}

/** The second copy of an info file or manifest. */
export function copyKeyOf(key: string): string {
  return `${key}.copy`
}

/** The link to the newest backup that people read and programs never do. */
export function latestKey(stanza: string): string {
  return `${backupPrefix(stanza)}/latest`
}

/** The object that holds a file's stored bytes. In a bundle they are a part of it, from `bundleOffsetBytes` on. */
export function fileKey(
  stanza: string,
  file: Pick<ManifestFile, 'name' | 'reference' | 'bundleId' | 'block'>,
  ownLabel: string,
  compressType: CompressType,
): string {
  const owner = backupPrefix(stanza, file.reference ?? ownLabel)
  if (file.bundleId !== undefined) return bundleKey(owner, file.bundleId)
  const hasMap = file.block !== undefined && file.block.mapSizeBytes > 0
  return hasMap ? blocksKey(owner, file.name) : `${owner}/${file.name}${extensionOf(compressType)}`
}

/** `owner` is the prefix of a backup. */
export function bundleKey(owner: string, bundleId: number): string {
  return `${owner}/bundle/${bundleId}`
}

/** A file that is stored by itself, in blocks. */
export function blocksKey(owner: string, name: string): string {
  return `${owner}/${name}.pgbi`
}

/** Everything of a stanza's dump sets, or of one. */
export function dumpPrefix(stanza: string, label?: string): string {
  return label === undefined ? `dump/${stanza}` : `dump/${stanza}/${label}`
}

export function dumpInfoKey(stanza: string): string {
  return `${dumpPrefix(stanza)}/dump.info`
}

/** Written last: a set without it does not exist. */
export function dumpManifestKey(stanza: string, label: string): string {
  return `${dumpPrefix(stanza, label)}/manifest.json`
}

/** There from the first moment of a set to its manifest, and again while it is removed. */
export function dumpMarkKey(stanza: string, label: string): string {
  return `${dumpPrefix(stanza, label)}/${DUMP_MARK_NAME}`
}

/** What people noted on a set: apart from the manifest, which stays as it was written. */
export function dumpNotesKey(stanza: string, label: string): string {
  return `${dumpPrefix(stanza, label)}/annotations.json`
}

export const DUMP_MARK_NAME = 'unfinished'

/** Begins the names of the records of restores of a set. */
export const DUMP_PROOF_PREFIX = 'proof-'

/** The record of one restore of a set. */
export function dumpProofKey(stanza: string, label: string, name: string): string {
  return `${dumpPrefix(stanza, label)}/${DUMP_PROOF_PREFIX}${name}.json`
}
