/** Ten ways to break archiving on a running server, and the verdict of `check` on each. Mounts need root. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { systemClock } from '../../src/base/clock.ts'
import { AppError } from '../../src/base/error.ts'
import { check } from '../../src/command/check/check.ts'
import type { Cause } from '../../src/command/check/diagnose.ts'
import { testContext } from '../harness/context.ts'
import { pgBackRest } from '../harness/peers.ts'
import { launcher, pgsurety, runAs, unprivileged, writeAs } from '../harness/run.ts'
import {
  archiveAll,
  type ArchivedCluster,
  startArchivedCluster,
  until,
} from './archived-cluster.ts'

const run = promisify(execFile)
const skip = userInfo().uid === 0 ? false : 'only root may mount file systems'
const ENCRYPTED = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret']
const DAY_MS = 86_400_000

let bed: ArchivedCluster
/** Where the segments go. */
let walFolder = ''
let goodCommand = ''
/** The real pgBackRest. */
let program = ''

before(async () => {
  bed = await startArchivedCluster({ version: '15', walSegmentSizeMib: 1, lines: ENCRYPTED })
  program = await pgBackRest('2.60')
  goodCommand = await bed.cluster.psql('show archive_command')
  await archiveAll(bed.cluster)
  walFolder = join(bed.folder, 'repo/archive/demo/15-1')
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

interface Answer {
  readonly code: number | null
  readonly cause: string | undefined
  readonly fix: string
  /** What people see. */
  readonly text: string
}

/** What check says, run by the user who runs the server. */
async function ask(config = bed.config): Promise<Answer> {
  const argv = [`--config=${config}`, '--stanza=demo', '--archive-timeout=1', '--output=json']
  const { code, stdout, stderr } = await pgsurety([...argv, 'check'], { allowFailure: 'allow' })
  return { code, ...verdictOf(stdout), text: stderr }
}

function verdictOf(json: string): Pick<Answer, 'cause' | 'fix'> {
  const results: unknown = JSON.parse(json)
  const [result] = Array.isArray(results) ? results : []
  return { cause: result?.verdict?.cause, fix: result?.verdict?.fix ?? '' }
}

/** Resolves when archive_command has failed once more. */
async function untilFailed(): Promise<void> {
  const failures = 'select failed_count from pg_stat_archiver'
  const known = await bed.cluster.psql(failures)
  await bed.cluster.psql("select pg_create_restore_point('x'); select pg_switch_wal()")
  await until('archiving fails', async () => (await bed.cluster.psql(failures)) !== known)
}

async function setCommand(command: string): Promise<void> {
  await bed.cluster.psql(`alter system set archive_command = '${command.replaceAll("'", "''")}'`)
  await bed.cluster.psql('select pg_reload_conf()')
}

/** A file system in memory in place of the folder of the segments, until disposed. */
async function mounted(options: string): Promise<AsyncDisposable> {
  const { uid, gid } = unprivileged
  const all = `mode=750,uid=${uid},gid=${gid},${options}`
  await run('mount', ['-t', 'tmpfs', '-o', all, 'tmpfs', walFolder])
  return {
    [Symbol.asyncDispose]: async () => {
      await run('umount', ['--lazy', walFolder])
    },
  }
}

interface Expected {
  readonly cause: Cause
  readonly code: number
  readonly fix: RegExp
}

function assertVerdict(expected: Expected, answer: Answer): void {
  assert.equal(answer.cause, expected.cause, answer.text)
  assert.equal(answer.code, expected.code, answer.text)
  assert.match(answer.fix, expected.fix)
  assert.ok(answer.text.includes(`HINT: to fix it: ${answer.fix}`), answer.text)
}

test('a disk that is full', { skip }, async () => {
  await using _disk = await mounted('size=64k')
  await runAs(['sh', '-c', `head -c 1M /dev/zero > ${walFolder}/filler`], { allowFailure: 'allow' })
  await untilFailed()

  assertVerdict({ cause: 'disk-full', code: 82, fix: /expire$/ }, await ask())
})

test('a disk without inodes', { skip }, async () => {
  await using _disk = await mounted('size=8m,nr_inodes=2')
  await mkdir(join(walFolder, 'taken'))
  await untilFailed()

  assertVerdict({ cause: 'no-inodes', code: 82, fix: /expire$/ }, await ask())
})

test('a file system mounted for reading only', { skip }, async () => {
  await using _disk = await mounted('ro')
  await untilFailed()

  const fix = new RegExp(`^mount -o remount,rw ${walFolder}$`)
  assertVerdict({ cause: 'read-only', code: 82, fix }, await ask())
})

async function newestFolder(): Promise<string> {
  const names = await readdir(walFolder)
  return join(
    walFolder,
    names
      .filter((name) => /^[0-9A-F]{16}$/.test(name))
      .toSorted()
      .at(-1) ?? '',
  )
}

/** Gives the folder to the server's user again. */
async function mend(folder: string): Promise<void> {
  await chown(folder, unprivileged.uid, unprivileged.gid)
  await chmod(folder, 0o750)
}

test('a directory without the right to write', { skip }, async (t) => {
  const folder = await newestFolder()
  t.after(async () => {
    await mend(folder)
  })
  await chmod(folder, 0o550)
  await untilFailed()

  const answer = await ask()

  assertVerdict(
    { cause: 'permission', code: 82, fix: /^chmod u\+rwX .*\/0000000100000000$/ },
    answer,
  )
})

test('a directory of another user', { skip }, async (t) => {
  const folder = await newestFolder()
  t.after(async () => {
    await mend(folder)
  })
  await chown(folder, 0, 0)
  await chmod(folder, 0o755)
  await untilFailed()

  const answer = await ask()

  const fix = new RegExp(`^chown -R ${unprivileged.name} ${bed.folder}/repo$`)
  assertVerdict({ cause: 'owner', code: 82, fix }, answer)
})

test('a directory of another user that check itself may not read either', { skip }, async (t) => {
  const folder = await newestFolder()
  t.after(async () => {
    await mend(folder)
  })
  await chown(folder, 0, 0)
  await chmod(folder, 0o700)

  const answer = await ask()

  assertVerdict({ cause: 'owner', code: 53, fix: /^chown -R / }, answer)
})

test('a directory above the repository that may not be entered', async (t) => {
  const above = join(bed.folder, 'above')
  const config = join(bed.folder, 'above.conf')
  t.after(async () => {
    await runAs(['chmod', '700', above])
  })
  await runAs([
    'sh',
    '-ec',
    `mkdir -m 000 ${above}; sed s,^repo1-path=.*,repo1-path=${above}/repo, ${bed.config} >${config}`,
  ])

  assertVerdict(
    { cause: 'permission', code: 41, fix: /^chmod u\+rwX .*\/above$/ },
    await ask(config),
  )
})

test('another passphrase for archive_command', async () => {
  const other = join(bed.folder, 'other-pass.conf')
  await runAs(['sh', '-c', `sed s/=secret$/=wrong/ ${bed.config} > ${other}`])
  await setCommand(`${launcher()} --config=${other} --stanza=demo archive-push %p`)
  await untilFailed()

  assertVerdict({ cause: 'passphrase', code: 82, fix: /^set repo1-cipher-pass right/ }, await ask())
  const own = await ask(other)
  assert.deepEqual([own.cause, own.code], ['passphrase', 95])
})

test('another stanza in archive_command', async () => {
  await setCommand(goodCommand.replace('--stanza=demo', '--stanza=other'))
  await untilFailed()

  assertVerdict(
    {
      cause: 'stanza',
      code: 82,
      fix: /^ALTER SYSTEM SET archive_command = '.* --stanza=demo archive-push "%p"'/,
    },
    await ask(),
  )
})

test('the repository of another cluster', async () => {
  const foreign = join(bed.folder, 'foreign.conf')
  const data = join(bed.folder, 'foreign-data')
  await runAs([join(bed.cluster.bin, 'initdb'), '-D', data, '--no-sync'])
  await runAs(['sh', '-c', `sed 's#/repo$#/foreign#' ${bed.config} > ${foreign}`])
  const create = [`--config=${foreign}`, '--stanza=demo', `--pg1-path=${data}`, '--no-online']
  await pgsurety([...create, 'stanza-create'])
  await setCommand(`${launcher()} --config=${foreign} --stanza=demo archive-push %p`)
  await untilFailed()

  assertVerdict({ cause: 'cluster', code: 28, fix: /stanza-create$/ }, await ask(foreign))
  const fromHere = await ask()
  assert.deepEqual([fromHere.cause, fromHere.code], ['cluster', 82], fromHere.text)
})

test('a command that is not there', async () => {
  await setCommand('/nowhere/pgsurety --stanza=demo archive-push %p')
  await bed.cluster.psql("select pg_create_restore_point('x'); select pg_switch_wal()")
  // It ends the archiver, which counts no failure.
  await until('the server logs it', async () => (await bed.cluster.logText()).includes('code 127'))

  assertVerdict(
    {
      cause: 'command-missing',
      code: 82,
      fix: new RegExp(`^ALTER SYSTEM SET archive_command = '${launcher()} .*archive-push %p'`),
    },
    await ask(),
  )
})

test('a clock that differs from the server’s', async () => {
  for (const aheadMs of [DAY_MS, -DAY_MS]) {
    const { context, ...ran } = testContext({
      argv: [`--config=${bed.config}`, '--stanza=demo', '--output=json', 'check'],
      clock: { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs },
    })
    const error = await check(context).catch((thrown: unknown) => thrown)

    assert(error instanceof AppError)
    assert.equal(error.exitCode, 106)
    assert.match(error.message, /^the server is (?:24h00m|23h59m) (?:behind|ahead of) the clock/)
    assert.deepEqual(verdictOf(ran.output()), { cause: 'clock', fix: 'timedatectl set-ntp true' })
  }
})

test('when all is mended, everything that waited arrives and check says when pg_wal would be full', async () => {
  // The real one starts faster, and a dozen segments wait.
  await setCommand(goodCommand.replace(launcher(), program))
  await archiveAll(bed.cluster)
  await setCommand(goodCommand)

  const { stdout } = await pgsurety([`--config=${bed.config}`, '--archive-timeout=30', 'check'])

  assert.match(stdout, /^stanza 'demo': WAL segment [0-9A-F]{24} is archived\n {2}repo1: /)
  assert.match(
    stdout,
    /pg_wal has \S+ free and grows by \S+ a second: without archiving it is full in /,
  )
})

test('without a stanza all are checked, and one that is wrong does not hide the others', async () => {
  const both = join(bed.folder, 'both.conf')
  const text = await readFile(bed.config, 'utf8')
  await writeAs(both, `${text}[away]\npg1-path=/nowhere\n`)

  const argv = [`--config=${both}`, '--output=json', '--archive-timeout=30', 'check']
  const { code, stdout, stderr } = await pgsurety(argv, { allowFailure: 'allow' })

  const results: unknown = JSON.parse(stdout)
  assert(Array.isArray(results))
  assert.deepEqual(
    results.map(({ stanza, status }) => `${stanza} ${status}`),
    ['away error', 'demo ok'],
  )
  assert.equal(code, 104)
  assert.match(stderr, /ERROR: \[055\]: stanza 'away': /)
})
