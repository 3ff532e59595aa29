/** Names as people write them: `repo1-path`, `no-online`, `reset-exclude`, `db-path` (old), `--compress-t` (cut short). */
import { AppError } from '../base/error.ts'
import { nearestName } from '../base/text.ts'
import type { OptionRow } from './option-row.ts'
import { isOptionName, OPTION_NAMES, optionRow, type OptionName } from './option-table.ts'

/** Indexes run from 1 to this (pgBackRest 2.60). */
const INDEX_MAX = 256
const NAME_LENGTH_MAX = 64

export interface ParsedName {
  readonly name: OptionName
  readonly row: OptionRow
  /** From 1; options without group have 1. */
  readonly index: number
  readonly form: 'set' | 'negated' | 'reset'
}

interface OldName {
  readonly name: OptionName
  readonly index: 'with' | 'without' | 'either'
}

/**
 * What `candidate` (without leading dashes) means, or undefined when there is no such option. With `abbreviation:
 * 'allowed'` a beginning that fits one name only will do. Throws `option-invalid` for an index that is missing, unwanted
 * or out of range and for `no-` and `reset-` where they are not allowed.
 */
export function parseOptionName(
  candidate: string,
  { abbreviation }: { readonly abbreviation: 'allowed' | 'refused' },
): ParsedName | undefined {
  if (candidate.length > NAME_LENGTH_MAX) {
    throw invalid(`option '${candidate}' exceeds maximum size of ${NAME_LENGTH_MAX}`)
  }
  const { form, rest } = splitForm(candidate)
  const { base, index } = splitIndex(candidate, rest)
  const found = findName(base, abbreviation)
  if (found === undefined) return undefined
  const row = optionRow(found.name)
  if (form === 'negated' && !isNegatable(row))
    throw invalid(`option '${candidate}' cannot be negated`)
  if (form === 'reset' && row.section === 'command-line') {
    throw invalid(`option '${candidate}' cannot be reset`)
  }
  assertIndexFits({ candidate, base, index, found })
  return { name: found.name, row, index: index ?? 1, form }
}

/** The name with its index, as messages and the command line show it. */
export function displayName(name: OptionName, index: number): string {
  const { group } = optionRow(name)
  return group === undefined ? name : `${group}${index}${name.slice(group.length)}`
}

/** For unknown names: what was probably meant. Indexes in `candidate` are kept. */
export function nearestOptionHint(candidate: string): string | undefined {
  const index = /^(?:repo|pg)(\d+)-/.exec(candidate)?.[1]
  const nearest = nearestName(candidate.replace(/^(repo|pg)\d+-/, '$1-'), OPTION_NAMES)
  if (nearest === undefined || !isOptionName(nearest)) return groupHint(candidate)
  return `did you mean '${displayName(nearest, Number(index ?? 1))}'?`
}

/** `cipher-type` is a slip that the group makes likely: nearestName alone would not see `repo1-cipher-type`. */
function groupHint(candidate: string): string | undefined {
  const name = [`repo-${candidate}`, `pg-${candidate}`].find(isOptionName)
  return name !== undefined && isOptionName(name)
    ? `did you mean '${displayName(name, 1)}'?`
    : undefined
}

export function isNegatable(row: OptionRow): boolean {
  if (row.negatable === true || row.booleanLike === true) return true
  return row.kind === 'boolean' && row.section !== 'command-line'
}

function splitForm(candidate: string): Pick<ParsedName, 'form'> & { readonly rest: string } {
  if (candidate.startsWith('no-')) return { form: 'negated', rest: candidate.slice(3) }
  if (candidate.startsWith('reset-')) return { form: 'reset', rest: candidate.slice(6) }
  return { form: 'set', rest: candidate }
}

/** The digits before the first dash are the index. */
function splitIndex(
  candidate: string,
  rest: string,
): { readonly base: string; readonly index: number | undefined } {
  const [, word = '', digits = '', tail = ''] = /^([^-]*?)(\d*)(-.*)$/s.exec(rest) ?? []
  if (tail === '') return { base: rest, index: undefined }
  if (word === '' && digits === '') throw invalid(`option '${candidate}' cannot begin with a dash`)
  if (word === '') throw invalid(`option '${candidate}' cannot begin with a number`)
  if (digits === '') return { base: rest, index: undefined }
  const index = Number(digits)
  if (index < 1 || index > INDEX_MAX) {
    throw invalid(`option '${candidate}' key must be between 1 and ${INDEX_MAX}`)
  }
  return { base: `${word}${tail}`, index }
}

interface FoundName {
  readonly name: OptionName
  /** Set when it was found by an old name. */
  readonly old?: OldName
}

function findName(base: string, abbreviation: 'allowed' | 'refused'): FoundName | undefined {
  if (isOptionName(base)) return { name: base }
  const short = abbreviation === 'allowed' ? onlyNameBeginning(base) : undefined
  if (short !== undefined) return { name: short }
  const old =
    oldName(base) ??
    (abbreviation === 'allowed'
      ? oldName(onlyOne(beginningWith(base, oldNames().keys())))
      : undefined)
  return old === undefined ? undefined : { name: old.name, old }
}

/** Our own options never make an abbreviation ambiguous that pgBackRest understands. */
function onlyNameBeginning(base: string): OptionName | undefined {
  const names = beginningWith(base, OPTION_NAMES).filter(isOptionName)
  const theirs = names.filter((name) => optionRow(name).origin === undefined)
  return onlyOne(theirs.length === 0 ? names : theirs)
}

function beginningWith(base: string, names: Iterable<string>): readonly string[] {
  return [...names].filter((name) => name.startsWith(base))
}

function onlyOne<T>(values: readonly T[]): T | undefined {
  return values.length === 1 ? values[0] : undefined
}

let collectedOldNames: ReadonlyMap<string, OldName> | undefined

function oldName(base: string | undefined): OldName | undefined {
  return base === undefined ? undefined : oldNames().get(base)
}

/** Collected when first needed: a run that uses no old name does without. */
function oldNames(): ReadonlyMap<string, OldName> {
  if (collectedOldNames !== undefined) return collectedOldNames
  const names = new Map<string, OldName>()
  for (const name of OPTION_NAMES) {
    for (const pattern of optionRow(name).deprecated ?? []) {
      const base = pattern.replace('?', '')
      const index = pattern.includes('?') ? 'with' : 'without'
      const known = names.get(base)
      const isBoth = known !== undefined && known.index !== index
      names.set(base, { name, index: isBoth ? 'either' : index })
    }
  }
  collectedOldNames = names
  return names
}

interface IndexCheck {
  readonly candidate: string
  readonly base: string
  readonly index: number | undefined
  readonly found: FoundName
}

/** Some names without index are old spellings of index 1: `repo-path`, `db-path`. */
function assertIndexFits({ candidate, base, index, found }: IndexCheck): void {
  const { group } = optionRow(found.name)
  if (index !== undefined) {
    if (found.old?.index === 'without') {
      throw invalid(`deprecated option '${candidate}' cannot have an index`)
    }
    if (group === undefined) throw invalid(`option '${candidate}' cannot have an index`)
    return
  }
  if (group === undefined) return
  const old = found.old ?? oldName(base)
  if (old !== undefined && old.index !== 'with') return
  throw invalid(
    `${found.old === undefined ? '' : 'deprecated '}option '${candidate}' requires an index`,
    `add the required index, e.g. ${displayName(found.name, 1)}.`,
  )
}

function invalid(message: string, hint?: string): AppError {
  return new AppError('option-invalid', message, { hint })
}
