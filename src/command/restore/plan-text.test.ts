import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MANIFEST } from '../../../test/harness/info-facts.ts'
import { parseSegmentName } from '../../format/wal.ts'
import { openStorage } from '../../storage/open.ts'
import type { RestorePlan } from './plan.ts'
import { planJson, planText } from './plan-text.ts'
import type { WalRange } from './wal-range.ts'

const wal: WalRange = {
  first: parseSegmentName('000000010000000000000023'),
  consistent: parseSegmentName('000000010000000000000024'),
  reach: parseSegmentName('000000010000000000000026'),
  missing: parseSegmentName('000000010000000000000027'),
  count: 4,
  usable: 'yes',
  hole: 'no',
  target: 'unknown',
}

const plan: RestorePlan = {
  stanza: 'demo',
  repo: {
    key: 2,
    storage: openStorage({ type: 'posix', root: '/repo' }),
    cipherPass: undefined,
  },
  repoKey: 2,
  why: 'it is the newest',
  request: {
    type: 'default',
    typeFrom: 'default',
    target: undefined,
    exclusive: false,
    action: 'pause',
    timeline: undefined,
    choice: { kind: 'newest' },
  },
  manifest: MANIFEST,
  wal,
  mode: 'fresh',
  removals: [],
  totalBytes: 24_557_453,
  leftOut: new Set(),
  forgotten: [],
  remaps: [],
  dissolved: [],
  serverPid: undefined,
}

/** The value of one row, continuation lines joined. */
function row(name: string, different: Partial<RestorePlan> = {}): string | undefined {
  const text = planText({ ...plan, ...different })
  const found = new RegExp(`^ {2}${name} {2,}(.*(?:\n {6,}.*)*)`, 'm').exec(text)?.[1]
  return found?.replaceAll(/\n +/g, ' / ')
}

function asked(different: Partial<RestorePlan['request']>): Partial<RestorePlan> {
  return { request: { ...plan.request, ...different } }
}

test('a plan without wishes', (t) => {
  const { TZ } = process.env
  t.after(() => {
    if (TZ === undefined) delete process.env['TZ']
    else process.env['TZ'] = TZ
  })
  process.env['TZ'] = 'Asia/Kolkata'

  assert.equal(
    planText(plan),
    `restore plan
  stanza          demo
  backup          20261122-182058F in repo2: it is the newest
  complete at     2026-11-22 18:21:00+00 (2026-11-22 23:51:00+05:30 here), LSN 0/24000100
  target          the end of the archived WAL
  at the target   promotes itself to a new timeline at the end
  WAL needed      000000010000000000000023 to 000000010000000000000024 to be consistent, present
  WAL present     to 000000010000000000000026 without a gap (4 segments)
  size            23.4MB in 0 files
  mode            into empty directories
  data directory  /pg
  removes         nothing
`,
  )
})

test('the target is said in the words of its type', () => {
  const original = '2026-05-02 14:29:59+02'
  const time = { kind: 'time', atUs: 1_777_724_999_000_000n, original } as const

  assert.match(
    row('target', asked({ type: 'time', target: time, exclusive: true })) ?? '',
    /^time 2026-05-02 12:29:59\+00.*, stopping before it$/,
  )
  const lsn = {
    type: 'lsn',
    typeFrom: 'inferred from --target',
    target: { kind: 'lsn', lsn: 16n },
  } as const
  assert.equal(row('target', asked(lsn)), 'LSN 0/10 (type inferred from --target)')
  assert.equal(
    row('target', asked({ type: 'xid', target: { kind: 'xid', xid: 7n }, exclusive: true })),
    'transaction 7, stopping before it',
  )
  assert.equal(
    row('target', asked({ type: 'name', target: { kind: 'name', name: 'é' } })),
    "restore point 'é'",
  )
  assert.equal(row('target', asked({ type: 'immediate' })), 'as soon as the backup is consistent')
  assert.match(row('target', asked({ type: 'standby' })) ?? '', /does not promote$/)
  assert.match(row('target', asked({ type: 'preserve' })) ?? '', /^as the recovery settings/)
  assert.match(row('target', asked({ type: 'none' })) ?? '', /^none: /)
})

test('what happens at the target is said only where there is one', () => {
  assert.match(row('at the target', asked({ type: 'immediate' })) ?? '', /^pauses; /)
  assert.equal(
    row('at the target', asked({ type: 'immediate', action: 'promote' })),
    'promotes to a new timeline',
  )
  assert.equal(row('at the target', asked({ type: 'immediate', action: 'shutdown' })), 'shuts down')
  assert.equal(row('at the target', asked({ type: 'standby' })), '-')
})

test('WAL that is missing is named, a hole too, and a target beyond it is a warning', () => {
  const hole = { wal: { ...wal, hole: 'yes', target: 'beyond' } } as const
  assert.equal(row('WAL missing'), undefined)
  assert.equal(row('WAL missing', hole), '000000010000000000000027 is the first that is missing')
  assert.equal(row('warning', hole), 'the target is beyond the archived WAL')
  const nothing = { wal: { ...wal, usable: 'no', reach: undefined, count: 0 } } as const
  assert.doesNotMatch(row('WAL needed', nothing) ?? '', /present/)
  assert.equal(row('WAL present', nothing), undefined)
  assert.equal(row('WAL', { wal: undefined }), 'none needed: the backup was taken offline')
})

test('the first ten removals are listed, directories with a slash', () => {
  const removals = Array.from(
    { length: 12 },
    (_, index) =>
      ({
        path: `/pg/${index}`,
        kind: index === 0 ? 'directory' : 'file',
      }) as const,
  )

  assert.equal(
    row('removes', { removals, mode: 'delta' }),
    '12 files and directories that are not in the backup: / /pg/0/ / /pg/1 / /pg/2 / /pg/3 / ' +
      '/pg/4 / /pg/5 / /pg/6 / /pg/7 / /pg/8 / /pg/9 / and 2 more',
  )
})

test('databases that are left out are said, by name where it is known', () => {
  const databases = [{ name: 'shop', oid: 16400, lastSystemOid: 0 }]
  const manifest = { ...MANIFEST, databases }

  assert.equal(row('leaves out'), undefined)
  assert.equal(
    row('leaves out', { manifest, leftOut: new Set([16400, 16500]) }),
    'shop, 16500: to be dropped once recovery has ended',
  )
})

test('programs get the same facts as JSON', () => {
  const target = { kind: 'lsn', lsn: 0x1_0000_0010n } as const
  const different = asked({ type: 'lsn', target, action: 'promote', timeline: 'current' })

  const text = planJson({
    ...plan,
    ...different,
    removals: [{ path: '/pg/\xc3\xa9', kind: 'file' }],
    leftOut: new Set([16400]),
  })

  const found: unknown = JSON.parse(text)
  assert.deepEqual(found, {
    stanza: 'demo',
    backup: {
      label: '20261122-182058F',
      repo: 2,
      why: 'it is the newest',
      stop: '2026-11-22T18:21:00.000Z',
      lsnStop: '0/24000100',
    },
    target: {
      type: 'lsn',
      value: '1/10',
      exclusive: false,
      action: 'promote',
      timeline: 'current',
    },
    wal: { ...wal },
    sizeBytes: 24_557_453,
    files: 0,
    databasesLeftOut: [16400],
    mode: 'fresh',
    serverPid: null,
    paths: [{ name: 'pg_data', path: '/pg' }],
    removals: ['/pg/é'],
  })
})

test('a plan for a running server says what comes first', () => {
  assert.equal(row('first'), undefined)
  assert.equal(row('first', { serverPid: '42' }), 'stop the server (pid 42): pg_ctl -D /pg stop')
})
