import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { AppError } from '../base/error.ts'
import { parseIni } from './ini.ts'

const printable = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 12 })
const section = printable.filter((text) => text.trim() === text && !text.includes('\n'))
const key = section.filter((text) => !text.includes('=') && !'[#'.includes(text.charAt(0)))
const value = fc
  .string({ unit: 'grapheme-ascii', maxLength: 12 })
  .filter((text) => text.trim() === text && !text.includes('\n'))

test('what is rendered is read back, whatever the names and values', () => {
  const sections = fc.dictionary(
    section,
    fc.dictionary(key, fc.array(value, { minLength: 1, maxLength: 3 }), { minKeys: 1, maxKeys: 4 }),
    { maxKeys: 4 },
  )
  fc.assert(
    fc.property(sections, (wanted) => {
      const text = Object.entries(wanted)
        .map(
          ([name, keys]) =>
            `[${name}]\n${Object.entries(keys)
              .flatMap(([one, values]) => values.map((item) => `${one} = ${item}\n`))
              .join('')}`,
        )
        .join('')

      const ini = parseIni([{ path: 'x', text }])

      const expected = Object.entries(wanted).map(
        ([name, keys]) => [name, new Map(Object.entries(keys))] as const,
      )
      assert.deepEqual(ini, new Map(expected))
    }),
  )
})

test('any text is read or refused with an AppError', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      try {
        parseIni([{ path: 'x', text }])
      } catch (error) {
        assert(error instanceof AppError)
      }
    }),
  )
})
