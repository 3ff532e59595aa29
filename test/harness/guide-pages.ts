/**
 * The guide, executed: every ```console block of a page runs, page after page, on one machine made for it.
 *
 * `$` starts a command and `>` continues it; what follows is its output, where `...` stands for any number of lines.
 * Times, labels, sizes, LSNs and the like are compared by shape. When a page shows one in an output and types it in a later
 * command, the command gets what really came out. Paths of the guide are folders of the test.
 */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Cluster, startCluster } from './cluster.ts'
import { pgBackRest } from './peers.ts'
import { checkout, type Folder, pgsuretyCommand, runAs, temporaryFolder } from './run.ts'

interface Exchange {
  readonly command: string
  readonly expected: readonly string[]
}

/** What differs from run to run, most specific first; each is compared by name. */
const VARIABLE: readonly (readonly [name: string, pattern: string])[] = [
  ['SHA1', String.raw`\b[0-9a-f]{40}\b`],
  ['SEGMENT', String.raw`\b[0-9A-F]{24}\b`],
  ['LABEL', String.raw`\b\d{8}-\d{6}(?:L|F(?:_\d{8}-\d{6}[DI])?)`],
  ['TIME', String.raw`\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d)?`],
  ['LSN', String.raw`\b[0-9A-F]{1,8}/[0-9A-F]{7,8}\b`],
  ['SYSTEM', String.raw`\b\d{19}\b`],
  ['TRANSACTION', String.raw`(?<=transaction )\d+`],
  ['PID', String.raw`(?<=\(pid )\d+`],
  ['DURATION', String.raw`(?<=\()\d+ms|(?<=, in )(?:\d+ms|\d+\.\ds)`],
  ['WORKING', String.raw`(?<=\.pgsurety-)[0-9a-f]{8}\b`],
  ['PORT', String.raw`(?<=/postgresql:)\d+`],
  ['SIZE', String.raw`\b\d+(?:\.\d+)?(?:B|KB|MB|GB)\b`],
  ['COUNT', String.raw`\b\d+(?= (?:files|segments|already right))|(?<=file total = )\d+`],
  ['DOTS', String.raw`\.+(?= done)|\.{4,}`],
]
const ANY_VARIABLE = new RegExp(
  VARIABLE.map(([name, pattern]) => `(?<${name}>${pattern})`).join('|'),
  'g',
)

/** What a page may show in an output and type again in a command. */
const TYPED_AGAIN: ReadonlySet<string> = new Set(['LABEL', 'TIME', 'LSN', 'TRANSACTION', 'WORKING'])

interface Shape {
  /** The line with the names of its variable parts instead of them. */
  readonly text: string
  readonly parts: readonly { readonly name: string; readonly found: string }[]
}

function shapeOf(line: string): Shape {
  const parts: { name: string; found: string }[] = []
  const text = line.trimEnd().replaceAll(ANY_VARIABLE, (found, ...rest) => {
    const groups: unknown = rest.at(-1)
    const names = typeof groups === 'object' && groups !== null ? Object.entries(groups) : []
    const [name = ''] = names.find(([, value]) => value !== undefined) ?? []
    parts.push({ name, found })
    return `<${name}>`
  })
  return { text, parts }
}

function exchangesOf(page: string): readonly Exchange[] {
  const exchanges: { command: string; expected: string[] }[] = []
  for (const [, block = ''] of page.matchAll(/^```console\n([^]*?)^```$/gm)) {
    for (const line of block.trimEnd().split('\n')) {
      const last = exchanges.at(-1)
      if (line.startsWith('$ ')) exchanges.push({ command: line.slice(2), expected: [] })
      else if (last === undefined) throw new Error(`output before any command: '${line}'`)
      else if (/^>( |$)/.test(line) && last.expected.length === 0)
        last.command += `\n${line.slice(2)}`
      else last.expected.push(line)
    }
  }
  return exchanges
}

/**
 * Whether output is what a page expects; adds what the page calls something else to `known`. `...` takes as few lines as
 * possible.
 */
function matches(
  expected: readonly string[],
  actual: readonly string[],
  known: Map<string, string>,
): boolean {
  const [first, ...rest] = expected
  if (first === undefined) return actual.length === 0
  if (first.trim() === '...') {
    return (
      actual.some((_, index) => matches(rest, actual.slice(index), known)) ||
      matches(rest, [], known)
    )
  }
  const [line, ...others] = actual
  if (line === undefined) return false
  const shown = shapeOf(first)
  const found = shapeOf(line)
  if (shown.text !== found.text || !matches(rest, others, known)) return false
  for (const [index, part] of shown.parts.entries()) {
    const here = found.parts[index]
    if (here !== undefined && TYPED_AGAIN.has(part.name)) known.set(part.found, here.found)
  }
  return true
}

/** One machine: a cluster, a repository, programs in PATH, and where the guide's paths lie on it. */
export interface Machine extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>
  readonly paths: readonly (readonly [inGuide: string, here: string])[]
  /** What the pages call something → what it is here. */
  readonly known: Map<string, string>
}

export async function openMachine(): Promise<Machine> {
  await using stack = new AsyncDisposableStack()
  const folder: Folder = stack.use(await temporaryFolder('guide'))
  const root = folder.path
  const cluster: Cluster = stack.use(await startCluster({ version: '17' }))
  const socket = `port = ${cluster.port}\nunix_socket_directories = '${cluster.socketDir}'\nlisten_addresses = ''\n`
  appendFileSync(join(cluster.dataDir, 'postgresql.conf'), socket)
  await runAs([
    'mkdir',
    ...['17', 'bin', 'etc', 'lock', 'log', 'repo', 'second', 'spool'].map((name) =>
      join(root, name),
    ),
  ])
  await writeProgram(join(root, 'bin/pgsurety'), pgsuretyCommand())
  await writeProgram(join(root, 'bin/pgbackrest'), [await pgBackRest('2.60')])
  // A server of its own environment: its archive_command finds the programs and their settings as the guide's reader would.
  await cluster.stop()
  const env = {
    PATH: `${root}/bin:${cluster.bin}:/usr/local/bin:/usr/bin:/bin`,
    PGHOST: cluster.socketDir,
    PGPORT: String(cluster.port),
    PGUSER: 'postgres',
    PGBACKREST_CONFIG: `${root}/etc/pgbackrest.conf`,
    PGBACKREST_LOCK_PATH: `${root}/lock`,
    PGBACKREST_LOG_PATH: `${root}/log`,
    PGBACKREST_PG1_PORT: String(cluster.port),
    PGBACKREST_PG1_SOCKET_PATH: cluster.socketDir,
  }
  await runAs(['pg_ctl', '-D', cluster.dataDir, '-l', join(root, 'log/17.log'), '-w', 'start'], {
    env,
  })
  // Servers that a page started and, failing, did not stop.
  const stopOthers = `for pid in ${root}/17/*/postmaster.pid; do test -e $pid && pg_ctl -D $(dirname $pid) -m immediate stop; done; true`
  stack.defer(async () => {
    await runAs(['sh', '-c', stopOthers], { env })
  })
  const owned = stack.move()
  return {
    env,
    known: new Map(),
    paths: [
      ['/var/lib/postgresql/17/main', cluster.dataDir],
      ['/var/lib/postgresql/17', `${root}/17`],
      ['/var/lib/pgbackrest', `${root}/repo`],
      ['/srv/backup', `${root}/second`],
      ['/var/spool/pgbackrest', `${root}/spool`],
      ['/var/run/postgresql', cluster.socketDir],
      ['/var/log/postgresql', `${root}/log`],
      ['/etc/pgbackrest', `${root}/etc`],
      ['/usr/bin/pgsurety', join(checkout, 'bin/pgsurety')],
    ],
    [Symbol.asyncDispose]: async () => {
      await owned.disposeAsync()
    },
  }
}

async function writeProgram(path: string, command: readonly string[]): Promise<void> {
  const text = `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`
  await runAs(['sh', '-c', `cat > ${path} && chmod 755 ${path}`], { input: text })
}

/** Throws when a command of the page does not say what the page says. */
export async function runPage(machine: Machine, name: string): Promise<void> {
  const { known } = machine
  const page = readFileSync(join(checkout, 'docs/guide', name), 'utf8')
  for (const { command, expected } of exchangesOf(page)) {
    let line = command
    for (const [inGuide, here] of [...known, ...machine.paths])
      line = line.replaceAll(inGuide, here)
    const { stdout } = await runAs(['sh', '-c', `exec 2>&1\n${line}`], {
      env: machine.env,
      allowFailure: 'allow',
    })
    let output = stdout.trimEnd()
    // Folders within the test's root before the root.
    for (const [inGuide, here] of machine.paths.toReversed())
      output = output.replaceAll(here, inGuide)
    const actual = output === '' ? [] : output.split('\n')
    if (matches(expected, actual, known)) continue
    const shape = (lines: readonly string[]): string =>
      lines.map((each) => shapeOf(each).text).join('\n')
    assert.equal(shape(actual), shape(expected), `${name}: $ ${command}\n${output}`)
  }
}
