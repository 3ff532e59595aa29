/** Locks against a real pgBackRest, both ways. Skipped where there is none. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { test } from 'node:test'
import { acquireLock, isLocked, lockFile, type LockOptions, readLock } from '../../src/repo/lock.ts'

const PGBACKREST = '/var/cache/pg-peers/pgbackrest/usr/bin/pgbackrest'
const options = { skip: existsSync(PGBACKREST) ? false : `${PGBACKREST} is not installed` }

interface Peer extends Disposable {
  readonly lock: LockOptions
  /** A stanza-create whose cluster is on a host that never answers: it takes its locks first, then waits. */
  readonly args: readonly string[]
}

function peer(): Peer {
  const root = mkdtempSync(join(tmpdir(), 'pgsurety-lock-'))
  const lockPath = join(root, 'lock')
  const ssh = join(root, 'ssh')
  mkdirSync(join(root, 'repo'))
  writeFileSync(ssh, '#!/bin/sh\nexec sleep 1\n')
  chmodSync(ssh, 0o755)
  const settings = {
    stanza: 'demo',
    'lock-path': lockPath,
    'log-path': root,
    'log-level-file': 'off',
    'repo1-path': join(root, 'repo'),
    'pg1-host': 'silent.invalid',
    'pg1-path': join(root, 'pg'),
    'cmd-ssh': ssh,
  }
  const rest = Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
  return {
    lock: { lockPath, stanza: 'demo', type: 'backup', repoKey: 1, execId: '100-0a1b2c3d' },
    args: [
      '--no-config',
      ...(process.getuid?.() === 0 ? ['--allow-root'] : []),
      ...rest,
      'stanza-create',
    ],
    [Symbol.dispose]: () => {
      rmSync(root, { recursive: true })
    },
  }
}

test('pgBackRest respects our lock', options, async () => {
  using at = peer()
  await using _lock = await acquireLock(at.lock)

  const { status, stdout } = spawnSync(PGBACKREST, at.args, { encoding: 'utf8' })

  assert.equal(status, 50, stdout)
  assert.match(stdout, /unable to acquire lock on file '.*demo-backup-1\.lock'/)
})

test("we respect pgBackRest's lock, know who holds it, and see it go", options, async () => {
  using at = peer()
  const child = spawn(PGBACKREST, at.args, { stdio: 'ignore' })
  const path = lockFile(at.lock)
  while (child.exitCode === null && !(await isLocked(path))) await setTimeout(20)

  const holder = await readLock(path)
  await assert.rejects(acquireLock(at.lock), { kind: 'lock-acquire' })

  assert.equal(holder?.pid, child.pid)
  child.kill('SIGKILL')
  while (await isLocked(path)) await setTimeout(20)
  await using _lock = await acquireLock(at.lock)
})
