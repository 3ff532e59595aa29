/** Reads one dump set to its last byte, and says what is not as it was written. */
import type { DumpManifest, DumpObject } from '../../format/dump-manifest.ts'
import { DUMP_PROOF_PREFIX, dumpPrefix } from '../../format/repo-path.ts'
import type { ByteSource } from '../../pipe/pipe.ts'
import { type ClientPrograms, programPath, programsFor } from '../../postgres/client-programs.ts'
import { assertEnded, feed, type ProgramCall } from '../../postgres/program.ts'
import {
  type DumpPlace,
  loadDumpManifest,
  loadDumpNotes,
  readDumpObject,
  readSealed,
} from '../../repo/dump-sets.ts'
import type { Context } from '../command.ts'
import { type DamageKind, damaged, type Outcome, outcomeOf, VALID } from '../verify/outcome.ts'

export interface SetProblem {
  /** Below the set's folder. */
  readonly object: string
  /** `unreadable`: nothing is known of it. */
  readonly kind: DamageKind | 'unknown' | 'unreadable'
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
  const note = (object: string, outcome: Outcome): void => {
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
  let readBytes = 0
  for (const { object, isArchive } of objectsOf(manifest)) {
    note(object.name, await checkObject(checking, manifest, { object, isArchive }))
    readBytes += object.sizeBytes
  }
  for (const object of await strangers(checking, manifest, note)) {
    problems.push({ object, kind: 'unknown', detail: 'the manifest does not name it' })
  }
  return { label, databases: manifest.databases.length, readBytes, problems }
}

interface Claimed {
  readonly object: DumpObject
  readonly isArchive: boolean
}

function objectsOf(manifest: DumpManifest): readonly Claimed[] {
  const plain = [manifest.globals, ...manifest.databases.map(({ fingerprint }) => fingerprint)]
  return [
    ...manifest.databases.flatMap(({ archives }) =>
      archives.map((object) => ({ object, isArchive: true })),
    ),
    ...plain.flatMap((object) => (object === null ? [] : [{ object, isArchive: false }])),
  ]
}

async function checkObject(
  checking: Checking,
  manifest: DumpManifest,
  { object, isArchive }: Claimed,
): Promise<Outcome> {
  const content = (): ByteSource => readDumpObject(checking.place, manifest, object)
  if (!isArchive) return await readToEnd(content())
  let whole = false
  const watched = (async function* () {
    yield* content()
    whole = true
  })()
  const outcome = await parse(checking, manifest, watched)
  // A program that stops early leaves the digests uncompared, and a wrong digest says more than its complaint.
  if (whole || outcome.state === 'unreadable') return outcome
  const read = await readToEnd(content())
  return read.state === 'valid' ? outcome : read
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
  note: (object: string, outcome: Outcome) => void,
): Promise<readonly string[]> {
  const { storage, stanza } = place
  const known = new Set([MANIFEST, ...objectsOf(manifest).map(({ object }) => object.name)])
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
