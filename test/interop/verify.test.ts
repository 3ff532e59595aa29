/** `verify` of repositories that the real pgBackRest made, whole and damaged, beside what the real pgBackRest finds. */
import assert from 'node:assert/strict'
import { chmod, copyFile, cp, glob, open, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { verify } from '../../src/command/verify/verify.ts'
import { type Archiving, startArchiving } from '../harness/archiving.ts'
import { testContext } from '../harness/context.ts'
import { dropPrivileges } from '../scenario/unprivileged.ts'

const SEALED = [
  'compress-type=zst',
  'repo1-cipher-type=aes-256-cbc',
  'repo1-cipher-pass=a sound pass phrase',
  'repo1-bundle=y',
  'repo1-block=y',
] as const
const PLAIN = ['compress-type=gz'] as const

let bed: Archiving
/** Full, differential, incremental and again full, in each repository. */
let labels: Readonly<Record<string, readonly [string, string, string, string]>>
let copies = 0

before(async () => {
  bed = await startArchiving({
    version: '15',
    tablespace: 'one',
    walSegmentSizeMib: 1,
    repos: { plain: PLAIN, sealed: SEALED },
  })
  const { cluster } = bed
  await cluster.psql('update pg_database set datistemplate = false')
  for (const name of ['template0', 'template1']) await cluster.psql(`drop database ${name}`)
  await cluster.psql(
    `create table t(a int) tablespace ts1; create table u(a int, b text);
     insert into u select n, md5(n::text) from generate_series(1, 20000) n`,
  )
  for (const repo of ['plain', 'sealed']) await real(repo, 'stanza-create')
  for (const [index, type] of ['full', 'diff', 'incr', 'full'].entries()) {
    await cluster.psql(
      `insert into t select generate_series(1, 1000);
       update u set b = b || 'x' where a = ${index * 5000 + 5}; checkpoint`,
    )
    for (const repo of ['plain', 'sealed']) await real(repo, 'backup', `--type=${type}`)
  }
  await cluster.psql("select pg_create_restore_point('end'); select pg_switch_wal()")
  await cluster.stop()
  labels = { plain: await labelsOf('plain'), sealed: await labelsOf('sealed') }
  // Before the privileges go that fetching a peer needs.
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

async function labelsOf(repo: string): Promise<readonly [string, string, string, string]> {
  const told = await real(repo, 'info', '--output=json')
  const [full = '', diff = '', incr = '', next = ''] = Array.from(
    told.matchAll(/"label":"([^"]+)"/g),
    ([, label = '']) => label,
  )
  assert.notEqual(next, '')
  return [full, diff, incr, next]
}

interface Verdict {
  readonly exitCode: number
  readonly output: string
  readonly log: string
}

async function ours(repo: string, ...argv: readonly string[]): Promise<Verdict> {
  const config = `--config=${bed.folder}/${repo}.conf`
  const run = testContext({ argv: [config, '--stanza=demo', ...argv, 'verify'] })
  const exitCode = await verify(run.context)
  return { exitCode, output: run.output(), log: run.logText() }
}

/** A copy of a repository, to be damaged; its name. */
async function copyOf(repo: 'plain' | 'sealed'): Promise<string> {
  copies += 1
  const name = `copy${copies}`
  await cp(join(bed.folder, repo), join(bed.folder, name), {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
  })
  await bed.writeConfig(name, name, repo === 'plain' ? PLAIN : SEALED)
  return name
}

function pathIn(repo: string, key: string): string {
  return join(bed.folder, repo, key)
}

/** Changes one byte in the middle. */
async function flip(path: string): Promise<void> {
  await using file = await open(path, 'r+')
  const { size } = await file.stat()
  const at = Math.floor(size / 2)
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at)
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0x10]), 0, 1, at)
}

/** Key of the only object that matches. */
async function keyOf(repo: string, pattern: string): Promise<string> {
  const found: string[] = []
  for await (const name of glob(pattern, { cwd: join(bed.folder, repo) })) found.push(name)
  assert.equal(found.length, 1, `${pattern}: ${found.join(' ')}`)
  return found[0] ?? ''
}

/** Keys of all complete segments, ascending. */
async function segmentsOf(repo: string): Promise<readonly string[]> {
  const found: string[] = []
  const pattern = 'archive/demo/15-1/*/*-*'
  for await (const name of glob(pattern, { cwd: join(bed.folder, repo) })) found.push(name)
  return found.toSorted()
}

/** The lines of a report that pgBackRest prints too. */
function shared(output: string): string {
  return output.replaceAll(/^ {2}(?:problem|not reachable): .*\n(?: {4}backup\(s\): .*\n)?/gm, '')
}

test('repositories that are whole are told byte for byte as pgBackRest tells them', async () => {
  for (const repo of ['plain', 'sealed'] as const) {
    for (const argv of [
      [],
      ['--output=text'],
      ['--output=text', '--verbose'],
      // Of a set with bundles pgBackRest also tells of the backups that it refers to.
      ...(repo === 'plain' ? [['--output=text', '--verbose', `--set=${labels[repo]?.[2]}`]] : []),
    ]) {
      const { exitCode, output } = await ours(repo, ...argv)
      assert.equal(exitCode, 0)
      assert.equal(output, await real(repo, 'verify', ...argv), argv.join(' '))
    }
  }
})

test('a changed file of a full backup is named, with every backup that uses it', async () => {
  const repo = await copyOf('plain')
  const [full, diff, incr] = labels['plain'] ?? []
  const key = `backup/demo/${full}/pg_data/base/5/1247.gz`
  await flip(pathIn(repo, key))

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 103)
  assert.match(output, new RegExp(`problem: '${key}': checksum: `))
  assert.ok(output.includes(`    backup(s): ${full}, ${diff}, ${incr}\n`), output)
  assert.equal(shared(output), await real(repo, 'verify', '--output=text'))
})

test('what is missing, cut short and not permitted are three things', async () => {
  const repo = await copyOf('plain')
  const [full] = labels['plain'] ?? []
  const folder = `backup/demo/${full}/pg_data/base/5`
  await rm(pathIn(repo, `${folder}/1247.gz`))
  await truncate(pathIn(repo, `${folder}/1255.gz`), 100)
  await chmod(pathIn(repo, `${folder}/2604.gz`), 0)

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 103)
  assert.match(output, /1247\.gz': missing: /)
  assert.match(output, /1255\.gz': size: 100 bytes are stored instead of \d+/)
  assert.match(output, /2604\.gz': unreadable: .* permission denied/)
  assert.match(output, /missing: 1, size invalid: 1, unreadable: 1/)
})

test('what could not be read is neither right nor wrong, and has an exit code of its own', async () => {
  const repo = await copyOf('plain')
  const [full] = labels['plain'] ?? []
  await chmod(pathIn(repo, `backup/demo/${full}/pg_data/base/5/2604.gz`), 0)

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 105)
  assert.match(output, /^status: unverified$/m)
  assert.match(output, /status: unverified, total files checked: (\d+)/)
  assert.doesNotMatch(output, /not reachable/)
})

test('a repository that is not there could not be verified; a stanza that is not there is missing', async () => {
  const gone = await ours('plain', `--repo1-path=${bed.folder}/nowhere`, '--output=text')
  const config = `--config=${bed.folder}/plain.conf`
  const none = testContext({ argv: [config, '--stanza=other', '--output=text', 'verify'] })

  assert.equal(gone.exitCode, 105)
  assert.match(gone.output, /unreadable: repository path '.*' does not exist/)
  assert.equal(await verify(none.context), 103)
  assert.match(none.output(), /'backup\/other\/backup.info': missing/)
})

test('a bundle that is cut short spoils the backups that refer to it, which pgBackRest overlooks', async () => {
  const repo = await copyOf('sealed')
  const [full, diff, incr] = labels['sealed'] ?? []
  const key = `backup/demo/${full}/bundle/1`
  await truncate(pathIn(repo, key), 1_000_000)

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 103)
  assert.match(output, new RegExp(`'${key}' \\(pg_data/\\S+\\): size: it ends at byte`))
  for (const label of [full, diff, incr]) {
    assert.match(output, new RegExp(`backup: ${label}, status: invalid`))
  }
  const theirs = await real(repo, 'verify', '--output=text')
  assert.match(theirs, new RegExp(`backup: ${full}, status: invalid`))
})

test('a block that an older backup holds is missed in the newer one', async () => {
  const repo = await copyOf('sealed')
  const [full, diff, incr] = labels['sealed'] ?? []
  await rm(pathIn(repo, `backup/demo/${diff}/bundle/1`))

  const { output } = await ours(repo, '--output=text')

  assert.match(output, new RegExp(`backup: ${diff}, status: invalid`))
  assert.match(output, new RegExp(`backup: ${incr}, status: invalid`))
  assert.doesNotMatch(output, new RegExp(`backup: ${full}, status`))
})

test('a hole in the WAL is told with the time that cannot be reached; pgBackRest finds nothing wrong', async () => {
  const repo = await copyOf('plain')
  const [, , , next] = labels['plain'] ?? []
  const stops = await stopSegments(repo)
  const all = await segmentsOf(repo)
  // After what the incremental backup needs, and not all there is before the next full one.
  const at = all.findIndex((key) => key.includes(stops[2] ?? ''))
  const victim = all[at + 2] ?? ''
  await rm(pathIn(repo, victim))

  const { exitCode, output } = await ours(repo, '--output=text')

  const segment = /\w{24}/.exec(victim.split('/').at(-1) ?? '')?.[0] ?? ''
  assert.equal(exitCode, 103)
  assert.match(output, new RegExp(`/${segment}': missing: it is not there`))
  assert.match(
    output,
    new RegExp(`not reachable: from about .* until .* \\(backup ${next}\\) \\(.*WAL ${segment} to`),
  )
  assert.doesNotMatch(output, /status: invalid/)
  assert.match(await real(repo, 'verify', '--output=text', '--verbose'), /^status: ok$/m)
})

async function stopSegments(repo: string): Promise<readonly string[]> {
  const told = await real(repo, 'info', '--output=json')
  return Array.from(
    told.matchAll(/"archive":\{"start":"\w+","stop":"(\w+)"\}/g),
    ([, stop = '']) => stop,
  )
}

test('WAL that a backup needs makes it invalid when it is damaged', async () => {
  const repo = await copyOf('sealed')
  const [full] = labels['sealed'] ?? []
  const [stop] = await stopSegments(repo)
  const key = await keyOf(repo, `archive/demo/15-1/*/${stop}-*`)
  await flip(pathIn(repo, key))

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 103)
  assert.match(output, new RegExp(`problem: '${key}': `))
  assert.match(output, new RegExp(`backup: ${full}, status: invalid`))
  assert.match(output, /not reachable: from about/)
})

test('a second version of a segment is a problem, whichever is right', async () => {
  const repo = await copyOf('plain')
  const [first = '', second = ''] = await segmentsOf(repo)
  const twin = `${first.slice(0, -'-'.length - '.gz'.length - 40)}-${'a'.repeat(40)}.gz`
  await copyFile(pathIn(repo, second), pathIn(repo, twin))

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 103)
  assert.match(output, /: duplicate: it is stored 2 times: /)
})

test('damaged, missing and outdated info files and manifests are found though their copies are used', async () => {
  const [full, diff, incr, next] = labels['plain'] ?? []
  const repo = await copyOf('plain')
  await flip(pathIn(repo, 'backup/demo/backup.info.copy'))
  await rm(pathIn(repo, 'archive/demo/archive.info'))
  await rm(pathIn(repo, `backup/demo/${full}/backup.manifest`))
  await flip(pathIn(repo, `backup/demo/${diff}/backup.manifest.copy`))
  await flip(pathIn(repo, await keyOf(repo, `backup/demo/backup.history/*/${incr}.manifest.gz`)))
  await copyFile(
    pathIn(repo, `backup/demo/${full}/backup.manifest.copy`),
    pathIn(repo, `backup/demo/${next}/backup.manifest.copy`),
  )

  const { exitCode, output } = await ours(repo, '--output=text')

  assert.equal(exitCode, 103)
  assert.match(output, /'backup\/demo\/backup.info.copy': content: /)
  assert.match(output, /'archive\/demo\/archive.info': missing: /)
  assert.match(output, new RegExp(`/${full}/backup.manifest': missing: `))
  assert.match(output, new RegExp(`/${diff}/backup.manifest.copy': content: `))
  assert.match(output, new RegExp(`/${incr}.manifest.gz': content: `))
  assert.match(output, new RegExp(`/${next}/backup.manifest.copy': content: it is the manifest of`))
  assert.doesNotMatch(output, /status: invalid/)
})

test('a backup that is not finished is in progress, and no problem', async () => {
  const repo = await copyOf('plain')
  const [full = ''] = labels['plain'] ?? []
  await cp(pathIn(repo, `backup/demo/${full}`), pathIn(repo, 'backup/demo/20991231-000000F'), {
    recursive: true,
  })
  await rm(pathIn(repo, 'backup/demo/20991231-000000F/backup.manifest'))

  const { exitCode, output } = await ours(repo, '--output=text', '--verbose')

  assert.equal(exitCode, 0)
  assert.match(output, /backup: 20991231-000000F, status: in-progress/)
  const theirs = await real(repo, 'verify', '--output=text', '--verbose')
  assert.equal(output, theirs.replace(/^.* WARN: .*\n/, ''))
})

test('the quick level finds what is missing or too short, not what is changed, and says so', async () => {
  const repo = await copyOf('plain')
  const [full] = labels['plain'] ?? []
  await flip(pathIn(repo, `backup/demo/${full}/pg_data/base/5/1247.gz`))
  const changed = await ours(repo, '--level=presence', '--output=text')
  await truncate(pathIn(repo, `backup/demo/${full}/pg_data/base/5/1247.gz`), 7)
  const short = await ours(repo, '--level=presence', '--output=text')

  assert.equal(changed.exitCode, 0)
  assert.match(changed.output, /^level: presence \(nothing was read\)$/m)
  assert.equal(short.exitCode, 103)
})

test('the JSON says the same and nothing else is on standard output', async () => {
  const repo = await copyOf('plain')
  const [full, diff, incr] = labels['plain'] ?? []
  await flip(pathIn(repo, `backup/demo/${full}/pg_data/base/5/1247.gz`))

  const { exitCode, output } = await ours(repo, '--output=json')

  const report: unknown = JSON.parse(output)
  assert.equal(exitCode, 103)
  assert.ok(Array.isArray(report))
  const [{ archive, problem, lost, ...rest }] = report
  assert.deepEqual(problem[0].backup, [full, diff, incr])
  assert.equal(problem[0].kind, 'checksum')
  assert.equal(lost.length, 1)
  assert.equal(archive[0].wal.valid, archive[0].wal.checked)
  assert.equal(rest.status, 'error')
  assert.deepEqual(rest['problem-total'], { invalid: 1, unreadable: 0 })
})

test('without a report every problem is in the log', async () => {
  const repo = await copyOf('plain')
  const [full] = labels['plain'] ?? []
  await rm(pathIn(repo, `backup/demo/${full}/pg_data/base/5/1247.gz`))

  const { output, log } = await ours(repo)

  assert.equal(output, '')
  assert.match(log, /WARN: 'backup\/demo\/\S+\/1247\.gz': missing: it is not there/)
  assert.match(log, /ERROR: \[103\]: 1 problem\(s\) found in the repository/)
})

test('a backup that is not there cannot be verified', async () => {
  await assert.rejects(ours('plain', '--set=20200101-000000F'), { kind: 'backup-set-invalid' })
  await assert.rejects(ours('plain', '--set=nonsense'), { kind: 'option-invalid-value' })
})
