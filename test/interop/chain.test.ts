/**
 * Backups that build on each other, each made by pgsurety or by the real pgBackRest on what the other one made: both tools
 * list them alike, find them sound and restore the same bytes.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { BackupKind } from '../../src/format/label.ts'
import { restoreDifferences } from './restored-tree.ts'
import {
  buildWhenStale,
  type SharedCluster,
  type SharedRepository,
  startSharedCluster,
  type Tool,
} from './shared-stanza.ts'

interface Link {
  readonly writer: Tool
  readonly kind: BackupKind
}

const OURS = 'pgsurety'
const THEIRS = '2.60'

interface Chain {
  readonly lines: readonly string[]
  readonly links: readonly Link[]
}

/** Each set begins with a full backup by one of them; then each builds on the other's and on its own. */
const CHAINS: Readonly<Record<string, Chain>> = {
  'their full, our incremental and differential (gz)': {
    lines: ['compress-type=gz'],
    links: [
      { writer: THEIRS, kind: 'full' },
      { writer: OURS, kind: 'incr' },
      { writer: OURS, kind: 'incr' },
      { writer: THEIRS, kind: 'incr' },
      { writer: OURS, kind: 'diff' },
    ],
  },
  'our full, their differential, our incremental (zst, encrypted)': {
    lines: [
      'compress-type=zst',
      'repo1-cipher-type=aes-256-cbc',
      'repo1-cipher-pass=a sound pass phrase',
    ],
    links: [
      { writer: OURS, kind: 'full' },
      { writer: THEIRS, kind: 'diff' },
      { writer: OURS, kind: 'incr' },
      { writer: THEIRS, kind: 'incr' },
      { writer: OURS, kind: 'incr' },
    ],
  },
}

let shared: SharedCluster

before(async () => {
  await buildWhenStale()
  shared = await startSharedCluster({ version: '17', tablespace: 'one' })
  await shared.cluster.psql(
    `create table large as select g, repeat('x', 200) as pad from generate_series(1, 8000) g;
     create table small(id int) tablespace ts1; create table dropped(id int)`,
  )
})
after(async () => {
  await shared[Symbol.asyncDispose]()
})

/** Changes a page of the large table, grows and drops others, and takes a backup; its label. */
async function addBackup(repository: SharedRepository, { writer, kind }: Link): Promise<string> {
  await repository.archiveWith(writer)
  await repository.cluster.psql(
    `update large set pad = md5(random()::text) where g = 4000;
     insert into small select generate_series(1, 100);
     drop table dropped; create table dropped as select generate_series(1, 100)`,
  )
  const earlier = await repository.labels()
  await repository.run(writer, [`--type=${kind}`, 'backup'])
  const [label = '', ...more] = (await repository.labels()).filter(
    (name) => !earlier.includes(name),
  )
  assert.deepEqual(more, [])
  return label
}

async function assertSound(repository: SharedRepository, labels: readonly string[]): Promise<void> {
  const told = await repository.run(THEIRS, ['verify', '--output=text', '--verbose'])
  assert.match(told, /^status: ok$/m)
  for (const label of labels) assert(told.includes(`  backup: ${label}, status: valid`), told)
  const ours = await repository.run(OURS, ['info', '--output=json'])
  assert.equal(ours, await repository.run(THEIRS, ['info', '--output=json']))
  for (const label of labels) assert(ours.includes(`"label":"${label}"`), ours)
}

void suite('S23 S49 S50: backups of pgsurety and pgBackRest build on each other', () => {
  for (const [title, { lines, links }] of Object.entries(CHAINS)) {
    test(title, async () => {
      await using repository = await shared.openRepository(`by-${links[0]?.writer}`, lines)
      await repository.run(OURS, ['stanza-create'])
      const labels: string[] = []
      for (const link of links) labels.push(await addBackup(repository, link))

      await assertSound(repository, labels)
      for (const label of labels.slice(2)) {
        assert.deepEqual(await restoreDifferences(repository, label, [OURS, THEIRS]), [])
      }
    })
  }
})
