import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { parseIni } from './ini.ts'

const read = (text: string): ReturnType<typeof parseIni> => parseIni([{ path: 'a.conf', text }])

test('blanks around sections, keys and values do not count, and neither do comments and empty lines', () => {
  const ini = read('  # note\n\n [global]\r\n  repo1-path =\t/backup # not a comment  \n')

  assert.deepEqual(ini.get('global')?.get('repo1-path'), ['/backup # not a comment'])
})

test('the key ends at the first equals sign', () => {
  assert.deepEqual(read('[a]\nb=c=d').get('a')?.get('b'), ['c=d'])
})

test('a section may be split over places and files and a repeated key makes a list', () => {
  const ini = parseIni([
    { path: 'a.conf', text: '[s]\nexclude=a\n[t]\nx=1\n[s]\nexclude=b' },
    { path: 'b.conf', text: '[s]\nexclude=c' },
  ])

  assert.deepEqual(ini.get('s')?.get('exclude'), ['a', 'b', 'c'])
})

test('a section of one file does not reach into the next file', () => {
  const files = [
    { path: 'a.conf', text: '[s]\na=1' },
    { path: 'b.conf', text: 'b=2' },
  ]

  assert.throws(() => parseIni(files), /key 'b' is outside of any section at line 1 of 'b.conf'/)
})

test('a line without equals sign is a format error that does not show the line, which may be a secret', () => {
  assert.throws(
    () => read('[global]\nhunter2'),
    (error) =>
      isErrorKind(error, 'format') && error.message === "missing '=' at line 2 of 'a.conf'",
  )
})

test('sections without end or name and lines without key are format errors', () => {
  for (const text of ['[a', '[]', '[a]\n=1', 'a=1']) {
    assert.throws(
      () => read(text),
      (error) => isErrorKind(error, 'format'),
      text,
    )
  }
})
