import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ArchiverFacts, explainArchiving } from './archiver.ts'

const SEGMENT = '000000010000000000000005'

const healthy: ArchiverFacts = {
  archiveCommand: 'pgsurety --stanza=demo archive-push %p',
  archiveLibrary: '',
  archivedCount: 4,
  failedCount: 0,
  lastArchived: '000000010000000000000004',
  lastFailed: '',
  isFailing: false,
  waitingCount: 1,
}

test('the facts follow the likely cause', () => {
  const [, ...facts] = explainArchiving(healthy, SEGMENT)

  assert.deepEqual(facts, [
    'pg_stat_archiver: 4 WAL segment(s) archived, last 000000010000000000000004, 0 failure(s).',
    '1 WAL segment(s) wait in pg_wal/archive_status (.ready).',
    "archive_command is 'pgsurety --stanza=demo archive-push %p'.",
  ])
})

test('without a failure and without success the command is still running', () => {
  const [cause] = explainArchiving(healthy, SEGMENT)

  assert.match(cause ?? '', /^archive_command has not ended/)
})

test('a command that fails is the cause', () => {
  const facts = { ...healthy, failedCount: 3, lastFailed: SEGMENT, isFailing: true }

  const [cause, counts] = explainArchiving(facts, SEGMENT)

  assert.match(cause ?? '', /^archive_command fails: /)
  assert.match(counts ?? '', /3 failure\(s\), last 000000010000000000000005\./)
})

test('a command that succeeded without the segment arriving pushes to somewhere else', () => {
  const [cause] = explainArchiving({ ...healthy, lastArchived: SEGMENT }, SEGMENT)

  assert.match(cause ?? '', /does it push to another stanza or repository/)
})

test('an archive_library is the cause before anything else', () => {
  const facts = { ...healthy, archiveLibrary: 'basic_archive', waitingCount: undefined }

  const hints = explainArchiving(facts, SEGMENT)

  assert.match(hints[0] ?? '', /^archive_library is set/)
  assert.deepEqual(hints.slice(2), ["archive_library is 'basic_archive'."])
})
