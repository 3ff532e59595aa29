/** What of a fact's definition is a query, an expression or a program, which each server words in its own way. Pure. */
import type { SchemaFact } from '../format/fingerprint.ts'
import { masked } from './wording.ts'

/** What the columns are of that an expression names. */
export type Scope = 'nothing' | 'table' | 'old and new row' | 'published table' | 'domain value'

export type Part =
  | { readonly kind: 'expression'; readonly text: string; readonly over: Scope }
  | { readonly kind: 'query'; readonly text: string }
  /** `head`: all before the table's name, `text`: all behind it. */
  | { readonly kind: 'rule'; readonly head: string; readonly text: string }
  /** `what`: FUNCTION or PROCEDURE. `head`: what follows its name, without defaults and attributes. */
  | {
      readonly kind: 'routine'
      readonly what: string
      readonly name: string
      readonly head: string
      readonly text: string
    }
  /** Of ICU. */
  | { readonly kind: 'locale'; readonly text: string }

export interface Definition {
  /** The text without the parts: the same in every version. */
  readonly frame: string
  readonly parts: readonly Part[]
}

/** What is not of the frame. */
interface Cut {
  readonly start: number
  readonly end: number
  /** Undefined for words that some versions leave out. */
  readonly part: Part | undefined
}

/** No text of PostgreSQL has one. */
const GAP = '\0'

export function definitionOf({ kind, definition: text }: SchemaFact): Definition {
  const cuts = CUTTERS.get(kind)?.(sourceOf(text)) ?? []
  const frame: string[] = []
  let done = 0
  for (const { start, end, part } of cuts) {
    frame.push(text.slice(done, start), part === undefined ? '' : GAP)
    done = end
  }
  frame.push(text.slice(done))
  return {
    frame: frame.join(''),
    parts: cuts.map(({ part }) => part).filter((part) => part !== undefined),
  }
}

interface Source {
  readonly text: string
  readonly mask: string
}
/** In the order of the text. */
type Cutter = (source: Source) => readonly Cut[]

const sourceOf = (text: string): Source => ({ text, mask: masked(text) })

const CUTTERS: ReadonlyMap<string, Cutter> = new Map([
  ['view', cutQuery],
  ['materialized view', cutQuery],
  ['rule', cutRule],
  ['function', cutRoutine],
  ['procedure', cutRoutine],
  ['default', one('table', /^(?<part>.+)$/ds)],
  ['generation', one('table', /^(?<part>.+)$/ds)],
  ['policy', cutPolicy],
  ['trigger', one('old and new row', / FOR EACH \w+ WHEN \((?<part>·+)\) EXECUTE /d)],
  ['published table', one('published table', /(?:^|; )where (?<part>.+)$/ds)],
  ['domain constraint', one('domain value', /^CHECK \((?<part>·+)\)/d)],
  ['type', one('nothing', /^domain over .*?; default (?<part>.+?)(?:; not null)?$/ds)],
  ['constraint', cutConstraint],
  ['index', cutIndex],
  ['statistics', (source) => cutElements(source, / ON (?<part>.+?) FROM "/d)],
  ['table', (source) => cutElements(source, /(?:^|; )partitioned by \w+ \((?<part>·+)\)/d)],
  ['collation', cutLocale],
])

/** Where the group `part` of a pattern is in the masked text. */
function find({ mask }: Source, pattern: RegExp): readonly [number, number] | undefined {
  return pattern.exec(mask)?.indices?.groups?.['part']
}

const cutOf = (start: number, part: Part): Cut => ({ start, end: start + part.text.length, part })

function one(over: Scope, pattern: RegExp): Cutter {
  return (source) => {
    const place = find(source, pattern)
    if (place === undefined) return []
    const text = source.text.slice(...place)
    return [cutOf(place[0], { kind: 'expression', text, over })]
  }
}

function cutQuery({ text }: Source): readonly Cut[] {
  return [cutOf(0, { kind: 'query', text: text.replace(/;\s*$/, '') })]
}

const RULE =
  /^CREATE RULE "·*" AS\s+ON \w+ TO (?:"·*"\.)?"·*"(?<part>.*?)(?:; (?:disabled|on replica|always))?$/ds
const RULE_TABLE = /(?:"·*"\.)?"·*"$/

function cutRule(source: Source): readonly Cut[] {
  const place = find(source, RULE)
  if (place === undefined) return []
  const [start, end] = place
  const head = source.text.slice(0, source.mask.slice(0, start).search(RULE_TABLE))
  return [cutOf(start, { kind: 'rule', head, text: source.text.slice(start, end) })]
}

function cutPolicy(source: Source): readonly Cut[] {
  return [
    ...one('table', /; using (?<part>.+?)(?:; with check .*)?$/ds)(source),
    ...one('table', /; with check (?<part>.+)$/ds)(source),
  ]
}

function cutConstraint(source: Source): readonly Cut[] {
  if (source.text.startsWith('CHECK ')) return one('table', /^CHECK \((?<part>·+)\)/d)(source)
  return [
    ...cutElements(source, /^EXCLUDE USING "·*" \((?<part>·+)\)/d),
    ...one('table', / WHERE \((?<part>·+)\)/d)(source),
  ]
}

function cutIndex(source: Source): readonly Cut[] {
  return [
    ...cutElements(source, / USING "·*" \((?<part>·+)\)/d),
    ...one('table', / WHERE (?<part>[^;]+)/d)(source),
  ]
}

/** A function's call or what is in parentheses, but no column's name and what comes behind it. */
const ELEMENT = /^\s*(?<part>(?:\w+|"·*"(?:\."·*")*)?\(·*\))/d

/** Expressions in a list of columns and expressions, as indexes have it. */
function cutElements(source: Source, pattern: RegExp): readonly Cut[] {
  return listed(source, pattern).flatMap(({ start, text }) =>
    shifted(start, one('table', ELEMENT)(sourceOf(text))),
  )
}

/** The elements of a list, between its commas. */
function listed(
  source: Source,
  pattern: RegExp,
): readonly { readonly start: number; readonly text: string }[] {
  const place = find(source, pattern)
  if (place === undefined) return []
  let [start] = place
  const list = source.text.slice(...place)
  let done = 0
  return masked(list)
    .split(',')
    .map(({ length }) => {
      const element = { start, text: list.slice(done, done + length) }
      start += length + 1
      done += length + 1
      return element
    })
}

const shifted = (by: number, cuts: readonly Cut[]): readonly Cut[] =>
  cuts.map(({ start, end, part }) => ({ start: start + by, end: end + by, part }))

const ROUTINE =
  /^CREATE OR REPLACE (?<what>\w+) (?:"·*"\.)?(?<name>"·*")\((?<part>·*)\)(?<returns>.*?)\n LANGUAGE /ds
const BODY = /\n(?<part>(?:BEGIN ATOMIC\n|RETURN ).*?)\s*$/ds
const DEFAULT = / DEFAULT (?<part>.+)$/ds
/** Since 14 procedures say it. */
const IN = /^ ?IN /

/** Defaults of parameters, and a body that the server has parsed. One that is a text is the same everywhere. */
function cutRoutine(source: Source): readonly Cut[] {
  const parameters = listed(source, ROUTINE)
  const inParameters = parameters.flatMap(({ start, text }) =>
    shifted(start, cutParameter(sourceOf(text))),
  )
  const body = find(source, BODY)
  const { what, name, returns } = ROUTINE.exec(source.mask)?.indices?.groups ?? {}
  if (body === undefined || what === undefined || name === undefined || returns === undefined) {
    return inParameters
  }
  const named = parameters.map(({ text }) => text.slice(0, masked(text).search(/ DEFAULT |$/)))
  const { text } = source
  const part = {
    kind: 'routine',
    what: text.slice(...what),
    name: text.slice(...name),
    head: `(${named.join(',')})${text.slice(...returns)}`,
    text: text.slice(...body),
  } as const
  return [...inParameters, cutOf(body[0], part)]
}

function cutParameter(source: Source): readonly Cut[] {
  const mode = IN.exec(source.mask)?.[0].length ?? 0
  return [
    ...(mode === 0 ? [] : [{ start: 0, end: mode, part: undefined }]),
    ...one('nothing', DEFAULT)(source),
  ]
}

function cutLocale({ text }: Source): readonly Cut[] {
  // Names of locales are not quoted.
  const found =
    /^(?<head>provider i; locale )(?<part>.+?)(?:; rules .*|; not deterministic)?$/s.exec(
      text,
    )?.groups
  if (found === undefined) return []
  const { head = '', part = '' } = found
  return [cutOf(head.length, { kind: 'locale', text: part })]
}
