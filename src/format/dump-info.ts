/** `dump.info`: written once for a stanza, before its first dump; holds the key of its dumps. In the shape of archive.info. */
import { AppError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { cipherSection, readCipherPass } from './archive-info.ts'
import { count } from './fields.ts'
import { parseInfoFile, reading, renderInfoFile, sectionOf } from './info-file.ts'
import type { JsonValue } from './json.ts'

const WHAT = 'dump.info'
/** Of the folder's layout. */
const DUMP_FORMAT = 1

export interface DumpInfo {
  /** Key of everything in the stanza's dump sets; undefined in a repository without encryption. */
  readonly cipherPass: Secret | undefined
}

/** Throws `format` and `checksum`. */
export function parseDumpInfo(content: Buffer): DumpInfo {
  const { sections } = parseInfoFile(content, WHAT)
  const format = reading(`[dump] of '${WHAT}'`, () =>
    count(sectionOf(sections, 'dump'), 'dump-format'),
  )
  if (format !== DUMP_FORMAT) {
    throw new AppError('format', `expected dump format ${DUMP_FORMAT} but found ${format}`, {
      hint: 'Was it written by a newer pgsurety?',
    })
  }
  return { cipherPass: readCipherPass(sections, WHAT) }
}

export function renderDumpInfo({ cipherPass }: DumpInfo): Buffer {
  return renderInfoFile(
    new Map([
      ['cipher', cipherSection(cipherPass)],
      ['dump', new Map<string, JsonValue>([['dump-format', DUMP_FORMAT]])],
    ]),
  )
}
