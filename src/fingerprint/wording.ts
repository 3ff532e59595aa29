/** Definitions that a server words itself: what of their text may differ though they say the same. Pure. */
import type { SchemaFact } from '../format/fingerprint.ts'

const WORDED_KINDS: ReadonlySet<string> = new Set([
  'view',
  'materialized view',
  'rule',
  'constraint',
  'domain constraint',
  'default',
  'generation',
  'index',
  'trigger',
  'policy',
  'statistics',
  'published table',
  // ICU's names of locales are brought into one form since 16.
  'collation',
])

/** Of these kinds only what has an expression in it. */
const WORDED_PARTS: ReadonlyMap<string, RegExp> = new Map([
  ['function', / DEFAULT |\nBEGIN ATOMIC\n|\nRETURN /],
  ['procedure', / DEFAULT |\nBEGIN ATOMIC\n/],
  ['table', /partition(?:ed by| of) /],
  ['foreign table', /partition of /],
  ['type', /^domain .*; default /],
])

/** Whether another version of the server may word the same otherwise. */
export function isWorded({ kind, definition }: SchemaFact): boolean {
  return WORDED_KINDS.has(kind) || WORDED_PARTS.get(kind)?.test(definition) === true
}

/** What stands between operands, what is in quotes, what is in parentheses. */
type Item = string | Quoted | Group
interface Quoted {
  readonly quoted: string
}
interface Group {
  readonly items: readonly Item[]
}

const QUOTE = /^["']|^\$./
/** Names, texts, texts between dollars, parentheses, and whatever is between. */
const TOKENS = /"(?:[^"]|"")*"|'(?:[^']|'')*'|(\$[^$\s]*\$).*?\1|[()]|[^"'$()]+|\$/gs

/**
 * The text with `((a AND b) AND c)` as `(a AND b AND c)`, and the same with OR. A server that reads its own wording of BETWEEN
 * words it so the next time, hence a restored definition may differ from the source's in this.
 */
export function withFlatChains(text: string): string {
  const stack: Item[][] = [[]]
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === '(') {
      stack.push([])
    } else if (token === ')' && stack.length > 1) {
      const items = stack.pop() ?? []
      stack.at(-1)?.push(flat({ items }))
    } else {
      stack.at(-1)?.push(QUOTE.test(token) ? { quoted: token } : token)
    }
  }
  // A parenthesis without its other half: not what a server writes.
  if (stack.length > 1) return text
  return print(stack[0] ?? [])
}

const print = (items: readonly Item[]): string => items.map(printItem).join('')

function printItem(item: Item): string {
  if (typeof item === 'string') return item
  return 'quoted' in item ? item.quoted : `(${print(item.items)})`
}

/** Takes the chains that are operands of the same chain in. Inner groups are flat already. */
function flat(group: Group): Group {
  const word = chainWord(group)
  if (word === undefined) return group
  const { items } = group
  return {
    items: items.flatMap((item, index) =>
      typeof item !== 'string' &&
      'items' in item &&
      chainWord(item) === word &&
      isBoundary(items[index - 1], word, 'before') &&
      isBoundary(items[index + 1], word, 'after')
        ? item.items
        : [item],
    ),
  }
}

type ChainWord = ' AND ' | ' OR '

/** The word that joins a group's operands; a group with both at one level is not what a server writes. */
function chainWord({ items }: Group): ChainWord | undefined {
  const words = items.filter((item) => typeof item === 'string').join('"')
  const [and, or] = [words.includes(' AND '), words.includes(' OR ')]
  if (and === or) return undefined
  return and ? ' AND ' : ' OR '
}

/** Whether an operand ends there: at the word, or where the group does. */
function isBoundary(item: Item | undefined, word: ChainWord, side: 'before' | 'after'): boolean {
  if (item === undefined) return true
  if (typeof item !== 'string') return false
  return side === 'before' ? item.endsWith(word) : item.startsWith(word)
}
