import assert from 'node:assert/strict'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { testContext } from '../../../test/harness/context.ts'
import {
  segment,
  segments,
  STAND_IN_STANZA,
  type StandIn,
  writeStandIn,
} from '../../../test/harness/stand-in.ts'
import { expire } from './expire.ts'

const F1 = '20260101-000000F'
const F2 = '20260201-000000F'

const STAND_IN: StandIn = {
  backups: [
    { label: F1, stopS: 1000, archive: [segment(1, 2), segment(1, 2)] },
    { label: F2, stopS: 2000, archive: [segment(1, 5), segment(1, 6)] },
  ],
  wal: { '15-1': segments(1, 1, 10) },
}

let root = ''

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pgsurety-expire-'))
})

afterEach(() => {
  rmSync(root, { recursive: true })
})

function write(repo: number, standIn: StandIn): void {
  writeStandIn(at(repo), standIn)
}

function at(repo: number, ...parts: readonly string[]): string {
  return join(root, `repo${repo}`, ...parts)
}

function labels(repo: number): readonly string[] {
  return readdirSync(at(repo, 'backup/demo')).filter((name) => name.startsWith('2'))
}

async function run(options: readonly string[]): Promise<string> {
  const argv = [
    '--no-config',
    `--stanza=${STAND_IN_STANZA}`,
    `--repo1-path=${at(1)}`,
    `--lock-path=${join(root, 'lock')}`,
    ...options,
    'expire',
  ]
  const ran = testContext({ argv })
  try {
    assert.equal(await expire(ran.context), 0)
  } catch (error) {
    assert(error instanceof Error)
    Object.assign(error, { logText: ran.logText() })
    throw error
  }
  return ran.logText()
}

test('a repository that cannot be expired does not keep another one from its turn', async () => {
  write(2, STAND_IN)
  const options = ['--repo1-retention-full=1', '--repo2-retention-full=1', `--repo2-path=${at(2)}`]

  await assert.rejects(run(options), (error: Error & { logText?: string }) => {
    assert.match(error.message, /expire command encountered 1 error/)
    assert.match(error.logText ?? '', /ERROR: \[073\]: repo1: /)
    return true
  })

  assert.deepEqual(labels(2), [F2])
})

test('a backup that is in one of the repositories goes there, one that is nowhere is an error', async () => {
  write(1, STAND_IN)
  write(2, { ...STAND_IN, backups: STAND_IN.backups.slice(1) })
  const both = ['--repo1-retention-full=9', '--repo2-retention-full=9', `--repo2-path=${at(2)}`]

  const log = await run([...both, `--set=${F1}`])

  assert.match(log, /WARN: repo2: backup 20260101-000000F does not exist/)
  assert.deepEqual([labels(1), labels(2)], [[F2], [F2]])
  await assert.rejects(run([...both, `--set=${F1}`]), { kind: 'backup-set-invalid' })
})

test('nothing goes while the manifest of a backup that is not listed cannot be read', async () => {
  write(1, {
    ...STAND_IN,
    backups: [
      ...STAND_IN.backups,
      { label: `${F2}_20260202-000000I`, stopS: 2100, state: 'unlisted' },
    ],
  })
  for (const name of ['backup.manifest', 'backup.manifest.copy']) {
    appendFileSync(at(1, 'backup/demo', `${F2}_20260202-000000I`, name), 'x')
  }

  await assert.rejects(run(['--repo1-retention-full=1']), (error: Error & { logText?: string }) => {
    assert.match(error.logText ?? '', /\[028\]: repo1: nothing is expired because it is unknown/)
    return true
  })

  assert.deepEqual(labels(1).length, 3)
})

test('nothing goes while an info file cannot be read, archive.info no less than backup.info', async () => {
  for (const file of ['archive/demo/archive.info', 'backup/demo/backup.info']) {
    write(1, STAND_IN)
    for (const copy of ['', '.copy']) writeFileSync(at(1, `${file}${copy}`), '[]')

    await assert.rejects(run(['--repo1-retention-full=1']), { kind: 'command' })

    assert.deepEqual(labels(1), [F1, F2], file)
    rmSync(at(1), { recursive: true })
  }
})

test('finished directories that belong to nobody are left alone', async () => {
  write(1, STAND_IN)
  const other = '20260115-000000F'
  write(3, { versions: ['17'], backups: [{ label: other, stopS: 1000 }], wal: {} })
  cpSync(at(3, 'backup/demo', other), at(1, 'backup/demo', other), { recursive: true })

  const log = await run(['--repo1-retention-full=1'])

  assert.match(log, /invalid backup '20260115-000000F' cannot be added/)
  assert.deepEqual(labels(1), [other, F2])
  assert(existsSync(at(1, 'backup/demo', other, 'backup.manifest')))
})
