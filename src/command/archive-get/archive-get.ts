/**
 * archive-get: PostgreSQL's restore_command. Exit 1 says "certainly not in the archive", which lets recovery end; every
 * doubt (unreachable repository, damaged segment) is another exit code, on which PostgreSQL does not end recovery.
 */
import { isAbsolute, join } from 'node:path'
import { isSegmentName } from '../../format/wal.ts'
import type { Context } from '../command.ts'
import { getFile } from './fetch.ts'

/** archive-get's answer for a file that is certainly not in the archive (pgBackRest). */
const NOT_FOUND_EXIT_CODE = 1
export async function archiveGet(context: Context): Promise<number> {
  const { config, log } = context
  const [name = '', destination = ''] = config.parameters
  const path = isAbsolute(destination) ? destination : join(process.cwd(), destination)
  const isAsync = config.flag('archive-async') && isSegmentName(name)
  const outcome = isAsync
    ? await (await import('./prefetched.ts')).getPrefetched(context, name, path)
    : await getFile(context, name, path)
  const how = isAsync ? ' asynchronously' : ''
  if (outcome === 'found') {
    log.info(`found ${name} in the archive${how}`)
    return 0
  }
  log.info(`unable to find ${name} in the archive${how}`)
  return NOT_FOUND_EXIT_CODE
}
