/** How far a dump is, and which table it is at: from what pg_dump says and how much it writes. Pure. */
import { toOneLine } from '../../base/text.ts'
import type { Progress } from '../command.ts'
import type { TableSize } from './groups.ts'

export interface ProgressOptions {
  readonly show: (state: Progress) => void
  /** Sizes at the server, by name. */
  readonly databases: ReadonlyMap<string, number>
}

/** One pg_dump. */
export interface ArchiveProgress {
  /** What it says on standard error. */
  line(text: string): void
  wrote(bytes: number): void
  ended(): void
}

/** One database: those before it are finished. */
export interface DatabaseProgress {
  archive(): ArchiveProgress
  /** Rows read for the fingerprint; told while pg_dump has nothing more to do. */
  fingerprinted(bytes: number): void
}

interface Table {
  name: string
  doneBytes: number
  /** Undefined for a small one. */
  totalBytes: number | undefined
}

export class DumpProgress {
  readonly #show: ProgressOptions['show']
  /** What is expected of each: its size until it begins, then that of its tables, then what it had. */
  readonly #expected: Map<string, number>
  #doneBytes = 0
  #begun: { readonly database: string; readonly startBytes: number } | undefined

  constructor({ show, databases }: ProgressOptions) {
    this.#show = show
    this.#expected = new Map(databases)
  }

  /** `tables`: the large ones. What a dump has no use for, indexes above all, is not in their sizes. */
  begin(database: string, tables: readonly TableSize[]): DatabaseProgress {
    const startBytes = this.#doneBytes
    const before = this.#begun
    if (before !== undefined) this.#expected.set(before.database, startBytes - before.startBytes)
    this.#begun = { database, startBytes }
    const sizes = new Map(
      tables.map(({ schema, name, sizeBytes }) => [`${schema}.${name}`, sizeBytes]),
    )
    const tableBytes = tables.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    const current = new Set<Table>()
    let readBytes = 0
    const tell = (): void => {
      this.#expected.set(database, Math.max(tableBytes, this.#doneBytes - startBytes))
      this.#tell(database, largest(current))
    }
    return {
      archive: () => {
        let table: Table | undefined
        const next = (name: string | undefined): void => {
          if (table !== undefined) current.delete(table)
          table =
            name === undefined ? undefined : { name, doneBytes: 0, totalBytes: sizes.get(name) }
          if (table !== undefined) current.add(table)
        }
        return {
          line: (text) => {
            const [, name] = /^pg_dump: dumping contents of table "(.*)"$/.exec(text) ?? []
            if (name !== undefined) next(name)
          },
          wrote: (bytes) => {
            this.#doneBytes += bytes
            if (table !== undefined) table.doneBytes += bytes
            tell()
          },
          ended: () => {
            next(undefined)
          },
        }
      },
      fingerprinted: (bytes) => {
        readBytes += bytes
        if (current.size > 0) return
        this.#tell(database, {
          name: 'rows read for the fingerprint',
          doneBytes: readBytes,
          totalBytes: tableBytes,
        })
      },
    }
  }

  #tell(database: string, table: Table | undefined): void {
    const expectedBytes = [...this.#expected.values()].reduce((sum, bytes) => sum + bytes, 0)
    const totalBytes = Math.max(expectedBytes, this.#doneBytes)
    this.#show({
      step: 'dump',
      doneBytes: this.#doneBytes,
      totalBytes,
      part: {
        name: toOneLine(table === undefined ? `'${database}'` : `'${database}': ${table.name}`),
        doneBytes: table?.doneBytes ?? 0,
        totalBytes: table?.totalBytes,
      },
    })
  }
}

/** Of several at the same time the one with most left to do: it does not change with every line. */
function largest(tables: ReadonlySet<Table>): Table | undefined {
  return [...tables].toSorted((one, other) => leftBytes(other) - leftBytes(one)).at(0)
}

function leftBytes({ doneBytes, totalBytes = 0 }: Table): number {
  return totalBytes - doneBytes
}
