/**
 * stanza-upgrade, annotate and stanza-delete with each call to the storage failing once, in every way; and what a forced
 * stop does to running processes. Data directories without servers do.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError } from '../../src/base/error.ts'
import { annotate } from '../../src/command/annotate.ts'
import type { Command } from '../../src/command/command.ts'
import { stanzaCreate } from '../../src/command/stanza-create.ts'
import { stanzaDelete } from '../../src/command/stanza-delete.ts'
import { stanzaUpgrade } from '../../src/command/stanza-upgrade.ts'
import { stop } from '../../src/command/stop.ts'
import { isLocked } from '../../src/repo/lock.ts'
import { loadArchiveInfo, loadBackupInfo, type Repo } from '../../src/repo/repo.ts'
import { openPosixStorage } from '../../src/storage/posix.ts'
import { testContext } from '../harness/context.ts'
import { type FaultPlan, faultyStorage } from '../harness/faulty-storage.ts'
import { pgBackRest, postgresBin } from '../harness/peers.ts'
import { type Folder, runAs, spawnAs, temporaryFolder, writeAs } from '../harness/run.ts'
import { openRepo } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

const MODES = ['error-before', 'error-after', 'partial'] as const
const NO_FAULT = { failAt: 0, mode: 'error-before' } as const

let folder: Folder
let common: readonly string[]
let repo: Repo
let label = ''

before(async () => {
  folder = await temporaryFolder('stanza-faults')
  for (const [name, version] of [['old', '15'] as const, ['new', '17'] as const]) {
    const initdb = join(await postgresBin(version), 'initdb')
    await runAs([initdb, '-D', at(name), '-U', 'postgres', '--no-sync'])
  }
  const program = await pgBackRest('2.60')
  await writeAs(at('conf'), configText())
  common = [`--config=${at('conf')}`, '--stanza=demo']
  dropPrivileges()
  repo = openRepo(common)
  await runUndisturbed(stanzaCreate, ['--no-online', 'stanza-create'])
  await runAs([program, ...common, '--no-online', '--annotation=first=1', 'backup'])
  label = (await loadBackupInfo(repo, 'demo')).backups[0]?.label ?? ''
  await runAs(['cp', '-a', at('repo'), at('kept')])
})

after(async () => {
  await folder[Symbol.asyncDispose]()
})

function at(name: string): string {
  return join(folder.path, name)
}

function configText(): string {
  const lines = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret', 'log-level-file=off']
  const paths = [`repo1-path=${at('repo')}`, `lock-path=${at('lock')}`]
  return ['[global]', ...paths, ...lines, '[demo]', `pg1-path=${at('old')}`, ''].join('\n')
}

interface Ran {
  readonly error: AppError | undefined
  readonly calls: readonly string[]
}

async function run(command: Command, argv: readonly string[], plan: FaultPlan): Promise<Ran> {
  const storage = faultyStorage(openPosixStorage({ root: repo.storage.location }), plan)
  const { context } = testContext({ argv: [...common, ...argv], openStorage: () => storage })
  try {
    assert.equal(await command(context), 0)
    return { error: undefined, calls: storage.log }
  } catch (error) {
    assert(error instanceof AppError, String(error))
    return { error, calls: storage.log }
  }
}

async function runUndisturbed(command: Command, argv: readonly string[]): Promise<void> {
  const { error } = await run(command, argv, NO_FAULT)
  assert.equal(error, undefined, error?.text)
}

interface Failing {
  readonly command: Command
  readonly argv: readonly string[]
  readonly mode: FaultPlan['mode']
}

/** Fails each call of a command once, on the repository as it was in the beginning; how many there were. */
async function failEachCall(
  { command, argv, mode }: Failing,
  then: (ran: Ran, call: string) => Promise<void>,
): Promise<number> {
  for (let failAt = 1; ; failAt += 1) {
    await putBack()
    const ran = await run(command, argv, { failAt, mode })
    const call = ran.calls[failAt - 1]
    if (call === undefined) return failAt - 1
    // What has two copies may be read from the other one.
    if (ran.error === undefined) assert.match(call, /^get .*\.info(?:\.copy)?$/)
    await then(ran, call)
  }
}

async function putBack(): Promise<void> {
  await rm(at('repo'), { recursive: true, force: true })
  await runAs(['cp', '-a', at('kept'), at('repo')])
}

/** Both info files and their copies are the same, of two clusters, with their keys and the backup. */
async function assertUpgraded(): Promise<void> {
  const archive = await loadArchiveInfo(repo, 'demo')
  const backup = await loadBackupInfo(repo, 'demo')
  for (const history of [archive.history, backup.history]) {
    assert.deepEqual(
      history.map(({ id, version }) => `${id}: ${version}`),
      ['1: 15', '2: 17'],
    )
  }
  assert.deepEqual([archive.currentId, backup.currentId], [2, 2])
  assert.deepEqual(
    backup.backups.map((entry) => entry.label),
    [label],
  )
  for (const name of ['archive/demo/archive.info', 'backup/demo/backup.info']) {
    assert.deepEqual(await readFile(at(`repo/${name}`)), await readFile(at(`repo/${name}.copy`)))
  }
}

for (const mode of MODES) {
  test(`stanza-upgrade, each call failing (${mode}): told, harmless, and finished by the next try`, async (t) => {
    const argv = ['--no-online', `--pg1-path=${at('new')}`, 'stanza-upgrade']
    const keys = await keysOf()

    const calls = await failEachCall({ command: stanzaUpgrade, argv, mode }, async () => {
      assert.deepEqual(await keysOf(), keys)
      assert.equal((await loadArchiveInfo(repo, 'demo')).history[0]?.version, '15')
      assert.equal((await loadBackupInfo(repo, 'demo')).backups.length, 1)
      await runUndisturbed(stanzaUpgrade, argv)
      await assertUpgraded()
    })

    t.diagnostic(`${calls} calls failed`)
    assert(calls >= 6)
  })

  test(`annotate, each call failing (${mode}): told, harmless, and good at the next try`, async () => {
    const argv = [`--set=${label}`, '--annotation=second=2', 'annotate']

    const calls = await failEachCall({ command: annotate, argv, mode }, async ({ error }) => {
      const notes = await notesNow()
      assert(notes === 'first=1' || notes === 'first=1 second=2', notes)
      if (error === undefined) assert.equal(notes, 'first=1 second=2')
      await runUndisturbed(annotate, argv)
      assert.equal(await notesNow(), 'first=1 second=2')
    })

    assert(calls >= 4)
  })

  test(`stanza-delete, each call failing (${mode}): told, and finished by the next try without another stop`, async () => {
    const failing = { command: stanzaDelete, argv: ['stanza-delete'], mode }
    await stopped()

    const calls = await failEachCall(failing, async ({ error }, call) => {
      assert(error !== undefined, call)
      assert(existsSync(at('lock/demo.stop')), call)
      await runUndisturbed(stanzaDelete, ['stanza-delete'])
      assert(!existsSync(at('repo/archive/demo')) && !existsSync(at('repo/backup/demo')))
      await stopped()
    })

    assert(calls >= 8)
    await rm(at('lock/demo.stop'), { force: true })
    await putBack()
  })
}

async function stopped(): Promise<void> {
  const { context } = testContext({ argv: [...common, 'stop'] })
  assert.equal(await stop(context), 0)
}

async function keysOf(): Promise<readonly (string | undefined)[]> {
  const archive = await loadArchiveInfo(repo, 'demo')
  const backup = await loadBackupInfo(repo, 'demo')
  return [archive.cipherPass?.reveal(), backup.cipherPass?.reveal()]
}

async function notesNow(): Promise<string> {
  const [entry] = (await loadBackupInfo(repo, 'demo')).backups
  return Array.from(entry?.annotations ?? [], (pair) => pair.join('=')).join(' ')
}

test('an upgrade writes a copy again that an interrupted one left behind', async () => {
  await putBack()
  const argv = ['--no-online', `--pg1-path=${at('new')}`, 'stanza-upgrade']
  const stale = await readFile(at('repo/backup/demo/backup.info.copy'))
  await runUndisturbed(stanzaUpgrade, argv)
  await writeFile(at('repo/backup/demo/backup.info.copy'), stale)

  await runUndisturbed(stanzaUpgrade, argv)

  await assertUpgraded()
  await putBack()
})

test('a forced stop ends who holds a lock of the stanza, whether or not it was stopped already', async () => {
  for (const state of ['not yet', 'already'] as const) {
    if (state === 'already') await stopped()
    const path = at('lock/demo-backup-1.lock')
    const other = at('lock/demo-x-backup-1.lock')
    const victim = spawnAs(['sleep', '60'])
    const bystander = spawnAs(['sleep', '60'])
    await writeFile(path, `{"execId":"1-a","pid":${victim.pid}}`)
    await writeFile(other, `{"execId":"1-b","pid":${bystander.pid}}`)
    const holders = [path, other].map((file) => spawnAs(['flock', '-F', file, 'sleep', '60']))
    while (!(await isLocked(path)) || !(await isLocked(other))) await sleep(5)

    const ran = testContext({ argv: [...common, '--force', 'stop'] })
    assert.equal(await stop(ran.context), 0)

    assert.match(ran.logText(), new RegExp(`sent term signal to process ${victim.pid}\\n`))
    while (victim.signalCode === null) await sleep(5)
    assert.equal(victim.signalCode, 'SIGTERM')
    assert.equal(bystander.exitCode ?? bystander.signalCode, null)
    for (const child of [...holders, bystander]) child.kill('SIGKILL')
    while (await isLocked(path)) await sleep(5)
  }
  await rm(at('lock'), { recursive: true })
})
