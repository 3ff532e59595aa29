/** postgresql.auto.conf of a data directory, and what a standby that is rebuilt would forget with it. */
import { readFile } from 'node:fs/promises'
import { errnoOf } from '../../base/error.ts'
import { toBytes } from '../../base/text.ts'

const SETTINGS = ['primary_conninfo', 'primary_slot_name'] as const

/**
 * Names of settings in postgresql.auto.conf, which the restore replaces by the backup's, that `recoveryOptions` do not
 * give anew. Without them a standby follows its primary only through the archive. Pure.
 */
export function forgottenSettings(
  autoConf: string,
  recoveryOptions: ReadonlyMap<string, string>,
): readonly string[] {
  const given = new Set([...recoveryOptions.keys()].map((name) => name.replaceAll('-', '_')))
  return SETTINGS.filter(
    (name) =>
      !given.has(name) &&
      new RegExp(String.raw`^[\t ]*${name}(?:[\t ]*=|[\t ]+)[\t ]*'[^']`, 'im').test(autoConf),
  )
}

/** The file's content, a byte string; empty when there is none. */
export async function readAutoConf(dataDir: string): Promise<string> {
  try {
    return await readFile(toBytes(`${dataDir}/postgresql.auto.conf`), 'latin1')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return ''
    throw error
  }
}
