/** Options from the environment: `PGSURETY_REPO1_PATH`, and `PGBACKREST_REPO1_PATH` where ours is not set. */
import { AppError } from '../base/error.ts'
import type { CommandName } from './command-table.ts'
import type { GivenOptions } from './given.ts'
import { displayName, nearestOptionHint, parseOptionName, type ParsedName } from './option-name.ts'
import { isValidFor } from './option-table.ts'

const PREFIXES = ['PGSURETY_', 'PGBACKREST_'] as const
/** For the launcher. */
const NO_OPTION = 'PGSURETY_NODE'

export interface EnvironmentInput {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly command: CommandName
  /** Added to; what is already there wins. */
  readonly options: GivenOptions
  readonly warnings: string[]
}

/**
 * Lists and hashes are split at `:`. Unknown names only warn: the environment may hold anything. Throws
 * `option-invalid-value` for an empty value and for a boolean that is neither `y` nor `n`.
 */
export function readEnvironment(input: EnvironmentInput): void {
  for (const prefix of PREFIXES) {
    for (const [variable, value] of Object.entries(input.env)) {
      if (!variable.startsWith(prefix) || variable === NO_OPTION || value === undefined) continue
      const key = variable.slice(prefix.length).toLowerCase().replaceAll('_', '-')
      const parsed = parseOptionName(key, { abbreviation: 'refused' })
      if (parsed?.form === 'set') takeVariable(input, parsed, { variable, key, value })
      else input.warnings.push(warningFor(key, parsed))
    }
  }
}

function warningFor(key: string, parsed: ParsedName | undefined): string {
  if (parsed?.form === 'negated') return `environment contains invalid negate option '${key}'`
  if (parsed?.form === 'reset') return `environment contains invalid reset option '${key}'`
  const hint = nearestOptionHint(key)
  const suffix = hint === undefined ? '' : `\nHINT: ${hint}`
  return `environment contains invalid option '${key}'${suffix}`
}

interface Variable {
  readonly variable: string
  readonly key: string
  readonly value: string
}

function takeVariable(
  { command, options }: EnvironmentInput,
  { name, index, row }: ParsedName,
  { variable, key, value }: Variable,
): void {
  if (!isValidFor(row, command)) return
  if (value === '') {
    throw new AppError(
      'option-invalid-value',
      `environment variable '${variable}' must have a value`,
    )
  }
  const shown = displayName(name, index)
  if (options.has(shown)) return
  if (row.kind === 'boolean' && value !== 'y' && value !== 'n') {
    throw new AppError(
      'option-invalid-value',
      `environment boolean option '${key}' must be 'y' or 'n'`,
    )
  }
  const values = row.kind === 'list' || row.kind === 'hash' ? value.split(':') : [value]
  options.set(shown, { name, index, form: 'set', source: 'environment', values })
}
