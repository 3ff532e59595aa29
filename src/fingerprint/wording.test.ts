import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { masked, withFlatChains } from './wording.ts'

test('chains of AND and OR are flat, and nothing else changes', () => {
  const same = [
    ['(((a >= 1) AND (a <= 5)) AND (b = 2))', '((a >= 1) AND (a <= 5) AND (b = 2))'],
    ['((x) OR ((y) OR (z)))', '((x) OR (y) OR (z))'],
    ['(((a OR b) OR c) AND ((d AND e) AND f))', '((a OR b OR c) AND d AND e AND f)'],
  ] as const
  for (const [text, expected] of same) assert.equal(withFlatChains(text), expected)

  const kept = [
    '((a OR b) AND c)',
    '((a AND b) OR c)',
    '(NOT (a AND b) AND c)',
    '((a AND b) IS NULL AND c)',
    "(('((a AND b) AND c)' = t) AND u)",
    '(("((a AND b) AND c)") AND u)',
    "AS $f$ ((a AND b) AND c) it's $f$",
    'ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING',
    'not ) a ( parenthesis',
    'cost $1 and 5$',
  ]
  for (const text of kept) assert.equal(withFlatChains(text), text)
})

/** Computes the innermost parentheses until nothing is left of them. */
function truth(text: string, values: Readonly<Record<string, boolean>>): string {
  let now = text.replaceAll(/[abc]/g, (name) => (values[name] === true ? 'T' : 'F'))
  while (now.length > 1) {
    now = now.replaceAll(/\([^()]*\)/g, (group) => {
      const isTrue = group.includes('AND') ? !group.includes('F') : group.includes('T')
      return isTrue ? 'T' : 'F'
    })
  }
  return now
}

type Tree = string | { readonly word: string; readonly of: readonly Tree[] }

test('what is flat stays what it means', () => {
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'b', 'c'),
      fc.record({
        word: fc.constantFrom('AND', 'OR'),
        of: fc.array(tie('tree'), { minLength: 2, maxLength: 3 }),
      }),
    ),
  }))
  const print = (node: Tree): string =>
    typeof node === 'string' ? node : `(${node.of.map(print).join(` ${node.word} `)})`
  fc.assert(
    fc.property(tree, fc.boolean(), fc.boolean(), fc.boolean(), (node, a, b, c) => {
      const text = print(node)
      const flat = withFlatChains(text)
      assert.equal(truth(flat, { a, b, c }), truth(text, { a, b, c }))
      assert.equal(withFlatChains(flat), flat)
    }),
  )
})

test('of a masked text only what is outside of quotes and parentheses can be read, at the same places', () => {
  const masks = [
    [`to "a; b"; using (x = ';') OR (y)`, `to "····"; using (·······) OR (·)`],
    ["DEFAULT E'it''s (' || $f$ ) $f$, ''", "DEFAULT E'·······' || $·······$, ''"],
    [`f((a, "b)"), 1)[2] ) (`, `f(············)[2] ) (`],
    [`it's "not" closed`, `it's "···" closed`],
  ] as const
  for (const [text, expected] of masks) assert.equal(masked(text), expected)
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', '"', "'", '(', ')', '$', ' ') }), (text) => {
      assert.equal(masked(text).length, text.length)
    }),
  )
})
