/** One change to a repository that nobody should make, chosen at random, and what verify has to say of it. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { renderBackupInfo } from '../../src/format/backup-info.ts'
import type { Manifest, ManifestFile } from '../../src/format/manifest.ts'
import {
  archiveInfoKey,
  backupInfoKey,
  copyKeyOf,
  manifestHistoryKey,
  manifestKey,
} from '../../src/format/repo-path.ts'
import { parseArchivedSegment, type SegmentName } from '../../src/format/wal.ts'
import { compressor } from '../../src/pipe/compress.ts'
import { collect, single, through } from '../../src/pipe/pipe.ts'
import { type ArchivedFile, type ArchivePlace, readArchived } from '../../src/repo/archive.ts'
import { loadArchiveInfo, loadBackupInfo, writeObject } from '../../src/repo/repo.ts'
import { keyOf, type SmallRepository, STANZA, storeManifest } from './small-repository.ts'

/** Why a change cannot be seen; docs/verify.md lists them. */
export type Excuse =
  | 'nobody refers to these bytes'
  | 'text without a checksum'
  | 'the content is still the same'
  | 'the archive could begin or end there'
  | 'as expire leaves it'
  | 'manifests in the history may be gone'
  | 'nothing repeats it'

export interface Damage {
  /** For the message of a failure. */
  readonly what: string
  /** One of these must be named. */
  readonly objects: readonly string[]
  /** Each of these must be named with one of the objects. */
  readonly backups: readonly string[]
  /** Set when it need not be found. */
  readonly excuse: Excuse | undefined
}

/** A repository of its own, to be damaged. */
export interface Patient extends SmallRepository {
  readonly random: () => number
}

type Change = (patient: Patient) => Promise<Damage | undefined> | Damage | undefined

/** Undefined: this change makes no sense where it was tried. */
export async function damage(patient: Patient): Promise<Damage | undefined> {
  return await pick(patient, CHANGES)(patient)
}

function pick<T>({ random }: Patient, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)]
  assert(item !== undefined)
  return item
}

function found(what: string, objects: readonly string[], backups: readonly string[] = []): Damage {
  return { what, objects, backups, excuse: undefined }
}

function isSegment(key: string): boolean {
  return parseArchivedSegment(key.split('/').at(-1) ?? '') !== undefined
}

interface Span {
  readonly from: number
  readonly to: number
  /** The whole object as it was. */
  readonly before?: Buffer
}

/** Labels of the backups that need bytes of an object within the span. */
function users({ manifests }: Patient, key: string, span: Span): readonly string[] {
  return manifests
    .filter((manifest) =>
      manifest.files.some((file) => {
        if (keyOf(manifest, file) !== key) return false
        if (file.bundleId === undefined) return true
        const { bundleOffsetBytes: from, repoSizeBytes } = file
        return file.sizeBytes > 0 && span.from < from + repoSizeBytes && from < span.to
      }),
    )
    .map(({ label }) => label)
}

/** Labels of backups that are not consistent without the segment. */
function needing({ manifests }: Patient, key: string): readonly string[] {
  const segment = parseArchivedSegment(key.split('/').at(-1) ?? '')?.segment
  return manifests
    .filter(
      ({ archiveStart, archiveStop }) =>
        segment !== undefined && (archiveStart ?? '') <= segment && segment <= (archiveStop ?? ''),
    )
    .map(({ label }) => label)
}

function labelIn(key: string): readonly string[] {
  const label = /(\d{8}-\d{6}F(?:_\d{8}-\d{6}[DI])?)(?:\/backup\.manifest|\.manifest\.gz)/.exec(
    key,
  )?.[1]
  return label === undefined ? [] : [label]
}

/** What must be said when bytes of an object within the span are not what they were. */
function changed(patient: Patient, key: string, span: Span): Damage {
  const what = `${key} from ${span.from} to ${span.to}`
  if (isSegment(key))
    return { ...found(what, [key], needing(patient, key)), excuse: sameContent(patient, key, span) }
  if (key.endsWith('.backup')) {
    return { ...found(what, [key]), excuse: 'text without a checksum' }
  }
  if (!/^backup\/demo\/[^/]+\/(?:pg_|bundle)/.test(key)) {
    const objects = [key, copyKeyOf(key), key.replace(/\.copy$/, '')]
    return { ...found(what, objects, labelIn(key)), excuse: sameContent(patient, key, span) }
  }
  const backups = users(patient, key, span)
  const excuse = backups.length === 0 ? 'nobody refers to these bytes' : undefined
  return { ...found(what, [key], backups), excuse }
}

/** Of a gz file some bits mean nothing: time and system in its header, those after the last code. */
function sameContent({ objects }: Patient, key: string, { before }: Span): Excuse | undefined {
  const now = objects.get(key)
  if (!key.endsWith('.gz') || before === undefined || now === undefined) return undefined
  try {
    return gunzipSync(now).equals(gunzipSync(before)) ? 'the content is still the same' : undefined
  } catch {
    return undefined
  }
}

const flip: Change = (patient) => {
  const [key, bytes] = pick(patient, [...patient.objects])
  const at = Math.floor(patient.random() * bytes.length)
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(patient.random() * 8))
  patient.objects.set(key, copy)
  const result = changed(patient, key, { from: at, to: at + 1, before: bytes })
  return { ...result, what: `flip ${result.what}` }
}

const truncate: Change = (patient) => {
  const [key, bytes] = pick(patient, [...patient.objects])
  const to = Math.floor(patient.random() * bytes.length)
  patient.objects.set(key, bytes.subarray(0, to))
  const result = changed(patient, key, { from: to, to: bytes.length, before: bytes })
  return { ...result, what: `truncate ${result.what}` }
}

/** Keys that differ in numbers only are of one kind. */
function kindOf(key: string): string {
  return key.replaceAll(/[0-9A-Fa-f]{2,}/g, '')
}

const swap: Change = (patient) => {
  const [one, ours] = pick(patient, [...patient.objects])
  const others = [...patient.objects].filter(
    ([key, bytes]) => key !== one && kindOf(key) === kindOf(one) && !bytes.equals(ours),
  )
  if (others.length === 0) return undefined
  const [other, theirs] = pick(patient, others)
  patient.objects.set(one, theirs)
  patient.objects.set(other, ours)
  const all = { from: 0, to: Infinity }
  const [first, second] = [changed(patient, one, all), changed(patient, other, all)]
  const objects = [...first.objects, ...second.objects]
  return {
    ...first,
    what: `swap ${one} and ${other}`,
    objects,
    backups: [],
    excuse: first.excuse ?? second.excuse,
  }
}

const remove: Change = (patient) => {
  const key = pick(patient, [...patient.objects.keys()])
  const excuse = isSegment(key) ? segmentExcuse(patient, key) : undefined
  patient.objects.delete(key)
  if (isSegment(key)) {
    const segment = key.slice(0, key.lastIndexOf('-'))
    return { ...found(`remove ${key}`, [segment], needing(patient, key)), excuse }
  }
  if (key.includes('backup.history')) {
    return { ...found(`remove ${key}`, [key]), excuse: 'manifests in the history may be gone' }
  }
  const result = changed(patient, key, { from: 0, to: Infinity })
  return { ...result, what: `remove ${key}` }
}

function segmentExcuse(patient: Patient, key: string): Excuse | undefined {
  if (needing(patient, key).length > 0) return undefined
  const segments = [...patient.objects.keys()].filter(isSegment).toSorted()
  const at = segments.indexOf(key)
  const name = (index: number): string | undefined =>
    parseArchivedSegment(segments[index]?.split('/').at(-1) ?? '')?.segment
  const [before, after] = [name(at - 1), name(at + 1)]
  if (before === undefined || after === undefined) return 'the archive could begin or end there'
  const isStop = patient.manifests.some(({ archiveStop }) => archiveStop === before)
  const isStart = patient.manifests.some(({ archiveStart }) => archiveStart === after)
  return isStop && isStart ? 'as expire leaves it' : undefined
}

type Edit = (file: ManifestFile, patient: Patient, manifest: Manifest) => ManifestFile | undefined

const RANDOM_CHECKSUM = 'f00ba4f00ba4f00ba4f00ba4f00ba4f00ba4f00b'

/** What contradicts the bytes that are stored, or backup.info. */
const EDITS: readonly Edit[] = [
  (file) => ({ ...file, checksum: RANDOM_CHECKSUM }),
  (file) => ({ ...file, sizeBytes: file.sizeBytes + 1 }),
  (file) => ({ ...file, repoSizeBytes: file.repoSizeBytes + 1 }),
  (file) => ({ ...file, repoChecksum: RANDOM_CHECKSUM }),
  // In a bundle nothing but the manifest knows the name.
  (file) => (file.bundleId === undefined ? { ...file, name: `${file.name}9` } : undefined),
  (file) =>
    file.bundleId === undefined
      ? undefined
      : { ...file, bundleOffsetBytes: file.bundleOffsetBytes + 1 },
  (file) => (file.bundleId === undefined ? undefined : { ...file, bundleId: file.bundleId + 7 }),
  (file) =>
    file.block === undefined
      ? undefined
      : { ...file, block: { ...file.block, sizeBytes: file.block.sizeBytes * 2 } },
  (file, patient, { label }) => {
    const others = patient.manifests.filter((one) => one.label !== (file.reference ?? label))
    return { ...file, reference: pick(patient, others).label }
  },
]

/** What contradicts nothing that is stored. */
const SILENT: readonly Edit[] = [
  (file) => ({ ...file, timestampS: file.timestampS + 1 }),
  (file) => ({ ...file, mode: 0o777 }),
  (file) => ({ ...file, user: 'somebody' }),
  (file) => (file.bundleId === undefined ? undefined : { ...file, name: `${file.name}9` }),
]

const COPIES = ['main', 'both', 'all', 'all', 'all'] as const

/** A manifest with another text, its checksum made new, in one, two or all of its copies. */
const editFile: Change = async (patient) => {
  const manifest = pick(patient, patient.manifests)
  const file = pick(
    patient,
    manifest.files.filter(({ sizeBytes }) => sizeBytes > 0),
  )
  const isSilent = patient.random() < 0.15
  const edited = pick(patient, isSilent ? SILENT : EDITS)(file, patient, manifest)
  if (edited === undefined) return undefined
  const files = manifest.files.map((one) => (one === file ? edited : one))
  const objects = [keyOf(manifest, file), keyOf(manifest, edited)]
  const stored = await storeEdited(patient, { manifest: { ...manifest, files }, objects, isSilent })
  return { ...stored, what: `${stored.what}: ${JSON.stringify(edited)}` }
}

const dropFile: Change = async (patient) => {
  const manifest = pick(patient, patient.manifests)
  const file = pick(patient, manifest.files)
  const files = manifest.files.filter((one) => one !== file)
  const isSilent = file.sizeBytes === 0 && file.repoSizeBytes === 0
  return await storeEdited(patient, { manifest: { ...manifest, files }, objects: [], isSilent })
}

const editBackup: Change = async (patient) => {
  const manifest = pick(patient, patient.manifests)
  const stopS = manifest.stopS + 3600
  const edited = pick<Manifest>(patient, [
    { ...manifest, stopS },
    { ...manifest, lsnStop: 'FF/0' },
    { ...manifest, archiveStart: manifest.archiveStop },
    { ...manifest, archiveStop: '0000000100000000000000FF' },
  ])
  const isSame =
    edited.archiveStart === manifest.archiveStart &&
    edited.archiveStop === manifest.archiveStop &&
    edited.lsnStop === manifest.lsnStop &&
    edited.stopS === manifest.stopS
  if (isSame) return undefined
  return await storeEdited(patient, { manifest: edited, objects: [], isSilent: false })
}

interface Edited {
  readonly manifest: Manifest
  readonly objects: readonly string[]
  readonly isSilent: boolean
}

async function storeEdited(patient: Patient, edited: Edited): Promise<Damage> {
  const { manifest, isSilent } = edited
  const { label } = manifest
  const copies = pick(patient, COPIES)
  await storeManifest(patient.repo, { manifest, pass: patient.manifestPass, copies })
  const key = manifestKey(STANZA, label)
  const objects = [
    key,
    copyKeyOf(key),
    manifestHistoryKey(STANZA, label),
    backupInfoKey(STANZA),
    ...edited.objects,
  ]
  const excuse = isSilent && copies === 'all' ? 'nothing repeats it' : undefined
  return { ...found(`edit the manifest of ${label} in ${copies}`, objects, [label]), excuse }
}

/** backup.info of before the newest backup. */
const oldInfo: Change = async (patient) => {
  const info = await loadBackupInfo(patient.repo, STANZA)
  const text = renderBackupInfo({ ...info, backups: info.backups.slice(0, -1) })
  const key = backupInfoKey(STANZA)
  const keys = pick(patient, [[key], [copyKeyOf(key)], [key, copyKeyOf(key)]])
  for (const one of keys)
    await writeObject(patient.repo.storage, one, single(text), patient.repo.cipherPass)
  return found(`put back ${keys.join(' and ')}`, [key, copyKeyOf(key)])
}

interface Wal extends ArchivedFile {
  readonly segment: SegmentName
}

async function pickWal(
  patient: Patient,
): Promise<{ readonly wal: Wal; readonly place: ArchivePlace }> {
  const key = pick(patient, [...patient.objects.keys()].filter(isSegment))
  const parsed = parseArchivedSegment(key.split('/').at(-1) ?? '')
  assert(parsed !== undefined)
  const { cipherPass } = await loadArchiveInfo(patient.repo, STANZA)
  const place = { storage: patient.repo.storage, stanza: STANZA, archiveId: '15-1', cipherPass }
  return { wal: { key, ...parsed }, place }
}

/** A segment in the place of another one, under a name that carries its own checksum. */
const misplace: Change = async (patient) => {
  const [{ wal }, { wal: other }] = [await pickWal(patient), await pickWal(patient)]
  if (wal.key === other.key) return undefined
  const key = wal.key.replace(wal.segment, other.segment)
  patient.objects.set(key, patient.objects.get(wal.key) ?? Buffer.alloc(0))
  patient.objects.delete(other.key)
  return found(`put ${wal.key} in the place of ${other.key}`, [key], needing(patient, key))
}

/** Content of another cluster, with the right checksum. */
const replaceWal: Change = async (patient) => {
  const { wal, place } = await pickWal(patient)
  const content = await collect(readArchived(place, wal), 2 ** 24)
  content.writeBigUInt64LE(5n, 24)
  const checksum = createHash('sha1').update(content).digest('hex')
  const packed = await collect(
    through(single(content), compressor(wal.compressType, 1, 'normal')),
    2 ** 24,
  )
  const key = wal.key.replace(wal.checksum ?? '', checksum)
  patient.objects.delete(wal.key)
  await writeObject(patient.repo.storage, key, single(packed), place.cipherPass)
  return found(`replace ${wal.key}`, [key], needing(patient, key))
}

const doubleWal: Change = async (patient) => {
  const { wal } = await pickWal(patient)
  const twin = wal.key.replace(wal.checksum ?? '', RANDOM_CHECKSUM)
  patient.objects.set(twin, patient.objects.get(wal.key) ?? Buffer.alloc(0))
  const object = wal.key.slice(0, wal.key.lastIndexOf('-'))
  return found(`double ${wal.key}`, [object], needing(patient, wal.key))
}

/** The archive's info file of another stanza's cluster. */
const foreignInfo: Change = (patient) => {
  const key = archiveInfoKey(STANZA)
  const target = pick(patient, [key, copyKeyOf(key)])
  patient.objects.set(target, patient.objects.get(backupInfoKey(STANZA)) ?? Buffer.alloc(0))
  return found(`put backup.info in the place of ${target}`, [key, copyKeyOf(key)])
}

const CHANGES: readonly Change[] = [
  flip,
  flip,
  flip,
  flip,
  truncate,
  truncate,
  swap,
  remove,
  remove,
  editFile,
  editFile,
  editFile,
  dropFile,
  editBackup,
  oldInfo,
  misplace,
  replaceWal,
  doubleWal,
  foreignInfo,
]
