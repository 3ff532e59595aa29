/** Page checksums of relation files, checked while the files are copied. Rules: PostgreSQL 9.3 to 18, pgBackRest 2.60. */
import { findBadPages } from '../pipe/codecs.ts'
import type { Filter } from '../pipe/pipe.ts'

/** Passes bytes on unchanged. The findings are complete after `end`. */
export interface PageCheck extends Filter {
  /** Relation-wide numbers of pages whose checksum is wrong, ascending. */
  readonly badPages: readonly number[]
  /** The size is not a multiple of the page size; the incomplete page at the end was not checked. */
  readonly misaligned: boolean
}

interface PageCheckOptions {
  /** Relation-wide number of the file's first page: segment × pages in a segment. */
  readonly firstBlock: number
  /** From pg_control: a power of two from 1 KiB to 32 KiB. */
  readonly pageSizeBytes: number
  /**
   * How a page says that it is new, and so has no checksum but must be all zero: `on`, the usual way, by `pd_upper` = 0;
   * `off`, for forks of PostgreSQL with other headers, by a stored checksum of 0.
   */
  readonly headerCheck: 'on' | 'off'
  /**
   * Reads page `pageIndex` of this file (from 0) from the disk again. A bad page whose bytes are now others was being
   * written when it was read: WAL replay repairs it, so it is accepted. Undefined, when it cannot be read, leaves it bad.
   */
  readonly reread?:
    | ((pageIndex: number) => Promise<Buffer | undefined> | Buffer | undefined)
    | undefined
}

interface Suspect {
  readonly pageIndex: number
  /** Part of the chunk under way. */
  readonly bytes: Buffer
}

export function pageCheck(options: PageCheckOptions): PageCheck {
  const { firstBlock, pageSizeBytes, headerCheck, reread } = options
  const badPages: number[] = []
  /** The begin of a page that the next chunk completes. */
  let begun: Buffer = Buffer.alloc(0)
  let checkedPages = 0

  const findSuspects = (pages: Buffer): readonly Suspect[] => {
    const pageIndex = checkedPages
    checkedPages += pages.length / pageSizeBytes
    const rules = { pageSizeBytes, headerCheck, firstBlock: firstBlock + pageIndex }
    return findBadPages(pages, rules).map((bad) => ({
      pageIndex: pageIndex + bad,
      bytes: pages.subarray(bad * pageSizeBytes, (bad + 1) * pageSizeBytes),
    }))
  }
  const judge = async (suspects: readonly Suspect[], chunk: Buffer): Promise<readonly Buffer[]> => {
    for (const { pageIndex, bytes } of suspects) {
      const again = await reread?.(pageIndex)
      if (again === undefined || again.equals(bytes)) badPages.push(firstBlock + pageIndex)
    }
    return [chunk]
  }
  return {
    get badPages() {
      return badPages
    },
    get misaligned() {
      return begun.length > 0
    },
    update: (chunk) => {
      const suspects: Suspect[] = []
      let rest = chunk
      if (begun.length > 0) {
        const missingBytes = pageSizeBytes - begun.length
        begun = Buffer.concat([begun, chunk.subarray(0, missingBytes)])
        if (begun.length < pageSizeBytes) return [chunk]
        suspects.push(...findSuspects(begun))
        rest = chunk.subarray(missingBytes)
      }
      const wholeBytes = rest.length - (rest.length % pageSizeBytes)
      suspects.push(...findSuspects(rest.subarray(0, wholeBytes)))
      begun = Buffer.from(rest.subarray(wholeBytes))
      return suspects.length === 0 ? [chunk] : judge(suspects, chunk)
    },
    end: () => [],
    close: () => undefined,
  }
}
