/** The shape of one row of the option table. Rows are plain data; option-value.ts and resolve.ts give them meaning. */
import type { CommandName } from './command-table.ts'

export type OptionKind =
  | 'boolean'
  | 'integer'
  | 'size'
  | 'time'
  | 'string'
  | 'path'
  | 'choice'
  | 'list'
  | 'hash'

export type OptionGroup = 'repo' | 'pg'

/** Stands in a default for the name the program was called by. */
export const PROGRAM_NAME = '$0'

/** Values here and below are spelled as in a configuration file: `y`, `16KiB`, `30m`. */
export interface OptionDepends {
  readonly option: string
  /** Values of that option that make this one valid; absent: any value. */
  readonly values?: readonly string[]
  /** The value when this one is not valid; absent: unset. */
  readonly otherwise?: string
  /** Only on the command line it is not valid: a configured value and the default stay. */
  readonly keepsConfigured?: true
}

/** One value for all, or one for each value of the option depended on. */
type ByDependedValue<T> = T | { readonly [dependedValue: string]: T }

/** What a command may say differently from the row. */
export interface CommandRule {
  readonly default?: ByDependedValue<string>
  readonly allowed?: readonly string[]
  readonly depends?: OptionDepends
  readonly required?: boolean
  /** Accepted, but not shown in help and reference. */
  readonly internal?: boolean
  /** The only values that work so far; any other, given by whatever source, is refused. */
  readonly supported?: readonly string[]
}

export interface OptionRow extends CommandRule {
  readonly kind: OptionKind
  /** One sentence. */
  readonly summary: string
  /** Commands that accept it in their main process. */
  readonly commands: readonly CommandName[]
  /** Where it may stand besides command line and environment: any section (default), stanza sections, no file. */
  readonly section?: 'command-line' | 'stanza'
  /** Indexed: `repo1-path`, `pg2-port`. */
  readonly group?: OptionGroup
  /** Both ends included. */
  readonly range?: ByDependedValue<readonly [string, string]>
  /** Refused on the command line; never printed; has `-file` and `-command` companions. */
  readonly secret?: true
  /** `--no-` is allowed; booleans that may stand in files have it without saying so. */
  readonly negatable?: true
  /** `--name` means y and `--no-name` means n although it is a choice. */
  readonly booleanLike?: true
  /** Old names; `?` stands for the index. */
  readonly deprecated?: readonly string[]
  /** `not-yet`: any value but the default is refused. Absent: it works. */
  readonly support?: 'not-yet'
  /** What a backup does without it when the repository has none yet; later it does as the newest one did. */
  readonly whenNew?: string
  /** Absent: it is pgBackRest's (2.60). */
  readonly origin?: 'pgsurety'
  readonly byCommand?: { readonly [Name in CommandName]?: CommandRule }
}

/** What holds for `command`: the row's rules with the command's own on top. */
export function ruleFor(row: OptionRow, command: CommandName): CommandRule {
  const own = row.byCommand?.[command]
  return own === undefined ? row : { ...row, ...own }
}
