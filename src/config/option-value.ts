/** From the text of an option to its value, by the kind, range and allowed values of its row. */
import { AppError } from '../base/error.ts'
import { parseSize, parseTimeMs } from '../base/units.ts'
import type { CommandRule, OptionKind, OptionRow } from './option-row.ts'

/** Integers, bytes and milliseconds are numbers; choices and paths are strings. */
export type OptionValue =
  | boolean
  | number
  | string
  | readonly string[]
  | ReadonlyMap<string, string>

export interface ValueRules {
  /** For messages: `repo1-path`. */
  readonly shown: string
  readonly row: OptionRow
  /** The row's rules as the command changes them. */
  readonly rule: CommandRule
  /** Value of the option depended on: chooses among ranges. */
  readonly dependedValue: string | undefined
}

/** Throws `option-invalid-value`; for a hash item without `=`, `option-invalid`. */
export function parseOptionValue(texts: readonly string[], rules: ValueRules): OptionValue {
  const { row, shown } = rules
  if (row.kind === 'list') return texts
  if (row.kind === 'hash') return parseHash(texts, shown)
  const text = texts[0] ?? ''
  if (row.kind === 'boolean') return text === 'y'
  if (isNumeric(row.kind)) return parseNumber(text, rules)
  if (text === '') throw badValue(`'' must be >= 1 character for '${shown}' option`)
  if (row.kind === 'path') return parsePath(text, shown)
  const { allowed } = rules.rule
  if (allowed !== undefined && !allowed.includes(text)) throw notAllowed(text, rules)
  return text
}

/** The keys that `texts` gives twice; the last value counts. */
export function repeatedHashKeys(texts: readonly string[]): readonly string[] {
  const keys = texts.map((text) => text.slice(0, text.indexOf('=')))
  return [...new Set(keys.filter((key, index) => keys.indexOf(key) !== index))]
}

/** The number that `text` is in the spelling of `kind`, or undefined. */
export function numberOf(kind: OptionKind, text: string): number | undefined {
  if (kind === 'size') return parseSize(text)
  if (kind === 'time') return parseTimeMs(text)
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : undefined
}

function isNumeric(kind: OptionKind): boolean {
  return kind === 'integer' || kind === 'size' || kind === 'time'
}

function parseNumber(text: string, rules: ValueRules): number {
  const { row, rule, shown } = rules
  const value = numberOf(row.kind, text)
  if (value === undefined) throw badValue(`'${text}' is not valid for '${shown}' option`)
  const range = rangeOf(row, rules.dependedValue)
  if (range !== undefined) {
    const [min, max] = range
    if (value < (numberOf(row.kind, min) ?? 0) || value > (numberOf(row.kind, max) ?? 0)) {
      throw badValue(
        `'${text}' is out of range for '${shown}' option`,
        `allowed range is ${min} to ${max} inclusive`,
      )
    }
  }
  const isAllowed = rule.allowed?.some((allowed) => numberOf(row.kind, allowed) === value) ?? true
  if (!isAllowed) throw notAllowed(text, rules)
  return value
}

function rangeOf(
  row: OptionRow,
  dependedValue: string | undefined,
): readonly [string, string] | undefined {
  const { range } = row
  if (range === undefined || isPair(range)) return range
  return dependedValue === undefined ? undefined : range[dependedValue]
}

function isPair(range: NonNullable<OptionRow['range']>): range is readonly [string, string] {
  return Array.isArray(range)
}

function parsePath(text: string, shown: string): string {
  if (!text.startsWith('/')) throw badValue(`'${text}' must begin with / for '${shown}' option`)
  if (text.includes('//')) throw badValue(`'${text}' cannot contain // for '${shown}' option`)
  return text === '/' ? text : text.replace(/\/$/, '')
}

function parseHash(texts: readonly string[], shown: string): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (equals === -1) {
      throw new AppError('option-invalid', `key/value '${text}' not valid for '${shown}' option`)
    }
    map.set(text.slice(0, equals), text.slice(equals + 1))
  }
  return map
}

function notAllowed(text: string, { rule, shown }: ValueRules): AppError {
  const allowed = (rule.allowed ?? []).map((value) => `'${value}'`).join(', ')
  return badValue(`'${text}' is not allowed for '${shown}' option`, `allowed values are ${allowed}`)
}

function badValue(message: string, hint?: string): AppError {
  return new AppError('option-invalid-value', message, { hint })
}
