/**
 * Repositories made from a description in milliseconds: true info files, manifests, names and references, a few bytes per
 * file, and no server. For commands that look at what is stored and never at what is inside: any pgBackRest takes them for
 * its own.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { renderArchiveInfo } from '../../src/format/archive-info.ts'
import { type BackupInfo, entryOfManifest, renderBackupInfo } from '../../src/format/backup-info.ts'
import { fullLabelOf, kindOfLabel } from '../../src/format/label.ts'
import type { Manifest, ManifestFile } from '../../src/format/manifest.ts'
import { renderManifest } from '../../src/format/manifest-write.ts'
import {
  archiveInfoKey,
  archivePrefix,
  backupInfoKey,
  copyKeyOf,
  fileKey,
  latestKey,
  manifestHistoryKey,
  manifestKey,
} from '../../src/format/repo-path.ts'
import { archiveFileKeyName } from '../../src/format/wal.ts'

export interface StandInBackup {
  readonly label: string
  /** Default 1. */
  readonly historyId?: number
  readonly stopS: number
  /** Undefined: a backup of a stopped cluster. */
  readonly archive?: readonly [start: string, stop: string] | undefined
  /** Default: the full backup of the set. */
  readonly prior?: string
  /** Other backups whose files it uses; default: the full backup of the set and the prior. */
  readonly references?: readonly string[]
  readonly pageErrors?: 'found' | 'none'
  /** `unfinished`: only `backup.manifest.copy`; `unlisted`: finished, but not in backup.info. Default `finished`. */
  readonly state?: 'finished' | 'unfinished' | 'unlisted'
}

export interface StandIn {
  /** One row per history id, from 1; default one PostgreSQL 15. */
  readonly versions?: readonly string[]
  readonly backups: readonly StandInBackup[]
  /** Archive id → names as PostgreSQL gives them: segments, partial segments, `.backup` and `.history` files. */
  readonly wal: Readonly<Record<string, readonly string[]>>
}

/** The n-th segment of a timeline, 16 MiB each. */
export function segment(timeline: number, number: number): string {
  return [timeline, Math.floor(number / 256), number % 256].map(eightDigits).join('')
}

export function segments(timeline: number, first: number, last: number): readonly string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => segment(timeline, first + index))
}

function eightDigits(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0')
}

export const STAND_IN_STANZA = 'demo'

/** Writes the repository below `root`, with history copies and the `latest` link. */
export function writeStandIn(root: string, spec: StandIn): void {
  const versions = spec.versions ?? ['15']
  const history = versions.map((version, index) => ({
    id: index + 1,
    systemId: 7_000_000_000_000_000_001n + BigInt(index),
    version,
    controlVersion: 1300,
    catalogVersion: 202209061,
  }))
  const currentId = history.length
  const manifests = spec.backups.map((one) => standInManifest(one, versions))
  for (const [index, manifest] of manifests.entries()) {
    writeBackup(root, manifest, spec.backups[index]?.state ?? 'finished')
  }
  const listed = manifests.filter(
    (_, index) => (spec.backups[index]?.state ?? 'finished') === 'finished',
  )
  const info: BackupInfo = {
    format: 5,
    cipherPass: undefined,
    currentId,
    history,
    backups: listed.map((manifest) => entryOfManifest(manifest)),
  }
  writeTwice(root, backupInfoKey(STAND_IN_STANZA), renderBackupInfo(info))
  const archive = renderArchiveInfo({
    format: 5,
    cipherPass: undefined,
    currentId,
    history: history.map(({ id, systemId, version }) => ({ id, systemId, version })),
  })
  writeTwice(root, archiveInfoKey(STAND_IN_STANZA), archive)
  const newest = listed.at(-1)
  if (newest !== undefined) symlinkSync(newest.label, join(root, latestKey(STAND_IN_STANZA)))
  for (const [id, files] of Object.entries(spec.wal)) {
    for (const file of files) {
      const name = archiveFileKeyName(file, sha1(file), 'none')
      write(root, `${archivePrefix(STAND_IN_STANZA, id)}/${name}`, Buffer.from(file))
    }
  }
}

function writeBackup(root: string, manifest: Manifest, state: StandInBackup['state']): void {
  const { label } = manifest
  const key = manifestKey(STAND_IN_STANZA, label)
  for (const file of manifest.files) {
    if (file.reference !== undefined) continue
    write(root, fileKey(STAND_IN_STANZA, file, label, 'none'), contentOf(file.name, label))
  }
  const text = renderManifest(manifest)
  write(root, copyKeyOf(key), text)
  if (state === 'unfinished') return
  write(root, key, text)
  write(root, manifestHistoryKey(STAND_IN_STANZA, label), gzipSync(text))
}

/** A file of its own, and one of every backup it references. */
function standInManifest(spec: StandInBackup, versions: readonly string[]): Manifest {
  const { label } = spec
  const kind = kindOfLabel(label)
  const full = fullLabelOf(label)
  const prior = kind === 'full' ? undefined : (spec.prior ?? full)
  const references =
    kind === 'full' ? [] : (spec.references ?? [...new Set([full, prior ?? full])].toSorted())
  const historyId = spec.historyId ?? 1
  const [archiveStart, archiveStop] = spec.archive ?? []
  const owner = { user: 'postgres', group: 'postgres' }
  const version = versions[historyId - 1] ?? '15'
  return {
    label,
    kind,
    archiveStart,
    archiveStop,
    lsnStart: archiveStart === undefined ? undefined : lsnOf(archiveStart, 0x28),
    lsnStop: archiveStop === undefined ? undefined : lsnOf(archiveStop, 0x100),
    prior,
    references: [...references, label],
    bundle: false,
    bundleRaw: false,
    blockIncr: false,
    startS: spec.stopS - 5,
    copyStartS: spec.stopS - 4,
    stopS: spec.stopS,
    db: {
      historyId,
      systemId: 7_000_000_000_000_000_000n + BigInt(historyId),
      version,
      controlVersion: 1300,
      catalogVersion: 202209061,
    },
    options: {
      archiveCheck: archiveStart !== undefined,
      archiveCopy: false,
      backupStandby: false,
      bufferSizeBytes: 1048576,
      checksumPage: true,
      compressType: 'none',
      compressLevel: 0,
      compressLevelNetwork: 3,
      delta: false,
      hardlink: false,
      online: archiveStart !== undefined,
      processMax: 1,
    },
    targets: [{ name: 'pg_data', kind: 'path', path: '/pg' }],
    cipherPass: undefined,
    databases: [],
    annotations: new Map(),
    files: [...references, label]
      .map((one) => standInFile(one, { own: label, pageErrors: spec.pageErrors ?? 'none' }))
      .toSorted((left, right) => (left.name < right.name ? -1 : 1)),
    links: [],
    paths: [{ name: 'pg_data', ...owner, mode: 0o700 }],
  }
}

function standInFile(
  label: string,
  { own, pageErrors }: { readonly own: string; readonly pageErrors: 'found' | 'none' },
): ManifestFile {
  const name = `pg_data/of-${label}`
  const bytes = contentOf(name, label)
  const damaged = pageErrors === 'found' && label === own
  return {
    name,
    sizeBytes: bytes.length,
    timestampS: 1_700_000_000,
    checksum: sha1(bytes),
    checksumPage: !damaged,
    checksumPageErrors: damaged ? [0] : undefined,
    user: 'postgres',
    group: 'postgres',
    mode: 0o600,
    reference: label === own ? undefined : label,
    repoSizeBytes: bytes.length,
    repoChecksum: undefined,
    bundleId: undefined,
    bundleOffsetBytes: 0,
    block: undefined,
    originalSizeBytes: undefined,
  }
}

function contentOf(name: string, label: string): Buffer {
  return Buffer.from(`${name} as stored by ${label}\n`)
}

function lsnOf(name: string, offset: number): string {
  const low = Number.parseInt(name.slice(16), 16) * 0x1000000 + offset
  return `${Number.parseInt(name.slice(8, 16), 16).toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`
}

function writeTwice(root: string, key: string, content: Buffer): void {
  write(root, key, content)
  write(root, copyKeyOf(key), content)
}

function write(root: string, key: string, content: Buffer): void {
  const path = join(root, key)
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
  writeFileSync(path, content, { mode: 0o640 })
}

function sha1(content: Buffer | string): string {
  return createHash('sha1').update(content).digest('hex')
}
