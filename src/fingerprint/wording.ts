/** Texts that a server words itself: where their parts are, and what may differ though they say the same. Pure. */

/** What stands between operands, what is in quotes, what is in parentheses. */
type Item = string | Quoted | Group
interface Quoted {
  readonly quoted: string
}
interface Group {
  readonly items: readonly Item[]
}

const QUOTE = /^["'$]./s
/** Names, texts, texts between dollars, parentheses, and whatever is between. */
const TOKENS = /"(?:[^"]|"")*"|'(?:[^']|'')*'|(\$[^$\s]*\$).*?\1|[()]|[^"'$()]+|["'$]/gs

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

const FILLER = '·'

/**
 * The text with all that is in quotes or parentheses made unreadable; the outermost ones and all places stay. What is found in it
 * is what the server itself says, not what is in a name or a text.
 */
export function masked(text: string): string {
  let depth = 0
  const hidden = ([token]: RegExpMatchArray): string => {
    if (token === '(') depth += 1
    const isVisible = depth === 0 || (depth === 1 && (token === '(' || token === ')'))
    if (token === ')' && depth > 0) depth -= 1
    if (!isVisible) return FILLER.repeat(token.length)
    if (!QUOTE.test(token)) return token
    return `${token.slice(0, 1)}${FILLER.repeat(token.length - 2)}${token.slice(-1)}`
  }
  return [...text.matchAll(TOKENS)].map(hidden).join('')
}

/** The text without what is in quotes; a quote that is not closed stays. */
export const outsideQuotes = (text: string): string =>
  text.replaceAll(TOKENS, (token) => (QUOTE.test(token) && !token.startsWith('$') ? ' ' : token))
