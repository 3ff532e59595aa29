/** The restore_command that a restored cluster is given. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../config/config.ts'

/** `<program> <options of this restore that archive-get takes> archive-get %f "%p"`, as pgBackRest writes it. */
export function restoreCommand(config: Config): string {
  const options = config.commandLineFor('archive-get').map(({ name, value }) => quoted(`--${name}=${value}`))
  return [config.optionalText('cmd') ?? programPath(), ...options, 'archive-get', '%f', '"%p"'].join(' ')
}

/** In `/bin/sh`, which runs it; `%` is PostgreSQL's own sign. */
function quoted(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  return /^[\w./:=,@%+-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\$`]/g, (sign) => `\\${sign}`)}"`
}

/** The launcher beside this code: `bin/pgsurety` of the checkout or installation, else the name to be found on PATH. */
function programPath(): string {
  for (const up of ['../bin/pgsurety', '../../../bin/pgsurety']) {
    const path = fileURLToPath(new URL(up, import.meta.url))
    if (existsSync(path)) return path
  }
  return 'pgsurety'
}
