/**
 * `npm test`: everything that must hold. Prints what it does, what it took, and one line of totals at the end.
 *
 *   npm test                 all of it, real PostgreSQL and pgBackRest included
 *   npm test -- --quick      build, types, lint and unit tests only
 */
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { checkout, checkoutReadability } from '../test/harness/run.ts'
import { percentCovered, readCoverage } from './coverage.ts'

const COVERED_LINES_MIN_PERCENT = 90
const UNIT_TESTS = ['src/**/*.test.ts', 'scripts/**/*.test.ts', 'test/tidy.test.ts']
const ALL_TESTS = ['test/**/*.test.ts']
const PEERS = ['pgbackrest', 'pgbackrest-trixie', 'pgbackrest-bookworm', 'pg15', 'pg17', 'pg18']
const NODE_26 = join(checkout, 'node_modules/node26/bin/node')

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const temporary = mkdtempSync('/tmp/pgsurety-test-')
process.once('exit', () => {
  rmSync(temporary, { recursive: true, force: true })
})
const totals = { passed: 0, failed: 0, skipped: 0 }
const started = performance.now()

function secondsSince(begin: number): string {
  return `${((performance.now() - begin) / 1000).toFixed(1)} s`
}

/** Runs a command with our output; resolves to its exit code, 1 for a signal. */
async function run(
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const [program = '', ...args] = argv
  const child = spawn(program, args, {
    cwd: checkout,
    env: { ...process.env, ...env },
    stdio: 'inherit',
  })
  const ended = Promise.withResolvers<number>()
  child.once('error', ended.reject)
  child.once('close', (code) => {
    ended.resolve(code ?? 1)
  })
  return await ended.promise
}

/** One part of the run, which counts as one test. */
async function part(name: string, argv: readonly string[]): Promise<void> {
  const begin = performance.now()
  console.log(`\n== ${name}`)
  const code = await run(argv)
  totals[code === 0 ? 'passed' : 'failed'] += 1
  console.log(`== ${name}: ${code === 0 ? 'ok' : 'FAILED'}, ${secondsSince(begin)}`)
}

interface TestPart {
  readonly name: string
  readonly node: string
  readonly files: readonly string[]
  readonly reporter: 'dot' | 'spec'
  /** For each file: a hang is a failure, not an endless run. */
  readonly timeoutMs: number
  readonly env?: Readonly<Record<string, string>>
}

let testPartCount = 0

/** Test files, two at a time, each in a process of its own. */
async function testPart({ name, node, files, reporter, timeoutMs, env }: TestPart): Promise<void> {
  const begin = performance.now()
  console.log(`\n== ${name}`)
  testPartCount += 1
  const tap = join(temporary, `${testPartCount}.tap`)
  const shown = [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout']
  const counted = ['--test-reporter=tap', `--test-reporter-destination=${tap}`]
  const limits = ['--test-concurrency=2', `--test-timeout=${timeoutMs}`]
  const code = await run([node, '--test', ...limits, ...shown, ...counted, ...files], env)
  const summary = readFileSync(tap, 'utf8')
  const count = (what: string): number =>
    Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(summary)?.[1] ?? 0)
  const failed = count('fail') + count('cancelled')
  totals.passed += count('pass')
  // A runner that dies counts nothing.
  totals.failed += code === 0 ? failed : Math.max(1, failed)
  totals.skipped += count('skipped') + count('todo')
  console.log(
    `== ${name}: ${count('pass')} passed, ${failed} failed, ${count('skipped')} skipped, ${secondsSince(begin)}`,
  )
}

function coveragePart(dataFolder: string): void {
  const files = readCoverage(dataFolder, checkout)
  const worst = files
    .filter(({ uncoveredLines }) => uncoveredLines.length > 0)
    .toSorted((left, right) => right.uncoveredLines.length - left.uncoveredLines.length)
  for (const { path, lineCount, uncoveredLines } of worst.slice(0, 15)) {
    console.log(
      `${path}: ${uncoveredLines.length} of ${lineCount} lines: ${uncoveredLines.join(' ')}`,
    )
  }
  const percent = percentCovered(files)
  totals[percent >= COVERED_LINES_MIN_PERCENT ? 'passed' : 'failed'] += 1
  console.log(
    `== coverage of src/: ${percent.toFixed(1)} % of lines (at least ${COVERED_LINES_MIN_PERCENT} %)`,
  )
}

async function runParts(): Promise<void> {
  // Written by the unprivileged user too.
  const coverage = mkdtempSync(join(temporary, 'coverage-'))
  chmodSync(temporary, 0o711)
  chmodSync(coverage, 0o1777)
  const env = { NODE_V8_COVERAGE: coverage }
  await part('build', ['npm', 'run', '--silent', 'build'])
  await part('types', ['npm', 'run', '--silent', 'types'])
  await part('lint', ['npm', 'run', '--silent', 'lint'])
  await testPart({
    name: `unit tests on Node ${process.versions.node}`,
    node: process.execPath,
    files: UNIT_TESTS,
    reporter: 'dot',
    timeoutMs: 120_000,
    env,
  })
  await testPart({
    name: 'unit tests on Node 26',
    node: NODE_26,
    files: UNIT_TESTS,
    reporter: 'dot',
    timeoutMs: 120_000,
  })
  if (values.quick) return
  for (const name of PEERS) {
    await part(`real peer ${name}`, ['bash', 'scripts/peers.sh', 'get', name])
  }
  await testPart({
    name: 'tests with real PostgreSQL and pgBackRest',
    node: process.execPath,
    files: ALL_TESTS,
    reporter: 'spec',
    timeoutMs: 600_000,
    env,
  })
  coveragePart(coverage)
}

/** For a checkout that the unprivileged user cannot read, say below /root: the same on a copy that everyone can. */
async function runOnCopy(): Promise<number> {
  const copy = join(temporary, 'checkout')
  console.log(`== '${checkout}' is not readable for everyone: testing a copy, '${copy}'`)
  chmodSync(temporary, 0o755)
  await run(['cp', '-a', '--reflink=auto', checkout, copy])
  await run(['chmod', '-R', 'go+rX', copy])
  return await run([process.execPath, join(copy, 'scripts/test.ts'), ...process.argv.slice(2)])
}

if (checkoutReadability() === 'unreadable') {
  process.exitCode = await runOnCopy()
} else {
  await runParts()
  const { passed, failed, skipped } = totals
  console.log(`\ntotal time ${secondsSince(started)}`)
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 ? 0 : 1
}
