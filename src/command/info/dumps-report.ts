/** What `info` says of dump sets. Byte strings, as all of info's output. */
import { toByteString, toOneLine } from '../../base/text.ts'
import { formatLocalTime, formatSize, SECOND_MS } from '../../base/units.ts'
import type { DumpedDatabase, DumpManifest } from '../../format/dump-manifest.ts'
import type { JsonObject } from '../../format/json.ts'
import type { DumpContent, ListedDump, Question } from './facts.ts'

/** No member without dump sets: then the output is that of pgBackRest. */
export function dumpsToJson(dumps: readonly ListedDump[]): JsonObject {
  if (dumps.length === 0) return {}
  return {
    dump: dumps.map(({ repoKey, label, content, problem }) => ({
      label,
      'repo-key': repoKey,
      ...(problem === undefined ? {} : { error: toByteString(problem) }),
      ...(content === undefined ? {} : contentToJson(content)),
    })),
  }
}

function contentToJson({ manifest, annotations, proofs }: DumpContent): JsonObject {
  const notes = Array.from(annotations, ([name, note]) => [toByteString(name), toByteString(note)])
  return {
    ...(notes.length === 0 ? {} : { annotation: Object.fromEntries(notes) }),
    database: manifest.databases.map((database) => ({
      fingerprint: database.fingerprint !== null,
      name: toByteString(database.name),
      oid: database.oid,
      size: database.sizeBytes,
      stored: storedBytes(database),
    })),
    proof: proofs.map(({ database, extent, atMs, serverVersion, verdict }) => ({
      database: toByteString(database),
      extent,
      stop: seconds(atMs),
      verdict,
      version: serverVersion,
    })),
    size: sizeBytes(manifest),
    stored: setBytes(manifest),
    timestamp: { start: seconds(manifest.startedMs), stop: seconds(manifest.endedMs) },
    version: manifest.server.version,
  }
}

/** Empty without dump sets. */
export function dumpsToText(dumps: readonly ListedDump[], question: Question): string {
  if (dumps.length === 0) return ''
  return `\n    dump sets\n${dumps.map((dump) => dumpToText(dump, question)).join('')}`
}

function dumpToText({ repoKey, label, content, problem }: ListedDump, question: Question): string {
  const lines =
    content === undefined
      ? [`error: ${toByteString(problem ?? '').replaceAll('\n', ' ')}`]
      : contentLines(content, repoKey, question)
  return `\n        dump: ${label}\n${lines.map((line) => `            ${line}\n`).join('')}`
}

function contentLines(
  { manifest, annotations, proofs }: DumpContent,
  repoKey: number,
  question: Question,
): readonly string[] {
  const { databases, server, startedMs, endedMs, skipped } = manifest
  const times = [startedMs, endedMs].map((ms) => formatLocalTime(seconds(ms)))
  const names = databases.map(({ name }) => nameOf(name)).join(', ')
  const lines = [
    `timestamp start/stop: ${times.join(' / ')}`,
    `databases: ${names === '' ? 'none' : names}`,
    `database size: ${formatSize(sizeBytes(manifest))}, PostgreSQL ${server.version}`,
    `repo${repoKey}: dump set size: ${formatSize(setBytes(manifest))}`,
    `restores recorded: ${proofsText(proofs)}`,
  ]
  if (question.label === undefined) return lines
  const notes = Array.from(annotations, ([name, note]) => toByteString(`${name}: ${note}`))
  return [
    ...lines,
    ...databases.map((database) => databaseLine(database)),
    ...skipped.map(({ name, reason }) => `not dumped: ${nameOf(name)}, ${reason}`),
    ...(notes.length === 0 ? [] : ['annotation(s)', ...notes.map((note) => `    ${note}`)]),
  ]
}

function proofsText(proofs: DumpContent['proofs']): string {
  const last = proofs.at(-1)
  if (last === undefined) return 'none'
  const time = formatLocalTime(seconds(last.atMs))
  return `${proofs.length}, the last at ${time}: ${nameOf(last.database)}, ${last.verdict}`
}

function databaseLine(database: DumpedDatabase): string {
  const { name, snapshot, fingerprint } = database
  const sizes = `${formatSize(database.sizeBytes)}, stored ${formatSize(storedBytes(database))}`
  const proof = fingerprint === null ? 'without fingerprint' : 'with fingerprint'
  const time = formatLocalTime(seconds(snapshot.timeMs))
  return `database ${nameOf(name)}: ${sizes}, as of ${time}, LSN ${snapshot.lsn}, ${proof}`
}

function nameOf(name: string): string {
  return toByteString(toOneLine(name))
}

function seconds(ms: number): number {
  return Math.floor(ms / SECOND_MS)
}

function sizeBytes({ databases }: DumpManifest): number {
  return databases.reduce((sum, database) => sum + database.sizeBytes, 0)
}

function setBytes({ databases, globals }: DumpManifest): number {
  return databases.reduce((sum, one) => sum + storedBytes(one), globals?.sizeBytes ?? 0)
}

/** Of one database, with its fingerprint. */
export function storedBytes({ archives, fingerprint }: DumpedDatabase): number {
  return archives.reduce((sum, one) => sum + one.sizeBytes, fingerprint?.sizeBytes ?? 0)
}
