/**
 * The configuration of one run: command line over environment over files over defaults.
 *
 * Everything comes from two tables, command-table.ts and option-table.ts, and follows pgBackRest 2.60. Where it differs,
 * the difference is stricter: unknown keys in files are errors, and what does not work yet is refused by name.
 */
import { AppError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import { parseCommandLine, type CommandRole } from './command-line.ts'
import { COMMANDS, parameterCount, type CommandName } from './command-table.ts'
import { readConfigFiles, systemFiles, type ConfigFiles, type FileText } from './config-files.ts'
import { readSections, stanzaNames } from './config-sections.ts'
import { type ConsultedFiles, noteConsulted } from './consulted-files.ts'
import { deriveSettings } from './derive.ts'
import { readEnvironment } from './environment.ts'
import { givenOption, type GivenOptions, type OptionSource } from './given.ts'
import { addImpliedType } from './implied-type.ts'
import { parseIni, type Ini } from './ini.ts'
import { displayName } from './option-name.ts'
import type { OptionGroup, OptionKind } from './option-row.ts'
import { companionsOf, optionRow, type OptionName } from './option-table.ts'
import type { OptionValue } from './option-value.ts'
import { resolveOptions, type Resolved, type ResolvedOption } from './resolve.ts'
import { checkSecrets, readSecret } from './secret-source.ts'
import { assertSupported } from './support.ts'
import { writtenOptions, type WrittenOption } from './written-options.ts'

/**
 * Names are without index (`repo-path`); `index` counts from 1 and is 1 when left out. Accessors that give a value throw
 * `assert` when the option is unset, not accepted by the command, or of another kind.
 */
export interface Config {
  readonly command: CommandName
  readonly role: CommandRole
  readonly parameters: readonly string[]
  readonly stanza: string | undefined
  /** Stanzas that have a section in the files, for commands that work on all of them. */
  readonly stanzas: readonly string[]
  /** The same run for one of them, with what its own section says. */
  forStanza(name: string): Config
  /** To be logged once logging works. */
  readonly warnings: readonly string[]
  /** True when the option has a value, given or default; for secrets also when a companion gives it. */
  has(name: OptionName, index?: number): boolean
  /** False also when the option is unset or not accepted by the command. */
  flag(name: OptionName, index?: number): boolean
  integer(name: OptionName, index?: number): number
  optionalInteger(name: OptionName, index?: number): number | undefined
  bytes(name: OptionName, index?: number): number
  timeMs(name: OptionName, index?: number): number
  text(name: OptionName, index?: number): string
  optionalText(name: OptionName, index?: number): string | undefined
  /** From the option or a companion; files are read and programs run at each call. */
  secret(name: OptionName, index?: number): Secret | undefined
  /** [] when unset. */
  list(name: OptionName, index?: number): readonly string[]
  /** Empty when unset. */
  map(name: OptionName, index?: number): ReadonlyMap<string, string>
  source(name: OptionName, index?: number): OptionSource
  /** The files it was read from, so far. */
  consulted(): ConsultedFiles
  /** Ascending, at least one; group pg always has 1. */
  indexes(group: OptionGroup): readonly number[]
  /** Options from the command line, in the order of the names. */
  commandLine(): readonly WrittenOption[]
  /** Options from anywhere but the defaults, in the order of the names; secrets redacted. */
  fromEverywhere(): readonly WrittenOption[]
}

export interface ConfigInput {
  /** Without program name. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly files?: ConfigFiles | undefined
  readonly programName: string
}

/** Commands that read neither environment nor files: they must work when those are wrong. */
const STANDALONE: ReadonlySet<CommandName> = new Set(['help', 'version', 'completion'])

/** Throws only AppError; kinds as in pgBackRest 2.60, and `command-invalid` for a command that does not work yet. */
export function loadConfig(input: ConfigInput): Config {
  const { files, consulted } = noteConsulted(input.files ?? systemFiles)
  const { command, role, parameters, options: given } = parseCommandLine(input.argv)
  const warnings: string[] = []
  if (COMMANDS[command].support === 'not-yet') {
    throw new AppError('command-invalid', `command '${command}' is not yet supported`)
  }
  const ini = STANDALONE.has(command)
    ? new Map()
    : readEverywhere({ env: input.env, files, command, given, warnings })
  addImpliedType(command, given)
  const resolved = resolveOptions({ command, given, programName: input.programName, warnings })
  assertSupported(resolved.options.values(), command)
  deriveSettings(resolved, warnings)
  checkSecrets(resolved, files, warnings)
  assertParameters({ command, role, parameters })
  return createConfig({
    command,
    role,
    parameters,
    forStanza: (name) => loadConfig({ ...input, argv: [`--stanza=${name}`, ...input.argv] }),
    stanzas: stanzaNames(ini),
    warnings,
    given,
    resolved,
    files,
    consulted,
  })
}

interface Sources {
  readonly env: ConfigInput['env']
  readonly files: ConfigFiles
  readonly command: CommandName
  readonly given: GivenOptions
  readonly warnings: string[]
}

/** Adds the options of environment and files to `given`. */
function readEverywhere({ env, files, command, given, warnings }: Sources): Ini {
  readEnvironment({ env, command, options: given, warnings })
  const texts = readConfigFiles(files, given)
  const ini = parseIni(texts)
  const stanza = givenOption(given, 'stanza', 1)?.values[0]
  readSections({ ini, command, stanza, options: given, warnings })
  warnOfExposedFiles(texts, files, { given, warnings })
  return ini
}

/** A passphrase that every user of the host can read protects nothing. */
function warnOfExposedFiles(
  texts: readonly FileText[],
  files: ConfigFiles,
  { given, warnings }: Pick<Sources, 'given' | 'warnings'>,
): void {
  const holdsSecret = [...given.values()].some(
    ({ name, source }) => source === 'file' && optionRow(name).secret === true,
  )
  if (!holdsSecret) return
  for (const { path } of texts) {
    if (((files.mode(path) ?? 0) & 0o004) === 0) continue
    warnings.push(
      `configuration file '${path}' holds a secret and can be read by everybody\nHINT: run 'chmod 640 ${path}'.`,
    )
  }
}

function assertParameters({
  command,
  role,
  parameters,
}: Pick<Config, 'command' | 'role' | 'parameters'>): void {
  if (role === 'async') {
    if (parameters.length > 0) return
    throw new AppError('param-required', `command '${command}:${role}' requires parameters`)
  }
  const { min, max } = parameterCount(COMMANDS[command])
  if (parameters.length > max) {
    throw new AppError(
      'param-invalid',
      `command '${command}' does not allow more than ${max} parameters`,
    )
  }
  const missing = COMMANDS[command].parameters[parameters.length]
  if (parameters.length < min) {
    throw new AppError('param-required', `command '${command}' requires parameter: ${missing}`)
  }
}

interface Parts
  extends Pick<Config, 'command' | 'role' | 'parameters' | 'forStanza' | 'stanzas' | 'warnings'> {
  readonly given: GivenOptions
  readonly resolved: Resolved
  readonly files: ConfigFiles
  readonly consulted: Config['consulted']
}

function createConfig(parts: Parts): Config {
  const { given, resolved, files } = parts
  const option = (name: OptionName, index = 1): ResolvedOption | undefined =>
    resolved.options.get(displayName(name, index))
  const valueOf = (name: OptionName, index?: number): OptionValue | undefined =>
    option(name, index)?.value
  const numberOf = (kind: OptionKind, name: OptionName, index?: number): number => {
    const value = valueOf(name, index)
    if (typeof value === 'number' && optionRow(name).kind === kind) return value
    throw notThere(kind, name, index)
  }
  const optionalText = (name: OptionName, index?: number): string | undefined => {
    if (optionRow(name).secret === true) throw notThere('printable', name, index)
    const found = option(name, index)
    return typeof found?.value === 'string' ? found.value : found?.texts[0]
  }
  const stanza = valueOf('stanza')
  return {
    command: parts.command,
    role: parts.role,
    parameters: parts.parameters,
    stanza: typeof stanza === 'string' ? stanza : undefined,
    stanzas: parts.stanzas,
    forStanza: parts.forStanza,
    warnings: parts.warnings,
    has: (name, index = 1) => hasValue(resolved, name, index),
    flag: (name, index) => valueOf(name, index) === true,
    integer: (name, index) => numberOf('integer', name, index),
    optionalInteger: (name, index) =>
      valueOf(name, index) === undefined ? undefined : numberOf('integer', name, index),
    bytes: (name, index) => numberOf('size', name, index),
    timeMs: (name, index) => numberOf('time', name, index),
    text: (name, index) => {
      const text = optionalText(name, index)
      if (text === undefined) throw notThere('string', name, index)
      return text
    },
    optionalText,
    secret: (name, index = 1) => readSecret(resolved, files, { name, index }),
    list: (name, index) => {
      const value = valueOf(name, index)
      return isList(value) ? value : []
    },
    map: (name, index) => {
      const value = valueOf(name, index)
      return value instanceof Map ? value : new Map()
    },
    source: (name, index) => option(name, index)?.source ?? 'default',
    consulted: parts.consulted,
    indexes: (group) => resolved.indexes[group],
    commandLine: () => writtenOptions(resolved, given, 'command-line'),
    fromEverywhere: () => writtenOptions(resolved, given, 'everywhere'),
  }
}

function hasValue(resolved: Resolved, name: OptionName, index: number): boolean {
  return [name, ...companionsOf(name)].some(
    (one) => resolved.options.get(displayName(one, index))?.value !== undefined,
  )
}

function isList(value: OptionValue | undefined): value is readonly string[] {
  return Array.isArray(value)
}

function notThere(wanted: string, name: OptionName, index = 1): AppError {
  return new AppError('assert', `option '${displayName(name, index)}' has no ${wanted} value`)
}
