/** From given options to values: validity, dependencies, defaults, required options, indexes (pgBackRest 2.60). */
import { AppError } from '../base/error.ts'
import type { CommandName } from './command-table.ts'
import { notValid } from './not-valid.ts'
import { givenOption, type GivenOption, type GivenOptions, type OptionSource } from './given.ts'
import { displayName } from './option-name.ts'
import {
  PROGRAM_NAME,
  ruleFor,
  type CommandRule,
  type OptionGroup,
  type OptionRow,
} from './option-row.ts'
import {
  companionsOf,
  isOptionName,
  isValidFor,
  OPTION_NAMES,
  optionRow,
  type OptionName,
} from './option-table.ts'
import { parseOptionValue, repeatedHashKeys, type OptionValue } from './option-value.ts'

export interface ResolvedOption {
  readonly name: OptionName
  readonly index: number
  /** Undefined when unset. */
  readonly value: OptionValue | undefined
  /** The value as it was written; [] when unset. */
  readonly texts: readonly string[]
  readonly source: OptionSource
}

export interface Resolved {
  /** Display name → option, for every option the command accepts, in pgBackRest's order. */
  readonly options: Map<string, ResolvedOption>
  /** Ascending; each group always has at least one. */
  readonly indexes: Readonly<Record<OptionGroup, readonly number[]>>
}

export interface ResolveInput {
  readonly command: CommandName
  readonly given: GivenOptions
  readonly programName: string
  readonly warnings: string[]
}

/**
 * Throws `option-invalid` for options on the command line that the command does not accept or whose dependency is not
 * met (in files and environment these are passed over), `option-required`, `option-invalid-value`.
 */
export function resolveOptions(input: ResolveInput): Resolved {
  const names = OPTION_NAMES.filter((name) => isValidFor(optionRow(name), input.command))
  for (const { name } of input.given.values()) {
    if (!isValidFor(optionRow(name), input.command)) throw notValid(name, input.command)
  }
  const candidates = {
    repo: indexesGiven(input.given, 'repo'),
    pg: [...new Set([1, ...indexesGiven(input.given, 'pg')])],
  }
  const resolver = new Resolver(input)
  // A missing stanza explains most other errors, so it is reported first, as in pgBackRest.
  if (names.includes('stanza')) resolver.resolve('stanza', 1)
  const shownNames = names.flatMap((name) => {
    const { group } = optionRow(name)
    const indexes = group === undefined ? [1] : candidates[group]
    return indexes.map((index) => {
      resolver.resolve(name, index)
      return displayName(name, index)
    })
  })
  const options = resolver.inOrder(shownNames)
  return {
    options,
    indexes: { repo: indexesKept(options, 'repo'), pg: indexesKept(options, 'pg') },
  }
}

function indexesGiven(given: GivenOptions, group: OptionGroup): readonly number[] {
  const indexes = [...given.values()]
    .filter(({ name, form }) => optionRow(name).group === group && form !== 'reset')
    .map(({ index }) => index)
  return indexes.length === 0 ? [1] : [...new Set(indexes)].toSorted((left, right) => left - right)
}

/** An index all of whose options are at their defaults does not exist: dependencies may leave such behind. */
function indexesKept(
  options: ReadonlyMap<string, ResolvedOption>,
  group: OptionGroup,
): readonly number[] {
  const kept = [...options.values()]
    .filter(({ name, source }) => optionRow(name).group === group && source !== 'default')
    .map(({ index }) => index)
  return kept.length === 0 ? [1] : [...new Set(kept)].toSorted((left, right) => left - right)
}

class Resolver {
  readonly #input: ResolveInput
  readonly #resolved = new Map<string, ResolvedOption>()

  constructor(input: ResolveInput) {
    this.#input = input
  }

  /** Resolves what the option depends on first, so the order of calls does not matter. */
  resolve(name: OptionName, index: number): ResolvedOption {
    const shown = displayName(name, index)
    const known = this.#resolved.get(shown)
    if (known !== undefined) return known
    const row = optionRow(name)
    const rule = ruleFor(row, this.#input.command)
    const given = givenOption(this.#input.given, name, index)
    const resolved = this.#decide({ name, index, shown, row, rule, given })
    this.#resolved.set(shown, resolved)
    return resolved
  }

  /** Dependencies are resolved early, so the order of resolving is not the order of the names. */
  inOrder(shownNames: readonly string[]): Map<string, ResolvedOption> {
    const ordered = new Map<string, ResolvedOption>()
    for (const shown of shownNames) {
      const option = this.#resolved.get(shown)
      if (option !== undefined) ordered.set(shown, option)
    }
    return ordered
  }

  #decide(asked: Asked): ResolvedOption {
    const { name, index, shown, row, rule, given } = asked
    const dependence = this.#dependence(asked)
    const rules = { shown, row, rule, dependedValue: dependence.value }
    const isSet = given !== undefined && gives(given, row)
    if (dependence.unmet !== undefined) {
      if (isSet && given.source === 'command-line') {
        throw new AppError(
          'option-invalid',
          `option '${shown}' not valid without ${dependence.unmet}`,
        )
      }
      if (rule.depends?.keepsConfigured !== true) return this.#otherwise(asked)
    }
    if (isSet) {
      this.#warnRepeatedKeys(shown, row, given)
      const { values: texts, source } = given
      return { name, index, value: parseOptionValue(texts, rules), texts, source }
    }
    return given?.form === 'negated' ? unset(asked, given.source) : this.#default(asked, dependence)
  }

  #otherwise(asked: Asked): ResolvedOption {
    const text = asked.rule.depends?.otherwise
    return text === undefined ? unset(asked, 'default') : byDefault(asked, text, undefined)
  }

  #default(asked: Asked, dependence: Dependence): ResolvedOption {
    const { name, index, shown, row, rule } = asked
    const text = this.#defaultText(rule, dependence.value)
    if (text !== undefined) return byDefault(asked, text, dependence.value)
    if (rule.required === true && !this.#hasCompanion(name, index)) throw this.#required(shown, row)
    return unset(asked, 'default')
  }

  #dependence({ row, rule, index }: Asked): Dependence {
    const { depends } = rule
    if (depends === undefined || !isOptionName(depends.option)) return {}
    const dependedRow = optionRow(depends.option)
    const dependedIndex = dependedRow.group === row.group ? index : 1
    const depended = this.resolve(depends.option, dependedIndex)
    const shown = displayName(depends.option, dependedIndex)
    const value = textOf(depended)
    if (value === undefined) return { unmet: `option '${shown}'` }
    if (depends.values === undefined || depends.values.includes(value)) return { value }
    if (dependedRow.kind === 'boolean') {
      return { unmet: `option '${depends.values.includes('n') ? 'no-' : ''}${shown}'` }
    }
    const wanted = depends.values.map((text) => `'${text}'`).join(', ')
    return {
      unmet: `option '${shown}' ${depends.values.length === 1 ? `= ${wanted}` : `in (${wanted})`}`,
    }
  }

  #defaultText(rule: CommandRule, dependedValue: string | undefined): string | undefined {
    const found =
      typeof rule.default === 'object' ? rule.default[dependedValue ?? ''] : rule.default
    return found === PROGRAM_NAME ? this.#input.programName : found
  }

  #hasCompanion(name: OptionName, index: number): boolean {
    return companionsOf(name).some(
      (companion) => givenOption(this.#input.given, companion, index) !== undefined,
    )
  }

  #required(shown: string, row: OptionRow): AppError {
    const hint = row.section === 'stanza' ? 'does this stanza exist?' : undefined
    return new AppError(
      'option-required',
      `${this.#input.command} command requires option: ${shown}`,
      { hint },
    )
  }

  #warnRepeatedKeys(shown: string, row: OptionRow, given: GivenOption): void {
    if (row.kind !== 'hash') return
    for (const key of repeatedHashKeys(given.values)) {
      this.#input.warnings.push(
        `key '${key}' is given more than once for '${shown}' option, the last value counts`,
      )
    }
  }
}

interface Asked {
  readonly name: OptionName
  readonly index: number
  readonly shown: string
  readonly row: OptionRow
  readonly rule: CommandRule
  readonly given: GivenOption | undefined
}

interface Dependence {
  /** The value of the option depended on, when it fits. */
  readonly value?: string
  /** What is missing, in words. */
  readonly unmet?: string
}

/** False for `--reset-x`, and for `--no-x` of options that are not booleans. */
function gives(given: GivenOption, row: OptionRow): boolean {
  return given.form === 'set' || (given.form === 'negated' && row.kind === 'boolean')
}

function byDefault(
  { name, index, shown, row, rule }: Asked,
  text: string,
  dependedValue: string | undefined,
): ResolvedOption {
  const value = parseOptionValue([text], { shown, row, rule, dependedValue })
  return { name, index, value, texts: [text], source: 'default' }
}

function unset({ name, index }: Asked, source: OptionSource): ResolvedOption {
  return { name, index, value: undefined, texts: [], source }
}

/** `y`, `n` or the text of the value; undefined when unset. */
function textOf({ value, texts }: ResolvedOption): string | undefined {
  if (value === undefined) return undefined
  return typeof value === 'boolean' ? (value ? 'y' : 'n') : (texts[0] ?? '')
}
