/** The documents, compared with what they talk about. */
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { COMMANDS } from '../src/config/command-table.ts'
import { checkout } from './harness/run.ts'

const pages = globSync(['*.md', 'docs/**/*.md', 'decisions/*.md'], { cwd: checkout }).toSorted()

function read(path: string): string {
  return readFileSync(join(checkout, path), 'utf8')
}

/** Text without fenced blocks, in which nothing is a link or a heading. */
function prose(path: string): string {
  return read(path).replaceAll(/^```[^]*?^```$/gm, '')
}

/** The anchors that headings make. */
function anchorsOf(path: string): readonly string[] {
  return [...prose(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

function isBroken(page: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? page : join(dirname(page), path)
  if (!existsSync(join(checkout, target))) return true
  return anchor !== undefined && !anchorsOf(target).includes(anchor)
}

test('every link to a file or a heading leads somewhere', () => {
  const broken = pages.flatMap((page) =>
    [...prose(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)]
      .map(([, link = '']) => link)
      .filter((link) => isBroken(page, link))
      .map((link) => `${page}: ${link}`),
  )

  assert.deepEqual(broken, [])
})

interface Row {
  readonly id: string
  readonly command: string
  readonly tests: readonly string[]
  readonly state: string
}

function coverageRows(): readonly Row[] {
  return [...read('docs/coverage.md').matchAll(/^\| (S\d+) \|.*$/gm)].map(([line, id = '']) => {
    const [, , , command = '', tests = '', state = ''] = line.split('|').map((cell) => cell.trim())
    return {
      id,
      command,
      tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, path = '']) => path),
      state,
    }
  })
}

test('coverage.md has every requirement once and in order', () => {
  assert.deepEqual(
    coverageRows().map(({ id }) => id),
    Array.from({ length: 187 }, (_, index) => `S${index + 1}`),
  )
})

test('a requirement is done, partly done with what is missing, or not yet done', () => {
  const unclear = coverageRows().filter(
    ({ state }) => !/^(?:done|partly: \S.*|not yet)$/.test(state),
  )

  assert.deepEqual(unclear, [])
})

test('what is done, or partly done, names a test, and every test named is there', () => {
  const rows = coverageRows()

  assert.deepEqual(
    rows.filter(({ tests, state }) => state !== 'not yet' && tests.length === 0),
    [],
  )
  const named = rows.flatMap(({ tests }) => tests)
  assert.deepEqual(
    named.filter((path) => !existsSync(join(checkout, path))),
    [],
  )
})

test('the numbers at the top of coverage.md are those of its rows', () => {
  const rows = coverageRows()
  const [, done, partly, notYet] =
    /(\d+) done, (\d+) partly,\s(\d+) not yet/.exec(read('docs/coverage.md')) ?? []

  assert.deepEqual(
    [done, partly, notYet].map(Number),
    [/^done/, /^partly/, /^not yet/].map(
      (start) => rows.filter(({ state }) => start.test(state)).length,
    ),
  )
})

test('every invariant in ARCHITECTURE.md is guarded by a test of that title', () => {
  const guards = [...read('ARCHITECTURE.md').matchAll(/\[(.+?)\]\(((?:src|test)\/[\w./-]+\.ts)\)/g)]

  assert.notEqual(guards.length, 0)
  assert.deepEqual(
    guards
      .filter(
        ([, title = '', path = '']) =>
          !existsSync(join(checkout, path)) || !read(path).includes(title),
      )
      .map(([link]) => link),
    [],
  )
})

test('the glossary has every command and every folder of src/', () => {
  const words = new Set(
    [...read('GLOSSARY.md').matchAll(/^\| \*\*(.+?)\*\*/gm)].map(([, word]) => word),
  )
  const folders = globSync('src/*/', { cwd: checkout }).map((path) => path.split('/')[1])

  assert.deepEqual(
    [...Object.keys(COMMANDS), ...folders].filter((word) => !words.has(word)),
    [],
  )
})

test('every page of the guide is linked from the README', () => {
  const readme = read('README.md')

  assert.deepEqual(
    globSync('docs/guide/*.md', { cwd: checkout }).filter((page) => !readme.includes(`](${page})`)),
    [],
  )
})
