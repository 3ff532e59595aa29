/** `info` of repositories that the real pgBackRest made, beside what the real pgBackRest says of them. */
import assert from 'node:assert/strict'
import { appendFile, open, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { info } from '../../src/command/info/info.ts'
import { isLocked } from '../../src/repo/lock.ts'
import { type Archiving, startArchiving } from '../harness/archiving.ts'
import { testContext } from '../harness/context.ts'
import { runAs, spawnAs } from '../harness/run.ts'

const WAL_NAME = `000000010000000000000042-${'a'.repeat(40)}.gz`

let bed: Archiving
/** Labels of the backups in repository `plain`, oldest first. */
let labels: readonly string[]
let sealedLabels: readonly string[]

before(async () => {
  bed = await startArchiving({
    version: '15',
    tablespace: 'one',
    repos: {
      plain: ['compress-type=lz4'],
      sealed: [
        'repo1-cipher-type=aes-256-cbc',
        'repo1-cipher-pass=secret',
        'repo1-bundle=y',
        'repo1-block=y',
      ],
    },
  })
  await bed.cluster.psql('create table t(a int) tablespace ts1')
  await bed.cluster.psql('create database "näme" strategy file_copy')
  await real('plain', 'stanza-create')
  await real('sealed', 'stanza-create')
  await real('plain', 'backup', '--type=full', '--annotation=b=2', '--annotation=note=ü "q" \\')
  await real('sealed', 'backup', '--type=full')
  await real('plain', 'backup', '--type=incr')
  await real('plain', 'backup', '--type=diff')
  await bed.cluster.psql('insert into t select generate_series(1, 20000); checkpoint')
  await real('sealed', 'backup', '--type=incr', '--annotation=k=v')
  await damagePage()
  await real('plain', 'backup', '--type=incr')
  labels = await labelsOf('plain')
  sealedLabels = await labelsOf('sealed')
  await makeOtherStanzas()
  await makeBrokenRepositories()
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

/** Runs the real pgBackRest on stanza `demo`, which must succeed. */
async function real(repo: string, ...argv: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await bed.pgBackRest(repo, ['--stanza=demo', ...argv])
  assert.equal(code, 0, `${argv.join(' ')}: ${stdout}${stderr}`)
}

async function labelsOf(repo: string): Promise<readonly string[]> {
  const names = await readdir(join(bed.folder, repo, 'backup/demo'))
  return names.filter((name) => /^\d{8}-\d{6}F/.test(name)).toSorted()
}

/** Writes nonsense into the second page of table `t`, for the next backup to find. */
async function damagePage(): Promise<void> {
  const path = await bed.cluster.psql("select pg_relation_filepath('t')")
  await using file = await open(join(bed.cluster.dataDir, path), 'r+')
  await file.write('nonsense', 8192 + 100)
}

/** `other`: no backup, and a prior cluster of which one segment is left. `bare`: a directory without backup.info. */
async function makeOtherStanzas(): Promise<void> {
  const program = ['--stanza=other', '--no-online']
  await bed.pgBackRest('plain', [...program, 'stanza-create'])
  const prior = at('plain/archive/other/15-1/0000000100000000')
  const second = at('second')
  await runAs(['mkdir', '-p', prior, at('plain/backup/bare')])
  await runAs(['touch', join(prior, WAL_NAME)])
  await runAs([join(bed.cluster.bin, 'initdb'), '-D', second, '--no-sync'])
  await bed.pgBackRest('plain', [...program, `--pg1-path=${second}`, 'stanza-upgrade'])
}

function at(name: string): string {
  return join(bed.folder, name)
}

async function makeBrokenRepositories(): Promise<void> {
  for (const name of ['empty', 'damaged', 'file', 'nowhere']) await bed.writeConfig(name, name, [])
  await runAs(['mkdir', at('empty')])
  await writeFile(at('file'), '')
  await runAs(['cp', '-a', at('plain'), at('damaged')])
  for (const name of ['backup.info', 'backup.info.copy']) {
    await appendFile(at(`damaged/backup/demo/${name}`), 'x\n')
  }
  await rm(at('damaged/archive/other/archive.info'))
  await rm(at('damaged/archive/other/archive.info.copy'))
}

async function ours(repo: string, argv: readonly string[], zone = 'UTC'): Promise<string> {
  const zoneBefore = process.env['TZ']
  process.env['TZ'] = zone
  try {
    const run = testContext({ argv: [`--config=${bed.folder}/${repo}.conf`, ...argv] })
    assert.equal(await info(run.context), 0)
    return run.output()
  } finally {
    if (zoneBefore === undefined) delete process.env['TZ']
    else process.env['TZ'] = zoneBefore
  }
}

/** Both tools say the same, byte for byte, as text and as JSON. */
async function assertSame(
  repo: string,
  argv: readonly string[],
  { zone = 'UTC' }: { readonly zone?: string } = {},
): Promise<void> {
  for (const output of ['text', 'json']) {
    const line = [...argv, 'info', `--output=${output}`]
    const theirs = await bed.pgBackRest(repo, line, zone)
    assert.equal(theirs.code, 0, theirs.stderr)
    assert.equal(await ours(repo, line, zone), theirs.stdout, line.join(' '))
  }
}

test('every stanza of a plain repository is told as pgBackRest tells it', async () => {
  await assertSame('plain', [])
})

test('one stanza is told as pgBackRest tells it', async () => {
  await assertSame('plain', ['--stanza=demo'])
})

test('a prior cluster, a stanza without backups and a stanza without data are told alike', async () => {
  await assertSame('plain', ['--stanza=other'])
  await assertSame('plain', ['--stanza=bare'])
})

test('a stanza that does not exist and an empty repository are told alike', async () => {
  await assertSame('plain', ['--stanza=none'])
  await assertSame('empty', [])
})

test('an encrypted repository with bundles and block maps is told alike', async () => {
  await assertSame('sealed', [])
  await assertSame('sealed', ['--stanza=demo'])
})

test('every single backup is told alike: tablespace, databases, annotations, damaged files', async () => {
  assert.equal(labels.length, 4)
  for (const label of labels) await assertSame('plain', ['--stanza=demo', `--set=${label}`])
})

test('every single backup of the encrypted repository is told alike', async () => {
  assert.equal(sealedLabels.length, 2)
  for (const label of sealedLabels) await assertSame('sealed', ['--stanza=demo', `--set=${label}`])
})

test('a backup that does not exist is told alike', async () => {
  await assertSame('plain', ['--stanza=demo', '--set=20200101-000000F'])
  await assertSame('plain', ['--stanza=demo', '--set=nonsense'])
  // A link that is there for people, and that pgBackRest follows, to tell of a backup without a name.
  assert.match(await ours('plain', ['--stanza=demo', '--set=latest', 'info']), /backup not found/)
})

test('backups are chosen by type alike', async () => {
  for (const type of ['full', 'diff', 'incr']) await assertSame('plain', [`--type=${type}`])
})

test('progress only is told alike', async () => {
  await assertSame('plain', ['--detail-level=progress'])
  await assertSame('plain', ['--detail-level=progress', '--stanza=none'])
})

test('times are in the time zone of the process, as with pgBackRest', async () => {
  for (const zone of ['Asia/Kolkata', 'America/St_Johns', 'America/New_York']) {
    await assertSame('plain', ['--stanza=demo'], { zone })
  }
})

test('a running backup and a running restore are told alike', async () => {
  const backup = at('lock/demo-backup-1.lock')
  const restore = at('lock/demo-restore-1.lock')
  await writeFile(backup, '{"execId":"1-a","pctCplt":4218,"pid":1,"sz":24491914,"szCplt":10330000}')
  await writeFile(restore, '{"execId":"2-b","pid":2}')
  const holder = spawnAs(['flock', '-F', backup, 'flock', '-F', restore, 'sleep', '30'])
  for (let tries = 0; tries < 100 && !(await isLocked(restore)); tries += 1) await sleep(20)

  await assertSame('plain', ['--stanza=demo'])
  await assertSame('plain', ['--stanza=demo', '--detail-level=progress'])
  assert.match(await ours('plain', ['info']), /backup\/expire running - 42\.18% complete, restore/)

  holder.kill('SIGKILL')
})

test('a lock file that nobody holds is stale', async () => {
  await writeFile(at('lock/other-backup-1.lock'), '{"execId":"1-a","pid":1}')

  await assertSame('plain', ['--stanza=other'])
})

/** Status codes, and of failures the name of the error: the sentences are our own. */
function statuses(json: string): unknown {
  const parsed: unknown = JSON.parse(json.replaceAll(/(\[\w+Error\]) .*?"\}/g, '$1"}'))
  assert(Array.isArray(parsed))
  return parsed
}

test('several repositories are told alike, also when they differ in status, cipher or cluster', async () => {
  const sealed = ['repo2-cipher-type=aes-256-cbc', 'repo2-cipher-pass=secret']
  const seconds = {
    both: [`repo2-path=${at('sealed')}`, ...sealed],
    half: [`repo2-path=${at('empty')}`],
    swapped: [`repo2-path=${at('swapped')}`],
  }
  await runAs(['cp', '-a', at('plain'), at('swapped')])
  await runAs([
    'sh',
    '-c',
    `cp ${at('plain/backup/other')}/backup.info* ${at('swapped/backup/demo')}`,
  ])
  await runAs([
    'sh',
    '-c',
    `cp ${at('plain/archive/other')}/archive.info* ${at('swapped/archive/demo')}`,
  ])
  for (const [name, lines] of Object.entries(seconds)) {
    await bed.writeConfig(name, 'plain', lines)
    const questions = [[], ['--stanza=demo'], ['--stanza=demo', '--repo=2'], ['--type=incr']]
    const label = name === 'both' ? (sealedLabels[1] ?? '') : (labels[1] ?? '')
    for (const argv of [...questions, ['--stanza=demo', `--set=${label}`]]) {
      await assertSame(name, argv)
    }
  }
  assert.match(await ours('half', ['info']), /status: mixed/)
})

test('damaged info files and an unusable repository are errors of the same names', async () => {
  for (const repo of ['damaged', 'file']) {
    const line = ['info', '--output=json']
    const theirs = await bed.pgBackRest(repo, line)
    assert.match(theirs.stdout, /"code":99,"message":"\[\w+Error\] /)
    assert.deepEqual(statuses(await ours(repo, line)), statuses(theirs.stdout))
  }
})

test('a repository that is gone is an error, not a stanza that is missing', async () => {
  const text = await ours('nowhere', ['--stanza=demo', 'info'])

  assert.match(text, /status: error \(other\)\n {12}\[PathMissingError\] /)
  assert.doesNotMatch(text, /missing stanza|No stanzas/)
})

test('progress of one backup makes no sense and is refused', async () => {
  const run = testContext({
    argv: [
      `--config=${bed.folder}/plain.conf`,
      '--stanza=demo',
      '--set=20200101-000000F',
      '--detail-level=progress',
      'info',
    ],
  })

  await assert.rejects(info(run.context), { name: 'AppError', kind: 'option-invalid' })
})
