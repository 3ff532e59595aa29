/** `archive.info`: which clusters have archived WAL into a stanza, and the key of that WAL. Source: pgBackRest 2.60. */
import { isDeepStrictEqual } from 'node:util'
import { AppError, assertThat } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { type RingKey, sealKeyRing } from '../pipe/key-ring.ts'
import { asObject, count, identifier, isObject, memberOf, text } from './fields.ts'
import { type Format, FORMAT_NUMBER } from './format.ts'
import {
  type InfoSections,
  parseInfoFile,
  reading,
  renderInfoFile,
  sectionOf,
} from './info-file.ts'
import type { JsonObject, JsonValue } from './json.ts'

const WHAT = 'archive.info'

/** One cluster of the stanza's past or present. */
export interface ArchiveHistory {
  /** History id, from 1; each upgrade of the stanza adds one. */
  readonly id: number
  readonly systemId: bigint
  /** PostgreSQL major version: `15`, `9.6`. */
  readonly version: string
}

export interface ArchiveInfo {
  /** What cannot be written in it is refused by `assertWritable`. */
  readonly format: Format
  /** Key of everything in the archive but the info files; undefined in a repository without encryption. */
  readonly cipherPass: Secret | undefined
  readonly currentId: number
  /** Ascending by id; holds `currentId`, which is the largest. */
  readonly history: readonly ArchiveHistory[]
}

/** Throws `format` and `checksum`. */
export function parseArchiveInfo(content: Buffer): ArchiveInfo {
  const { sections, format } = parseInfoFile(content, WHAT)
  const history = readHistory(sections, WHAT, (id, value) => {
    const members = asObject(value)
    // Named `db-id` but holding the system identifier: a mistake of old that every version keeps.
    return { id, systemId: identifier(members, 'db-id'), version: text(members, 'db-version') }
  })
  return {
    format,
    cipherPass: readCipherPass(sections, WHAT),
    currentId: readCurrentId(sections, WHAT, history),
    history,
  }
}

export function renderArchiveInfo(info: ArchiveInfo): Buffer {
  assertWritable(info)
  const current = currentArchive(info)
  const content = renderInfoFile(
    new Map([
      ['cipher', cipherSection(info.cipherPass)],
      [
        'db',
        new Map<string, JsonValue>([
          ['db-id', current.id],
          ['db-system-id', current.systemId],
          ['db-version', current.version],
        ]),
      ],
      [
        'db:history',
        new Map(
          info.history.map(({ id, systemId, version }) => [
            String(id),
            { 'db-id': systemId, 'db-version': version },
          ]),
        ),
      ],
    ]),
  )
  const again = parseArchiveInfo(content).history
  assertThat(isDeepStrictEqual(again, info.history), 'the history reads back as it was written')
  return content
}

export function currentArchive(info: ArchiveInfo): ArchiveHistory {
  return currentOf(info)
}

/** The current row of a history. A history without it is a programmer's error: parsers refuse it. */
export function currentOf<T extends { readonly id: number }>(info: {
  readonly currentId: number
  readonly history: readonly T[]
}): T {
  const current = info.history.find((row) => row.id === info.currentId)
  assertThat(current !== undefined, 'the current id is in the history')
  return current
}

/** `[db:history]`, ascending by id. */
export function readHistory<T extends { readonly id: number }>(
  sections: InfoSections,
  what: string,
  read: (id: number, value: JsonValue) => T,
): readonly T[] {
  return Array.from(sections.get('db:history') ?? [], ([key, value]) =>
    reading(`[db:history] '${key}' of '${what}'`, () => {
      if (!/^[1-9]\d{0,9}$/.test(key)) throw new AppError('format', 'not a history id')
      return read(Number(key), value)
    }),
  ).toSorted((left, right) => left.id - right.id)
}

/** `[db] db-id`: must be the largest id of the history, and `[db]` must agree with that row. */
export function readCurrentId(
  sections: InfoSections,
  what: string,
  history: readonly ArchiveHistory[],
): number {
  return reading(`[db] of '${what}'`, () => {
    const members = sectionOf(sections, 'db')
    const id = count(members, 'db-id')
    const newest = history.at(-1)
    const isCurrent =
      newest?.id === id &&
      newest.systemId === identifier(members, 'db-system-id') &&
      newest.version === text(members, 'db-version')
    if (!isCurrent) throw new AppError('format', `'${id}' is not the newest row of [db:history]`)
    return id
  })
}

/** Throws `feature-not-supported` for a format that is only read. Writers ask before they begin. */
export function assertWritable({ format }: { readonly format: Format }): void {
  if (format === FORMAT_NUMBER) return
  throw new AppError(
    'feature-not-supported',
    `repositories of format ${format} can be read but not written to`,
    {
      hint: 'format 6 is an internal option of pgBackRest 2.60: go on with that, or make a new stanza.',
    },
  )
}

/** `[cipher]`: a passphrase, or in format 6 keys by id; undefined when the file has none. */
export function readCipherPass(sections: InfoSections, what: string): Secret | undefined {
  if (!sections.has('cipher')) return undefined
  return reading(`[cipher] of '${what}'`, () => {
    const members = sectionOf(sections, 'cipher')
    const value = memberOf(members, 'cipher-pass')
    if (value === undefined || !isObject(value)) return new Secret(text(members, 'cipher-pass'))
    return sealKeyRing(
      new Map(Object.entries(value).map(([id, key]) => [id, readRingKey(asObject(key))])),
    )
  })
}

function readRingKey(members: JsonObject): RingKey {
  const digest = text(members, 'digest')
  if (digest === 'sha1' || digest === 'sha256') return { pass: text(members, 'key'), digest }
  throw new AppError('format', `'${digest}' is no known digest`)
}

/** Empty, and so left out, without encryption. */
export function cipherSection(cipherPass: Secret | undefined): ReadonlyMap<string, JsonValue> {
  return new Map(cipherPass === undefined ? [] : [['cipher-pass', cipherPass.reveal()]])
}
