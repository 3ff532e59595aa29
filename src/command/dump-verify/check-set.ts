/** Reads one dump set to its last byte, and says what is not as it was written. */
import { asAppError } from '../../base/error.ts'
import { GIB } from '../../base/units.ts'
import { type ArchiveHead, HeadReader } from '../../format/archive-toc.ts'
import type { DumpArchive, DumpedDatabase, DumpManifest } from '../../format/dump-manifest.ts'
import { parseFingerprint } from '../../format/read-fingerprint.ts'
import { DUMP_MARK_NAME, DUMP_PROOF_PREFIX, dumpPrefix } from '../../format/repo-path.ts'
import { type ByteSource, collect } from '../../pipe/pipe.ts'
import { type ClientPrograms, programPath, programsFor } from '../../postgres/client-programs.ts'
import { assertEnded, feed, type ProgramCall } from '../../postgres/program.ts'
import {
  type DumpPlace,
  loadDumpManifest,
  loadDumpNotes,
  objectsOf,
  readDumpObject,
  readSealed,
} from '../../repo/dump-sets.ts'
import type { Context } from '../command.ts'
import { type DamageKind, damaged, type Outcome, outcomeOf, VALID } from '../verify/outcome.ts'
import { misfits } from './misfits.ts'

export interface SetProblem {
  /** Below the set's folder. */
  readonly object: string
  /** `inconsistent`: it is as it was written, and does not fit the others. `unreadable`: nothing is known of it. */
  readonly kind: DamageKind | 'inconsistent' | 'unknown' | 'unreadable'
  readonly detail: string
}

export interface CheckedSet {
  readonly label: string
  readonly databases: number
  /** Of all that was read, as stored. */
  readonly readBytes: number
  readonly problems: readonly SetProblem[]
}

export interface Checking {
  readonly context: Context
  readonly place: DumpPlace
  readonly programs: readonly ClientPrograms[]
}

const MANIFEST = 'manifest.json'
const NOTES = 'annotations.json'

export async function checkSet(checking: Checking, label: string): Promise<CheckedSet> {
  const { context, place } = checking
  const problems: SetProblem[] = []
  const note: Note = (object, outcome) => {
    context.signal.throwIfAborted()
    if (outcome.state === 'valid') return
    const kind = outcome.state === 'unreadable' ? 'unreadable' : outcome.kind
    problems.push({ object, kind, detail: outcome.detail })
  }
  let manifest: DumpManifest
  try {
    manifest = await loadDumpManifest(place, label)
  } catch (error) {
    note(MANIFEST, outcomeOf(error))
    return { label, databases: 0, readBytes: 0, problems }
  }
  for (const database of manifest.databases) {
    problems.push(...(await checkDatabase(checking, manifest, { database, note })))
  }
  const { globals } = manifest
  if (globals !== null) {
    note(globals.name, await readToEnd(readDumpObject(place, manifest, globals)))
  }
  for (const object of await strangers(checking, manifest, note)) {
    problems.push({ object, kind: 'unknown', detail: 'the manifest does not name it' })
  }
  const readBytes = objectsOf(manifest).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return { label, databases: manifest.databases.length, readBytes, problems }
}

type Note = (object: string, outcome: Outcome) => void

interface DatabaseCheck {
  readonly database: DumpedDatabase
  readonly note: Note
}

/** Each object, and then whether what they say fits together. */
async function checkDatabase(
  checking: Checking,
  manifest: DumpManifest,
  { database, note }: DatabaseCheck,
): Promise<readonly SetProblem[]> {
  const heads: ArchiveHead[] = []
  for (const archive of database.archives) {
    const { outcome, head } = await checkArchive(checking, manifest, archive)
    note(archive.name, outcome)
    if (outcome.state === 'valid' && head !== undefined) heads.push(head)
  }
  const object = database.fingerprint
  if (object === null) return []
  const content = readDumpObject(checking.place, manifest, object)
  try {
    const fingerprint = parseFingerprint(await collect(content, GIB))
    // What is wrong with an archive has been said.
    if (heads.length < database.archives.length) return []
    const { version } = manifest.server
    return misfits({ database, version, heads }, fingerprint).map((detail) => ({
      object: object.name,
      kind: 'inconsistent',
      detail,
    }))
  } catch (error) {
    note(object.name, outcomeOf(error))
    return []
  }
}

interface CheckedArchive {
  readonly outcome: Outcome
  readonly head: ArchiveHead | undefined
}

async function checkArchive(
  checking: Checking,
  manifest: DumpManifest,
  archive: DumpArchive,
): Promise<CheckedArchive> {
  const content = (): ByteSource => readDumpObject(checking.place, manifest, archive)
  const toc = new TocWatch()
  let whole = false
  const watched = (async function* () {
    yield* toc.watch(content())
    whole = true
  })()
  const outcome = await parse(checking, manifest, watched)
  if (outcome.state === 'valid') return toc.result()
  // A program that stops early leaves the digests uncompared, and a wrong digest says more than its complaint.
  if (whole || outcome.state === 'unreadable') return { outcome, head: undefined }
  const read = await readToEnd(content())
  return { outcome: read.state === 'valid' ? outcome : read, head: undefined }
}

/** Reads the table of contents of what passes by. */
class TocWatch {
  readonly #reader = new HeadReader()
  #head: ArchiveHead | undefined
  #failure: unknown

  async *watch(source: ByteSource): ByteSource {
    for await (const chunk of source) {
      this.#add(chunk)
      yield chunk
    }
  }

  #add(chunk: Buffer): void {
    if (this.#head !== undefined || this.#failure !== undefined) return
    try {
      this.#head = this.#reader.add(chunk)
    } catch (error) {
      this.#failure = error
    }
  }

  /** Of an archive that pg_restore has taken for good: what cannot be read then is only not known here. */
  result(): CheckedArchive {
    if (this.#head !== undefined) return { outcome: VALID, head: this.#head }
    try {
      if (this.#failure === undefined) return { outcome: VALID, head: this.#reader.end() }
    } catch (error) {
      this.#failure = error
    }
    const detail = asAppError(this.#failure).text
    return { outcome: { state: 'unreadable', detail }, head: undefined }
  }
}

async function readToEnd(content: ByteSource): Promise<Outcome> {
  try {
    for await (const _chunk of content);
    return VALID
  } catch (error) {
    return outcomeOf(error)
  }
}

/** What pg_restore makes of it, from the first byte to the last. */
async function parse(
  { context, programs }: Checking,
  { clientVersion }: DumpManifest,
  content: ByteSource,
): Promise<Outcome> {
  try {
    const fitting = programsFor(programs, Number.parseInt(clientVersion, 10))
    const call: ProgramCall = {
      path: programPath(fitting, 'pg_restore'),
      args: ['--file=/dev/null'],
      env: { PATH: context.env['PATH'] ?? '' },
      signal: context.signal,
    }
    const end = await feed(call, content)
    if (end.killedBy !== null) return { state: 'unreadable', detail: `pg_restore: ${end.killedBy}` }
    assertEnded(call, end)
    return VALID
  } catch (error) {
    const outcome = outcomeOf(error)
    // It read what it was given, and refused it.
    return outcome.state === 'unreadable' && isRefusal(outcome.detail)
      ? damaged('content', outcome.detail)
      : outcome
  }
}

function isRefusal(detail: string): boolean {
  return detail.includes('pg_restore: error:')
}

/** Names in the set's folder that have no business there; of those that have, whether they are as they were written. */
async function strangers(
  { place }: Checking,
  manifest: DumpManifest,
  note: Note,
): Promise<readonly string[]> {
  const { storage, stanza } = place
  const known = new Set([
    MANIFEST,
    DUMP_MARK_NAME,
    ...objectsOf(manifest).map((object) => object.name),
  ])
  const unknown: string[] = []
  for (const { name } of await storage.names(dumpPrefix(stanza, manifest.label))) {
    const isProof = name.startsWith(DUMP_PROOF_PREFIX)
    if (name === NOTES || isProof) {
      const key = `${dumpPrefix(stanza, manifest.label)}/${name}`
      const reading = isProof
        ? readSealed(place, key, 'proof')
        : loadDumpNotes(place, manifest.label)
      note(name, await reading.then(() => VALID, outcomeOf))
    } else if (!known.has(name)) {
      unknown.push(name)
    }
  }
  return unknown
}
