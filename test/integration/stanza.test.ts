/** stanza-create and check on a running cluster, and what they say when the cluster is not as it must be. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { access, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { AppError, type ErrorKind } from '../../src/base/error.ts'
import { check } from '../../src/command/check/check.ts'
import type { Command } from '../../src/command/command.ts'
import { stanzaCreate } from '../../src/command/stanza-create.ts'
import { isLocked } from '../../src/repo/lock.ts'
import { loadArchiveInfo, loadBackupInfo, openRepos } from '../../src/repo/repo.ts'
import { type Archiving, startArchiving } from '../harness/archiving.ts'
import { testContext } from '../harness/context.ts'
import { runAs, spawnAs, unprivileged } from '../harness/run.ts'

const SEALED = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=secret']

let bed: Archiving

before(async () => {
  bed = await startArchiving({ version: '15', repos: { plain: ['compress-type=lz4'] } })
  await run(stanzaCreate, 'plain', 'stanza-create')
  await giveAway('plain')
})

after(async () => {
  await bed[Symbol.asyncDispose]()
})

interface Ran {
  readonly output: string
  readonly log: string
}

/** Runs a command on stanza `demo` of one configuration. */
async function run(command: Command, config: string, ...argv: readonly string[]): Promise<Ran> {
  const ran = testContext({ argv: [`--config=${at(config)}.conf`, '--stanza=demo', ...argv] })
  assert.equal(await command(ran.context), 0)
  return { output: ran.output(), log: ran.logText() }
}

/** The error of a command that must fail with `kind`. */
async function failure(kind: ErrorKind, running: Promise<unknown>): Promise<AppError> {
  const error = await running.then(
    () => assert.fail(`no error of kind '${kind}'`),
    (thrown: unknown) => thrown,
  )
  assert(error instanceof AppError, String(error))
  assert.equal(error.kind, kind, error.text)
  return error
}

function at(name: string): string {
  return join(bed.folder, name)
}

/** What was made here as root becomes the server's, so that its archive_command can write to it. */
async function giveAway(repo: string): Promise<void> {
  if (userInfo().uid !== 0) return
  await promisify(execFile)('chown', ['-R', unprivileged.name, at(repo)])
}

/** Changes settings for the time of `body`; restarts the server when they need it. */
async function withSettings(
  settings: Readonly<Record<string, string>>,
  restart: 'restart' | 'reload',
  body: () => Promise<void>,
): Promise<void> {
  const apply = async (): Promise<void> => {
    if (restart === 'reload') {
      await bed.cluster.psql('select pg_reload_conf()')
      await bed.cluster.psql('select pg_sleep(0.2)')
    } else {
      await bed.cluster.stop('immediate')
      await bed.cluster.start()
    }
  }
  for (const [name, value] of Object.entries(settings)) {
    await bed.cluster.psql(`alter system set ${name} = '${value}'`)
  }
  await apply()
  try {
    await body()
  } finally {
    await bed.cluster.psql('alter system reset all')
    await apply()
  }
}

test('check proves with a fresh segment that archiving works', async () => {
  const { output, log } = await run(check, 'plain', 'check')

  const [, segment = '', path = ''] =
    /^stanza 'demo': WAL segment ([0-9A-F]{24}) is archived\n {2}repo1: (.*)\n {2}pg_wal has .*\n$/.exec(
      output,
    ) ?? []
  assert(path.startsWith(`${at('plain')}/archive/demo/15-1/`))
  assert(path.includes(segment))
  await access(path)
  assert(log.includes(`WAL segment ${segment} successfully archived to '${path}' on repo1`))
})

test('check tells programs what it proved as JSON', async () => {
  const { output } = await run(check, 'plain', 'check', '--output=json')

  assert.match(
    output,
    /^\[\{"stanza":"demo","status":"ok","segment":"[0-9A-F]{24}","repos":\[\{"repo":1,"path":"[^"]+"\}\],"wal":\{"freeBytes":\d+,"bytesPerSecond":(?:\d+|null),"fullInSeconds":(?:\d+|null)\}\}\]\n$/,
  )
})

test('pgBackRest accepts the stanza that stanza-create made', async () => {
  const { code, stdout } = await bed.pgBackRest('plain', [
    '--stanza=demo',
    '--log-level-console=info',
    'stanza-create',
  ])

  assert.equal(code, 0, stdout)
  assert.match(stdout, /stanza 'demo' already exists on repo1 and is valid/)
})

test('stanza-create on a stanza that is there changes nothing', async () => {
  const content = await readFile(at('plain/backup/demo/backup.info'))

  const { log } = await run(stanzaCreate, 'plain', 'stanza-create')

  assert.equal(
    log,
    "P00   INFO: stanza-create for stanza 'demo' on repo1\n" +
      "P00   INFO: stanza 'demo' already exists on repo1 and is valid\n",
  )
  assert.deepEqual(await readFile(at('plain/backup/demo/backup.info')), content)
})

test('an encrypted stanza has keys of its own for each tree, and pgBackRest can read them', async () => {
  await bed.writeConfig('sealed', 'sealed', SEALED)
  await run(stanzaCreate, 'sealed', 'stanza-create')

  const { context } = testContext({
    argv: [`--config=${at('sealed')}.conf`, '--stanza=demo', 'info'],
  })
  const [repo] = openRepos(context.config)
  assert(repo !== undefined)
  const archiveKey = (await loadArchiveInfo(repo, 'demo')).cipherPass?.reveal() ?? ''
  const backupKey = (await loadBackupInfo(repo, 'demo')).cipherPass?.reveal() ?? ''
  assert.match(archiveKey, /^[A-Za-z0-9+/]{64}$/)
  assert.match(backupKey, /^[A-Za-z0-9+/]{64}$/)
  assert.notEqual(archiveKey, backupKey)
  await giveAway('sealed')
  const { stdout } = await bed.pgBackRest('sealed', ['--stanza=demo', 'info'])
  assert.match(stdout, /no valid backups\)\n {4}cipher: aes-256-cbc/)
})

test('a missing copy of an info file is written again', async () => {
  await bed.writeConfig('halved', 'halved', [])
  await run(stanzaCreate, 'halved', 'stanza-create', '--no-online')
  const archive = await readFile(at('halved/archive/demo/archive.info'))
  await rm(at('halved/archive/demo/archive.info'))
  await rm(at('halved/backup/demo/backup.info.copy'))

  const { output } = await run(stanzaCreate, 'halved', 'stanza-create', '--output=json')

  assert.equal(output, '{"stanza":"demo","repos":[{"repo":1,"outcome":"repaired"}]}\n')
  assert.deepEqual(await readFile(at('halved/archive/demo/archive.info')), archive)
  await access(at('halved/backup/demo/backup.info.copy'))
})

test('a stanza with one of its two info files is damage', async () => {
  await bed.writeConfig('lame', 'lame', [])
  await run(stanzaCreate, 'lame', 'stanza-create')
  await rm(at('lame/backup/demo/backup.info'))
  await rm(at('lame/backup/demo/backup.info.copy'))

  const { message } = await failure('file-missing', run(stanzaCreate, 'lame', 'stanza-create'))

  assert.equal(message, 'archive.info exists but backup.info is missing on repo1')
})

test('files without info files are never made part of a stanza', async () => {
  await bed.writeConfig('full', 'full', [])
  await runAs(['mkdir', '-p', at('full/archive/demo/15-1'), at('full/backup/demo')])
  await runAs(['touch', at('full/backup/demo/x'), at('full/archive/demo/15-1/y')])

  const { message } = await failure('path-not-empty', run(stanzaCreate, 'full', 'stanza-create'))

  assert.equal(message, 'backup directory and/or archive directory not empty')
})

test('the stanza of another cluster is refused by stanza-create and check', async () => {
  await bed.writeConfig('foreign', 'foreign', [])
  await runAs([join(bed.cluster.bin, 'initdb'), '-D', at('second'), '--no-sync'])
  await run(stanzaCreate, 'foreign', 'stanza-create', '--no-online', `--pg1-path=${at('second')}`)

  const message = 'backup and archive info files exist but do not match the database'
  const first = await failure('file-invalid', run(stanzaCreate, 'foreign', 'stanza-create'))
  const second = await failure('file-invalid', run(check, 'foreign', 'check'))

  assert.equal(first.message, message)
  assert.equal(second.message, message)
})

test('stanza-create respects stop files and locks', async () => {
  await writeFile(at('lock/demo.stop'), '')
  await failure('stop', run(stanzaCreate, 'plain', 'stanza-create'))
  await rm(at('lock/demo.stop'))
  const path = at('lock/demo-archive-1.lock')
  await writeFile(path, '')
  const holder = spawnAs(['flock', '-F', path, 'sleep', '30'])
  while (!(await isLocked(path))) await sleep(20)
  await failure('lock-acquire', run(stanzaCreate, 'plain', 'stanza-create'))
  holder.kill('SIGKILL')
})

test('check on a stanza that was never created names the next command', async () => {
  await bed.writeConfig('empty', 'empty', [])
  await runAs(['mkdir', at('empty')])

  const { text } = await failure('file-missing', run(check, 'empty', 'check'))

  assert.match(text, /to fix it: pgsurety --stanza=demo stanza-create\n/)
})

test('a data directory that is not the one the server says is refused', async () => {
  await symlink(bed.cluster.dataDir, at('link'))

  const { message } = await failure(
    'db-mismatch',
    run(check, 'plain', 'check', `--pg1-path=${at('link')}`),
  )

  assert.match(
    message,
    /^version '15' and path '.*' queried from cluster do not match version '15'/,
  )
})

test('an archive_command that is not ours is refused with the command that sets it', async () => {
  await withSettings({ archive_command: '/bin/true' }, 'reload', async () => {
    const { text } = await failure('archive-command-invalid', run(check, 'plain', 'check'))

    assert.match(text, /^archive_command '\/bin\/true' must contain pgsurety or pgbackrest\n/)
    assert.match(
      text,
      /ALTER SYSTEM SET archive_command = '\/.*\/bin\/pgsurety --config=.* --stanza=demo archive-push %p'/,
    )
  })
})

test('an archive_library is named as what hides archive_command', async () => {
  const settings = { archive_command: '', archive_library: 'basic_archive' }
  await withSettings(settings, 'restart', async () => {
    const { text } = await failure('archive-command-invalid', run(check, 'plain', 'check'))

    assert.match(text, /archive_library is 'basic_archive'/)
  })
})

test('a segment that does not come is explained with what the server knows', async () => {
  await withSettings({ archive_command: '/bin/false pgsurety' }, 'reload', async () => {
    const { text } = await failure(
      'archive-timeout',
      run(check, 'plain', 'check', '--archive-timeout=2'),
    )

    assert.match(text, /^WAL segment [0-9A-F]{24} was not archived before the 2000ms timeout\n/)
    assert.match(text, /HINT: archive_command fails: /)
    assert.match(text, /HINT: 1 WAL segment\(s\) wait in pg_wal\/archive_status/)
    assert.match(text, /HINT: archive_command is '\/bin\/false pgsurety'/)
  })
})

test('a command that says it archived and did not is told apart', async () => {
  await withSettings({ archive_command: '/bin/true pgsurety' }, 'reload', async () => {
    const { text } = await failure(
      'archive-timeout',
      run(check, 'plain', 'check', '--archive-timeout=2'),
    )

    assert.match(
      text,
      /archive_command succeeded for WAL segment [0-9A-F]{24}, but pushes to another/,
    )
  })
})

test('without archive_mode nothing is tried', async () => {
  await withSettings({ archive_mode: 'off' }, 'restart', async () => {
    const { message } = await failure('archive-disabled', run(check, 'plain', 'check'))

    assert.equal(message, 'archive_mode must be enabled')
  })
})

test('archive_mode=always is refused unless it is allowed', async () => {
  await withSettings({ archive_mode: 'always' }, 'restart', async () => {
    await failure('feature-not-supported', run(check, 'plain', 'check'))
    await run(check, 'plain', 'check', '--no-archive-mode-check')
  })
})

test('a standby is not a primary', async () => {
  await bed.cluster.stop()
  await runAs(['touch', join(bed.cluster.dataDir, 'standby.signal')])
  await bed.cluster.start()

  const first = await failure('db-connect', run(check, 'plain', 'check'))
  const second = await failure('db-connect', run(stanzaCreate, 'plain', 'stanza-create'))

  assert.equal(first.message, 'unable to find primary cluster - cannot proceed')
  assert.equal(second.message, first.message)
})

test('a server that is down is an error of its own', async () => {
  await bed.cluster.stop('immediate')

  await failure('db-connect', run(check, 'plain', 'check'))
})
