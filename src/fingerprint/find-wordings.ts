/** Asks the restored server to word the source's definitions itself, where the two texts differ. */
import { isErrorKind } from '../base/error.ts'
import type { DatabaseFingerprint, SchemaFact } from '../format/fingerprint.ts'
import type { PsqlSession } from '../postgres/psql.ts'
import { sqlText } from '../postgres/quote.ts'
import { factKey, type Wordings } from './compare-facts.ts'
import { onlyRow } from './contents.ts'
import { definitionOf } from './definition.ts'
import { staysOneStatement } from './one-statement.ts'
import { type Probe, probeOf, TEMPORARY_NAME } from './probe.ts'
import { SETTINGS_STATEMENTS } from './settings.ts'
import { withFlatChains } from './wording.ts'

/**
 * For the facts that differ only in what servers word. The session is of the restored server and in no transaction; nothing of
 * what is tried remains. Facts that the server does not take are left out, and all of them when this session may not make
 * temporary objects, or not without running the user's event triggers.
 */
export async function findWordings(
  session: PsqlSession,
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): Promise<Wordings> {
  const wordings = new Map<string, Wording>()
  const facts = rewordedFacts(source, restored)
  if (facts.length === 0) return wordings
  await session.run('begin')
  try {
    await session.run(...SETTINGS_STATEMENTS)
    if (!(await silenceEventTriggers(session))) return wordings
    await session.run(...SETUP)
    for (let index = 0; index < facts.length; index += FACTS_AT_ONCE) {
      const some = facts.slice(index, index + FACTS_AT_ONCE)
      for (const [key, wording] of await compareWordings(session, some)) wordings.set(key, wording)
    }
  } catch (error) {
    // What is known so far remains known.
    if (!isErrorKind(error, 'db-query')) throw error
  } finally {
    await session.run('rollback')
  }
  return wordings
}

type Wording = 'same' | 'different'

interface RewordedFact {
  readonly key: string
  readonly pairs: readonly Pair[]
}

/** One part of a definition, in the words of the source and in those of the restored server. */
interface Pair {
  readonly ours: Probe
  readonly theirs: Probe
  /** The answer to `ours` that leaves no question, where there is one. */
  readonly expected: string | undefined
}

function rewordedFacts(
  source: DatabaseFingerprint,
  restored: DatabaseFingerprint,
): readonly RewordedFact[] {
  const there = new Map(restored.facts.map((fact) => [factKey(fact), fact] as const))
  return source.facts.flatMap((fact) => {
    const key = factKey(fact)
    const other = there.get(key)
    if (other === undefined || other.definition === fact.definition) return []
    const pairs = pairsOf(fact, other)
    return pairs.length === 0 ? [] : [{ key, pairs }]
  })
}

function pairsOf(fact: SchemaFact, restored: SchemaFact): readonly Pair[] {
  const [ours, theirs] = [definitionOf(fact), definitionOf(restored)]
  if (ours.frame !== theirs.frame || !ours.parts.every(staysOneStatement)) return []
  return ours.parts.flatMap((part, index) => {
    const other = theirs.parts[index]
    if (other === undefined || withFlatChains(other.text) === withFlatChains(part.text)) return []
    const expected = other.kind === 'query' ? `${other.text};` : undefined
    return [{ ours: probeOf(part, restored), theirs: probeOf(other, restored), expected }]
  })
}

/** Whether none fires now. Before 17 they can only be told that this is a replica, and some are for replicas. */
async function silenceEventTriggers(session: PsqlSession): Promise<boolean> {
  const { fires, firesInReplica, canBeOff } = await onlyRow(
    session,
    `select count(*) filter (where evtenabled <> 'D') > 0 as fires,
      count(*) filter (where evtenabled in ('A', 'R')) > 0 as "firesInReplica",
      current_setting('event_triggers', true) is not null as "canBeOff"
    from pg_event_trigger where evtevent in ('ddl_command_start', 'ddl_command_end')`,
  )
  if (fires === false) return true
  if (canBeOff === true) {
    await session.run('set local event_triggers = off')
    return true
  }
  if (firesInReplica !== false) return false
  await session.run('set local session_replication_role = replica')
  return true
}

const FACTS_AT_ONCE = 100

/** The error by which the function takes back what it made. */
const DONE = 'DONE0'

/**
 * One call is one try of which nothing remains; null when the server refuses it. Who has a table for himself is waited for a second,
 * and from then on no longer.
 */
const SETUP: readonly string[] = [
  'set local client_min_messages = error',
  "set local lock_timeout = '1s'",
  'set local check_function_bodies = off',
  'set local standard_conforming_strings = on',
  'set local default_table_access_method = heap',
  "set local temp_tablespaces = ''",
  `create function ${TEMPORARY_NAME}(statement text, question text) returns text language plpgsql as $f$
declare
  answer text;
begin
  execute statement;
  execute question into answer;
  raise sqlstate '${DONE}';
exception
  when sqlstate '${DONE}' then
    return answer;
  when lock_not_available then
    perform set_config('lock_timeout', '10ms', true);
    return null;
  when others then
    return null;
end $f$`,
]

async function compareWordings(
  session: PsqlSession,
  facts: readonly RewordedFact[],
): Promise<Wordings> {
  const pairs = facts.flatMap((fact) => fact.pairs)
  const ours = await answersTo(
    session,
    pairs.map((pair) => pair.ours),
  )
  const isOpen = (pair: Pair): boolean => ours.get(pair.ours) !== pair.expected
  const theirs = await answersTo(
    session,
    pairs.filter(isOpen).map((pair) => pair.theirs),
  )
  const wordingOf = (pair: Pair): Wording | undefined => {
    const [mine, its] = [ours.get(pair.ours), theirs.get(pair.theirs)]
    if (mine === undefined) return undefined
    if (mine === pair.expected) return 'same'
    if (its === undefined) return undefined
    return withFlatChains(mine) === withFlatChains(its) ? 'same' : 'different'
  }
  const wordings = new Map<string, Wording>()
  for (const { key, pairs: parts } of facts) {
    const found = new Set(parts.map(wordingOf))
    if (found.has('different')) wordings.set(key, 'different')
    else if (!found.has(undefined)) wordings.set(key, 'same')
  }
  return wordings
}

/** What the server takes. */
async function answersTo(
  session: PsqlSession,
  probes: readonly Probe[],
): Promise<ReadonlyMap<Probe, string>> {
  const answers = new Map<Probe, string>()
  if (probes.length === 0) return answers
  const values = probes.map(
    ({ statement, question }, index) => `(${index}, ${statement}, ${sqlText(question)})`,
  )
  const rows = await session.rows(
    `select number, ${TEMPORARY_NAME}(statement, question) as answer
    from (values ${values.join(',\n')}) asked (number, statement, question)`,
  )
  for (const { number, answer } of rows) {
    const probe = typeof number === 'number' ? probes[number] : undefined
    if (probe !== undefined && typeof answer === 'string') answers.set(probe, answer)
  }
  return answers
}
