/** What two schemas say, fact by fact. Pure. */
import type { DatabaseFingerprint, SchemaFact } from '../format/fingerprint.ts'
import { definitionOf } from './definition.ts'
import { UNREADABLE } from './sql.ts'
import { withFlatChains } from './wording.ts'

export interface FactDifference {
  readonly kind: string
  readonly name: string
  readonly result: 'differs' | 'missing' | 'extra' | 'not-comparable'
  /** Null when it is not there. */
  readonly source: string | null
  readonly restored: string | null
  /** Empty, or why it cannot be compared. */
  readonly reason: string
}

/** By `factKey`: whether a definition of the source, worded by the restored server, says what the restored one does. */
export type Wordings = ReadonlyMap<string, 'same' | 'different'>

export const factKey = ({ kind, name }: Pick<SchemaFact, 'kind' | 'name'>): string =>
  JSON.stringify([kind, name])

export interface FactsComparison {
  readonly differences: readonly FactDifference[]
  readonly equal: number
  readonly remarks: readonly string[]
}

export interface FactsOptions {
  readonly ignoreKinds: ReadonlySet<string>
  readonly wordings: Wordings
}

export function compareFacts(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
  { ignoreKinds, wordings }: FactsOptions,
): FactsComparison {
  const majors = [source.serverMajor, restored.serverMajor] as const
  const counts = (fact: SchemaFact): boolean =>
    !ignoreKinds.has(fact.kind) && isKnownToAll(fact, Math.min(...majors))
  const there = new Map(restored.facts.filter(counts).map((fact) => [factKey(fact), fact] as const))
  const differences: FactDifference[] = []
  const remarks: string[] = []
  const changed = extensionsOfOtherVersion(source, restored)
  const isOnlyRemark = ({ kind, definition }: SchemaFact): boolean =>
    REMARK_KINDS.has(kind) ||
    (kind === 'extension table' && changed.some((name) => definition.startsWith(`of ${name}; `)))
  const isNowOwner = ignoreKinds.has('owner') ? ownersOf(source, restored) : () => false
  let equal = 0
  for (const fact of source.facts.filter(counts)) {
    const key = factKey(fact)
    const other = there.get(key)
    there.delete(key)
    const isRemark = isOnlyRemark(fact)
    if (other === undefined) {
      if (isNowOwner(fact)) equal += 1
      else if (!isRemark) differences.push(missing(fact))
    } else if ([fact, other].some(({ definition }) => definition === UNREADABLE)) {
      differences.push(unread(fact, other))
    } else if (saysTheSame(fact, other, wordings.get(key))) {
      equal += 1
    } else if (isRemark) {
      remarks.push(
        `${fact.kind} of ${fact.name}: ${fact.definition} in the source, ${other.definition} restored`,
      )
    } else {
      differences.push(difference(fact, other, majors, wordings.get(key)))
    }
  }
  for (const fact of there.values()) {
    if (!isOnlyRemark(fact)) differences.push(extra(fact))
  }
  return { differences, equal, remarks }
}

/** Whether a grant of the source is to a role that owns the restored object, and so needs none. */
function ownersOf(
  { facts }: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): (fact: SchemaFact) => boolean {
  const owners = new Map(
    restored.facts
      .filter(({ kind }) => kind === 'owner')
      .map(({ name, definition }) => [name, definition]),
  )
  // A column is its table's.
  const tables = new Map(
    facts
      .filter(({ kind, name }) => kind === 'owner' && /^(?:foreign )?table /.test(name))
      .map(({ name, oid }) => [oid, name]),
  )
  return ({ kind, name, oid }) => {
    const [, object = '', role] = /^(.*) to (.*): [A-Z ]+$/s.exec(name) ?? []
    if (kind !== 'grant' || role === undefined) return false
    const owned = /^(?:foreign )?table column /.test(object) ? tables.get(oid) : object
    return owned !== undefined && owners.get(owned) === role
  }
}

/** The machine decides, not the dump. That the thing is there is a fact of another kind. */
const REMARK_KINDS: ReadonlySet<string> = new Set([
  'extension version',
  'collation version',
  'locale',
  'subscription mode',
])

/** What another version brings may look different. */
function extensionsOfOtherVersion(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): readonly string[] {
  const versions = new Map(
    restored.facts
      .filter(({ kind }) => kind === 'extension version')
      .map(({ name, definition }) => [name, definition]),
  )
  return source.facts
    .filter(({ kind }) => kind === 'extension version')
    .filter(({ name, definition }) => versions.get(name) !== definition)
    .map(({ name }) => name)
}

const FIRST_MAJORS: ReadonlyMap<string, number> = new Map([
  ['multirange type', 14],
  ['subscription commit', 14],
  ['not-null constraint', 18],
])
const MAINTAIN_MAJOR = 17

/** What the older server cannot say is no difference. */
function isKnownToAll({ kind, name }: SchemaFact, majorMin: number): boolean {
  if ((FIRST_MAJORS.get(kind) ?? 0) > majorMin) return false
  const isPrivilege = kind === 'grant' || kind === 'default privilege'
  return !isPrivilege || majorMin >= MAINTAIN_MAJOR || !name.endsWith(': MAINTAIN')
}

function saysTheSame(
  source: SchemaFact,
  restored: SchemaFact,
  wording: 'same' | 'different' | undefined,
): boolean {
  if (source.definition === restored.definition || wording === 'same') return true
  const [ours, theirs] = [definitionOf(source), definitionOf(restored)]
  if (ours.frame !== theirs.frame) return false
  return ours.parts.every(
    ({ text }, index) => withFlatChains(text) === withFlatChains(theirs.parts[index]?.text ?? ''),
  )
}

function difference(
  source: SchemaFact,
  restored: SchemaFact,
  [sourceMajor, restoredMajor]: readonly [number, number],
  wording: 'same' | 'different' | undefined,
): FactDifference {
  const { kind, name } = source
  const differsInParts = definitionOf(source).frame === definitionOf(restored).frame
  const unknown = sourceMajor !== restoredMajor && wording === undefined && differsInParts
  return {
    kind,
    name,
    result: unknown ? 'not-comparable' : 'differs',
    source: source.definition,
    restored: restored.definition,
    reason: unknown ? `worded by PostgreSQL ${sourceMajor} and ${restoredMajor}` : '',
  }
}

const unread = (source: SchemaFact, restored: SchemaFact): FactDifference => ({
  kind: source.kind,
  name: source.name,
  result: 'not-comparable',
  source: source.definition,
  restored: restored.definition,
  reason: 'its options may not be read by this user',
})

const missing = ({ kind, name, definition }: SchemaFact): FactDifference => ({
  kind,
  name,
  result: 'missing',
  source: definition,
  restored: null,
  reason: '',
})

const extra = ({ kind, name, definition }: SchemaFact): FactDifference => ({
  kind,
  name,
  result: 'extra',
  source: null,
  restored: definition,
  reason: '',
})
