/** The restore_command that a restored cluster is given. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../config/config.ts'
import { parseOptionName } from '../../config/option-name.ts'
import { isValidFor } from '../../config/option-table.ts'
import { renderArgument } from '../../config/written-options.ts'
import type { RestoreType } from '../../postgres/recovery.ts'

/** Options of this run that must not follow the cluster into its recovery (pgBackRest 2.60). */
const NOT_PASSED = /^(?:exec-id|job-retry|job-retry-interval|log-.*|process-max|cmd|no-.*)$/

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
  const options = config
    .commandLine()
    .filter(({ name }) => isForArchiveGet(name))
    .map((option) => quoted(renderArgument(option)))
  const command = [
    config.text('cmd') === 'pgsurety' ? programPath() : config.text('cmd'),
    ...options,
    'archive-get',
    '%f',
    '"%p"',
  ].join(' ')
  return type === 'standby' ? command : `${command}${STOP_UNLESS_MISSING}`
}

function isForArchiveGet(shown: string): boolean {
  if (NOT_PASSED.test(shown)) return false
  const option = parseOptionName(shown, { abbreviation: 'refused' })
  return option !== undefined && isValidFor(option.row, 'archive-get')
}

/** For `/bin/sh`, which runs it; `%` is PostgreSQL's own sign. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  if (/^[\w./:=,@%+-]+$/.test(escaped)) return escaped
  return `"${escaped.replaceAll(/["\\$`]/g, (sign) => `\\${sign}`)}"`
}

/** The launcher beside this code: `bin/pgsurety` of the checkout or installation, else the name to be found on PATH. */
function programPath(): string {
  for (const up of ['../bin/pgsurety', '../../../bin/pgsurety']) {
    const path = fileURLToPath(new URL(up, import.meta.url))
    if (existsSync(path)) return path
  }
  return 'pgsurety'
}
