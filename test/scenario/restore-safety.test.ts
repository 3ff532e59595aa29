/** What restore and archive-get refuse, in what words, and that a refusal and a plan touch nothing. */
import assert from 'node:assert/strict'
import { access, cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { archiveGet } from '../../src/command/archive-get/archive-get.ts'
import { parseManifest } from '../../src/format/manifest-read.ts'
import { renderManifest } from '../../src/format/manifest-write.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { pgsurety, runAs, writeAs } from '../harness/run.ts'
import { treeDigest } from '../harness/tree.ts'
import {
  type ArchivedCluster,
  archiveAll,
  refusal,
  type RestoreRun,
  startArchivedCluster,
} from './archived-cluster.ts'

let source: ArchivedCluster
let another: Cluster
/** Labels of the two full backups. */
let first: string
let second: string

before(async () => {
  source = await startArchivedCluster({ version: '15', settings: { autovacuum: 'off' } })
  await source.run('--type=full', 'backup')
  await source.cluster.psql('create table facts as select generate_series(1, 20000) as fact')
  await source.run('--type=full', 'backup')
  await archiveAll(source.cluster)
  const [older = '', newer = ''] = (await readdir(at('repo/backup/demo')))
    .filter((name) => /^\d{8}-\d{6}F$/.test(name))
    .toSorted()
  first = older
  second = newer
  another = await startCluster({ version: '15' })
  await another.stop()
})

after(async () => {
  await another[Symbol.asyncDispose]()
  await source[Symbol.asyncDispose]()
})

function at(name: string): string {
  return join(source.folder, name)
}

/** Restoring into a directory that does not exist. */
async function fresh(...argv: readonly string[]): Promise<RestoreRun> {
  return await source.restoreFiles('fresh', ...argv)
}

async function plan(...argv: readonly string[]): Promise<string> {
  return (await fresh('--plan', ...argv)).output
}

/** Moves something away until disposed. */
async function hide(path: string): Promise<AsyncDisposable> {
  await rename(path, `${path}.hidden`)
  return {
    [Symbol.asyncDispose]: async () => {
      await rm(path, { recursive: true, force: true })
      await rename(`${path}.hidden`, path)
    },
  }
}

test('the data directory of a running server is refused with exit code 38', async () => {
  const { config, cluster } = source
  const argv = [`--config=${config}`, '--stanza=demo', '--delta', 'restore']
  const ran = await pgsurety(argv, { allowFailure: 'allow' })

  assert.equal(ran.code, 38)
  assert.match(
    ran.stdout,
    /ERROR: \[038\]: unable to restore while PostgreSQL is running \(pid \d+\)/,
  )
  assert(ran.stdout.includes(`stop it with 'pg_ctl -D ${cluster.dataDir} stop'`))
})

test('a plan can be asked for while the server runs, and says to stop it first', async () => {
  const { config, cluster } = source
  const argv = [`--config=${config}`, '--stanza=demo', '--delta', '--plan', 'restore']
  const { stdout } = await pgsurety(argv)

  assert.match(stdout, /^ {2}first +stop the server \(pid \d+\): pg_ctl -D /m)
  assert.equal(cluster.isRunning(), true)
})

test('the directory of another cluster is refused whatever the options', async () => {
  const digest = await treeDigest(another.dataDir)
  const onto = async (...argv: readonly string[]): Promise<unknown> =>
    await source.restoreFiles(another.dataDir, ...argv)
  const wanted = /^\[058\] '.*' holds another cluster: its system-id is \d+, the backup's is \d+\n/

  assert.match(await refusal(onto()), wanted)
  assert.match(await refusal(onto('--delta')), wanted)
  assert.match(await refusal(onto('--force', '--type=immediate')), wanted)
  assert.equal(await treeDigest(another.dataDir), digest)
})

test('a time without a zone is refused, unless --target-timezone gives it', async () => {
  assert.match(
    await refusal(fresh('--target=2098-07-01 12:00:00')),
    /^\[032\] time '2098-07-01 12:00:00' states no zone\nHINT: /,
  )
  assert.match(
    await plan('--target=2098-01-01 12:00:00', '--target-timezone=Europe/Berlin'),
    /^ {2}target +time 2098-01-01 11:00:00\+00.*\(type inferred from --target\)$/m,
  )
})

test('a time that a zone has twice, or not at all, is refused', async () => {
  const inBerlin = ['--target-timezone=Europe/Berlin']

  assert.match(
    await refusal(fresh('--target=2026-10-25 02:30:00', ...inBerlin)),
    /^\[032\] time '2026-10-25 02:30:00' occurs twice .*\nHINT: .*\+01 or \+02|\+02 or \+01/,
  )
  assert.match(
    await refusal(fresh('--target=2026-03-29 02:30:00', ...inBerlin)),
    /^\[032\] time '2026-03-29 02:30:00' does not exist in zone 'Europe\/Berlin'/,
  )
})

test('a target before the end of the backup asked for is refused, as is one before any backup', async () => {
  const stop = /"stop":(\d+)\}/.exec(await source.run('--output=json', `--set=${first}`, 'info'))
  const justAfterFirst = new Date((Number(stop?.[1]) + 1) * 1000).toISOString()

  assert.match(
    await refusal(fresh(`--set=${second}`, `--target=${justAfterFirst.slice(0, 19)}Z`)),
    new RegExp(`^\\[075\\] backup '${second}' ended at .*, not before the target time\n`),
  )
  assert.match(
    await refusal(fresh('--target=2020-01-01 00:00:00+00')),
    new RegExp(
      `^\\[075\\] unable to find backup set .*\nHINT: there are 2 .*'${first}'.*'${second}'`,
    ),
  )
  assert.match(
    await refusal(fresh(`--set=${second}`, '--target=0/1000000')),
    /^\[075\] backup '.*' ended at LSN .*, after the target LSN 0\/1000000\n/,
  )
})

async function refusalAsXid(target: string): Promise<string> {
  return await refusal(fresh('--type=xid', `--target=${target}`))
}

test('what is no decimal transaction id is refused as one', async () => {
  assert.match(
    await refusalAsXid('0A/1BCD1234'),
    /^\[032\] '0A\/1BCD1234' is an LSN, not a transaction id/,
  )
  assert.match(await refusalAsXid('0x10'), /^\[032\] transaction id '0x10' is hexadecimal/)
  assert.match(await refusalAsXid('4711x'), /^\[032\] '4711x' is not a transaction id/)
})

test('a directory with anything in it is refused without --delta, and with it when it is no cluster', async () => {
  await runAs(['sh', '-c', `mkdir -m 700 '${at('full')}' && echo mine >'${at('full')}/notes'`])
  const wanted =
    /^\[040\] unable to restore to path '.*\/full' because it contains files \('notes'\)/

  assert.match(await refusal(source.restoreFiles('full')), wanted)
  assert.match(await refusal(source.restoreFiles('full', '--plan')), wanted)
  assert.match(await refusal(source.restoreFiles('full', '--delta')), wanted)
  assert.match(await refusal(source.restoreFiles('full', '--force')), wanted)
  assert.equal(await readFile(at('full/notes'), 'utf8'), 'mine\n')
  // All that a restore leaves which is killed while it puts its marker.
  await runAs(['sh', '-c', `cd '${at('full')}' && mv notes backup.manifest.pgbackrest.tmp`])
  assert.match((await source.restoreFiles('full', '--plan')).output, /into empty directories/)
})

test('a backup without the WAL that makes it consistent is refused, and the segment named', async () => {
  const manifest = await readFile(at(`repo/backup/demo/${second}/backup.manifest`), 'latin1')
  const segment = /backup-archive-start="(.*)"/.exec(manifest)?.[1] ?? ''
  const folder = at(`repo/archive/demo/15-1/${segment.slice(0, 16)}`)
  const stored = (await readdir(folder)).find((name) => name.startsWith(`${segment}-`))
  await using _hidden = await hide(join(folder, stored ?? ''))

  assert.match(
    await refusal(fresh()),
    new RegExp(
      `^\\[082\\] backup '${second}' cannot be made consistent: WAL segment ${segment} is not`,
    ),
  )
})

test('a backup that does not exist is refused with the nearest name', async () => {
  const wrong = second.slice(0, -1)

  assert.match(
    await refusal(fresh(`--set=${wrong}`)),
    new RegExp(`^\\[075\\] backup set ${wrong} is not valid\nHINT: did you mean '${second}'`),
  )
})

test('a wrong passphrase is refused as one', async () => {
  const lines = ['repo1-cipher-type=aes-256-cbc', 'repo1-cipher-pass=right']
  const config = (await readFile(source.config, 'utf8')).replace(
    /^repo1-path=.*$/m,
    [`repo1-path=${at('sealed')}`, ...lines].join('\n'),
  )
  await writeAs(at('right.conf'), config)
  await writeAs(at('wrong.conf'), config.replace('=right', '=wrong'))
  await pgsurety([`--config=${at('right.conf')}`, '--stanza=demo', 'stanza-create'])
  const argv = [`--config=${at('wrong.conf')}`, '--stanza=demo', `--pg1-path=${at('x')}`, 'restore']

  const ran = await pgsurety(argv, { allowFailure: 'allow' })

  assert.equal(ran.code, 95)
  assert.match(ran.stdout, /ERROR: \[095\]: .*(?:passphrase|cipher)/s)
  await assert.rejects(access(at('x')))
})

test('a manifest that names a file outside of the data directory is refused', async () => {
  await cp(at('repo'), at('forged'), { recursive: true })
  const path = at(`forged/backup/demo/${second}/backup.manifest`)
  const manifest = parseManifest(await readFile(path))
  const file = manifest.files.find(({ name }) => name === 'pg_data/PG_VERSION')
  assert(file !== undefined)
  const forged = { ...manifest, files: [{ ...file, name: 'pg_data/../stolen' }, ...manifest.files] }
  await writeFile(path, renderManifest(forged))

  assert.match(
    await refusal(fresh(`--repo1-path=${at('forged')}`)),
    /^\[029\] .*: 'pg_data\/\.\.\/stolen' is not below the data directory\n/,
  )
  await assert.rejects(access(at('stolen')))
})

test('a plan says everything that will happen, and nothing happens', async () => {
  const { dataDir } = await source.restoreFiles('planned', `--set=${first}`)
  await writeFile(join(dataDir, 'extra'), 'not in the backup')
  const untouched = [await treeDigest(dataDir), await treeDigest(at('repo'))]
  const argv = ['--delta', '--target=2098-05-02 14:29:59+02', '--target-action=promote', '--plan']

  const { output } = await source.restoreFiles('planned', ...argv)
  const json = await source.restoreFiles('planned', ...argv, '--output=json')

  const row = (name: string): string =>
    new RegExp(`^ {2}${name} {2,}(.*(?:\n {6,}.*)*)`, 'm').exec(output)?.[1] ?? 'no such row'
  assert.equal(row('stanza'), 'demo')
  assert.equal(
    row('backup'),
    `${second} in repo1: it is the newest that was complete before the target time`,
  )
  assert.match(row('complete at'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00.*, LSN 0\/[0-9A-F]+$/)
  assert.match(row('target'), /^time 2098-05-02 12:29:59\+00.* \(type inferred from --target\)$/)
  assert.equal(row('at the target'), 'promotes to a new timeline')
  assert.match(row('WAL needed'), /^[0-9A-F]{24} to [0-9A-F]{24} to be consistent, present$/)
  assert.match(row('WAL present'), /^to [0-9A-F]{24} without a gap \(\d+ segments\)$/)
  assert.match(row('size'), /^[\d.]+MB in \d+ files$/)
  assert.equal(row('mode'), 'delta: files that are already right are kept')
  assert.equal(row('data directory'), dataDir)
  assert(
    row('removes')
      .split('\n')
      .map((line) => line.trim())
      .includes(join(dataDir, 'extra')),
  )
  const facts: unknown = JSON.parse(json.output)
  assert.deepEqual(Object.keys(facts ?? {}), [
    'stanza',
    'backup',
    'target',
    'wal',
    'sizeBytes',
    'files',
    'databasesLeftOut',
    'mode',
    'serverPid',
    'paths',
    'removals',
  ])
  assert(json.output.includes(`"label":"${second}","repo":1`))
  assert(json.output.includes('"type":"time","value":"2098-05-02 12:29:59+00"'))
  assert.deepEqual([await treeDigest(dataDir), await treeDigest(at('repo'))], untouched)
})

test('a plan shows the target in local time too, with its offset', async () => {
  const { config } = source
  const argv = [`--config=${config}`, '--stanza=demo', `--pg1-path=${at('fresh')}`, '--plan']
  const options = { env: { TZ: 'Asia/Kolkata' } }
  const ran = await pgsurety([...argv, '--target=2098-05-02 12:00:00Z', 'restore'], options)

  assert.match(
    ran.stdout,
    /target +time 2098-05-02 12:00:00\+00 \(2098-05-02 17:30:00\+05:30 here\)/,
  )
})

interface Got {
  readonly outcome: string
  readonly path: string
}

/** archive-get for the restored cluster in `dataDir`: its exit code, or the error it ended with. */
async function get(dataDir: string, file: string, ...argv: readonly string[]): Promise<Got> {
  const path = at(`got-${file}`)
  const common = [`--config=${source.config}`, '--stanza=demo', `--pg1-path=${dataDir}`]
  const { context } = testContext({ argv: [...common, ...argv, 'archive-get', file, path] })
  const outcome = await archiveGet(context).then(
    String,
    async (error: unknown) => await refusal(Promise.reject(error)),
  )
  return { outcome, path }
}

test('archive-get says 1 only for what is certainly not there', async () => {
  const { dataDir } = await source.restoreFiles('getting')

  assert.equal((await get(dataDir, '0000000100000009000000FF')).outcome, '1')
  assert.equal((await get(dataDir, '00000002.history')).outcome, '1')
  await using _hidden = await hide(at('repo'))
  assert.match(
    (await get(dataDir, '0000000100000009000000FF')).outcome,
    /^\[103\] unable to find a valid repository:\n\[73\] /,
  )
})

test('archive-get does not deliver a segment whose bytes are not what its name says', async () => {
  const folder = at('repo/archive/demo/15-1/0000000100000000')
  const [stored = ''] = (await readdir(folder))
    .filter((name) => /^[0-9A-F]{24}-/.test(name))
    .toSorted()
  const segment = stored.slice(0, 24)
  await using _hidden = await hide(join(folder, stored))
  await cp(join(folder, `${stored}.hidden`), join(folder, stored.replace(/-.{8}/, '-00000000')))

  const { outcome, path } = await get(at('getting'), segment)

  await rm(join(folder, stored.replace(/-.{8}/, '-00000000')))
  assert.match(
    outcome,
    /^\[026\] WAL segment '.*' has checksum '[0-9a-f]{40}' but its name says '0{8}/,
  )
  await assert.rejects(access(path))
  await assert.rejects(access(`${path}.pgsurety.tmp`))
})

test('archive-get gives nothing to a restored cluster whose backup_label is gone', async () => {
  await rm(at('getting/backup_label'))

  const { outcome } = await get(at('getting'), '000000010000000000000002')

  assert.match(outcome, /^\[029\] pg_control is from a backup but backup_label is missing\nHINT: /)
})
