/**
 * The text format shared by `archive.info`, `backup.info` and `backup.manifest`: sections of `key=<json>` lines and a
 * checksum over them.
 *
 * Order of checks, as in pgBackRest 2.60: the format number, then the checksum, then what the values mean. A file in
 * another format is therefore never called corrupt.
 */
import { createHash } from 'node:crypto'
import { AppError, asAppError } from '../base/error.ts'
import { compareBytes, toHumanText } from '../base/text.ts'
import { FORMAT_NUMBER, isFormat, type Format, WRITER_VERSION } from './format.ts'
import { type JsonObject, type JsonValue, quoteJson, readJson, renderJson } from './json.ts'

/** Section name → key → value, in file order. The `[backrest]` section is left out. */
export type InfoSections = ReadonlyMap<string, ReadonlyMap<string, JsonValue>>

/** Called for each line of the file, in order. May throw AppError: it is reported with file, section and key. */
type InfoVisitor = (section: string, key: string, value: JsonValue) => void

const HEADER_SECTION = 'backrest'
/** Hashing and encoding is done in pieces of about this many characters. */
const PIECE_CHARS = 64 * 1024

/**
 * The sections of an info file, its format and the `backrest-version` that wrote it. `what` names the file in messages.
 * Throws `format` (also for another format number) and `checksum`.
 */
export function parseInfoFile(
  content: Buffer,
  what: string,
): { readonly sections: InfoSections; readonly format: Format; readonly version: string } {
  const sections = new Map<string, Map<string, JsonValue>>()
  const header = visitInfoFile(content, what, (name, key, value) => {
    const section = sections.get(name) ?? new Map<string, JsonValue>()
    if (section.has(key)) throw new AppError('format', 'key is there twice')
    sections.set(name, section.set(key, value))
  })
  return { sections, ...header }
}

/**
 * `parseInfoFile` for files too large to keep as sections: gives each line to `visit` and returns what its head says. What was
 * visited may be used only after this returned, for the checksum is known only at the end.
 */
export function visitInfoFile(
  content: Buffer,
  what: string,
  visit: InfoVisitor,
): { readonly format: Format; readonly version: string } {
  const header = new Header(what)
  const checksum = new Checksum()
  let failure: AppError | undefined
  for (const { section, key, value, valueText } of entriesOf(content, what)) {
    const isHeader = section === HEADER_SECTION
    if (isHeader) header.take(key, value)
    if (!isHeader || key !== 'backrest-checksum') checksum.take(section, key, valueText)
    if (isHeader || failure !== undefined) continue
    try {
      visit(section, key, value)
    } catch (error) {
      failure = inContext(error, `[${section}] '${toHumanText(key)}' of '${what}'`)
    }
  }
  header.check(checksum.end())
  if (failure !== undefined) throw failure
  return { format: header.format, version: header.version }
}

/** One section as JSON members; without members when the file does not have it. */
export function sectionOf(sections: InfoSections, name: string): JsonObject {
  return Object.fromEntries(sections.get(name) ?? [])
}

/** Runs `read`, saying in its errors which part of which file was being read. */
export function reading<T>(where: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw inContext(error, where)
  }
}

function inContext(error: unknown, where: string): AppError {
  const { kind, message, hints } = asAppError(error)
  return new AppError(kind, `invalid ${where}: ${message}`, { hint: hints, cause: error })
}

/** Lines that are not empty, with their numbers from 1. Decoded one by one: a manifest may exceed a string's limit. */
function* linesOf(content: Buffer): Generator<readonly [number: number, line: string]> {
  let number = 1
  for (let from = 0; from < content.length; number += 1) {
    const found = content.indexOf(0x0a, from)
    const to = found === -1 ? content.length : found
    if (to > from) yield [number, content.toString('latin1', from, to)]
    from = to + 1
  }
}

interface Entry {
  readonly key: string
  readonly value: JsonValue
  readonly valueText: string
}

interface SectionEntry extends Entry {
  readonly section: string
}

function* entriesOf(content: Buffer, what: string): Generator<SectionEntry> {
  let section: string | undefined
  for (const [number, line] of linesOf(content)) {
    if (line.startsWith('[') && line.endsWith(']')) {
      section = line.slice(1, -1)
      continue
    }
    const entry = splitLine(line)
    if (entry === undefined || section === undefined) {
      const problem = `line ${number} of '${what}' is neither a section nor a key and value`
      throw new AppError('format', problem)
    }
    yield { section, ...entry }
  }
}

/** Keys may hold `=`: the value starts after the first one whose right side is exactly one JSON value. */
function splitLine(line: string): Entry | undefined {
  for (let at = line.indexOf('=', 1); at !== -1; at = line.indexOf('=', at + 1)) {
    const value = readJson(line, at + 1)
    if (value !== undefined) {
      return { key: line.slice(0, at), value, valueText: line.slice(at + 1) }
    }
  }
  return undefined
}

/** The lines of `[backrest]`: format number, version and checksum. */
class Header {
  readonly #what: string
  readonly #values = new Map<string, JsonValue>()

  constructor(what: string) {
    this.#what = what
  }

  take(key: string, value: JsonValue): void {
    this.#values.set(key, value)
    if (key === 'backrest-format') void this.format
  }

  get version(): string {
    const version = this.#values.get('backrest-version')
    if (typeof version === 'string') return version
    throw new AppError('format', `'${this.#what}' has no version`)
  }

  check(actual: string): void {
    void this.format
    const expected = this.#values.get('backrest-checksum')
    if (expected === actual) return
    const problem =
      typeof expected === 'string'
        ? `invalid checksum in '${this.#what}', actual '${actual}' but expected '${toHumanText(expected)}'`
        : `missing checksum in '${this.#what}'`
    throw new AppError('checksum', problem, { hint: 'Was the file changed or cut short?' })
  }

  get format(): Format {
    const found = this.#values.get('backrest-format')
    if (isFormat(found)) return found
    if (typeof found !== 'number')
      throw new AppError('format', `'${this.#what}' has no format number`)
    throw new AppError('format', `expected format ${FORMAT_NUMBER} but found ${found}`, {
      hint: 'Was the repository written by a version of pgBackRest before 1.00 or by a future one?',
    })
  }
}

/**
 * SHA-1 over the file as if it were one JSON object of sections: keys escaped as JSON, values exactly as they stand.
 * A section counts when its first key comes, so empty ones do not. Source: pgBackRest 2.60.
 */
class Checksum {
  readonly #hash = createHash('sha1')
  #pending = '{'
  #section: string | undefined

  take(section: string, key: string, valueText: string): void {
    if (section === this.#section) {
      this.#pending += ','
    } else {
      this.#pending += `${this.#section === undefined ? '' : '},'}"${section}":{`
      this.#section = section
    }
    this.#pending += `${quoteJson(key)}:${valueText}`
    if (this.#pending.length > PIECE_CHARS) this.#flush()
  }

  end(): string {
    this.#pending += '}}'
    this.#flush()
    return this.#hash.digest('hex')
  }

  #flush(): void {
    this.#hash.update(this.#pending, 'latin1')
    this.#pending = ''
  }
}

/** The bytes of an info file written by this program. Sections and keys are sorted; empty sections are left out. */
export function renderInfoFile(sections: InfoSections): Buffer {
  const sorted = Array.from(sections)
    .toSorted(byName)
    .map(([name, values]) => ({ name, lines: renderValues(Array.from(values).toSorted(byName)) }))
  return Buffer.concat([...infoFilePieces(sorted)])
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return compareBytes(left, right)
}

export interface InfoSection {
  readonly name: string
  /** In ascending byte order of keys; values as `renderJson` gives them. */
  readonly lines: Iterable<readonly [key: string, valueText: string]>
}

/** The lines of a section. */
export function* renderValues(
  values: Iterable<readonly [key: string, value: JsonValue]>,
): Generator<readonly [key: string, valueText: string]> {
  for (const [key, value] of values) yield [key, renderJson(value)]
}

/**
 * `renderInfoFile` for files too large to keep as sections or as bytes: pieces in a row; `sections` are in ascending byte
 * order of names. Throws `format` for a key that could not be read back, such as a file name with a line feed in it.
 */
export function* infoFilePieces(
  sections: Iterable<InfoSection>,
): Generator<Buffer, void, undefined> {
  const checksum = new Checksum()
  let pending = ''
  for (const { name, lines } of withHeader(sections)) {
    let isOpen = false
    for (const [key, valueText] of lines) {
      if (!isOpen) pending += `[${name}]\n`
      isOpen = true
      const line = `${key}=${valueText}`
      assertReadable(key, line)
      checksum.take(name, key, valueText)
      pending += `${line}\n`
      if (pending.length <= PIECE_CHARS) continue
      yield pieceOf(pending)
      pending = ''
    }
    if (isOpen) pending += '\n'
  }
  yield pieceOf(`${pending}[${HEADER_SECTION}]\nbackrest-checksum="${checksum.end()}"\n`)
}

function* withHeader(sections: Iterable<InfoSection>): Generator<InfoSection> {
  yield {
    name: HEADER_SECTION,
    lines: renderValues([
      ['backrest-format', FORMAT_NUMBER],
      ['backrest-version', WRITER_VERSION],
    ]),
  }
  yield* sections
}

function pieceOf(text: string): Buffer {
  if (/[^\0-\xff]/.test(text)) throw new RangeError('info files hold byte strings only')
  return Buffer.from(text, 'latin1')
}

/** A line is only written when reading it gives the same key again. */
function assertReadable(key: string, line: string): void {
  const isPlain = !key.includes('=') || splitLine(line)?.key === key
  const isSection = line.startsWith('[') && line.endsWith(']')
  if (isPlain && !isSection && key !== '' && !key.includes('\n')) return
  throw new AppError('format', `'${toHumanText(key)}' cannot be a name in an info file`, {
    hint: 'Names in info files cannot be empty or hold a line feed.',
  })
}
