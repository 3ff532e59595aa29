/** The dump sets of a stanza in a repository: which there are, what they say of themselves, and what is in them. */
import { createHmac } from 'node:crypto'
import { AppError, isErrorKind } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { type DumpInfo, parseDumpInfo, renderDumpInfo } from '../format/dump-info.ts'
import type { DumpManifest, DumpObject } from '../format/dump-manifest.ts'
import { asObject, textMap } from '../format/fields.ts'
import { reading } from '../format/info-file.ts'
import type { JsonValue } from '../format/json.ts'
import { isDumpLabel } from '../format/label.ts'
import { readDumpManifest } from '../format/read-dump-manifest.ts'
import {
  DUMP_MARK_NAME,
  dumpInfoKey,
  dumpManifestKey,
  dumpMarkKey,
  dumpNotesKey,
  dumpPrefix,
} from '../format/repo-path.ts'
import { openSealedJson, sealJson } from '../format/sealed-json.ts'
import { decryptor, generatePassphrase } from '../pipe/cipher.ts'
import { decompressor } from '../pipe/compress.ts'
import { COMPRESS_TYPES } from '../pipe/compress-type.ts'
import { digest } from '../pipe/digest.ts'
import { type ByteSource, type Filter, single, through } from '../pipe/pipe.ts'
import type { Storage } from '../storage/storage.ts'
import { loadWithCopy, readObject, type Repo, saveWithCopy, writeObject } from './repo.ts'
import { naming } from './stored-file.ts'

/** One stanza's dump sets in one repository. */
export interface DumpPlace {
  readonly repo: Repo
  readonly storage: Storage
  readonly stanza: string
  /** Of everything but dump.info; undefined when the repository is not encrypted. */
  readonly pass: Secret | undefined
}

export interface DumpSetEntry {
  readonly label: string
  /**
   * `left`: being made or removed, or left by what was interrupted at that. `lost`: nothing like that happened to it, and it
   * has no manifest: that was lost, and perhaps nothing else.
   */
  readonly state: 'whole' | 'left' | 'lost'
}

/** Tells the key a set was encrypted with from others, and nothing more of it. */
export function keyIdOf(pass: Secret): string {
  return createHmac('sha256', pass.reveal()).update('pgsurety dump key').digest('hex').slice(0, 16)
}

/** Stanzas that have dumps. */
export async function stanzasWithDumps(repo: Repo): Promise<readonly string[]> {
  const names = await repo.storage.names('dump')
  return names.filter(({ kind }) => kind === 'prefix').map(({ name }) => name)
}

/** What has the shape of a set, oldest first; [] when the stanza has no dumps. Reads no object. */
export async function listDumpSets(repo: Repo, stanza: string): Promise<readonly DumpSetEntry[]> {
  const sets: DumpSetEntry[] = []
  for (const { kind, name: label } of await repo.storage.names(dumpPrefix(stanza))) {
    if (kind !== 'prefix' || !isDumpLabel(label)) continue
    sets.push({ label, state: await stateOf(repo, stanza, label) })
  }
  return sets
}

async function stateOf(
  { storage }: Repo,
  stanza: string,
  label: string,
): Promise<DumpSetEntry['state']> {
  const manifestKey = dumpManifestKey(stanza, label)
  if ((await storage.stat(manifestKey)) !== undefined) return 'whole'
  const prefix = dumpPrefix(stanza, label)
  const keys = (await storage.names(prefix)).map(({ name }) => `${prefix}/${name}`)
  // Finished meanwhile.
  if (keys.includes(manifestKey)) return 'whole'
  return keys.length === 0 || keys.includes(dumpMarkKey(stanza, label)) ? 'left' : 'lost'
}

/** Whether the repository has the dump set. */
export async function hasDumpSet(repo: Repo, stanza: string, label: string): Promise<boolean> {
  return (await repo.storage.stat(dumpManifestKey(stanza, label))) !== undefined
}

/** Throws `file-missing` when the stanza has no dumps. */
export async function openDumps(repo: Repo, stanza: string): Promise<DumpPlace> {
  try {
    const info = await loadWithCopy(repo, dumpInfoKey(stanza), repo.cipherPass, parseDumpInfo)
    return placeOf(repo, stanza, info)
  } catch (error) {
    if (!isErrorKind(error, 'file-missing')) throw error
    throw new AppError('file-missing', error.message, {
      hint: [...error.hints, `Has there ever been a dump of stanza '${stanza}'?`],
      cause: error,
    })
  }
}

/** Makes dump.info when the stanza has none, and no set that would need an older one. */
export async function createDumps(repo: Repo, stanza: string): Promise<DumpPlace> {
  try {
    return await openDumps(repo, stanza)
  } catch (error) {
    if (!isErrorKind(error, 'file-missing')) throw error
    const sets = await listDumpSets(repo, stanza)
    if (sets.some(({ state }) => state !== 'left')) throw error
  }
  const info = { cipherPass: repo.cipherPass === undefined ? undefined : generatePassphrase() }
  await saveWithCopy(repo, dumpInfoKey(stanza), renderDumpInfo(info), repo.cipherPass)
  return placeOf(repo, stanza, info)
}

function placeOf(repo: Repo, stanza: string, { cipherPass }: DumpInfo): DumpPlace {
  if ((cipherPass === undefined) === (repo.cipherPass === undefined)) {
    return { repo, storage: repo.storage, stanza, pass: cipherPass }
  }
  throw new AppError('format', `'${dumpInfoKey(stanza)}' does not fit the repository's encryption`)
}

/**
 * The manifest of one set. Throws `file-missing` for a set that does not exist, `checksum` and `format` for one that is not as
 * it was written.
 */
export async function loadDumpManifest(place: DumpPlace, label: string): Promise<DumpManifest> {
  const { storage, stanza } = place
  const key = dumpManifestKey(stanza, label)
  const what = `${storage.location}/${key}`
  const value = await readSealed(place, key, 'manifest')
  const manifest = reading(`manifest '${what}'`, () => readDumpManifest(value))
  if (manifest.label === label && manifest.stanza === stanza) return manifest
  throw new AppError(
    'format',
    `'${what}' is of dump set '${manifest.label}' of '${manifest.stanza}'`,
  )
}

/** Before anything is stored of a set: what is left of it without a manifest may be removed by anyone. */
export async function beginDumpSet(place: DumpPlace, label: string): Promise<void> {
  await markUnfinished(place.storage, place.stanza, label)
}

const MARK = Buffer.from(
  'This dump set was not finished, or is being removed: the next expire removes it.\n',
)

async function markUnfinished(storage: Storage, stanza: string, label: string): Promise<void> {
  await storage.put(dumpMarkKey(stanza, label), MARK)
}

/** Of a set that has its manifest. */
export async function clearMark(storage: Storage, stanza: string, label: string): Promise<void> {
  await storage.remove(dumpMarkKey(stanza, label))
}

/** With it the set exists. */
export async function saveDumpManifest(place: DumpPlace, manifest: DumpManifest): Promise<void> {
  await writeSealed(place, dumpManifestKey(place.stanza, manifest.label), {
    name: 'manifest',
    value: manifest,
  })
}

/**
 * First what makes it a set: from then on it is not listed, whatever happens. Last the mark: until then everybody knows that the
 * manifest is not just lost.
 */
export async function removeDumpSet(
  storage: Storage,
  stanza: string,
  label: string,
): Promise<void> {
  const prefix = dumpPrefix(stanza, label)
  // On a disk that is full there may be no mark: room is made all the same.
  await markUnfinished(storage, stanza, label).catch(() => undefined)
  await storage.remove(dumpManifestKey(stanza, label))
  const names = await storage.names(prefix)
  await storage.removeEach(
    prefix,
    names.filter(({ name }) => name !== DUMP_MARK_NAME),
  )
  await storage.removeAll(prefix)
}

/** What people noted on the set; empty when nothing. */
export async function loadDumpNotes(
  place: DumpPlace,
  label: string,
): Promise<ReadonlyMap<string, string>> {
  const key = dumpNotesKey(place.stanza, label)
  try {
    const value = await readSealed(place, key, 'annotations')
    return reading(`'${key}'`, () => textMap(asObject({ annotations: value }), 'annotations'))
  } catch (error) {
    if (isErrorKind(error, 'file-missing')) return new Map()
    throw error
  }
}

export async function saveDumpNotes(
  place: DumpPlace,
  label: string,
  notes: ReadonlyMap<string, string>,
): Promise<void> {
  const value = Object.fromEntries(notes)
  await writeSealed(place, dumpNotesKey(place.stanza, label), { name: 'annotations', value })
}

/** A small object that is protected as the manifest is. */
export async function readSealed(place: DumpPlace, key: string, name: string): Promise<JsonValue> {
  const content = await readObject(place.storage, key, place.pass)
  return openSealedJson(content, { name, what: `${place.storage.location}/${key}` }, place.pass)
}

export async function writeSealed(
  place: DumpPlace,
  key: string,
  { name, value }: { readonly name: string; readonly value: unknown },
): Promise<void> {
  await writeObject(place.storage, key, single(sealJson(name, value, place.pass)), place.pass)
}

/**
 * What an object of a set holds, decrypted and decompressed. Throws `checksum`, at its end, when it is not what was stored;
 * until then nothing that was read is known to be right.
 */
export async function* readDumpObject(
  place: DumpPlace,
  { label, compressType }: Pick<DumpManifest, 'label' | 'compressType'>,
  object: DumpObject,
): ByteSource {
  const key = `${dumpPrefix(place.stanza, label)}/${object.name}`
  const where = `${place.storage.location}/${key}`
  const stored = digest()
  const content = digest()
  const filters: Filter[] = [stored]
  if (place.pass !== undefined) filters.push(decryptor(place.pass, 'normal'))
  filters.push(decompressor(knownType(compressType, where), 'normal'), content)
  yield* naming(where, through(place.storage.get(key), ...filters))
  assertAs(where, stored, { sizeBytes: object.sizeBytes, sha256: object.sha256 })
  assertAs(`content of ${where}`, content, {
    sizeBytes: object.contentSizeBytes,
    sha256: object.contentSha256,
  })
}

function knownType(name: string, where: string): (typeof COMPRESS_TYPES)[number] {
  const type = COMPRESS_TYPES.find((known) => known === name)
  if (type !== undefined) return type
  throw new AppError('format', `'${where}' has the unknown compression '${name}'`)
}

interface Sum {
  readonly sizeBytes: number
  readonly sha256: string
}

function assertAs(where: string, found: Sum, promised: Sum): void {
  if (found.sizeBytes !== promised.sizeBytes) {
    throw new AppError(
      'checksum',
      `'${where}' has ${found.sizeBytes} bytes and not ${promised.sizeBytes} as its manifest says`,
      { hint: DAMAGED_HINT },
    )
  }
  if (found.sha256 === promised.sha256) return
  throw new AppError('checksum', `'${where}' does not have the SHA-256 that its manifest names`, {
    hint: DAMAGED_HINT,
  })
}

const DAMAGED_HINT = "'dump-verify' says which dump sets are right; --set takes another one."

/** All that a manifest names. */
export function objectsOf({ globals, databases }: DumpManifest): readonly DumpObject[] {
  return [
    ...databases.flatMap(({ archives, fingerprint }) => [...archives, fingerprint]),
    globals,
  ].filter((object) => object !== null)
}
