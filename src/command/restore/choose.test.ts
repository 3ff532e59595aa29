import assert from 'node:assert/strict'
import { test } from 'node:test'
import { entry } from '../../../test/harness/backup-entry.ts'
import { isErrorKind } from '../../base/error.ts'
import type { BackupEntry, BackupInfo } from '../../format/backup-info.ts'
import { assertTargetAfter, chooseBackup, noBackup } from './choose.ts'

/** A full backup that ended at `stopS` seconds and at LSN 0/<n>000000. */
function backup(stopS: number, lsnStop: string): BackupEntry {
  return entry({ label: `20260101-0000${String(stopS).padStart(2, '0')}F`, stopS, lsnStop })
}

const early = backup(10, '0/2000000')
const late = backup(20, '0/4000000')
const info: BackupInfo = {
  format: 5,
  cipherPass: undefined,
  currentId: 1,
  history: [],
  backups: [early, late],
}
const atSecond = (second: number, us = 0n): { kind: 'time'; us: bigint } => ({
  kind: 'time',
  us: BigInt(second) * 1_000_000n + us,
})

const refused = (error: unknown): boolean => isErrorKind(error, 'backup-set-invalid')

test('without a target the newest backup is restored', () => {
  assert.equal(chooseBackup(info, { kind: 'newest' })?.backup, late)
})

test('a time target takes the newest backup that was complete before it (W13)', () => {
  assert.equal(chooseBackup(info, atSecond(21))?.backup, late)
  assert.equal(chooseBackup(info, atSecond(15))?.backup, early)
})

test('a backup that ended in the very second of the target is not complete before it', () => {
  assert.equal(chooseBackup(info, atSecond(20))?.backup, early)
  assert.equal(chooseBackup(info, atSecond(20, 1n))?.backup, late)
  assert.equal(chooseBackup(info, atSecond(10)), undefined)
})

test('an LSN target takes the newest backup that had stopped at it', () => {
  assert.equal(chooseBackup(info, { kind: 'lsn', lsn: 0x4000000n })?.backup, late)
  assert.equal(chooseBackup(info, { kind: 'lsn', lsn: 0x3ffffffn })?.backup, early)
  assert.equal(chooseBackup(info, { kind: 'lsn', lsn: 0x1000000n }), undefined)
})

test('--set takes exactly that backup', () => {
  assert.equal(chooseBackup(info, { kind: 'set', label: early.label })?.backup, early)
  assert.equal(chooseBackup(info, { kind: 'set', label: 'latest' }), undefined)
})

test('a target before the end of the chosen backup is refused', () => {
  assert.throws(() => {
    assertTargetAfter(late, atSecond(20))
  }, refused)
  assert.throws(() => {
    assertTargetAfter(late, { kind: 'lsn', lsn: 0x3ffffffn })
  }, refused)
  assertTargetAfter(late, atSecond(20, 1n))
  assertTargetAfter(late, { kind: 'lsn', lsn: 0x4000000n })
  assertTargetAfter(late, { kind: 'newest' })
})

test('the error without a backup says what there is and what was probably meant', () => {
  const near = noBackup({ kind: 'set', label: '20260101-000011F' }, info.backups)
  assert.equal(near.exitCode, 75)
  assert.match(near.text, /did you mean '20260101-000010F'\?/)
  assert.match(noBackup(atSecond(1), info.backups).text, /stop time less than '1970-01-01T00:00:01/)
  assert.match(noBackup({ kind: 'lsn', lsn: 1n }, []).text, /there are no backups/)
  assert.match(noBackup({ kind: 'newest' }, []).text, /take one with 'pgsurety backup'/)
})
