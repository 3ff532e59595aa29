/** Repositories of format 6, as the real pgBackRest 2.60 writes them on request: all that reads works, all that writes is refused. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { AppError } from '../../src/base/error.ts'
import { implementationOf } from '../../src/cli/dispatch.ts'
import { type Archiving, startArchiving } from '../harness/archiving.ts'
import { type TestContext, testContext } from '../harness/context.ts'
import { runAs } from '../harness/run.ts'
import { compareTrees } from '../harness/tree.ts'
import { dropPrivileges } from '../scenario/unprivileged.ts'

const SEALED = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret', 'compress-type=zst']

/** `upgraded` began as format 5: its first backup and WAL are. */
const REPOS = { plain: [], sealed: SEALED, upgraded: SEALED } as const

let bed: Archiving

before(async () => {
  bed = await startArchiving({ version: '15', walSegmentSizeMib: 1, repos: REPOS })
  for (const name of Object.keys(REPOS)) {
    await real(name, 'stanza-create', ...(name === 'upgraded' ? [] : ['--repo1-format=6']))
  }
  await real('upgraded', 'backup', '--type=full')
  await real('upgraded', 'stanza-upgrade', '--repo1-format=6')
  await bed.cluster.psql('create table t as select generate_series(1, 30000) as id')
  await real('upgraded', 'backup', '--type=incr')
  for (const name of ['plain', 'sealed']) await real(name, 'backup', '--type=full')
  await bed.cluster.psql('update t set id = -id where id < 10; checkpoint')
  await real('plain', 'backup', '--type=incr')
  await real('sealed', 'backup', '--type=full', '--repo1-bundle', '--repo1-block')
  await bed.cluster.psql('update t set id = -id where id < 0; checkpoint')
  await real('sealed', 'backup', '--type=incr', '--repo1-bundle', '--repo1-block')
  await bed.cluster.stop()
  dropPrivileges()
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

async function real(repo: string, ...argv: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await bed.pgBackRest(repo, ['--stanza=demo', ...argv])
  assert.equal(code, 0, `${argv.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

async function ours(repo: string, ...argv: readonly string[]): Promise<string> {
  const ran = contextOf(repo, argv)
  const command = await implementationOf(ran.context.config.command)
  assert.equal(await command(ran.context), 0, ran.output())
  return ran.output()
}

function contextOf(repo: string, argv: readonly string[]): TestContext {
  const config = `--config=${bed.folder}/${repo}.conf`
  return testContext({ argv: [config, '--stanza=demo', '--log-level-file=off', ...argv] })
}

async function labelsOf(repo: string): Promise<readonly string[]> {
  const names = await readdir(join(bed.folder, repo, 'backup/demo'))
  return names.filter((name) => /^\d{8}-\d{6}F/.test(name)).toSorted()
}

for (const repo of Object.keys(REPOS)) {
  test(`info of a ${repo} repository of format 6 says what pgBackRest says`, async () => {
    const questions = (await labelsOf(repo)).map((label) => [`--set=${label}`])
    for (const argv of [[], ...questions]) {
      for (const output of ['text', 'json']) {
        const line = ['info', `--output=${output}`, ...argv]
        assert.equal(await ours(repo, ...line), await real(repo, ...line))
      }
    }
  })

  test(`archive-get gets each segment of a ${repo} repository of format 6 as pgBackRest does`, async () => {
    const folder = join(bed.folder, repo, 'archive/demo/15-1/0000000100000000')
    const names = (await readdir(folder)).filter((name) => !name.endsWith('.backup'))
    assert(names.length >= 3)
    const [mine, theirs] = [join(bed.folder, 'mine'), join(bed.folder, 'theirs')]
    for (const name of names) {
      await ours(repo, 'archive-get', name.slice(0, 24), mine)
      await real(repo, 'archive-get', name.slice(0, 24), theirs)
      assert.ok((await readFile(mine)).equals(await readFile(theirs)), name)
    }
  })

  test(`every backup of a ${repo} repository of format 6 restores as by pgBackRest`, async () => {
    const [mine, theirs] = [join(bed.folder, 'my-data'), join(bed.folder, 'their-data')]
    for (const label of await labelsOf(repo)) {
      const argv = ['restore', `--set=${label}`, '--type=immediate', '--archive-mode=off']
      await ours(repo, ...argv, `--pg1-path=${mine}`)
      await runAs(['mkdir', '-m', '700', theirs])
      await real(repo, ...argv, `--pg1-path=${theirs}`)
      // Each names itself and the paths of its command in there.
      const ignore = [/^postgresql\.auto\.conf$/, /^backup\.manifest$/, /^global\/pg_control$/]
      assert.deepEqual(await compareTrees(mine, theirs, { ignore }), [])
      await runAs(['rm', '-r', mine, theirs])
    }
  })

  test(`verify of a ${repo} repository of format 6 says what pgBackRest says`, async () => {
    const line = ['verify', '--output=text', '--verbose']
    const report = await ours(repo, ...line)
    assert.match(report, /status: ok/)
    assert.equal(report, await real(repo, ...line))
  })

  test(`what would write to a ${repo} repository of format 6 is refused by name`, async () => {
    const [label = ''] = await labelsOf(repo)
    const segment = join(bed.folder, '00000001000000000000000F')
    await runAs(['cp', join(bed.folder, 'mine'), segment])
    for (const argv of [
      ['archive-push', '--no-archive-header-check', segment],
      ['backup', '--no-online', '--force'],
      ['expire'],
      ['annotate', `--set=${label}`, '--annotation=a=b'],
    ]) {
      assert.match(
        await complaintOf(repo, argv),
        /repositories of format 6 can be read but not written to/,
      )
    }
  })
}

/** What a command that must fail logs, and the text of its error. */
async function complaintOf(repo: string, argv: readonly string[]): Promise<string> {
  const ran = contextOf(repo, argv)
  const command = await implementationOf(ran.context.config.command)
  const error: unknown = await command(ran.context).catch((thrown: unknown) => thrown)
  assert(error instanceof AppError, String(error))
  return `${ran.logText()}${error.text}`
}
