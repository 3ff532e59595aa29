/** repo-ls, repo-get, repo-rm and manifest beside the real pgBackRest, on repositories that it made; and repo-put. */
import assert from 'node:assert/strict'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { asAppError } from '../../src/base/error.ts'
import type { Command } from '../../src/command/command.ts'
import { manifest } from '../../src/command/manifest/manifest.ts'
import { repoGet } from '../../src/command/repo-get.ts'
import { repoLs } from '../../src/command/repo-ls.ts'
import { repoPut } from '../../src/command/repo-put.ts'
import { repoRm } from '../../src/command/repo-rm.ts'
import { type ByteSource, single } from '../../src/pipe/pipe.ts'
import { type Archiving, startArchiving } from '../harness/archiving.ts'
import { testContext } from '../harness/context.ts'
import { runAs } from '../harness/run.ts'
import { dropPrivileges } from '../scenario/unprivileged.ts'

let bed: Archiving
/** Full and incremental. */
let sealed: readonly [string, string]
let plain: readonly [string, string]

before(async () => {
  bed = await startArchiving({
    version: '15',
    walSegmentSizeMib: 1,
    repos: {
      plain: ['compress-type=gz'],
      sealed: [
        'compress-type=zst',
        'repo1-cipher-type=aes-256-cbc',
        'repo1-cipher-pass=secret',
        'repo1-bundle=y',
        'repo1-block=y',
      ],
    },
  })
  const { cluster } = bed
  await cluster.psql('update pg_database set datistemplate = false')
  for (const name of ['template0', 'template1']) await cluster.psql(`drop database ${name}`)
  await cluster.psql(
    'create table u(a int, b text); insert into u select n, md5(n::text) from generate_series(1, 20000) n',
  )
  for (const repo of ['plain', 'sealed']) await real(repo, '--stanza=demo', 'stanza-create')
  for (const type of ['full', 'incr']) {
    await cluster.psql(`update u set b = '${type}' where a in (5, 15000); checkpoint`)
    for (const repo of ['plain', 'sealed']) {
      await real(repo, '--stanza=demo', 'backup', `--type=${type}`)
    }
  }
  await cluster.stop()
  plain = await labelsOf('plain')
  sealed = await labelsOf('sealed')
  const odd = join(bed.folder, 'plain/odd')
  await runAs(['mkdir', '-p', `${odd}/a/b`, `${odd}/a-b/c`, `${odd}/a.c`, `${odd}/empty`])
  await runAs(['touch', `${odd}/a/b/f`, `${odd}/a/z`, `${odd}/a-b/c/g`, `${odd}/aa`, `${odd}/ü`])
  await runAs(['ln', '-s', 'aa', `${odd}/link`])
  await runAs(['touch', join(bed.folder, 'sealed/stray')])
  dropPrivileges()
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

async function real(repo: string, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.pgBackRest(repo, argv)
  assert.equal(code, 0, `${argv.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

async function labelsOf(repo: string): Promise<readonly [string, string]> {
  const names = await readdir(join(bed.folder, repo, 'backup/demo'))
  const [full = '', incr = ''] = names.filter((name) => /^\d{8}-\d{6}F/.test(name)).toSorted()
  return [full, incr]
}

const COMMANDS: Readonly<Record<string, Command>> = {
  manifest,
  'repo-get': repoGet,
  'repo-ls': repoLs,
  'repo-put': repoPut,
  'repo-rm': repoRm,
}

interface Answer {
  readonly code: number
  /** Nothing when it failed: the words of errors are our own. */
  readonly output: string
}

async function ours(
  repo: string,
  argv: readonly string[],
  input?: () => ByteSource,
): Promise<Answer> {
  const command = COMMANDS[argv.find((word) => Object.hasOwn(COMMANDS, word)) ?? '']
  assert.ok(command !== undefined)
  const run = testContext({
    argv: [`--config=${bed.folder}/${repo}.conf`, ...argv],
    ...(input === undefined ? {} : { input }),
  })
  try {
    return { code: await command(run.context), output: run.output() }
  } catch (error) {
    return { code: asAppError(error).exitCode, output: '' }
  }
}

async function theirs(repo: string, argv: readonly string[]): Promise<Answer> {
  const { code, stdout } = await bed.pgBackRest(repo, argv)
  return { code: code ?? -1, output: code === 0 ? stdout : '' }
}

async function assertSame(repo: string, ...argv: readonly string[]): Promise<void> {
  assert.deepEqual(await ours(repo, argv), await theirs(repo, argv), argv.join(' '))
}

test('repo-ls tells what pgBackRest tells', async () => {
  for (const argv of [
    [],
    ['backup/demo'],
    ['backup/demo/'],
    ['backup/demo', '--sort=desc'],
    ['backup/demo', '--output=json'],
    ['backup/demo/backup.info'],
    ['backup/demo/backup.info', '--output=json'],
    ['odd', '--recurse'],
    ['odd', '--recurse', '--sort=desc'],
    ['odd', '--recurse', '--output=json'],
    ['odd', '--recurse', '--output=json', '--sort=desc'],
    ['backup/demo', '--recurse', '--filter=(info|latest)$'],
    ['backup/demo', '--recurse', '--output=json', '--filter=^[0-9]{8}-[0-9]{6}F/pg_data/PG'],
    ['backup/demo', '--filter=zzz', '--output=json'],
    ['--recurse', '--output=json', `${bed.folder}/plain/archive`],
    ['nothere'],
    ['nothere', '--output=json'],
    ['./archive'],
    ['archive/../backup'],
    ['/etc'],
    ['/'],
    ['backup//demo'],
    ['backup/demo', '--filter=('],
  ]) {
    await assertSame('plain', 'repo-ls', ...argv)
  }
})

test('repo-ls never leads out of the repository', async () => {
  assert.deepEqual(await ours('plain', ['repo-ls', '../']), { code: 96, output: '' })
})

test('repo-get gives what pgBackRest gives, each file with its own key', async () => {
  const [full, incr] = sealed
  const wal = await real('sealed', 'repo-ls', 'archive/demo/15-1', '--recurse')
  const label = wal.split('\n').find((name) => name.endsWith('.backup')) ?? ''
  for (const key of [
    'backup/demo/backup.info',
    'backup/demo/backup.info.copy',
    'archive/demo/archive.info',
    `archive/demo/15-1/${label}`,
    `backup/demo/${full}/backup.manifest`,
    `backup/demo/${incr}/backup.manifest.copy`,
    `${bed.folder}/sealed/backup/demo/backup.info`,
    'nothere',
    `backup/demo/${full}/nothere`,
    'backup/nope/nothere',
    'archive/demo/nothere',
    'backup/demo',
    'stray',
    '/etc/passwd',
  ]) {
    await assertSame('sealed', 'repo-get', key)
    await assertSame('sealed', 'repo-get', '--ignore-missing', key)
  }
  await assertSame('sealed', 'repo-get', '--raw', 'stray')
  await assertSame('sealed', 'repo-get', '--stanza=other', `archive/demo/15-1/${label}`)
  await assertSame('plain', 'repo-get', '--ignore-missing', 'nothere')
  await assertSame('plain', 'repo-get', 'backup/demo/backup.info')
})

test('repo-get gives compressed files as they are stored, decrypted', async () => {
  const [full] = sealed
  const key = `backup/demo/${full}/pg_data/backup_label.zst`
  const history = `backup/demo/backup.history/${full.slice(0, 4)}/${full}.manifest.gz`

  const label = await ours('sealed', ['repo-get', key])
  const manifestCopy = await ours('sealed', ['repo-get', history])

  assert.equal(label.output.slice(0, 4), '\u0028\u00b5\u002f\u00fd')
  assert.equal(manifestCopy.output.slice(0, 2), '\u001f\u008b')
  assert.equal((await ours('sealed', ['repo-get', '--raw', key])).output.slice(0, 8), 'Salted__')
})

function note(): ByteSource {
  return single(Buffer.from('a note'))
}

test('what repo-put stores, repo-get gives back, and pgBackRest too', async () => {
  const key = `backup/demo/${sealed[0]}/note`

  assert.equal((await ours('sealed', ['repo-put', key], note)).code, 0)

  assert.equal((await ours('sealed', ['repo-get', key])).output, 'a note')
  assert.equal(await real('sealed', 'repo-get', key), 'a note')
  const raw = await ours('sealed', ['repo-get', '--raw', key])
  assert.equal(raw.output.slice(0, 8), 'Salted__')
})

test('repo-put replaces nothing unless it is forced', async () => {
  const info = await ours('plain', ['repo-get', 'backup/demo/backup.info'])

  const refused = await ours('plain', ['repo-put', 'backup/demo/backup.info'], note)

  assert.equal(refused.code, 93)
  assert.deepEqual(await ours('plain', ['repo-get', 'backup/demo/backup.info']), info)
  assert.equal((await ours('plain', ['repo-put', 'odd/aa'], note)).code, 93)
  assert.equal((await ours('plain', ['repo-put', '--force', 'odd/aa'], note)).code, 0)
  assert.equal((await ours('plain', ['repo-get', 'odd/aa'])).output, 'a note')
})

test('repo-rm refuses what recovery needs, and a path that is not empty', async () => {
  const [full, incr] = plain
  for (const key of [
    'backup/demo/backup.info',
    'backup/demo/backup.info.copy',
    'archive/demo/archive.info',
    `backup/demo/${incr}/backup.manifest`,
    `backup/demo/${full}/pg_data/PG_VERSION.gz`,
  ]) {
    assert.equal((await ours('plain', ['repo-rm', key])).code, 31, key)
    assert.ok((await stat(join(bed.folder, 'plain', key))).isFile())
  }
  for (const key of ['', 'backup', 'backup/demo', 'archive', 'archive/demo/15-1']) {
    assert.equal((await ours('plain', ['repo-rm', '--recurse', key])).code, 31, key)
  }
  await assertSame('plain', 'repo-rm', 'odd')
  await assertSame('plain', 'repo-rm', 'nothere')
  await assertSame('plain', 'repo-rm', '/etc/x')
})

test('repo-rm removes files, empty paths, and with recurse anything that is not needed', async () => {
  assert.equal((await ours('plain', ['repo-rm', 'odd/a/z'])).code, 0)
  assert.equal((await ours('plain', ['repo-rm', 'odd/empty'])).code, 0)
  assert.equal((await ours('plain', ['repo-rm', '--recurse', 'odd/a-b'])).code, 0)

  const left = await ours('plain', ['repo-ls', 'odd', '--recurse'])
  assert.equal(left.output, 'a\na/b\na/b/f\na.c\naa\nlink\nü\n')
})

test('manifest tells what pgBackRest tells', async () => {
  for (const [repo, [full, incr]] of [
    ['plain', plain],
    ['sealed', sealed],
  ] as const) {
    for (const argv of [
      [],
      ['--output=json'],
      [`--set=${full}`],
      [`--set=${incr}`, '--output=json'],
      [`--set=${incr}`, `--reference=${full}`],
      [`--set=${incr}`, '--reference=latest'],
      ['--filter=pg_data/global/pg_control'],
      ['--filter=pg_data/global/pg_control', '--output=json'],
      ['--set=20200101-000000F'],
    ]) {
      await assertSame(repo, '--stanza=demo', 'manifest', ...argv)
    }
  }
})

test('manifest tells from which backups the blocks of a file come', async () => {
  const [, incr] = sealed
  const told = await real('sealed', '--stanza=demo', 'manifest', '--reference=latest')
  const name = /- (pg_data\/base\S+)\n(?: {6}.*\n)* {6}block: /.exec(told)?.[1] ?? ''

  for (const output of ['text', 'json']) {
    const argv = [`--set=${incr}`, `--filter=${name}`, `--output=${output}`]
    await assertSame('sealed', '--stanza=demo', 'manifest', ...argv)
  }
})

test('a file that is not in the manifest is missing', async () => {
  const { code } = await ours('plain', ['--stanza=demo', 'manifest', '--filter=nothing'])

  assert.equal(code, 55)
})
