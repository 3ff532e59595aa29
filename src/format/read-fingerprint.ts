/** From JSON to a DatabaseFingerprint: every member is looked at, and what is wrong is named. */
import { AppError } from '../base/error.ts'
import {
  asObject,
  count,
  memberOf,
  optionalCount,
  optionalFlag,
  optionalText,
  optionalTexts,
  text,
} from './fields.ts'
import {
  type DatabaseFingerprint,
  type SchemaFact,
  type SequenceFingerprint,
  type TableCoverage,
  type TableFingerprint,
  type Uncovered,
  UNCOVERED_KINDS,
} from './fingerprint.ts'
import { isArray, type JsonObject, type JsonValue } from './json.ts'

const VERSION = 1

/** From the text of one. Throws as `readFingerprint` does. */
export function parseFingerprint(content: Buffer): DatabaseFingerprint {
  let value: JsonValue
  try {
    value = JSON.parse(content.toString('utf8'))
  } catch (cause) {
    throw new AppError('format', 'this is not JSON, and so no fingerprint', { cause })
  }
  return readFingerprint(value)
}

/** Throws `format`, and `version-not-supported` for a fingerprint of a version that is not known yet. */
export function readFingerprint(value: JsonValue): DatabaseFingerprint {
  const members = asObject(value)
  const version = count(members, 'version')
  if (version !== VERSION) {
    throw new AppError(
      'version-not-supported',
      `this is a fingerprint of version '${version}', and only version '${VERSION}' is known`,
      { hint: 'Was it written by a newer pgsurety?' },
    )
  }
  const largeObjects = asObject(memberOf(members, 'largeObjects') ?? null)
  return {
    version,
    serverMajor: count(members, 'serverMajor'),
    encoding: text(members, 'encoding'),
    tables: listOf(members, 'tables', readTable),
    sequences: listOf(members, 'sequences', readSequence),
    largeObjects: {
      count: text(largeObjects, 'count'),
      sizeBytes: text(largeObjects, 'sizeBytes'),
      digest: text(largeObjects, 'digest'),
    },
    facts: listOf(members, 'facts', readFact),
    uncovered: listOf(members, 'uncovered', readUncovered),
  }
}

function listOf<T>(object: JsonObject, name: string, read: (item: JsonObject) => T): readonly T[] {
  const value = memberOf(object, name)
  if (value === undefined || !isArray(value)) {
    throw new AppError('format', `'${name}' is not a list`)
  }
  return value.map((item) => read(asObject(item)))
}

function readTable(table: JsonObject): TableFingerprint {
  const digest = optionalText(table, 'digest')
  const buckets = optionalText(table, 'buckets')
  const above = memberOf(table, 'spreadBelow')
  const spreadBelow = above === undefined ? undefined : asObject(above)
  return {
    schema: text(table, 'schema'),
    name: text(table, 'name'),
    oid: count(table, 'oid'),
    columns: optionalTexts(table, 'columns') ?? [],
    coverage: readCoverage(asObject(memberOf(table, 'coverage') ?? null)),
    rows: text(table, 'rows'),
    ...(spreadBelow === undefined
      ? {}
      : { spreadBelow: { schema: text(spreadBelow, 'schema'), name: text(spreadBelow, 'name') } }),
    ...(digest === undefined ? {} : { digest }),
    ...(buckets === undefined ? {} : { buckets }),
  }
}

function readCoverage(coverage: JsonObject): TableCoverage {
  const kind = text(coverage, 'kind')
  if (kind === 'full' || kind === 'counted') return { kind }
  if (kind === 'sampled') return { kind, percent: count(coverage, 'percent') }
  throw new AppError('format', `'${kind}' is not a known coverage`)
}

function readSequence(sequence: JsonObject): SequenceFingerprint {
  const later = memberOf(sequence, 'later')
  return {
    schema: text(sequence, 'schema'),
    name: text(sequence, 'name'),
    ...readPosition(sequence),
    ...(later === undefined ? {} : { later: readPosition(asObject(later)) }),
  }
}

function readPosition(members: JsonObject): Pick<SequenceFingerprint, 'lastValue' | 'isCalled'> {
  const isCalled = optionalFlag(members, 'isCalled')
  if (isCalled === undefined) throw new AppError('format', "'isCalled' is missing")
  return { lastValue: text(members, 'lastValue'), isCalled }
}

function readFact(fact: JsonObject): SchemaFact {
  const oid = optionalCount(fact, 'oid')
  const tableOid = optionalCount(fact, 'tableOid')
  return {
    kind: text(fact, 'kind'),
    name: text(fact, 'name'),
    definition: text(fact, 'definition'),
    ...(oid === undefined ? {} : { oid }),
    ...(tableOid === undefined ? {} : { tableOid }),
  }
}

function readUncovered(members: JsonObject): Uncovered {
  const found = text(members, 'kind')
  const kind = UNCOVERED_KINDS.find((known) => known === found)
  if (kind === undefined) throw new AppError('format', `'${found}' is nothing that is left out`)
  return { kind, name: text(members, 'name'), reason: text(members, 'reason') }
}
