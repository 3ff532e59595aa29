/** Options from the sections of the configuration files that apply to one command and stanza. */
import { AppError } from '../base/error.ts'
import { COMMAND_NAMES, type CommandName } from './command-table.ts'
import type { GivenOptions } from './given.ts'
import type { Ini } from './ini.ts'
import { displayName, nearestOptionHint, parseOptionName, type ParsedName } from './option-name.ts'
import { isValidFor } from './option-table.ts'

export interface SectionsInput {
  readonly ini: Ini
  readonly command: CommandName
  readonly stanza: string | undefined
  /** Added to; what is already there wins. */
  readonly options: GivenOptions
  readonly warnings: string[]
}

interface Section {
  readonly name: string
  readonly isGlobal: boolean
  readonly isForCommand: boolean
}

/**
 * The first of `[stanza:command]`, `[stanza]`, `[global:command]`, `[global]` that has an option wins; options of other
 * commands are passed over. Throws `option-invalid` for a name no option has (pgBackRest only warns), for two names of
 * one option in a section and for repeated options, `option-invalid-value` for empty values and bad booleans.
 */
export function readSections(input: SectionsInput): void {
  const { command, stanza } = input
  const owners = stanza === undefined ? ['global'] : [stanza, 'global']
  for (const owner of owners) {
    const isGlobal = owner === 'global'
    readSection(input, { name: `${owner}:${command}`, isGlobal, isForCommand: true })
    readSection(input, { name: owner, isGlobal, isForCommand: false })
  }
}

/** Names of the stanzas that have a section, in the order of the files. */
export function stanzaNames(ini: Ini): readonly string[] {
  const names = [...ini.keys()].map(ownerOf)
  return [...new Set(names.filter((name) => name !== 'global' && name !== ''))]
}

function ownerOf(section: string): string {
  const command = COMMAND_NAMES.find((name) => section.endsWith(`:${name}`))
  return command === undefined ? section : section.slice(0, -command.length - 1)
}

function readSection(input: SectionsInput, section: Section): void {
  const { options, warnings, ini } = input
  const seen = new Map<string, string>()
  for (const [key, values] of ini.get(section.name) ?? []) {
    const parsed = parseOptionName(key, { abbreviation: 'refused' })
    if (parsed === undefined) {
      throw new AppError(
        'option-invalid',
        `configuration file contains invalid option '${key}' in section '[${section.name}]'`,
        {
          hint: nearestOptionHint(key),
        },
      )
    }
    const ignored = reasonToIgnore(parsed, key)
    if (ignored !== undefined) {
      warnings.push(`configuration file contains ${ignored}`)
      continue
    }
    const shown = displayName(parsed.name, parsed.index)
    const other = seen.get(shown)
    if (other !== undefined) {
      throw new AppError(
        'option-invalid',
        `configuration file contains duplicate options ('${key}', '${other}') in section '[${section.name}]'`,
      )
    }
    seen.set(shown, key)
    if (!appliesHere(input, parsed, { section, key }) || options.has(shown)) continue
    assertValues({ parsed, shown, values, place: `section '${section.name}', key '${key}'` })
    const { name, index } = parsed
    options.set(shown, { name, index, form: 'set', source: 'file', values })
  }
}

function reasonToIgnore(parsed: ParsedName, key: string): string | undefined {
  if (parsed.form === 'negated') return `negate option '${key}'`
  if (parsed.form === 'reset') return `reset option '${key}'`
  return parsed.row.section === 'command-line' ? `command-line only option '${key}'` : undefined
}

function appliesHere(
  { command, warnings }: SectionsInput,
  { row }: ParsedName,
  { section, key }: { readonly section: Section; readonly key: string },
): boolean {
  if (!isValidFor(row, command)) {
    if (section.isForCommand) {
      warnings.push(
        `configuration file contains option '${key}' invalid for section '${section.name}'`,
      )
    }
    return false
  }
  if (row.section === 'stanza' && section.isGlobal) {
    warnings.push(
      `configuration file contains stanza-only option '${key}' in global section '${section.name}'`,
    )
    return false
  }
  return true
}

interface ValuesCheck {
  readonly parsed: ParsedName
  readonly shown: string
  readonly values: readonly string[]
  readonly place: string
}

function assertValues({ parsed, shown, values, place }: ValuesCheck): void {
  const { kind } = parsed.row
  if (values.length > 1 && kind !== 'list' && kind !== 'hash') {
    throw new AppError('option-invalid', `option '${shown}' cannot be set multiple times`)
  }
  if (values.length === 1 && values[0] === '') {
    throw new AppError('option-invalid-value', `${place} must have a value`)
  }
  if (kind === 'boolean' && values[0] !== 'y' && values[0] !== 'n') {
    throw new AppError('option-invalid-value', `boolean option '${shown}' must be 'y' or 'n'`)
  }
}
