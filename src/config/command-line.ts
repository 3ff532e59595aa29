/** The command line: `[options] command [parameters] [options]` (pgBackRest 2.60). */
import { AppError } from '../base/error.ts'
import { nearestName } from '../base/text.ts'
import { COMMAND_NAMES, COMMANDS, isCommandName, type CommandName } from './command-table.ts'
import type { GivenOption, GivenOptions } from './given.ts'
import { displayName, nearestOptionHint, parseOptionName, type ParsedName } from './option-name.ts'
import { notValid } from './not-valid.ts'
import { isValidFor, optionRow } from './option-table.ts'

/** `async`: the background process that `archive-push:async` and `archive-get:async` start. */
export type CommandRole = 'main' | 'async'

export interface CommandLine {
  readonly command: CommandName
  readonly role: CommandRole
  readonly parameters: readonly string[]
  readonly options: GivenOptions
}

/**
 * `argv` is without program name. Throws `command-required`, `command-invalid`, `option-invalid`,
 * `option-invalid-value` and `param-invalid`. Whether the command accepts the options is checked later.
 */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const options: GivenOptions = new Map()
  const words: string[] = []
  for (let at = 0; at < argv.length; at += 1) {
    const argument = argv[at] ?? ''
    if (argument.startsWith('-')) at += takeOption({ options, argument, next: argv[at + 1] })
    else words.push(argument)
  }
  return chooseCommand(words, options)
}

function chooseCommand(words: readonly string[], options: GivenOptions): CommandLine {
  const [first, ...parameters] = words
  const other = [...options.values()].find(({ name }) => !isValidFor(optionRow(name), 'help'))
  if (first === undefined && other !== undefined) {
    throw new AppError('command-required', 'no command found', {
      hint: "run 'pgsurety help' for the list of commands.",
    })
  }
  const { command, role } = first === undefined ? HELP : parseCommand(first)
  if (isAsked(options, 'help')) return { ...HELP, parameters: helpWords(command, words) }
  if (isAsked(options, 'version') && command === 'help') return { ...HELP, command: 'version' }
  if (command === 'help') return helpCommandLine(parameters, options)
  if (parameters.length > 0 && COMMANDS[command].parameters.length === 0) {
    throw new AppError('param-invalid', `command '${command}' does not allow parameters`)
  }
  return { command, role, parameters, options }
}

const HELP: CommandLine = { command: 'help', role: 'main', parameters: [], options: new Map() }

/** `help backup --stanza=main` is checked as if `backup` were run; the values make no difference. */
function helpCommandLine(parameters: readonly string[], options: GivenOptions): CommandLine {
  const [about] = parameters
  const { command } = about === undefined ? HELP : parseCommand(about)
  for (const { name } of options.values()) {
    if (!isValidFor(optionRow(name), command)) throw notValid(name, command)
  }
  return { ...HELP, parameters }
}

/** `backup --help` means `help backup`. */
function helpWords(command: CommandName, words: readonly string[]): readonly string[] {
  return command === 'help' ? words.slice(1) : words.slice(0, 1)
}

function isAsked(options: GivenOptions, name: 'help' | 'version'): boolean {
  return options.get(name)?.values[0] === 'y'
}

function parseCommand(word: string): Pick<CommandLine, 'command' | 'role'> {
  const [name = '', role] = word.split(':')
  if (!isCommandName(name)) throw unknownCommand(name)
  if (role === undefined || role === 'main') return { command: name, role: 'main' }
  if (role === 'async' && (name === 'archive-push' || name === 'archive-get')) {
    return { command: name, role }
  }
  if (role === 'async' || role === 'local' || role === 'remote') {
    throw new AppError('command-invalid', `invalid command/role combination '${word}'`, {
      hint: 'roles are for helper processes of pgBackRest; this program has no such one.',
    })
  }
  throw new AppError('command-invalid', `invalid command role '${role}'`)
}

/** The error for a word that is no command, with the nearest one. */
export function unknownCommand(name: string): AppError {
  const nearest = nearestName(name, COMMAND_NAMES)
  const hint =
    nearest === undefined
      ? "run 'pgsurety help' for the list of commands."
      : `did you mean '${nearest}'?`
  return new AppError('command-invalid', `invalid command '${name}'`, { hint })
}

interface OptionArgument {
  readonly options: GivenOptions
  readonly argument: string
  readonly next: string | undefined
}

/** Adds one option; gives the number of further arguments it took. */
function takeOption({ options, argument, next }: OptionArgument): 0 | 1 {
  if (!argument.startsWith('--')) {
    throw new AppError('option-invalid', `option '${argument}' must begin with --`)
  }
  const equals = argument.indexOf('=')
  const written = argument.slice(2, equals === -1 ? undefined : equals)
  const attached = equals === -1 ? undefined : argument.slice(equals + 1)
  const parsed = parseOptionName(written, { abbreviation: 'allowed' })
  if (parsed === undefined) {
    throw new AppError('option-invalid', `invalid option '--${written}'`, {
      hint: nearestOptionHint(written),
    })
  }
  const value = valueOf(parsed, written, attached)
  const fromNext = value.needsNext
  if (fromNext && next === undefined) {
    throw new AppError('option-invalid', `option '--${written}' requires an argument`)
  }
  if (parsed.row.secret === true) throw secretOnCommandLine(parsed)
  const values = fromNext ? [next ?? ''] : value.values
  addOption(options, {
    name: parsed.name,
    index: parsed.index,
    form: value.form,
    source: 'command-line',
    values,
  })
  return fromNext ? 1 : 0
}

interface Value extends Pick<GivenOption, 'form' | 'values'> {
  readonly needsNext: boolean
}

function valueOf(parsed: ParsedName, written: string, attached: string | undefined): Value {
  const { form, row } = parsed
  if (form !== 'set' && attached !== undefined) {
    throw new AppError('option-invalid', `option '${written}' does not allow an argument`)
  }
  if (form === 'reset') return { form, values: [], needsNext: false }
  if (row.kind === 'boolean') return booleanValue(form, written, attached)
  if (form === 'negated') {
    return row.booleanLike === true
      ? { form: 'set', values: ['n'], needsNext: false }
      : { form, values: [], needsNext: false }
  }
  if (attached !== undefined) return { form, values: [attached], needsNext: false }
  if (row.booleanLike === true) return { form, values: ['y'], needsNext: false }
  return { form, values: [], needsNext: true }
}

function booleanValue(
  form: 'set' | 'negated',
  written: string,
  attached: string | undefined,
): Value {
  if (form === 'negated' || attached === 'n') {
    return { form: 'negated', values: ['n'], needsNext: false }
  }
  if (attached === undefined || attached === 'y') return { form, values: ['y'], needsNext: false }
  throw new AppError(
    'option-invalid-value',
    `boolean option '--${written}' argument must be 'y' or 'n'`,
  )
}

function secretOnCommandLine({ name, index }: ParsedName): AppError {
  const shown = displayName(name, index)
  return new AppError('option-invalid', `option '${shown}' is not allowed on the command-line`, {
    hint: [
      'this option could expose secrets in the process list.',
      `specify it in a configuration file or an environment variable, or use '${shown}-file'.`,
    ],
  })
}

function addOption(options: GivenOptions, option: GivenOption): void {
  const shown = displayName(option.name, option.index)
  const known = options.get(shown)
  if (known === undefined) {
    options.set(shown, option)
    return
  }
  const { kind } = optionRow(option.name)
  if (known.form !== option.form) {
    throw new AppError(
      'option-invalid',
      `option '${shown}' cannot be ${known.form} and ${option.form}`,
    )
  }
  if (option.form !== 'set') {
    throw new AppError('option-invalid', `option '${shown}' is ${option.form} multiple times`)
  }
  if (kind !== 'list' && kind !== 'hash') {
    throw new AppError('option-invalid', `option '${shown}' cannot be set multiple times`)
  }
  options.set(shown, { ...option, values: [...known.values, ...option.values] })
}
