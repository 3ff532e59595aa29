/**
 * Whether a part of a definition stays what it is in the statement that it is put into. A fingerprint may come from a repository that
 * somebody else writes to: what it says must not become another statement. Pure.
 */
import type { Part } from './definition.ts'
import { masked, outsideQuotes } from './wording.ts'

export function staysOneStatement(part: Part): boolean {
  switch (part.kind) {
    case 'expression':
    case 'query':
      return isEnclosed(part.text)
    case 'rule':
      return isEnclosed(part.text.replace(/;$/, ''))
    case 'routine':
      return isEnclosed(part.head) && isBody(part.text)
    case 'locale':
      return true
  }
}

/** A server writes no comments, no texts between dollars, and no quote behind a backslash. */
const FOREIGN = /--|\/\*|["']|\$(?!\d)|\$\S*\$/
const ESCAPED_QUOTE = /(?<!\\)(?:\\\\)*\\'/

/** Nothing in the text ends a statement or a parenthesis outside of it. */
function isEnclosed(text: string): boolean {
  return !masked(text).includes(';') && isReadable(text)
}

function isReadable(text: string): boolean {
  const plain = outsideQuotes(text)
  if (ESCAPED_QUOTE.test(text) || FOREIGN.test(plain)) return false
  let depth = 0
  for (const [sign] of plain.matchAll(/[()]/g)) {
    depth += sign === '(' ? 1 : -1
    if (depth < 0) return false
  }
  return depth === 0
}

const BLOCK = /^BEGIN ATOMIC\n(?<inner>.*)\nEND$/s

/** Of a function: an expression, or statements in a block that only its last word ends. */
function isBody(text: string): boolean {
  const inner = BLOCK.exec(text)?.groups?.['inner']
  if (inner === undefined) return isEnclosed(text)
  let depth = 0
  for (const [word] of masked(inner).matchAll(/\b(?:CASE|END)\b/gi)) {
    depth += word.toUpperCase() === 'CASE' ? 1 : -1
    if (depth < 0) return false
  }
  return depth === 0 && isReadable(inner)
}
