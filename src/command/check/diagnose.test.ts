import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cause, describeFacts, diagnose, type Facts, type RepoFacts } from './diagnose.ts'

const SEGMENT = '000000010000000000000005'

const REPO: RepoFacts = {
  key: 1,
  location: '/repo',
  blocked: undefined,
  readOnlyMount: undefined,
  freeBytes: 1e9,
  freeInodes: 1000,
  stanzaVersion: '15',
}

/** The command was not seen to end. */
const SILENT: Facts = {
  stanza: 'demo',
  useCommand: "ALTER SYSTEM SET archive_command = '/opt/pgsurety archive-push %p'",
  failure: { kind: 'archive-timeout', message: 'not archived' },
  segment: SEGMENT,
  segmentSizeBytes: 16 * 1024 * 1024,
  archiver: {
    command: 'pgsurety --stanza=demo archive-push %p',
    library: '',
    archivedCount: 4,
    failedCount: 0,
    lastArchived: '000000010000000000000004',
    lastFailed: '',
    isFailing: false,
    waitingCount: 1,
  },
  logged: undefined,
  serverUser: 'postgres',
  serverVersion: '15',
  repos: [REPO],
}

const FAILING: Facts = {
  ...SILENT,
  archiver: { ...SILENT.archiver, isFailing: true, failedCount: 3, lastFailed: SEGMENT },
}

function logged(kind: NonNullable<Facts['logged']>['kind'], text: string, exitCode = 64): Facts {
  return { ...FAILING, logged: { kind, text, exitCode, segment: SEGMENT } }
}

function withRepo(facts: Facts, repo: Partial<RepoFacts>): Facts {
  return { ...facts, repos: [{ ...REPO, ...repo }] }
}

function ownFailure(kind: Facts['failure']['kind']): Facts {
  return { ...SILENT, failure: { kind, message: 'said by check' } }
}

const NO_SPACE = logged('file-write', '[064] unable to write: ENOSPC, no space left on device')
const DENIED = logged('file-write', '[064] unable to write: EACCES, permission denied')
const BLOCKED = { path: '/repo/archive', owner: 'root' }

const CASES: Readonly<Record<string, readonly [Cause, Facts]>> = {
  'clocks that differ': ['clock', ownFailure('clock')],
  'a library in place of the command': [
    'archive-library',
    { ...SILENT, archiver: { ...SILENT.archiver, library: 'basic_archive' } },
  ],
  'a command that is not there': ['command-missing', logged(undefined, 'sh: x: not found', 127)],
  'a command that may not be run': ['command-missing', logged(undefined, 'sh: x: denied', 126)],
  'a stop file': ['stopped', logged('stop', "[062] stop file exists for stanza 'demo'")],
  'a passphrase wrong for archive_command': ['passphrase', logged('crypto', '[095] no')],
  'a passphrase wrong for check': ['passphrase', ownFailure('crypto')],
  'another stanza in the command': [
    'stanza',
    { ...SILENT, archiver: { ...SILENT.archiver, command: 'pgsurety --stanza=x archive-push %p' } },
  ],
  'another cluster seen by archive_command': ['cluster', logged('archive-mismatch', '[044] no')],
  'another cluster seen by check': ['cluster', ownFailure('file-invalid')],
  'an upgraded cluster': ['upgrade', withRepo(ownFailure('file-invalid'), { stanzaVersion: '13' })],
  'a read-only mount': ['read-only', withRepo(DENIED, { readOnlyMount: '/repo' })],
  'a read-only mount seen by the command only': [
    'read-only',
    logged('file-write', '[064] EROFS: read-only file system'),
  ],
  'a directory of another user': [
    'owner',
    withRepo(DENIED, { blocked: { ...BLOCKED, belongsTo: 'another user' } }),
  ],
  'a directory without the right': [
    'permission',
    withRepo(DENIED, { blocked: { ...BLOCKED, belongsTo: 'the server' } }),
  ],
  'no inode': ['no-inodes', withRepo(NO_SPACE, { freeInodes: 0 })],
  'no room': ['disk-full', withRepo(NO_SPACE, { freeBytes: 4096 })],
  'no room that only the command saw': ['disk-full', NO_SPACE],
  'no room and no log': ['disk-full', withRepo(FAILING, { freeBytes: 0 })],
  'a repository that is not mounted': ['repository-missing', ownFailure('path-missing')],
  'a stanza that was never made': ['stanza-missing', ownFailure('file-missing')],
  'a failure for a reason unknown': ['command-fails', FAILING],
  'success somewhere else': [
    'elsewhere',
    { ...SILENT, archiver: { ...SILENT.archiver, lastArchived: SEGMENT } },
  ],
  'a history file pushed last': [
    'slow',
    { ...SILENT, archiver: { ...SILENT.archiver, lastArchived: '00000002.history' } },
  ],
  'neither success nor failure': ['slow', SILENT],
}

for (const [what, [cause, facts]] of Object.entries(CASES)) {
  test(`${what}: the verdict is '${cause}', with something to do`, () => {
    const verdict = diagnose(facts)

    assert.equal(verdict.cause, cause)
    assert.doesNotMatch(verdict.summary, /\.$|undefined|^$/)
    assert.doesNotMatch(verdict.fix, /undefined|^$/)
  })
}

test('a wrong stanza is corrected in the command as it is, whatever else it says', () => {
  const command = "/opt/pgsurety --config='/a b' --stanza x archive-push %p"

  const { fix } = diagnose({ ...SILENT, archiver: { ...SILENT.archiver, command } })

  assert.equal(
    fix,
    "ALTER SYSTEM SET archive_command = '/opt/pgsurety --config=''/a b'' --stanza=demo archive-push %p'; SELECT pg_reload_conf();",
  )
})

test('the facts are told for people', () => {
  assert.deepEqual(describeFacts(NO_SPACE), [
    `pg_stat_archiver: 4 WAL segment(s) archived, last 000000010000000000000004, 3 failure(s), last ${SEGMENT}.`,
    '1 WAL segment(s) wait in pg_wal/archive_status (.ready).',
    'last error in the server log: [064] unable to write: ENOSPC, no space left on device',
    "archive_command is 'pgsurety --stanza=demo archive-push %p'.",
    'repo1 has 953.7MB and 1000 inodes free.',
  ])
})
