/** How PostgreSQL calls this program: for settings that a command writes or recommends. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../config/config.ts'
import { parseOptionName } from '../config/option-name.ts'
import { isValidFor } from '../config/option-table.ts'
import { renderArgument } from '../config/written-options.ts'

/** Options of this run that are of this run alone (pgBackRest 2.60). */
const NOT_PASSED =
  /^(?:exec-id|archive-timeout|job-retry|job-retry-interval|log-.*|process-max|cmd|no-.*)$/

/** `<program> <options of this command line that `command` takes too> <command>`. */
export function programCall(config: Config, command: 'archive-get' | 'archive-push'): string {
  const options = config
    .commandLine()
    .filter(({ name }) => isFor(command, name))
    .map((option) => quoted(renderArgument(option)))
  const cmd = config.has('cmd') ? config.text('cmd') : 'pgsurety'
  return [cmd === 'pgsurety' ? programPath() : cmd, ...options, command].join(' ')
}

/** The SQL that has the server archive with this configuration. */
export function useArchiveCommand(config: Config): string {
  const command = `${programCall(config, 'archive-push')} %p`
  return `ALTER SYSTEM SET archive_command = '${command.replaceAll("'", "''")}'; SELECT pg_reload_conf();`
}

function isFor(command: 'archive-get' | 'archive-push', shown: string): boolean {
  if (NOT_PASSED.test(shown)) return false
  const option = parseOptionName(shown, { abbreviation: 'refused' })
  return option !== undefined && isValidFor(option.row, command)
}

/** For `/bin/sh`, which runs it; `%` is PostgreSQL's own sign. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  if (/^[\w./:=,@%+-]+$/.test(escaped)) return escaped
  return `"${escaped.replaceAll(/["\\$`]/g, (sign) => `\\${sign}`)}"`
}

/** The launcher beside this code: `bin/pgsurety` of the checkout or installation, else the name to be found on PATH. */
function programPath(): string {
  for (const up of ['../bin/pgsurety', '../../bin/pgsurety']) {
    const path = fileURLToPath(new URL(up, import.meta.url))
    if (existsSync(path)) return path
  }
  return 'pgsurety'
}
