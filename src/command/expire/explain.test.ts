import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { testContext } from '../../../test/harness/context.ts'
import { segment, segments, STAND_IN_STANZA, writeStandIn } from '../../../test/harness/stand-in.ts'
import { expire } from './expire.ts'

const F1 = '20260101-000000F'
const F2 = '20260201-000000F'
const F3 = '20260301-000000F'

let root = ''

before(() => {
  root = mkdtempSync(join(tmpdir(), 'pgsurety-explain-'))
  writeStandIn(root, {
    backups: [
      { label: F1, stopS: 1000, archive: [segment(1, 2), segment(1, 2)] },
      { label: F2, stopS: 2000, archive: [segment(1, 5), segment(1, 6)] },
      { label: `${F2}_20260202-000000I`, stopS: 2100, archive: [segment(1, 8), segment(1, 8)] },
      { label: F3, stopS: 3000, archive: [segment(2, 12), segment(2, 12)] },
    ],
    wal: { '15-1': [...segments(1, 1, 10), ...segments(2, 10, 14), '00000002.history'] },
  })
})

after(() => {
  rmSync(root, { recursive: true })
})

async function explained(options: readonly string[]): Promise<string> {
  const argv = [
    '--no-config',
    `--stanza=${STAND_IN_STANZA}`,
    `--repo1-path=${root}`,
    `--lock-path=${join(root, 'lock')}`,
    ...options,
    '--explain',
    'expire',
  ]
  const ran = testContext({ argv })
  assert.equal(await expire(ran.context), 0)
  return ran.output()
}

test('for every backup and every range of WAL it is told who keeps it or why it goes', async () => {
  const text = await explained(['--repo1-retention-full=2', '--repo1-retention-archive=1'])

  assert.equal(
    text,
    [
      'repo1:',
      `    remove ${F1}: there are enough newer full backups (repo1-retention-full=2)`,
      `    keep   ${F2}: it is one of the newest full backups (repo1-retention-full=2)`,
      `    keep   ${F2}_20260202-000000I: backup ${F2}, which it builds on, stays`,
      `    keep   ${F3}: it is one of the newest full backups (repo1-retention-full=2)`,
      `    archive 15-1: recovery to any point stays possible from backup ${F3} on`,
      `        remove ${segment(1, 1)}..${segment(1, 4)}, 4 files: nobody needs it`,
      `        keep   ${segment(1, 5)}..${segment(1, 6)}, 2 files: ${F2} (consistency)`,
      `        remove ${segment(1, 7)}, 1 file: nobody needs it`,
      `        keep   ${segment(1, 8)}, 1 file: ${F2}_20260202-000000I (consistency)`,
      `        remove ${segment(1, 9)}..${segment(2, 11)}, 4 files: nobody needs it`,
      `        keep   ${segment(2, 12)}..${segment(2, 14)}, 3 files: ${F3} (recovery)`,
      '        keep   00000002.history',
      '',
    ].join('\n'),
  )
})

test('programs get the same as JSON', async () => {
  const [repo] = JSON.parse(await explained(['--repo1-retention-full=1', '--output=json']))

  assert.equal(repo.repo, 1)
  assert.deepEqual(repo.backups[0], {
    label: F1,
    type: 'full',
    action: 'remove',
    rule: 'retention-full',
    reason: 'there are enough newer full backups (repo1-retention-full=1)',
  })
  assert.deepEqual(repo.archives[0].ranges.at(-1), {
    start: segment(2, 12),
    stop: segment(2, 14),
    files: 3,
    action: 'keep',
    keepers: [{ backup: F3, why: 'recovery' }],
  })
  assert.deepEqual(repo.archives[0].histories, [{ file: '00000002.history', action: 'keep' }])
})

test('without a limit everything stays, and it is told why', async () => {
  const text = await explained([])

  assert.match(text, /archive 15-1: repo1-retention-archive is not set\n/)
  assert.match(text, new RegExp(`keep +${segment(1, 1)}\\.\\.${segment(2, 14)}, 15 files\n`))
  assert.doesNotMatch(text, /remove/)
})

test('explaining changes nothing, and takes no lock', async () => {
  const untouched = readdirSync(root, { recursive: true })

  await explained(['--repo1-retention-full=1'])
  await explained(['--oldest'])

  assert.deepEqual(readdirSync(root, { recursive: true }), untouched)
})
