/** Options as they were given, before anything is known about their meaning. */
import { displayName, type ParsedName } from './option-name.ts'
import type { OptionName } from './option-table.ts'

export type OptionSource = 'command-line' | 'environment' | 'file' | 'default'

export interface GivenOption {
  readonly name: OptionName
  readonly index: number
  readonly form: ParsedName['form']
  /** `default`: nobody gave it, but it follows from what was given. */
  readonly source: OptionSource
  /** One for most options, several for lists and hashes, none when reset or negated. Booleans have `y` or `n`. */
  readonly values: readonly string[]
}

/** Display name → option. The first source to give an option wins. */
export type GivenOptions = Map<string, GivenOption>

export function givenOption(
  given: ReadonlyMap<string, GivenOption>,
  name: OptionName,
  index: number,
): GivenOption | undefined {
  return given.get(displayName(name, index))
}
