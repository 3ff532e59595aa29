/**
 * The head of an archive in pg_dump's custom format: its table of contents, which comes before all data.
 *
 * Read here, and not from `pg_restore -l`, for names as they are (the list puts spaces between them) and for what depends on
 * what. Source: PostgreSQL 12 to 18, `pg_backup_archiver.c`, archive versions 1.14 to 1.16. Not for: data, other formats.
 */
import { AppError } from '../base/error.ts'
import { MIB } from '../base/units.ts'
import type { ByteSource } from '../pipe/pipe.ts'

export type TocSection = 'none' | 'pre-data' | 'data' | 'post-data'

export interface TocEntry {
  /** The number that lists of pg_restore begin with. */
  readonly dumpId: number
  /** Of the object's row in its catalog at the source; `0` where there is none. */
  readonly oid: number
  /** `TABLE`, `TABLE DATA`, `FK CONSTRAINT`. */
  readonly kind: string
  /** The object's name; for what belongs to a table often `table name`. */
  readonly tag: string
  readonly section: TocSection
  /** SQL that makes it. */
  readonly definition: string
  readonly schema: string | undefined
  readonly tablespace: string | undefined
  readonly owner: string | undefined
  /** Dump ids; some are of entries that the archive does not have. */
  readonly dependencies: readonly number[]
}

export interface ArchiveHead {
  /** Where the table of contents ends and data begins. */
  readonly sizeBytes: number
  /** `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly serverVersion: string
  readonly dumpVersion: string
  readonly entries: readonly TocEntry[]
}

const MAGIC = 'PGDMP'
const CUSTOM_FORMAT = 1
const MINOR_MIN = 14
const MINOR_MAX = 16
/** pg_dump writes the algorithm in one byte since 1.15, and a level as a number before. */
const ALGORITHM_SINCE = 15
const RELKIND_SINCE = 16
/** Second to day, month, year, daylight saving. */
const TIME_PARTS = 7
const SECTIONS: readonly (TocSection | undefined)[] = [
  undefined,
  'none',
  'pre-data',
  'data',
  'post-data',
]
/** A million tables have a table of contents of this size. */
const HEAD_BYTES_MAX = 1024 * MIB

/** The bytes end before what was to be read. */
class Incomplete extends Error {}

/** Takes what it needs from the beginning of `source` and no more than a chunk beyond. `format` when it is no such archive. */
export async function readArchiveHead(source: ByteSource): Promise<ArchiveHead> {
  const reader = new HeadReader()
  for await (const chunk of source) {
    const head = reader.add(chunk)
    if (head !== undefined) return head
  }
  return reader.end()
}

/** Is given an archive's bytes as they come, until its table of contents is whole. Both calls throw `format`. */
export class HeadReader {
  #chunks: Buffer[] = []
  #sizeBytes = 0
  // Parsed again only when there is twice as much: linear altogether.
  #tryAtBytes = 0

  /** Undefined: it takes more. */
  add(chunk: Buffer): ArchiveHead | undefined {
    this.#chunks.push(Buffer.from(chunk))
    this.#sizeBytes += chunk.length
    if (this.#sizeBytes < this.#tryAtBytes) return undefined
    this.#tryAtBytes = 2 * this.#sizeBytes
    return this.#parse() ?? (this.#sizeBytes > HEAD_BYTES_MAX ? this.end() : undefined)
  }

  /** There is no more. */
  end(): ArchiveHead {
    const head = this.#parse()
    if (head !== undefined) return head
    throw new AppError('format', 'the archive ends within its table of contents')
  }

  #parse(): ArchiveHead | undefined {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return parseArchiveHead(all)
  }
}

/** Undefined when more bytes are needed. Throws `format`. */
export function parseArchiveHead(bytes: Buffer): ArchiveHead | undefined {
  try {
    return headIn(bytes)
  } catch (error) {
    if (error instanceof Incomplete) return undefined
    throw error
  }
}

function headIn(bytes: Buffer): ArchiveHead {
  const reader = new Reader(bytes)
  const magic = reader.take(MAGIC.length).toString('latin1')
  if (magic !== MAGIC) throw new AppError('format', 'this is not an archive of pg_dump')
  const [major, minor] = [reader.byte(), reader.byte()]
  reader.byte()
  if (major !== 1 || minor < MINOR_MIN || minor > MINOR_MAX) {
    throw new AppError('format', `archive version ${major}.${minor} of pg_dump is not known`, {
      hint: `known are 1.${MINOR_MIN} to 1.${MINOR_MAX}; pg_restore of the version that made it can read it (docs/guide/dumps.md).`,
    })
  }
  reader.intBytes = reader.byte()
  const offsetBytes = reader.byte()
  if (reader.byte() !== CUSTOM_FORMAT) {
    throw new AppError('format', "the archive is not in pg_dump's custom format")
  }
  if (minor >= ALGORITHM_SINCE) reader.byte()
  else reader.int()
  for (let part = 0; part < TIME_PARTS; part += 1) reader.int()
  reader.text()
  const serverVersion = reader.text() ?? ''
  const dumpVersion = reader.text() ?? ''
  const count = reader.int()
  const entries: TocEntry[] = []
  for (let index = 0; index < count; index += 1) {
    entries.push(entryFrom(reader, minor))
    reader.take(1 + offsetBytes)
  }
  return { sizeBytes: reader.at, serverVersion, dumpVersion, entries }
}

function entryFrom(reader: Reader, minor: number): TocEntry {
  const dumpId = reader.int()
  reader.int() // whether it has data
  reader.text() // the catalog's OID
  const oid = Number(reader.text() ?? 0)
  const tag = reader.text() ?? ''
  const kind = reader.text() ?? ''
  const section = SECTIONS[reader.int()]
  if (section === undefined) throw new AppError('format', `'${kind}' has an unknown section`)
  const definition = reader.text() ?? ''
  reader.text() // how to drop it
  reader.text() // how to copy into it
  const schema = named(reader.text())
  const tablespace = named(reader.text())
  reader.text() // access method
  if (minor >= RELKIND_SINCE) reader.int()
  const owner = named(reader.text())
  reader.text() // whether it has OIDs
  const dependencies: number[] = []
  for (let text = reader.text(); text !== undefined; text = reader.text()) {
    dependencies.push(Number(text))
  }
  return { dumpId, oid, kind, tag, section, definition, schema, tablespace, owner, dependencies }
}

function named(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

class Reader {
  readonly #bytes: Buffer
  at = 0
  /** How many bytes a number has, besides its sign. */
  intBytes = 4

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  take(sizeBytes: number): Buffer {
    const end = this.at + sizeBytes
    if (end > this.#bytes.length) throw new Incomplete()
    const taken = this.#bytes.subarray(this.at, end)
    this.at = end
    return taken
  }

  byte(): number {
    return this.take(1).readUInt8()
  }

  int(): number {
    const sign = this.byte()
    const value = this.take(this.intBytes).readUIntLE(0, this.intBytes)
    return sign === 0 ? value : -value
  }

  /** Undefined for a null. */
  text(): string | undefined {
    const sizeBytes = this.int()
    return sizeBytes < 0 ? undefined : this.take(sizeBytes).toString('utf8')
  }
}
