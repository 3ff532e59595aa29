import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorKind, isErrorKind } from '../base/error.ts'
import { toBytes } from '../base/text.ts'
import { parseInfoFile, renderInfoFile } from './info-file.ts'

// A file of pgBackRest 2.04, whose checksum is known from elsewhere.
const KNOWN = `[backrest]
backrest-format=5
backrest-version="2.04dev"

[db]
db-id=1
db-system-id=6569239123849665679
db-version="9.4"

[db:history]
1={"db-id":6569239123849665679,"db-version":"9.4"}

[backrest]
backrest-checksum="b34b238ce89d8e1365c9e392ce59e7b03342ceb9"
`

const failsAs = (content: string, kind: ErrorKind): void => {
  assert.throws(
    () => parseInfoFile(toBytes(content), 'x.info'),
    (error) => isErrorKind(error, kind),
  )
}

test('a known file has its known checksum, and its sections keep their values', () => {
  const { sections, version } = parseInfoFile(toBytes(KNOWN), 'x.info')

  assert.equal(version, '2.04dev')
  assert.deepEqual(Array.from(sections.keys()), ['db', 'db:history'])
  assert.equal(sections.get('db')?.get('db-system-id'), 6569239123849665679n)
})

test('a changed byte, a removed line and a missing checksum are checksum errors', () => {
  failsAs(KNOWN.replace('db-id=1', 'db-id=2'), 'checksum')
  failsAs(KNOWN.replace('db-version="9.4"\n', ''), 'checksum')
  failsAs(KNOWN.replace(/\[backrest\]\nbackrest-checksum=.*\n/, ''), 'checksum')
})

test('white space in a value is part of the checksum', () => {
  failsAs(KNOWN.replace('1={', '1={ '), 'checksum')
})

test('another format number is named before the checksum is looked at', () => {
  assert.throws(() => parseInfoFile(toBytes(KNOWN.replace('format=5', 'format=7')), 'x.info'), {
    kind: 'format',
    message: 'expected format 5 but found 7',
    hints: [
      'Was the repository written by a version of pgBackRest before 1.00 or by a future one?',
    ],
  })
})

test('text that is no info file is a format error', () => {
  failsAs('', 'format')
  failsAs('Salted__12345678', 'format')
  failsAs(KNOWN.replace('[backrest]\n', ''), 'format')
  failsAs(KNOWN.replace('db-id=1', 'db-id'), 'format')
  failsAs(KNOWN.replace('db-id=1', '=1'), 'format')
})

test('the checksum may stand in the first section, as Perl versions wrote it', () => {
  const checksum = 'backrest-checksum="b34b238ce89d8e1365c9e392ce59e7b03342ceb9"\n'
  const content = KNOWN.replace(`\n[backrest]\n${checksum}`, '').replace(
    '[backrest]\n',
    `[backrest]\n${checksum}`,
  )

  assert.equal(parseInfoFile(toBytes(content), 'x.info').version, '2.04dev')
})

test('a section without keys has no part in the checksum', () => {
  const content = KNOWN.replace('\n[db]', '\n[backup:current]\n\n[db]')

  assert.equal(parseInfoFile(toBytes(content), 'x.info').sections.has('backup:current'), false)
})

test('keys may hold equal signs, quotes and text that looks like a value', () => {
  const keys = ['a=b', 'a={}', '[x]', 'q"="', '=', 'a=1', '\xe9', 'tab\t']
  const values = new Map(keys.map((key) => [key, { size: 1 }]))

  const { sections } = parseInfoFile(renderInfoFile(new Map([['s', values]])), 'x.info')

  assert.deepEqual(Array.from(sections.get('s')?.keys() ?? []).toSorted(), keys.toSorted())
})

const write = (key: string): Buffer => renderInfoFile(new Map([['s', new Map([[key, 1]])]]))

test('a name that could not be read back is not written', () => {
  assert.throws(() => write('a\nb'), { kind: 'format' })
  assert.throws(() => write(''), { kind: 'format' })
  assert.throws(() => renderInfoFile(new Map([['s', new Map([['[a', [1]]])]])), { kind: 'format' })
})

test('one key twice is a format error even when the checksum is right', () => {
  const once = renderInfoFile(
    new Map([
      [
        's',
        new Map([
          ['aa', 1],
          ['ab', 1],
        ]),
      ],
    ]),
  ).toString('latin1')
  const twice = once.replace('ab=1', 'aa=1')
  const actual = /actual '([0-9a-f]{40})'/.exec(
    messageOf(() => parseInfoFile(toBytes(twice), 'x')),
  )?.[1]

  failsAs(twice.replace(/(?<=checksum=")[0-9a-f]{40}/, actual ?? ''), 'format')
})

function messageOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return String(error)
  }
  return ''
}
