import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { test } from 'node:test'

/** The folders of src/, lowest first: a file imports from its own folder and from those before it. */
const FOLDERS =
  'base pipe format config storage postgres fingerprint repo worker command cli'.split(' ')

/** Code that decides and parses: it is given what it works on, and touches neither disk nor clock nor network. */
const PURE =
  /^base\/(?:text|units|error)\.ts|^format\/|^fingerprint\/(?:compare|tables|wording)|\/plan\.ts|-rules\.ts|recovery(?:-target)?\.ts/
const PURE_MAY_IMPORT = /^node:(?:assert|crypto|util|path)/
const EMPTY_NAME = /^(?:index|utils?|helpers?|common|misc|types|constants|.*manager)\.ts$/i

const checkout = join(import.meta.dirname, '..')
const src = join(checkout, 'src')
const files = globSync('**/*.ts', { cwd: src }).toSorted()
const isTest = (path: string): boolean => /\.(?:test|arbitrary|fixture)\.ts$/.test(path)
const code = files.filter((path) => !isTest(path))
const text = new Map(files.map((path) => [path, readFileSync(join(src, path), 'utf8')] as const))
const folderOf = (path: string): string => path.split('/')[0] ?? ''
const rank = (path: string): number => FOLDERS.indexOf(folderOf(path))

const IMPORT =
  /^(?:im|ex)port\b[^']*?from '(?<source>[^']+)'|\b(?:import|new URL)\('(?<later>[^']+)'/gm

/** What a file imports, now or later, own files as paths in src/. */
function importsOf(path: string): readonly string[] {
  return [...readFileSync(path, 'utf8').matchAll(IMPORT)]
    .map(({ groups }) => groups?.['source'] ?? groups?.['later'] ?? '')
    .map((name) => (name.startsWith('.') ? relative(src, join(dirname(path), name)) : name))
}

/** Pairs of a file and what it imports. */
const imports = code.flatMap((path) =>
  importsOf(join(src, path)).map((target) => [path, target] as const),
)

/** Every file of the project that people read, relative to the checkout. */
const project = [
  ...globSync(
    ['*', 'bin/*', '.ci/*', '{src,test,scripts,docs,decisions}/**/*.{ts,sh,c,md,json,txt}'],
    { cwd: checkout, exclude: ['package-lock.json'], withFileTypes: true },
  ),
]
  .filter((entry) => entry.isFile())
  .map((entry) => relative(checkout, join(entry.parentPath, entry.name)))
  .filter((path) => path !== 'test/tidy.test.ts' && !path.startsWith('test/fixtures/'))

function linesThatMatch(pattern: RegExp, paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) =>
    readFileSync(join(checkout, path), 'utf8')
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line}`] : [])),
  )
}

test('every source file is in a folder of the map', () => {
  assert.deepEqual(
    files.filter((path) => rank(path) === -1),
    [],
  )
})

test('imports stay in their folder or point to the left', () => {
  assert.deepEqual(
    imports.filter(([path, target]) => rank(target) > rank(path)),
    [],
  )
})

test('only tests import tests and what is beside the sources', () => {
  assert.deepEqual(
    imports.filter(([, target]) => isTest(target) || target.startsWith('..')),
    [],
  )
})

test('a package is imported by one file', () => {
  const packages = imports
    .filter(([, target]) => rank(target) === -1 && !target.startsWith('node:'))
    .map(([path, target]) => `${path} ${target}`)

  assert.deepEqual([...new Set(packages)], ['postgres/connection.ts pg'])
})

test('pure modules touch nothing', () => {
  const builtins = imports.filter(([path, target]) => PURE.test(path) && target.startsWith('node:'))

  assert.deepEqual(
    builtins.filter(([, target]) => !PURE_MAY_IMPORT.test(target)),
    [],
  )
})

test('only the clock reads the time', () => {
  const reads = /\bnew Date\(\)|\bDate\.now\b|\bsetTimeout\(|\bsetInterval\(/

  const found = code.filter((path) => reads.test(text.get(path) ?? ''))

  assert.deepEqual(found, ['base/clock.ts'])
})

test('no file has a name that says nothing', () => {
  assert.deepEqual(
    files.filter((path) => EMPTY_NAME.test(basename(path))),
    [],
  )
})

test('nothing is exported that another file owns', () => {
  const reExport = /^export\s[^;=(]*?\bfrom '/m

  assert.deepEqual(
    code.filter((path) => reExport.test(text.get(path) ?? '')),
    [],
  )
})

test("a folder's namesake file opens with what the folder is for", () => {
  const frontDoors = code.filter((path) => basename(path, '.ts') === basename(dirname(path)))

  assert.deepEqual(
    frontDoors.filter((path) => !(text.get(path) ?? '').startsWith('/**')),
    [],
  )
  assert.deepEqual(
    FOLDERS.filter((folder) => folder !== 'base' && !frontDoors.includes(`${folder}/${folder}.ts`)),
    [],
  )
})

test('every source file is tested: by name, as a command that is run, or through its neighbour', () => {
  const tests = globSync(['src/**/*.test.ts', 'test/**/*.ts'], { cwd: checkout })
  const reached = new Set(tests.flatMap((path) => importsOf(join(checkout, path))))
  const runs = tests
    .filter((path) => path.startsWith('test/'))
    .map((path) => readFileSync(join(checkout, path), 'utf8'))
    .join('\n')
  for (const path of code.filter((name) => name.startsWith('command/'))) {
    if (runs.includes(`'${basename(path, '.ts')}'`)) reached.add(path)
  }
  if (runs.includes('await pgsurety(')) reached.add('cli/main.ts')
  for (const path of reached) {
    const neighbours = imports.filter(
      ([from, target]) => from === path && folderOf(target) === folderOf(path),
    )
    for (const [, neighbour] of neighbours) reached.add(neighbour)
  }

  assert.deepEqual(
    code.filter((path) => !reached.has(path)),
    [],
  )
})

test('no file names a machine, a registry or unfinished work', () => {
  const forbidden = /\/work\/|\/home\/\w|registry\.|\bTODO\b|\bFIXME\b|\bXXX\b/

  assert.deepEqual(linesThatMatch(forbidden, project), [])
})

test('the lock file names no host to download from', () => {
  assert.deepEqual(linesThatMatch(/"resolved"/, ['package-lock.json']), [])
})

test('versions of dependencies are exact', () => {
  const { dependencies, devDependencies }: Record<string, unknown> = JSON.parse(
    readFileSync(join(checkout, 'package.json'), 'utf8'),
  )

  const versions = Object.values({ ...Object(dependencies), ...Object(devDependencies) })

  assert.deepEqual(
    versions.filter((version) => !/^(?:npm:.+@)?\d+\.\d+\.\d+[\w.-]*$/.test(String(version))),
    [],
  )
})

test('every script that npm runs is there', () => {
  const { scripts }: Record<string, unknown> = JSON.parse(
    readFileSync(join(checkout, 'package.json'), 'utf8'),
  )
  const lines = Object.values(Object(scripts)).join('\n')
  const tasks = [...lines.matchAll(/run\.sh (\w+)/g)].map(([, task = '']) => `scripts/${task}.ts`)
  const programs = [...lines.matchAll(/scripts\/[\w.-]+/g)].map(([path]) => path)

  const missing = [...tasks, ...programs].filter((path) => !existsSync(join(checkout, path)))

  assert.deepEqual(missing, [])
})
