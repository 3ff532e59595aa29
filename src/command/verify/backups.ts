/** Every backup: its manifest with the copies, what backup.info says of it, and all stored bytes that it claims. */
import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../base/error.ts'
import { toHumanText } from '../../base/text.ts'
import { type BackupEntry, type BackupInfo, entryOfManifest } from '../../format/backup-info.ts'
import { fullLabelOf } from '../../format/label.ts'
import type { Manifest } from '../../format/manifest.ts'
import { parseManifest } from '../../format/manifest-read.ts'
import { backupInfoKey, manifestHistoryKey, manifestKey } from '../../format/repo-path.ts'
import { decryptor } from '../../pipe/cipher.ts'
import { decompressor } from '../../pipe/compress.ts'
import { measure, through } from '../../pipe/pipe.ts'
import { inReadingOrder } from '../../repo/read-together.ts'
import { loadBackupInfo } from '../../repo/repo.ts'
import { batchesOf } from '../../worker/batch.ts'
import type { Checkable, Checker } from './checker.ts'
import { claimsOf } from './claim.ts'
import { count, emptyTally, type Problem, problemOf, type Tally } from './findings.ts'
import { type NoPair, type Pair, readPair, WRITER_WAIT_MS } from './info-files.ts'
import { outcomeOf } from './outcome.ts'

/** `in-progress`: not finished, by a backup that runs or was interrupted. `unverified`: something could not be read. */
type BackupStatus = 'valid' | 'invalid' | 'unverified' | 'manifest missing' | 'in-progress'

export interface BackupReport {
  readonly label: string
  readonly status: BackupStatus
  readonly tally: Tally
  /** What backup.info says, or else the manifest; undefined when neither can be used. */
  readonly entry: BackupEntry | undefined
  /** WAL segments that the backup itself holds. */
  readonly ownSegments: ReadonlySet<string>
}

/** What is known of the pieces of one backup set: backups of a set use each other's. */
interface SetMemory {
  fullLabel: string
  /** Ids of claims that were checked. */
  readonly seen: Set<string>
  /** Those of them that were wrong. */
  readonly wrong: Map<string, Problem>
}

/** One after the other: what an older backup holds is checked before a newer one refers to it. */
export async function verifyBackups(
  checker: Checker,
  info: BackupInfo,
  labels: readonly string[],
): Promise<readonly BackupReport[]> {
  const memory: SetMemory = { fullLabel: '', seen: new Set(), wrong: new Map() }
  const reports: BackupReport[] = []
  for (const label of labels) {
    if (fullLabelOf(label) !== memory.fullLabel) {
      memory.fullLabel = fullLabelOf(label)
      memory.seen.clear()
      memory.wrong.clear()
    }
    reports.push(await verifyBackup(checker, { info, label, memory }))
  }
  return reports
}

interface Question {
  readonly info: BackupInfo
  readonly label: string
  readonly memory: SetMemory
}

async function verifyBackup(checker: Checker, question: Question): Promise<BackupReport> {
  const { info, label } = question
  const { stanza, context } = checker
  const listed = info.backups.find((backup) => backup.label === label)
  const none = { label, tally: emptyTally(), entry: listed, ownSegments: new Set<string>() }
  if (listed === undefined && (await isUnfinished(checker, label))) {
    return { ...none, status: 'in-progress' }
  }
  const pair = await readPair(context, checker, {
    key: manifestKey(stanza, label),
    pass: info.cipherPass,
    parse: (content, what) => labelled(parseManifest(content, what), label),
    backups: [label],
  })
  if (pair.value === undefined) return { ...none, status: statusWithout(pair) }
  const manifest = pair.value
  await verifyHistory(checker, info, { label, pair })
  const entry = entryOfManifest(manifest)
  await compareEntry(checker, { info, listed, entry, manifest })
  const strange = strangeReference(manifest)
  if (strange !== undefined) {
    const object = manifestKey(stanza, label)
    const detail = `'${strange.file}' is stored in '${strange.reference}', which the backup does not build on`
    checker.findings.add({
      object,
      file: undefined,
      kind: 'inconsistent',
      detail,
      backups: [label],
    })
  }
  const tally = await verifyFiles(checker, manifest, question.memory)
  const status = tally.valid === tally.checked ? 'valid' : tallyStatus(tally)
  return { label, status, tally, entry: listed ?? entry, ownSegments: segmentsIn(manifest) }
}

/** A file in a backup that is none of the set, or none of the list: expire does not know that it is needed. */
function strangeReference({
  label,
  references,
  files,
}: Manifest): { readonly file: string; readonly reference: string } | undefined {
  const known = new Set(references.filter((one) => fullLabelOf(one) === fullLabelOf(label)))
  for (const { name, reference } of files) {
    if (reference === undefined || known.has(reference)) continue
    return { file: toHumanText(name), reference: toHumanText(reference) }
  }
  return undefined
}

function tallyStatus({ checked, valid, unreadable }: Tally): BackupStatus {
  return checked === valid + unreadable ? 'unverified' : 'invalid'
}

function statusWithout({ why }: NoPair): BackupStatus {
  switch (why) {
    case 'missing':
      return 'manifest missing'
    case 'unreadable':
      return 'unverified'
    case 'damaged':
      return 'invalid'
  }
}

/** A backup exists when its manifest does. One that cannot be looked for is treated as one that exists. */
async function isUnfinished({ repo, stanza }: Checker, label: string): Promise<boolean> {
  const found = await repo.storage.stat(manifestKey(stanza, label)).catch(() => 'unknown' as const)
  return found === undefined
}

function labelled(manifest: Manifest, label: string): Manifest {
  if (manifest.label === label) return manifest
  throw new AppError('format', `it is the manifest of backup '${manifest.label}'`)
}

/** The third copy outlives the backup, and may be gone before it: then nothing is lost. */
async function verifyHistory(
  { repo, stanza, findings }: Checker,
  { cipherPass }: BackupInfo,
  { label, pair }: { readonly label: string; readonly pair: Pair<Manifest> },
): Promise<void> {
  const object = manifestHistoryKey(stanza, label)
  const content = measure()
  const filters = [decompressor('gz', 'normal'), content]
  if (cipherPass !== undefined) filters.unshift(decryptor(cipherPass, 'normal'))
  try {
    if ((await repo.storage.stat(object)) === undefined) return
    for await (const chunk of through(repo.storage.get(object), ...filters)) void chunk
  } catch (error) {
    const problem = problemOf(outcomeOf(error), { object, backups: [label] })
    if (problem !== undefined) findings.add(problem)
    return
  }
  if (content.sha1() === pair.digest) return
  const detail = `it differs from '${manifestKey(stanza, label)}'`
  findings.add({ object, file: undefined, kind: 'inconsistent', detail, backups: [label] })
}

/** What backup.info repeats of a manifest. Notes may be changed later, and only there. */
const REPEATED = [
  'kind',
  'archiveStart',
  'archiveStop',
  'lsnStart',
  'lsnStop',
  'error',
  'prior',
  'references',
  'startS',
  'stopS',
  'historyId',
  'sizeBytes',
  'sizeDeltaBytes',
  'repoSizeBytes',
  'repoSizeDeltaBytes',
  'repoSizeMapBytes',
  'repoSizeMapDeltaBytes',
] as const satisfies readonly (keyof BackupEntry)[]

interface Comparison {
  readonly info: BackupInfo
  readonly listed: BackupEntry | undefined
  readonly entry: BackupEntry
  readonly manifest: Manifest
}

async function compareEntry(checker: Checker, comparison: Comparison): Promise<void> {
  const { listed, entry, manifest, info } = comparison
  const { historyId, systemId, version } = manifest.db
  const row = info.history.find(({ id }) => id === historyId)
  const detail =
    row?.systemId !== systemId || row.version !== version
      ? `backup '${entry.label}' is of a cluster that it does not know`
      : listed === undefined
        ? await whyUnlisted(checker, entry.label)
        : whyDifferent(listed, entry)
  if (detail === undefined) return
  checker.findings.add({
    object: backupInfoKey(checker.stanza),
    file: undefined,
    kind: 'inconsistent',
    detail,
    backups: [entry.label],
  })
}

/** An older entry may lack what newer ones say. */
function whyDifferent(listed: BackupEntry, entry: BackupEntry): string | undefined {
  const name = REPEATED.find(
    (key) => listed[key] !== undefined && !isDeepStrictEqual(listed[key], entry[key]),
  )
  return name === undefined
    ? undefined
    : `it says of backup '${entry.label}' what its manifest does not: ${name} is ${String(listed[name])} instead of ${String(entry[name])}`
}

/** A backup that ends at this very moment has its manifest, and is listed a moment later. */
async function whyUnlisted(checker: Checker, label: string): Promise<string | undefined> {
  const { context, repo, stanza } = checker
  await context.clock.sleep(WRITER_WAIT_MS, context.signal)
  const now = await loadBackupInfo(repo, stanza)
  return now.backups.some((backup) => backup.label === label)
    ? undefined
    : `backup '${label}' is stored, but not listed`
}

interface FileJob extends Checkable {
  readonly id: string
  readonly name: string
}

async function verifyFiles(
  checker: Checker,
  manifest: Manifest,
  memory: SetMemory,
): Promise<Tally> {
  const tally = emptyTally()
  const { label } = manifest
  const claim = claimsOf(checker.stanza, manifest)
  function* jobs(): Generator<FileJob, void, undefined> {
    for (const file of manifest.files.toSorted(inReadingOrder)) {
      const claimed = claim(file)
      if (claimed === undefined || memory.seen.has(claimed.id)) {
        const known = claimed && memory.wrong.get(claimed.id)
        known?.backups.push(label)
        count(tally, known?.kind)
      } else {
        memory.seen.add(claimed.id)
        yield { ...claimed, name: file.name, sizeBytes: file.repoSizeBytes }
      }
    }
  }
  const run = checker.run(batchesOf(jobs()), {
    step: `verify backup ${label}`,
    totalBytes: manifest.files
      .filter(({ reference }) => reference === undefined)
      .reduce((sum, { repoSizeBytes }) => sum + repoSizeBytes, 0),
    cipherPass: manifest.cipherPass?.reveal(),
  })
  for await (const { job, outcome } of run) {
    const file = job.piece.range === undefined ? undefined : job.name
    const problem = problemOf(outcome, { object: job.piece.key, file, backups: [label] })
    count(tally, problem?.kind)
    if (problem === undefined) continue
    memory.wrong.set(job.id, problem)
    checker.findings.add(problem)
  }
  return tally
}

/** As archive-copy puts them there. */
function segmentsIn(manifest: Manifest): ReadonlySet<string> {
  const names = manifest.files.map(
    ({ name }) => /^pg_data\/pg_wal\/([0-9A-F]{24})$/.exec(name)?.[1],
  )
  return new Set(names.filter((name) => name !== undefined))
}
