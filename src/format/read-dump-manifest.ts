/** From JSON to a DumpManifest: every member is looked at, and what is wrong is named. */
import { AppError } from '../base/error.ts'
import type {
  DatabaseDefinition,
  DumpArchive,
  DumpedDatabase,
  DumpManifest,
  DumpObject,
} from './dump-manifest.ts'
import { asObject, isObject, memberOf, optionalFlag, optionalText, text } from './fields.ts'
import { reading } from './info-file.ts'
import { isArray, type JsonObject, type JsonValue } from './json.ts'

const VERSION = 1

/** Throws `format`, and `version-not-supported` for a manifest of a version that is not known yet. */
export function readDumpManifest(value: JsonValue): DumpManifest {
  const members = asObject(value)
  const version = whole(members, 'version')
  if (version !== VERSION) {
    throw new AppError(
      'version-not-supported',
      `this is a dump manifest of version '${version}', and only version '${VERSION}' is known`,
      { hint: 'Was it written by a newer pgsurety?' },
    )
  }
  const cipher = optionalMember(members, 'cipher')
  const globals = optionalMember(members, 'globals')
  return {
    version,
    label: text(members, 'label'),
    stanza: text(members, 'stanza'),
    toolVersion: text(members, 'toolVersion'),
    startedMs: whole(members, 'startedMs'),
    endedMs: whole(members, 'endedMs'),
    server: readServer(member(members, 'server')),
    clientVersion: text(members, 'clientVersion'),
    compressType: text(members, 'compressType'),
    compressLevel: integerOf(members, 'compressLevel'),
    cipher: cipher && { type: text(cipher, 'type'), keyId: text(cipher, 'keyId') },
    globals: globals && {
      ...readObjectEntry(globals),
      withoutPasswords: flag(globals, 'withoutPasswords'),
    },
    databases: list(members, 'databases', readDatabase),
    skipped: list(members, 'skipped', (row) => ({
      name: text(row, 'name'),
      reason: text(row, 'reason'),
    })),
  }
}

function readServer(members: JsonObject): DumpManifest['server'] {
  return {
    version: text(members, 'version'),
    systemId: text(members, 'systemId'),
    inRecovery: flag(members, 'inRecovery'),
    timeline: whole(members, 'timeline'),
  }
}

function readDatabase(members: JsonObject): DumpedDatabase {
  const snapshot = member(members, 'snapshot')
  const fingerprint = optionalMember(members, 'fingerprint')
  return {
    name: text(members, 'name'),
    oid: whole(members, 'oid'),
    sizeBytes: whole(members, 'sizeBytes'),
    definition: readDefinition(member(members, 'definition')),
    snapshot: {
      id: text(snapshot, 'id'),
      transactions: text(snapshot, 'transactions'),
      lsn: text(snapshot, 'lsn'),
      timeMs: whole(snapshot, 'timeMs'),
    },
    archives: list(members, 'archives', readArchive),
    fingerprint: fingerprint && readObjectEntry(fingerprint),
    dumpMs: whole(members, 'dumpMs'),
    fingerprintMs: whole(members, 'fingerprintMs'),
  }
}

/** Also for what is read from a server as JSON. */
export function readDefinition(members: JsonObject): DatabaseDefinition {
  const grants = memberOf(members, 'grants')
  return {
    owner: text(members, 'owner'),
    encoding: text(members, 'encoding'),
    localeProvider: word(members, 'localeProvider'),
    collate: text(members, 'collate'),
    ctype: text(members, 'ctype'),
    locale: optionalText(members, 'locale') ?? null,
    icuRules: optionalText(members, 'icuRules') ?? null,
    collationVersion: optionalText(members, 'collationVersion') ?? null,
    tablespace: text(members, 'tablespace'),
    connectionLimit: integerOf(members, 'connectionLimit'),
    comment: optionalText(members, 'comment') ?? null,
    grants:
      grants === undefined
        ? null
        : list(members, 'grants', (row) => ({
            grantee: text(row, 'grantee'),
            privilege: word(row, 'privilege'),
            grantable: flag(row, 'grantable'),
          })),
    settings: list(members, 'settings', (row) => ({
      role: optionalText(row, 'role') ?? null,
      name: text(row, 'name'),
      value: text(row, 'value'),
    })),
  }
}

/** Goes into SQL as it is. */
function word(members: JsonObject, name: string): string {
  const value = text(members, name)
  if (/^[A-Za-z]+$/.test(value)) return value
  throw new AppError('format', `'${name}' is no word`)
}

function readArchive(members: JsonObject): DumpArchive {
  const part = text(members, 'part')
  if (part !== 'whole' && part !== 'schema' && part !== 'data') {
    throw new AppError('format', `'${part}' is no part of a database`)
  }
  return { ...readObjectEntry(members), part }
}

function readObjectEntry(members: JsonObject): DumpObject {
  const name = text(members, 'name')
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    throw new AppError('format', `'${name}' is no name of an object`)
  }
  return {
    name,
    sizeBytes: whole(members, 'sizeBytes'),
    sha256: sha256(members, 'sha256'),
    contentSizeBytes: whole(members, 'contentSizeBytes'),
    contentSha256: sha256(members, 'contentSha256'),
  }
}

function sha256(members: JsonObject, name: string): string {
  const value = text(members, name)
  if (/^[0-9a-f]{64}$/.test(value)) return value
  throw new AppError('format', `'${name}' is not a SHA-256`)
}

function integerOf(members: JsonObject, name: string): number {
  const value = memberOf(members, name)
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new AppError('format', `'${name}' is not a whole number`)
}

function whole(members: JsonObject, name: string): number {
  const value = integerOf(members, name)
  if (value >= 0) return value
  throw new AppError('format', `'${name}' is less than 0`)
}

function flag(members: JsonObject, name: string): boolean {
  const value = optionalFlag(members, name)
  if (value !== undefined) return value
  throw new AppError('format', `'${name}' is missing`)
}

function member(members: JsonObject, name: string): JsonObject {
  const value = optionalMember(members, name)
  if (value !== null) return value
  throw new AppError('format', `'${name}' is missing`)
}

function optionalMember(members: JsonObject, name: string): JsonObject | null {
  const value = memberOf(members, name)
  if (value === undefined) return null
  if (isObject(value)) return value
  throw new AppError('format', `'${name}' is not an object`)
}

function list<T>(members: JsonObject, name: string, read: (row: JsonObject) => T): readonly T[] {
  const value = memberOf(members, name)
  if (value === undefined || !isArray(value)) {
    throw new AppError('format', `'${name}' is not a list`)
  }
  return value.map((row, index) => reading(`${name}[${index}]`, () => read(asObject(row))))
}
