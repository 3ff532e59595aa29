import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DumpedDatabase } from '../../format/dump-manifest.ts'
import type { Needs } from './needs.ts'
import { deviationsFor, findings } from './preflight.ts'
import type { Situation, Wish } from './situation.ts'
import type { TargetServer } from './target.ts'

const source: DumpedDatabase = {
  name: 'shop',
  oid: 16_384,
  sizeBytes: 10 * 1024 * 1024,
  definition: {
    owner: 'app',
    encoding: 'UTF8',
    localeProvider: 'libc',
    collate: 'en_US.utf8',
    ctype: 'en_US.utf8',
    locale: null,
    icuRules: null,
    collationVersion: '2.36',
    tablespace: 'pg_default',
    connectionLimit: -1,
    comment: null,
    grants: [{ grantee: 'reader', privilege: 'CONNECT', grantable: false }],
    settings: [],
  },
  snapshot: { id: '1', transactions: '1:1:', lsn: '0/1', timeMs: 0 },
  archives: [],
  fingerprint: null,
  dumpMs: 1,
  fingerprintMs: 1,
}

const target: TargetServer = {
  version: '17.2',
  major: 17,
  inRecovery: false,
  user: 'postgres',
  isSuperuser: true,
  mayCreateDatabases: true,
  database: 'postgres',
  roles: new Map([
    ['app', true],
    ['reader', true],
    ['postgres', true],
  ]),
  newRolesAre: 'ours',
  tablespaces: new Set(['pg_default']),
  extensions: new Map([
    ['citext', { defaultVersion: '1.6', versions: new Set(['1.6']), needsSuperuser: true }],
  ]),
  databases: new Map([
    ['postgres', { owner: 'postgres', comment: '', isOpen: true, subscriptions: [], sessions: [] }],
  ]),
  lockSlots: 6400,
  dataDirectory: '/data',
}

const needs: Needs = {
  owners: new Set(['app']),
  grantees: new Set(['reader']),
  defaulting: new Set(),
  mentioned: new Set(),
  extensions: new Set(['citext']),
  tablespaces: new Set(),
  relations: 10,
  ofSuperusers: [],
}

const situation: Situation = {
  source,
  sourceMajor: 15,
  clients: { dump: '15.9', restore: '17.2' },
  needs,
  selection: {
    extent: 'all',
    ids: new Set(),
    tableOids: new Set(),
    sequences: new Set(),
    leftOut: [],
    unknown: [],
  },
  target,
  locale: { problem: undefined, version: '2.36' },
  refusedSettings: [],
  freeBytes: 1024 ** 4,
}

const wish: Wish = {
  name: 'shop',
  replace: undefined,
  owners: 'kept',
  privileges: 'kept',
  role: undefined,
  rolesToCome: new Set(),
}

function told(
  part: Partial<Situation>,
  server: Partial<TargetServer> = {},
  asked: Partial<Wish> = {},
): readonly string[] {
  const found = findings(
    { ...wish, ...asked },
    { ...situation, ...part, target: { ...target, ...server } },
  )
  return found.map(({ severity, text }) => `${severity}: ${text}`)
}

test('nothing stands against a restore to a server that has all it needs', () => {
  assert.deepEqual(told({}), [])
})

test('an older server, an older pg_restore and a standby are refused', () => {
  assert.match(
    told({}, { major: 14, version: '14.9' }).join(),
    /^refused: .*14\.9, older than the 15/,
  )
  assert.match(
    told({ clients: { dump: '18.1', restore: '17.2' } }).join(),
    /pg_restore 17\.2 is older/,
  )
  assert.match(
    told({ clients: { dump: '18.1', restore: '18.1' } }).join(),
    /^warning: .*pg_dump 18\.1: PostgreSQL 17\.2 may not/,
  )
  assert.match(told({}, { inRecovery: true }).join(), /standby/)
})

test('a database that is there is refused, unless it is the one that is named to be replaced', () => {
  const databases = new Map([
    ['shop', { owner: 'postgres', comment: '', isOpen: true, subscriptions: [], sessions: [] }],
    ['postgres', { owner: 'postgres', comment: '', isOpen: true, subscriptions: [], sessions: [] }],
  ])
  assert.match(told({}, { databases }).join(), /'shop' exists.*--to-database.*--replace='shop'/)
  assert.deepEqual(told({}, { databases }, { replace: 'shop' }), [])
  assert.match(told({}, { databases }, { replace: 'shopp' }).join(), /--replace names 'shopp'/)
  assert.match(told({}, {}, { replace: 'shop' }).join(), /does not exist/)
  const busy = new Map([
    [
      'shop',
      {
        owner: 'postgres',
        comment: '',
        isOpen: true,
        subscriptions: [],
        sessions: ['bob (psql, pid 12)'],
      },
    ],
  ])
  assert.match(told({}, { databases: busy }, { replace: 'shop' }).join(), /bob \(psql, pid 12\)/)
  const subscribed = new Map([
    [
      'shop',
      { owner: 'postgres', comment: '', isOpen: true, subscriptions: ['afar'], sessions: [] },
    ],
  ])
  assert.match(
    told({}, { databases: subscribed }, { replace: 'shop' }).join(),
    /subscriptions .*: afar/,
  )
  const foreign = new Map([
    ['shop', { owner: 'app', comment: '', isOpen: true, subscriptions: [], sessions: [] }],
  ])
  const others = {
    databases: foreign,
    user: 'bob',
    roles: new Map([...target.roles, ['app', false]]),
  }
  assert.match(
    told({}, others, { replace: 'shop', owners: 'left-out' }).join(),
    /'shop' belongs to 'app', and user 'bob' may not drop it/,
  )
  const own = { database: 'shop', databases }
  assert.match(told({}, own, { replace: 'shop' }).join(), /this session is in/)
})

test('missing roles are named, with what helps, and --globals counts as having them', () => {
  const roles = new Map([['postgres', true]])
  const found = told({ needs: { ...needs, mentioned: new Set(['p']) } }, { roles })

  assert.equal(found.length, 3)
  assert.match(found[0] ?? '', /role 'app' that own.*--globals.*--no-owner/)
  assert.match(found[1] ?? '', /role 'reader' named in grants.*--no-privileges/)
  assert.match(found[2] ?? '', /role 'p' named in policies/)
  assert.deepEqual(told({}, { roles }, { rolesToCome: new Set(['app', 'reader']) }), [])
  assert.deepEqual(told({}, { roles }, { owners: 'left-out', privileges: 'left-out' }), [])
})

test('who may not make databases, act as owners or make an extension is told so at once', () => {
  const roles = new Map([
    ['app', false],
    ['reader', true],
  ])
  const found = told({}, { user: 'bob', isSuperuser: false, mayCreateDatabases: false, roles })

  assert.equal(found.length, 3)
  assert.match(
    found.join('\n'),
    /may not create[^]*may not give objects to role 'app'[^]*'citext' can only/,
  )
  assert.match(told({}, {}, { role: 'nobody' }).join(), /may not act as role 'nobody'/)
})

test('roles that are to come count as ours only where the server gives them to who makes them', () => {
  const roles = new Map([['reader', false]])
  const asked = { rolesToCome: new Set(['app']) }
  assert.deepEqual(told({}, { roles, newRolesAre: 'ours' }, asked), [])
  assert.match(
    told({}, { roles, newRolesAre: 'not-ours' }, asked).join(),
    /^refused: .*may not give objects to role 'app'/,
  )
})

test('settings that may not be made, and tablespaces that may not be used, are told and left out', () => {
  const setting = { role: 'app', name: 'work_mem', value: '1MB' }
  const changed = { refusedSettings: [{ setting, problem: 'permission denied' }] }
  assert.deepEqual(told(changed), [
    "warning: setting 'work_mem' of role 'app' in it is left out: permission denied",
  ])
  assert.deepEqual(deviationsFor(wish, { ...situation, ...changed }).refusedSettings, [setting])
  assert.equal(deviationsFor(wish, situation).tablespace, undefined)
})

function ownerFor(asked: Partial<Wish>): string | undefined {
  return deviationsFor({ ...wish, ...asked }, situation).owner
}

test('a database without the owners of the source belongs to the role that restores it', () => {
  assert.equal(ownerFor({ role: 'reader' }), 'app')
  assert.equal(ownerFor({ role: 'reader', owners: 'left-out' }), 'reader')
  assert.equal(ownerFor({ owners: 'left-out' }), undefined)
})

test('an extension or a locale that the server does not have is refused, another version of it is told', () => {
  assert.match(told({}, { extensions: new Map() }).join(), /^refused: extension 'citext'/)
  const problem = { problem: 'could not create locale', version: undefined }
  assert.match(told({ locale: problem }).join(), /^refused: .*'en_US\.utf8': could not create/)
  const other = { problem: undefined, version: '2.41' }
  assert.match(told({ locale: other }).join(), /^warning: .*2\.41 here and 2\.36/)
})

test('too little room is refused, and not knowing is said', () => {
  assert.match(told({ freeBytes: 5 * 1024 * 1024 }).join(), /^refused: about 10MB .* 5MB left/)
  assert.match(told({ freeBytes: undefined }).join(), /^warning: could not tell/)
})

test('a missing tablespace is told, and the default one is taken', () => {
  const elsewhere = { ...source, definition: { ...source.definition, tablespace: 'fast' } }
  assert.match(told({ source: elsewhere }).join(), /^warning: tablespace 'fast'/)
  assert.equal(deviationsFor(wish, { ...situation, source: elsewhere }).tablespace, undefined)
})

test('names that are too long and comparisons that need more locks than there are, are told', () => {
  assert.match(told({}, {}, { name: 'x'.repeat(64) }).join(), /more than 63 bytes/)
  assert.match(told({ needs: { ...needs, relations: 10_000 } }).join(), /max_locks_per_transaction/)
})
