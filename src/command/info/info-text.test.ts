import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  content,
  EVERYTHING,
  FULL,
  HISTORY,
  INCR,
  MANIFEST,
  PROGRESS,
  repo,
  stanza,
} from '../../../test/harness/info-facts.ts'
import type { StanzaFacts } from './facts.ts'
import { infoToText } from './info-text.ts'

function render(...stanzas: readonly StanzaFacts[]): string {
  return infoToText({ question: EVERYTHING, stanzas })
}

/** Runs `body` with the process in another time zone. */
function inZone<T>(zone: string, body: () => T): T {
  const before = process.env['TZ']
  process.env['TZ'] = zone
  try {
    return body()
  } finally {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  }
}

test('no stanza at all is said in one sentence', () => {
  assert.equal(render(), 'No stanzas exist in the repository.\n')
})

test('a stanza with a full and an incremental backup', () => {
  const text = inZone('UTC', () => render(stanza(repo(content({ backups: [FULL, INCR] })))))

  assert.equal(
    text,
    `stanza: demo
    status: ok
    cipher: none

    db (current)
        wal archive min/max (15): 000000010000000000000022/000000010000000000000026

        full backup: 20261122-182058F
            timestamp start/stop: 2026-11-22 18:20:58+00 / 2026-11-22 18:21:00+00
            wal start/stop: 000000010000000000000023 / 000000010000000000000024
            database size: 23.4MB, database backup size: 23.4MB
            repo1: backup set size: 3.3MB, backup size: 3.3MB

        incr backup: 20261122-182058F_20261122-182101I
            timestamp start/stop: 2026-11-22 18:21:01+00 / 2026-11-22 18:21:04+00
            wal start/stop: 000000010000000000000023 / 000000010000000000000024
            database size: 23.4MB, database backup size: 1.4MB
            repo1: backup set size: 3.3MB, backup size: 31.1KB
            backup reference total: 1 full
`,
  )
})

test('times carry the offset of their time zone, with minutes only where it has some', () => {
  const facts = stanza(repo(content()))

  assert.match(
    inZone('Asia/Kolkata', () => render(facts)),
    /2026-11-22 23:50:58\+05:30 /,
  )
  assert.match(
    inZone('America/St_Johns', () => render(facts)),
    /2026-11-22 14:50:58-03:30 /,
  )
  assert.match(
    inZone('America/New_York', () => render(facts)),
    /2026-11-22 13:20:58-05 /,
  )
})

test('an error is in brackets, with its text below when it is not one of the known ones', () => {
  const lost = stanza(repo({ kind: 'failed', message: '[PathOpenError] a\nHINT: b' }))

  assert.equal(
    render(lost, stanza(repo({ kind: 'no-path' })), stanza(repo({ kind: 'no-data' }))),
    `stanza: demo
    status: error (other)
            [PathOpenError] a
            HINT: b
    cipher: none

stanza: demo
    status: error (missing stanza path)

stanza: demo
    status: error (missing stanza data)
    cipher: none
`,
  )
})

test('several repositories that differ are told one by one', () => {
  const text = render(
    stanza(
      repo({ kind: 'no-data' }),
      repo({ kind: 'failed', message: '[CryptoError] a\nb' }, { key: 2, cipher: 'aes-256-cbc' }),
    ),
  )

  assert.equal(
    text,
    `stanza: demo
    status: mixed
        repo1: error (missing stanza data)
        repo2: error (other)
               [CryptoError] a
               b
    cipher: mixed
        repo1: none
        repo2: aes-256-cbc
`,
  )
})

test('running backups and restores are shown with their progress', () => {
  const lock = { held: true, sizeBytes: 24491914, completeBytes: 10330000 }
  const facts = {
    ...stanza(repo({ kind: 'not-read' }, { backupLock: lock })),
    restoreLock: { held: true, sizeBytes: 0, completeBytes: 0 },
  }

  assert.equal(
    infoToText({ question: PROGRESS, stanzas: [facts] }),
    'stanza: demo\n    status: ok (backup/expire running - 42.18% complete, restore running)\n',
  )
})

test('several running backups are shown one by one below their sum', () => {
  const backupLock = { held: true, sizeBytes: 100, completeBytes: 100 }
  const half = { held: true, sizeBytes: 100, completeBytes: 50 }
  const facts = stanza(
    repo({ kind: 'not-read' }, { backupLock }),
    repo({ kind: 'not-read' }, { key: 2, backupLock: half }),
  )

  assert.equal(
    infoToText({ question: PROGRESS, stanzas: [facts] }),
    `stanza: demo
    status: ok (backup/expire running - 75.00% complete)
        repo1 backup: 100.00% complete
        repo2 backup: 50.00% complete
`,
  )
})

test('a prior cluster comes before the current one, and only when something is left of it', () => {
  const archive = { id: '13-2', range: { min: 'A', max: 'B' } }
  const text = render(
    stanza(
      repo(
        content({
          backups: [],
          currentHistory: { ...HISTORY, id: 3 },
          databases: [
            { id: 1, systemId: 1n, version: '12', archive: undefined },
            { id: 2, systemId: 2n, version: '13', archive },
            { ...HISTORY, id: 3, archive: { id: '15-3', range: undefined } },
          ],
        }),
      ),
    ),
  )

  assert.equal(
    text,
    `stanza: demo
    status: error (no valid backups)
    cipher: none

    db (prior)
        wal archive min/max (13): A/B

    db (current)
        wal archive min/max (15): none present
`,
  )
})

test('a backup asked for by label shows everything its manifest tells', () => {
  const entry = {
    ...INCR,
    error: true,
    repoSizeMapBytes: 10,
    annotations: new Map([
      ['a', '1'],
      ['b', '2'],
    ]),
  }
  const link = { kind: 'link', file: undefined } as const
  const manifest = {
    ...MANIFEST,
    databases: [],
    targets: [
      {
        ...link,
        name: 'pg_data/pg_wal',
        path: '/wal',
        tablespaceId: undefined,
        tablespaceName: undefined,
      },
      { ...link, name: 'pg_tblspc/7', path: '/ts', tablespaceId: 7, tablespaceName: 'ts' },
    ],
  }
  const facts = stanza(repo(content({ backups: [FULL, entry], manifest })))

  const text = infoToText({ question: { ...EVERYTHING, label: INCR.label }, stanzas: [facts] })

  assert.equal(
    text.slice(text.indexOf('            lsn')),
    `            lsn start/stop: 0/23000028 / 0/24000100
            database size: 23.4MB, database backup size: 1.4MB
            repo1: backup size: 31.1KB
            backup reference list: 20261122-182058F
            database list: none
            symlinks:
                pg_wal => /wal
            tablespaces:
                ts (7) => /ts
            error(s) detected during backup
            annotation(s)
                a: 1
                b: 2
`,
  )
})

test('sizes have one decimal, rounded, and stop at GB', () => {
  const sizes = [1023, 1024, 1319194, 1048064, 2 * 1024 ** 4].map((sizeBytes) => {
    const text = render(stanza(repo(content({ backups: [{ ...FULL, sizeBytes }] }))))
    return /database size: (.*), database/.exec(text)?.[1]
  })

  assert.deepEqual(sizes, ['1023B', '1KB', '1.3MB', '1023.5KB', '2048GB'])
})
