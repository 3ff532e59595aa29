import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { systemClock, type Clock } from '../base/clock.ts'
import { AppError, errnoOf, isErrorKind } from '../base/error.ts'
import {
  CONTROL_FILE_BYTES,
  CONTROL_FILE_PADDED_BYTES,
  parseControlFile,
  type ControlFile,
} from './control-file.ts'

/** PostgreSQL rewrites the file in far less time than this. */
const TORN_READ_WAIT_MS = 50
/** Bytes that keep changing and never fit their CRC are not PostgreSQL's. */
const READS_MAX = 20

export interface ReadControlFile {
  readonly control: ControlFile
  /** `CONTROL_FILE_PADDED_BYTES` bytes as they are to be stored: what was parsed, then zeros. */
  readonly bytes: Buffer
}

/**
 * Reads pg_control of a cluster that may be running. A checksum error is believed only when two reads 50 ms apart give
 * the same bytes: a read beside a write can be torn. Throws `file-missing`, `file-open` and as `parseControlFile`.
 */
export async function readControlFile(
  dataDir: string,
  clock: Clock = systemClock,
): Promise<ReadControlFile> {
  const path = join(dataDir, 'global', 'pg_control')
  let previous: Buffer | undefined
  for (let reads = 1; ; reads += 1) {
    const found = readFirstBytes(path)
    try {
      const control = parseControlFile(found)
      const bytes = Buffer.alloc(CONTROL_FILE_PADDED_BYTES)
      found.copy(bytes)
      return { control, bytes }
    } catch (error) {
      const isBelieved = reads === READS_MAX || previous?.equals(found) === true
      if (isBelieved || !isErrorKind(error, 'checksum')) throw error
    }
    previous = found
    await clock.sleep(TORN_READ_WAIT_MS)
  }
}

function readFirstBytes(path: string): Buffer {
  try {
    const file = openSync(path, 'r')
    try {
      const buffer = Buffer.alloc(CONTROL_FILE_BYTES)
      return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0))
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    if (errnoOf(cause) === 'ENOENT') {
      throw new AppError('file-missing', `'${path}' is missing`, {
        cause,
        hint: 'Is this path the data directory of a PostgreSQL cluster?',
      })
    }
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('file-open', `unable to read '${path}': ${reason}`, { cause })
  }
}
