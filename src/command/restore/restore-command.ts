/** The restore_command that a restored cluster is given. */
import type { Config } from '../../config/config.ts'
import type { RestoreType } from '../../postgres/recovery.ts'
import { programCall } from '../program-call.ts'

/**
 * PostgreSQL (13 to 18) takes every exit code up to 125 for "there is no more WAL", ends recovery and promotes; higher ones
 * stop the server. A repository that could not be asked must not be taken for the end of the WAL.
 */
const STOP_UNLESS_MISSING = ' || { [ $? -eq 1 ] && exit 1; exit 255; }'

/**
 * `<program> <options of this restore that archive-get takes> archive-get %f "%p"`, as pgBackRest writes it, and what makes
 * errors stop a recovery. A standby goes on asking, so it keeps the plain command.
 */
export function restoreCommand(config: Config, type: RestoreType): string {
  const command = `${programCall(config, 'archive-get')} %f "%p"`
  return type === 'standby' ? command : `${command}${STOP_UNLESS_MISSING}`
}
