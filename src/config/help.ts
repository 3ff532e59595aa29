/** What `help`, `help CMD`, `help CMD OPTION` and `CMD --help` print. From the tables; reads no configuration. */
import { AppError } from '../base/error.ts'
import { unknownCommand } from './command-line.ts'
import type { CommandRow } from './command-row.ts'
import { COMMAND_NAMES, COMMANDS, isCommandName, type CommandName } from './command-table.ts'
import { displayName, isNegatable, nearestOptionHint, parseOptionName } from './option-name.ts'
import { ruleFor, type OptionDepends, type OptionRow } from './option-row.ts'
import {
  isValidFor,
  OPTION_NAMES,
  optionRow,
  optionTopics,
  isOptionName,
  type OptionName,
} from './option-table.ts'

const WIDTH = 80

/** Parameters are those of the help command. Throws `command-invalid`, `option-invalid`, `param-invalid`. */
export function renderHelp(parameters: readonly string[]): string {
  const [command, option, ...more] = parameters
  if (more.length > 0)
    throw new AppError('param-invalid', 'only one option allowed for option help')
  if (command === undefined) return renderGeneral()
  if (!isCommandName(command)) throw unknownCommand(command)
  return option === undefined ? renderCommand(command) : renderOption(command, option)
}

function renderGeneral(): string {
  const shown = COMMAND_NAMES.filter((name) => rowOf(name).internal !== true)
  const works = shown.filter((name) => COMMANDS[name].support === 'works')
  const later = shown.filter((name) => COMMANDS[name].support === 'not-yet')
  return lines(
    'pgsurety: PostgreSQL backups you can prove',
    '',
    'Usage:',
    '  pgsurety [options] <command> [parameters]',
    '',
    'Commands:',
    ...works.map((name) => entry(name, COMMANDS[name].summary)),
    '',
    'Known from pgBackRest, not yet supported:',
    ...wrap(later.join(', '), 2),
    '',
    'Options come from the command line, the environment (PGSURETY_REPO1_PATH,',
    'PGBACKREST_REPO1_PATH) and configuration files, in that order. Files:',
    '/etc/pgsurety/pgsurety.conf and conf.d, else those of pgBackRest.',
    '',
    "Use 'pgsurety help <command>' and 'pgsurety help <command> <option>' for more.",
  )
}

function renderCommand(command: CommandName): string {
  const row = rowOf(command)
  const parameters = row.parameters.map((name) => ` ${name.startsWith('[') ? name : `<${name}>`}`)
  const later = OPTION_NAMES.filter((name) => isShown(optionRow(name), command) && isLater(name))
  const topics = optionTopics().flatMap(({ title, names }) => {
    const entries = names
      .filter((name) => isShown(optionRow(name), command) && !isLater(name))
      .map((name) => optionEntry(name, command))
    return entries.length === 0 ? [] : [`\n${title} options:\n${entries.join('\n')}`]
  })
  return lines(
    `pgsurety ${command}: ${row.summary}`,
    '',
    'Usage:',
    `  pgsurety [options] ${command}${parameters.join('')}`,
    '',
    ...(row.support === 'works' ? [] : ['Not yet supported.', '']),
    ...row.description.flatMap((paragraph) => [...wrap(paragraph, 0), '']),
    row.examples.length === 1 ? 'Example:' : 'Examples:',
    ...row.examples.flatMap(({ text, command: line }) => [`  # ${text}`, `  ${line}`]),
    ...topics,
    ...(later.length === 0 ? [] : ['', ...wrap(laterNote(command, later.length), 0)]),
  )
}

function isLater(name: OptionName): boolean {
  return optionRow(name).support === 'not-yet'
}

function laterNote(command: CommandName, count: number): string {
  return `${count} more options are known from pgBackRest and not yet supported; 'pgsurety help ${command} <option>' tells about each.`
}

function renderOption(command: CommandName, written: string): string {
  const parsed = parseForHelp(written)
  if (parsed === undefined || !isValidFor(parsed.row, command)) {
    const hint = parsed === undefined ? nearestOptionHint(written) : undefined
    throw new AppError(
      'option-invalid',
      `option '${written}' is not valid for command '${command}'`,
      { hint },
    )
  }
  const { name, row } = parsed
  return lines(
    `pgsurety ${command}: option ${displayName(name, 1)}`,
    '',
    ...wrap(row.summary, 0),
    '',
    ...optionFacts(row, command).map(([title, text]) => hanging(`${title}:`.padEnd(12), text)),
  )
}

/** In help a grouped option may be named without index, as pgBackRest's help lists it. */
function parseForHelp(
  written: string,
): { readonly name: OptionName; readonly row: OptionRow } | undefined {
  const grouped = /^(?:repo|pg)-/.exec(written)?.[0]
  const indexed = grouped === undefined ? written : written.replace(/^(repo|pg)-/, '$11-')
  for (const candidate of new Set([written, indexed])) {
    try {
      const parsed = parseOptionName(candidate, { abbreviation: 'refused' })
      if (parsed !== undefined) return parsed
    } catch (error) {
      if (candidate === indexed) throw error
    }
  }
  return undefined
}

/** Title and text of each fact about an option, for help and reference. `command` undefined: what holds for most. */
export function optionFacts(
  row: OptionRow,
  command: CommandName | undefined,
): readonly (readonly [string, string])[] {
  const rule = command === undefined ? row : ruleFor(row, command)
  const facts: (readonly [string, string | undefined])[] = [
    ['Type', row.kind],
    ['Default', describeByValue(rule.default)],
    ['New repository', describeWhenNew(row, command)],
    ['Required', rule.required === true ? describeRequired(rule.depends) : undefined],
    ['Allowed', rule.allowed?.join(', ')],
    ['Range', describeRange(row.range)],
    ['Needs', describeDepends(rule.depends)],
    ['Old names', row.deprecated?.join(', ')],
    ['Secret', row.secret === true ? 'yes: not on the command line' : undefined],
    ['Negatable', isNegatable(row) ? 'yes (--no-…)' : undefined],
    ['Only in', describeSection(row.section)],
    ['Support', describeSupport(row, rule.supported)],
  ]
  return facts.flatMap(([title, text]) => (text === undefined ? [] : [[title, text] as const]))
}

function describeByValue(value: OptionRow['default']): string | undefined {
  if (typeof value !== 'object') return value === '$0' ? 'the program itself' : value
  return Object.entries(value)
    .map(([depended, text]) => `${text} (${depended})`)
    .join(', ')
}

/** Only backups have something to go by; a restore has nothing that it would change. */
function describeWhenNew(row: OptionRow, command: CommandName | undefined): string | undefined {
  if (row.whenNew === undefined || (command !== undefined && command !== 'backup')) return undefined
  const restored = isValidFor(row, 'restore') ? `; a restore: ${row.whenNew}` : ''
  return `a backup without this option does as the newest one did, the first of all: ${row.whenNew}${restored}`
}

function describeRange(range: OptionRow['range']): string | undefined {
  if (range === undefined) return undefined
  const entries: (readonly [string, unknown])[] = Array.isArray(range)
    ? [['', range]]
    : Object.entries(range)
  return entries
    .map(([depended, pair]) => {
      const [min, max] = Array.isArray(pair) ? pair.map(String) : []
      return `${min} to ${max}${depended === '' ? '' : ` (${depended})`}`
    })
    .join(', ')
}

function describeDepends(depends: OptionRow['depends']): string | undefined {
  if (depends === undefined) return undefined
  const otherwise = depends.otherwise === undefined ? '' : `; otherwise ${depends.otherwise}`
  return `${describeNeed(depends)}${otherwise}`
}

function describeRequired(depends: OptionRow['depends']): string {
  return depends === undefined ? 'required' : `required with ${describeNeed(depends)}`
}

function describeNeed(depends: OptionDepends): string {
  const name = isOptionName(depends.option) ? displayName(depends.option, 1) : depends.option
  return depends.values === undefined ? name : `${name} = ${depends.values.join(', ')}`
}

function describeSection(section: OptionRow['section']): string | undefined {
  if (section === undefined) return undefined
  return section === 'stanza' ? 'stanza sections' : 'command line and environment'
}

function describeSupport(
  row: OptionRow,
  supported: readonly string[] | undefined,
): string | undefined {
  if (row.support === 'not-yet') return 'not yet: only the default is accepted'
  return supported === undefined ? undefined : `so far only ${supported.join(', ')}`
}

/** True when help and reference show the option for the command. */
export function isShown(row: OptionRow, command: CommandName): boolean {
  return isValidFor(row, command) && ruleFor(row, command).internal !== true
}

function optionEntry(name: OptionName, command: CommandName): string {
  const row = optionRow(name)
  const rule = ruleFor(row, command)
  const value =
    command === 'restore' && row.whenNew !== undefined ? row.whenNew : describeByValue(rule.default)
  const notes = [
    ...(value === undefined ? [] : [`default ${value}`]),
    ...(command === 'backup' && row.whenNew !== undefined
      ? [`new repository: ${row.whenNew}`]
      : []),
    ...(rule.required === true ? [describeRequired(rule.depends)] : []),
  ]
  const suffix = notes.length === 0 ? '' : ` [${notes.join('; ')}]`
  return entry(`--${displayName(name, 1)}`, `${row.summary}${suffix}`)
}

/** Name in a column of 32, text wrapped beside it. */
function entry(name: string, text: string): string {
  return hanging(`  ${name} `.padEnd(32), text)
}

function hanging(head: string, text: string): string {
  const indent = head.length > 32 ? 32 : head.length
  const [first = '', ...rest] = wrap(text, indent)
  return head.length > 32
    ? [head.trimEnd(), first, ...rest].join('\n')
    : [`${head}${first.trimStart()}`, ...rest].join('\n')
}

function wrap(text: string, indent: number): readonly string[] {
  const wrapped: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) {
      wrapped.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...wrapped, line].map((one) => `${' '.repeat(indent)}${one}`)
}

function rowOf(name: CommandName): CommandRow {
  return COMMANDS[name]
}

function lines(...all: readonly string[]): string {
  return `${all.join('\n')}\n`
}
