import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lastArchiverFailure } from './server-log.ts'

const COMMAND = 'pgsurety archive-push %p'

const PUSHES = `2026-11-23 05:00:00.000 UTC [7] LOG:  database system is ready to accept connections
sh: 1: old: not found
2026-11-23 05:00:01.000 UTC [9] LOG:  archive command failed with exit code 127
2026-11-23 05:00:01.000 UTC [9] DETAIL:  The failed archive command was: old --stanza=demo
2026-11-23 05:00:02.000 P00  ERROR: [064]: unable to write '/repo/x':
                                    ENOSPC: no space left on device
                                    HINT: is it full?
2026-11-23 05:00:02.000 UTC [9] LOG:  archive command failed with exit code 64
2026-11-23 05:00:02.000 UTC [9] DETAIL:  The failed archive command was: pgsurety archive-push pg_wal/000000010000000000000007
2026-11-23 05:00:03.000 UTC [7] LOG:  checkpoint starting: time
`

test('the last failure counts, with the error that was written before it', () => {
  assert.deepEqual(lastArchiverFailure(PUSHES, COMMAND), {
    exitCode: 64,
    kind: 'file-write',
    segment: '000000010000000000000007',
    text: "[064] unable to write '/repo/x': ENOSPC: no space left on device",
  })
})

test('what a shell says is the error when no program of ours was run', () => {
  const log = PUSHES.slice(0, PUSHES.indexOf('2026-11-23 05:00:02'))

  assert.deepEqual(lastArchiverFailure(log, COMMAND), {
    exitCode: 127,
    kind: undefined,
    segment: undefined,
    text: 'sh: 1: old: not found',
  })
})

test('a log without failures tells nothing', () => {
  assert.equal(lastArchiverFailure('LOG:  all is well\n', COMMAND), undefined)
})

test('a command that was killed has no exit code', () => {
  const log = 'FATAL:  archive command was terminated by signal 9: Killed\n'

  assert.deepEqual(lastArchiverFailure(log, COMMAND), {
    exitCode: undefined,
    kind: undefined,
    segment: undefined,
    text: '',
  })
})

test('a server that logs in another language is understood by the command it quotes', () => {
  for (const [failed, quote] of [
    ['Archivbefehl ist fehlgeschlagen mit Statuscode 64', 'Der fehlgeschlagene Archivbefehl war:'],
    [
      'アーカイブコマンドがリターンコード 64で失敗しました',
      '失敗したアーカイブコマンドは次のとおりです:',
    ],
  ]) {
    const log = PUSHES.replaceAll('archive command failed with exit code 64', failed ?? '')
      .replaceAll('archive command failed with exit code 127', 'etwas anderes')
      .replaceAll('The failed archive command was:', quote ?? '')
      .replaceAll('LOG:', 'LOG :')
      .replaceAll('DETAIL:', 'DÉTAIL :')

    assert.deepEqual(
      lastArchiverFailure(log, COMMAND),
      lastArchiverFailure(PUSHES, COMMAND),
      failed,
    )
  }
})

test('of an error with those of several repositories the first one counts', () => {
  const log = PUSHES.replace(
    "[064]: unable to write '/repo/x':",
    '[104]: archive-push command encountered error(s):\n      repo2: [47] unable to create path:',
  )

  assert.equal(lastArchiverFailure(log, COMMAND)?.kind, 'path-create')
})
