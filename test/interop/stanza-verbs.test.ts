/**
 * stanza-upgrade, stanza-delete, annotate, stop and start beside the real pgBackRest: each does the same thing to its own
 * copy of the same repository. The exit codes must be equal, and so must what lies in the repository and the lock path.
 */
import assert from 'node:assert/strict'
import { lstat, mkdir, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../src/base/error.ts'
import { Secret } from '../../src/base/secret.ts'
import { implementationOf } from '../../src/cli/dispatch.ts'
import { isLocked } from '../../src/repo/lock.ts'
import { decryptor } from '../../src/pipe/cipher.ts'
import { collect, single, through } from '../../src/pipe/pipe.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest, postgresBin } from '../harness/peers.ts'
import { type Folder, runAs, spawnAs, temporaryFolder } from '../harness/run.ts'
import { dropPrivileges } from '../scenario/unprivileged.ts'

const CIPHER_PASS = 'secret'

/** What one command line does to the repository `base` or `sealed`. */
interface Situation {
  readonly argv: readonly string[]
  /** Shell script that runs first; its folder holds `repo` and `lock`. */
  readonly given?: string
  /** Somebody holds this lock meanwhile. */
  readonly held?: 'archive' | 'backup' | 'restore'
  readonly base?: 'base' | 'sealed'
}

const UPGRADE = ['--stanza=demo', '--no-online', 'stanza-upgrade']
const ANNOTATE = ['--stanza=demo', '--set=LABEL', 'annotate']
const DELETE = ['--stanza=demo', 'stanza-delete']
const STOPPED = 'touch lock/demo.stop'
const OTHER = '--pg1-path=FOLDER/other'
const NEWER = '--pg1-path=FOLDER/newer'
const RUNNING = '--pg1-path=FOLDER/running'

const SITUATIONS: Readonly<Record<string, Situation>> = {
  'upgrade of a stanza that is up to date': { argv: UPGRADE },
  'upgrade to another major version': { argv: [...UPGRADE, NEWER] },
  'upgrade to another cluster of the same version': { argv: [...UPGRADE, OTHER] },
  'upgrade of an encrypted stanza': { argv: [...UPGRADE, NEWER], base: 'sealed' },
  'upgrade of a stanza that does not exist': {
    argv: ['--stanza=none', '--no-online', '--pg1-path=FOLDER/data', 'stanza-upgrade'],
  },
  'upgrade while stopped': { argv: [...UPGRADE, NEWER], given: STOPPED },
  'upgrade while all is stopped': { argv: [...UPGRADE, NEWER], given: 'touch lock/all.stop' },
  'upgrade while WAL is pushed': { argv: [...UPGRADE, NEWER], held: 'archive' },
  'upgrade during a backup': { argv: [...UPGRADE, NEWER], held: 'backup' },
  'upgrade during a restore': { argv: [...UPGRADE, NEWER], held: 'restore' },
  'upgrade without the copies': {
    argv: [...UPGRADE, NEWER],
    given: 'rm repo/archive/demo/archive.info.copy repo/backup/demo/backup.info.copy',
  },
  'upgrade from the copies': {
    argv: [...UPGRADE, NEWER],
    given: 'rm repo/archive/demo/archive.info repo/backup/demo/backup.info',
  },
  'upgrade without backup.info': {
    argv: [...UPGRADE, NEWER],
    given: 'rm repo/backup/demo/backup.info*',
  },
  'upgrade that was cut off after archive.info': {
    argv: [...UPGRADE, NEWER],
    given: 'cp FOLDER/upgraded/archive/demo/archive.info* repo/archive/demo/',
  },
  'upgrade when archive.info is a cluster ahead': {
    argv: [...UPGRADE, OTHER],
    given: 'cp FOLDER/upgraded/archive/demo/archive.info* repo/archive/demo/',
  },
  'upgrade back to the cluster before': {
    argv: UPGRADE,
    given: 'cp -a FOLDER/upgraded/. repo/',
  },
  'annotate, adding, changing and removing': {
    argv: [...ANNOTATE, '--annotation=new=1', '--annotation=kept=other', '--annotation=gone='],
  },
  'annotate, removing the last': {
    argv: [...ANNOTATE, '--annotation=kept=', '--annotation=gone='],
  },
  'annotate, removing what is not there': { argv: [...ANNOTATE, '--annotation=x='] },
  'annotate in an encrypted repository': {
    argv: [...ANNOTATE, '--annotation=note=ü "q" \\'],
    base: 'sealed',
  },
  'annotate nothing': { argv: ANNOTATE },
  'annotate with half a note': { argv: [...ANNOTATE, '--annotation=x'] },
  'annotate no set': { argv: ['--stanza=demo', '--annotation=a=b', 'annotate'] },
  'annotate a set that does not exist': {
    argv: ['--stanza=demo', '--set=20200101-000000F', '--annotation=a=b', 'annotate'],
  },
  'annotate latest': { argv: ['--stanza=demo', '--set=latest', '--annotation=a=b', 'annotate'] },
  'annotate in a stanza that does not exist': {
    argv: ['--stanza=none', '--set=LABEL', '--annotation=a=b', 'annotate'],
  },
  'annotate in two repositories of which one is empty': {
    argv: [...ANNOTATE, '--annotation=a=b', '--repo2-path=FOLDER/none'],
  },
  'annotate while stopped': { argv: [...ANNOTATE, '--annotation=a=b'], given: STOPPED },
  'annotate during a backup': { argv: [...ANNOTATE, '--annotation=a=b'], held: 'backup' },
  'annotate while WAL is pushed': { argv: [...ANNOTATE, '--annotation=a=b'], held: 'archive' },
  'annotate a backup without its manifest': {
    argv: [...ANNOTATE, '--annotation=a=b'],
    given: 'rm repo/backup/demo/LABEL/backup.manifest',
  },
  'annotate a backup that backup.info has lost': {
    argv: [...ANNOTATE, '--annotation=a=b'],
    given: 'cp FOLDER/empty/backup/demo/backup.info* repo/backup/demo/',
  },
  'delete a stanza that is not stopped': { argv: DELETE },
  'delete a stanza when only all is stopped': { argv: DELETE, given: 'touch lock/all.stop' },
  'delete a stopped stanza': { argv: DELETE, given: STOPPED },
  'delete a stanza of many': {
    argv: DELETE,
    given: `${STOPPED}; cp -a repo/archive/demo repo/archive/x`,
  },
  'delete a stanza whose cluster runs': { argv: [...DELETE, RUNNING], given: STOPPED },
  'delete a stanza whose cluster runs, forced': {
    argv: [...DELETE, RUNNING, '--force'],
    given: STOPPED,
  },
  'delete what an interrupted delete left': {
    argv: DELETE,
    given: `${STOPPED}; rm repo/*/demo/*.info*`,
  },
  'delete a stanza with data but without info files, not stopped': {
    argv: DELETE,
    given: 'rm repo/*/demo/*.info*',
  },
  'delete empty directories': {
    argv: ['--stanza=none', '--pg1-path=FOLDER/data', 'stanza-delete'],
    given: 'mkdir repo/archive/none repo/backup/none; touch lock/none.stop',
  },
  'delete a stanza that does not exist': {
    argv: ['--stanza=none', '--pg1-path=FOLDER/data', 'stanza-delete'],
    given: 'touch lock/none.stop',
  },
  'delete a stanza of which only WAL is left': {
    argv: DELETE,
    given: `${STOPPED}; rm -r repo/backup/demo`,
  },
  'delete during a restore': { argv: DELETE, given: STOPPED, held: 'restore' },
  'delete from one of two repositories without saying which': {
    argv: [...DELETE, '--repo2-path=FOLDER/none'],
    given: STOPPED,
  },
  'delete from the first of two repositories': {
    argv: [...DELETE, '--repo2-path=FOLDER/none', '--repo=1'],
    given: STOPPED,
  },
  'delete without a cluster': { argv: ['--stanza=none', 'stanza-delete'] },
  'stop one stanza': { argv: ['--stanza=demo', 'stop'] },
  'stop all': { argv: ['stop'] },
  'stop what is stopped': { argv: ['--stanza=demo', 'stop'], given: STOPPED },
  'stop a stanza that nobody knows': { argv: ['--stanza=none', 'stop'] },
  'stop with a parameter': { argv: ['--stanza=demo', 'stop', 'now'] },
  'stop, forced, removes locks of nobody': {
    argv: ['--stanza=demo', '--force', 'stop'],
    given: 'touch lock/demo-backup-1.lock lock/demo-x.txt lock/x-archive-2.lock',
  },
  'start a stanza': { argv: ['--stanza=demo', 'start'], given: STOPPED },
  'start a stanza while all is stopped': {
    argv: ['--stanza=demo', 'start'],
    given: `${STOPPED}; touch lock/all.stop`,
  },
  'start all': { argv: ['start'], given: `${STOPPED}; touch lock/all.stop` },
  'start what is not stopped': { argv: ['--stanza=demo', 'start'] },
  'start all that is not stopped': { argv: ['start'] },
  'start, forced': { argv: ['--stanza=demo', '--force', 'start'] },
}

let folder: Folder
let program = ''
/** Of the only backup, in both repositories. */
const labels = { base: '', sealed: '' }

before(async () => {
  folder = await temporaryFolder('verbs')
  program = await pgBackRest('2.60')
  const newer = await postgresBin('17')
  const older = await postgresBin('15')
  for (const [name, bin] of Object.entries({ data: older, other: older, newer })) {
    await runAs([join(bin, 'initdb'), '-D', at(name), '-U', 'postgres', '--no-sync'])
  }
  // Two tools run on what is left, which needs to be no cluster.
  await runAs(['sh', '-ec', `rm -r ${at('data')}/base/*/[0-9]*`])
  await runAs(['mkdir', at('running'), at('lock'), at('none')])
  await runAs(['touch', at('running/postmaster.pid')])
  const backup = [
    '--stanza=demo',
    'backup',
    '--no-online',
    '--annotation=kept=1',
    '--annotation=gone=1',
  ]
  for (const base of ['base', 'sealed'] as const) {
    const theirs = [`--repo1-path=${at(base)}`, `--lock-path=${at('lock')}`, ...optionsOf(base)]
    await real([...theirs, '--stanza=demo', '--no-online', 'stanza-create'])
    if (base === 'base') await runAs(['cp', '-a', at('base'), at('empty')])
    await real([...theirs, ...backup])
    const names = await readdir(at(`${base}/backup/demo`))
    labels[base] = names.find((name) => name.endsWith('F')) ?? ''
  }
  await runAs(['cp', '-a', at('base'), at('upgraded')])
  const upgraded = [`--repo1-path=${at('upgraded')}`, `--lock-path=${at('lock')}`]
  await real([...upgraded, ...UPGRADE, `--pg1-path=${at('newer')}`])
  dropPrivileges()
})

after(async () => {
  await folder[Symbol.asyncDispose]()
})

function at(name: string): string {
  return join(folder.path, name)
}

function optionsOf(base: 'base' | 'sealed'): readonly string[] {
  return base === 'sealed' ? ['--repo1-cipher-type=aes-256-cbc'] : []
}

/** Neither tool reads a configuration file; a passphrase must not be on a command line. */
const env = {
  PGBACKREST_REPO1_CIPHER_PASS: CIPHER_PASS,
}

async function real(argv: readonly string[]): Promise<void> {
  const { code, stderr } = await runReal(argv)
  assert.equal(code, 0, stderr)
}

async function runReal(argv: readonly string[]): ReturnType<typeof runAs> {
  return await runAs([program, ...common(argv)], { env: envOf(argv), allowFailure: 'allow' })
}

/** The environment names the passphrase only when it is used: else it is an error. */
function envOf(argv: readonly string[]): Readonly<Record<string, string>> {
  return argv.includes('--repo1-cipher-type=aes-256-cbc') ? env : {}
}

function common(argv: readonly string[]): readonly string[] {
  const usesServer = !['stop', 'start', 'annotate'].some((verb) => argv.includes(verb))
  const isKnown =
    argv.includes('--stanza=demo') && !argv.some((arg) => arg.startsWith('--pg1-path'))
  return [
    '--no-config',
    '--log-level-file=off',
    ...(usesServer && isKnown ? [`--pg1-path=${at('data')}`] : []),
    ...argv,
  ]
}

async function runOurs(argv: readonly string[]): Promise<number> {
  try {
    const { context } = testContext({ argv: common(argv), env: envOf(argv) })
    const command = await implementationOf(context.config.command)
    return await command(context)
  } catch (error) {
    assert(error instanceof AppError, String(error))
    return error.exitCode
  }
}

/** A copy of the repository with a lock path of its own, as the situation wants it; runs one of the tools there. */
async function play(
  { argv, given = 'true', held, base = 'base' }: Situation,
  name: 'ours' | 'theirs',
): Promise<{ readonly code: number | null; readonly tree: readonly string[] }> {
  await using stack = new AsyncDisposableStack()
  const root = at(name)
  stack.defer(async () => {
    await rm(root, { recursive: true })
  })
  const fill = (text: string): string =>
    text.replaceAll('FOLDER', folder.path).replaceAll('LABEL', labels[base])
  await mkdir(join(root, 'lock'), { recursive: true })
  await runAs(['cp', '-a', at(base), join(root, 'repo')])
  await runAs(['sh', '-ec', fill(given)], { cwd: root })
  if (held !== undefined) {
    const path = join(root, `lock/demo-${held}-1.lock`)
    const holder = spawnAs(['flock', '-F', path, 'sleep', '30'])
    stack.defer(() => {
      holder.kill('SIGKILL')
    })
    while (!(await isLocked(path))) await sleep(5)
  }
  const usesRepo = !argv.includes('stop') && !argv.includes('start')
  const line = [
    `--lock-path=${root}/lock`,
    ...(usesRepo ? [`--repo1-path=${root}/repo`, ...optionsOf(base)] : []),
    ...argv.map(fill),
  ]
  const code = name === 'ours' ? await runOurs(line) : (await runReal(line)).code
  const tree = await describeTree(root)
  // When one of several locks is refused, pgBackRest leaves the files of those it has given back.
  return { code, tree: held === undefined ? tree : tree.filter((file) => !file.includes('.lock')) }
}

/** Lines of `right` that `left` does not have. */
function missingFrom(left: readonly string[], right: readonly string[]): readonly string[] {
  return right.filter((line) => !left.includes(line))
}

/** One line per file, directory and link; info files without what names their writer. */
async function describeTree(root: string): Promise<readonly string[]> {
  const names = await readdir(root, { recursive: true })
  const lines = names.toSorted().map(async (name) => {
    const status = await lstat(join(root, name))
    if (status.isSymbolicLink()) return `${name} -> ${await readlink(join(root, name))}`
    if (status.isDirectory()) return `${name}/`
    const isInfo = /\.info(?:\.copy)?$/.test(name)
    return `${name} ${(status.mode & 0o777).toString(8)} ${isInfo ? await contentOf(join(root, name)) : status.size}`
  })
  return await Promise.all(lines)
}

async function contentOf(path: string): Promise<string> {
  const bytes = await readFile(path)
  const isSealed = bytes.toString('latin1', 0, 8) === 'Salted__'
  const plain = isSealed
    ? await collect(through(single(bytes), decryptor(new Secret(CIPHER_PASS), 'normal')), 1e6)
    : bytes
  return plain.toString().replaceAll(/^backrest-(?:version|checksum)=.*$/gm, '')
}

for (const [what, situation] of Object.entries(SITUATIONS)) {
  test(`${what}: as pgBackRest`, async () => {
    const expected = await play(situation, 'theirs')

    const actual = await play(situation, 'ours')

    assert.equal(actual.code, expected.code)
    assert.deepEqual(missingFrom(actual.tree, expected.tree), [])
    assert.deepEqual(missingFrom(expected.tree, actual.tree), [])
  })
}
