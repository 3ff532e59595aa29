/** Dump sets of a real server: what is in them, that stock tools get it out again, and that nothing half-made is ever listed. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { annotate } from '../../src/command/annotate.ts'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { expire } from '../../src/command/expire/expire.ts'
import { info } from '../../src/command/info/info.ts'
import { collect } from '../../src/pipe/pipe.ts'
import { readDumpObject, readSealed, saveDumpManifest } from '../../src/repo/dump-sets.ts'
import { openConfiguredStorage } from '../../src/repo/repo.ts'
import type { TestContext } from '../harness/context.ts'
import { faultyStorage, type FaultPlan, type FaultyStorage } from '../harness/faulty-storage.ts'
import { refusal } from './archived-cluster.ts'
import { type DumpedCluster, ENCRYPTED, PASSPHRASE, startDumpedCluster } from './dumped-cluster.ts'

const run = promisify(execFile)
const HELL = [' a b ', '-x', '"', "it's", 'a\nb', '*', 'ü€', '$(id)', 'a=b host=c', '\\', '?.%s']
const DUMP_ONLY = ['--db-include=planted*', '--no-expire-auto', '--fingerprint=none']
const SECRET = 'planted-secret-4711'

let source: DumpedCluster
let sealed: DumpedCluster

before(async () => {
  source = await startDumpedCluster()
  const { cluster } = source
  for (const name of HELL) {
    await cluster.psql(`create database "${name.replaceAll('"', '""')}"`)
    await cluster.psql(`create table t as select ${HELL.indexOf(name)} as n`, name)
  }
  await cluster.psql('create database shop')
  await cluster.psql(
    `create schema "S.*";
     create table "S.*"."T""?" as select n, md5(n::text) from generate_series(1, 40000) n;
     create table big2 as select n, md5(n::text) from generate_series(1, 30000) n;
     create table small (id bigserial primary key, note text);
     insert into small (note) values ('${SECRET}'), ('x');
     create index on big2 (n);
     select lo_from_bytea(0, 'a large object')`,
    'shop',
  )
  sealed = await startDumpedCluster({ lines: ENCRYPTED })
  await sealed.cluster.psql(`create database "${SECRET}"`)
  await sealed.cluster.psql(`create table "${SECRET}" as select '${SECRET}'::text`, SECRET)
  await sealed.cluster.psql(`create role r password '${SECRET}'`)
})

after(async () => {
  await source[Symbol.asyncDispose]()
  await sealed[Symbol.asyncDispose]()
})

test('every database is dumped whatever its name, templates and an untouched postgres are not', async () => {
  const manifest = await source.dump('--fingerprint=none')

  assert.deepEqual(
    manifest.databases.map(({ name }) => name).toSorted(),
    [...HELL, 'shop'].toSorted(),
  )
  assert.deepEqual(manifest.skipped, [
    { name: 'template0', reason: 'a template' },
    { name: 'template1', reason: 'a template' },
    { name: 'postgres', reason: 'nobody has used it' },
  ])
  for (const [index, name] of HELL.entries()) {
    const database = manifest.databases.find((one) => one.name === name)
    const file = database?.archives[0]?.name ?? ''
    const path = join(source.repoPath, 'dump/demo', manifest.label, file)
    const script = `zstd -dcq "$1" | "${source.bin}/pg_restore" -f - | grep -A1 '^COPY'`
    const { stdout } = await run('bash', ['-c', script, 'bash', path])
    assert.match(stdout, new RegExp(`\n${index}\n`), name)
  }
})

/** Restores the archives of `shop` with stock tools and tells what is there then. */
async function stockRestore(files: readonly string[], into: string): Promise<string> {
  const { cluster, bin } = source
  await cluster.psql(`create database ${into}`)
  const env = { PGHOST: cluster.socketDir, PGPORT: String(cluster.port), PGUSER: cluster.user }
  for (const file of files) {
    const script = `zstd -dcq "$1" | "${bin}/pg_restore" -d ${into} --exit-on-error $2`
    const [path = '', section = ''] = file.split('|')
    await run('bash', ['-c', script, 'bash', path, section], { env: { ...process.env, ...env } })
  }
  const facts = await cluster.psql(
    `select (select md5(string_agg(t::text, ',' order by t::text)) from "S.*"."T""?" t),
            (select count(*) from big2), (select string_agg(note, ',') from small),
            (select last_value from small_id_seq), (select count(*) from pg_indexes where schemaname = 'public'),
            (select count(*) from pg_largeobject_metadata)`,
    into,
  )
  await cluster.psql(`drop database ${into}`)
  return facts
}

test('dumps of two jobs and of one hold the same, and stock tools restore either', async () => {
  const one = await source.dump('--db-include=shop')
  const two = await source.dump('--db-include=sh?p', '--jobs=2', '--compress-type=zst')
  const folder = (label: string): string => join(source.repoPath, 'dump/demo', label)
  const [whole] = one.databases[0]?.archives ?? []
  const parts = two.databases[0]?.archives ?? []
  const named = (part: string, ...sections: readonly string[]): readonly string[] =>
    sections.flatMap((section) =>
      parts
        .filter((archive) => archive.part === part)
        .map(({ name }) => `${folder(two.label)}/${name}|--section=${section}`),
    )

  assert.deepEqual(
    parts.map(({ part }) => part),
    ['data', 'data', 'data', 'schema'],
  )
  const expected = await stockRestore([`${folder(one.label)}/${whole?.name}|`], 'one')
  const got = await stockRestore(
    [...named('schema', 'pre-data'), ...named('data', 'data'), ...named('schema', 'post-data')],
    'two',
  )
  const { fingerprint } = two.databases[0] ?? {}
  assert(fingerprint !== null && fingerprint !== undefined)
  const place = await source.place()
  const text = await collect(readDumpObject(place, two, fingerprint), 1_000_000)
  const tables: readonly { name: string; rows: string }[] = JSON.parse(text.toString()).tables
  assert.deepEqual(tables.map(({ name, rows }) => `${name} ${rows}`).toSorted(), [
    'T"? 40000',
    'big2 30000',
    'small 2',
  ])
  assert.match(expected, /\|30000\|.*planted.*\|2\|2\|1$/)
  assert.equal(got, expected)
})

test('an encrypted repository shows nothing of what was dumped, and stock tools with the passphrase show all', async () => {
  const manifest = await sealed.dump()
  const files = globSync('**/*', { cwd: sealed.repoPath, withFileTypes: true })
  for (const file of files) {
    assert(!file.name.includes(SECRET), file.name)
    if (!file.isFile()) continue
    assert(!readFileSync(join(file.parentPath, file.name)).includes(SECRET), file.name)
  }
  const decrypt = 'openssl enc -d -aes-256-cbc -md sha1 -pass env:PASS'
  const dumpInfo = join(sealed.repoPath, 'dump/demo/dump.info')
  const first = await run('bash', ['-c', `${decrypt} -in "${dumpInfo}"`], {
    env: { ...process.env, PASS: PASSPHRASE },
  })
  const [, pass = ''] = /cipher-pass="(.*)"/.exec(first.stdout) ?? []
  const archive = join(
    sealed.repoPath,
    'dump/demo',
    manifest.label,
    manifest.databases[0]?.archives[0]?.name ?? '',
  )
  const script = `${decrypt} -in "${archive}" | zstd -dcq | "${sealed.bin}/pg_restore" -f -`
  const { stdout } = await run('bash', ['-c', script], { env: { ...process.env, PASS: pass } })
  assert.equal(stdout.split(SECRET).length, 7)
  assert.equal(manifest.databases[0]?.name, SECRET)
  assert.equal(manifest.globals?.withoutPasswords, false)
})

test('what was asked for and is not there, or cannot be dumped, is an error', async () => {
  const asked = ['--db-include=shop', '--db-include=shopp*', 'dump']
  assert.match(await refusal(dump(source.context(asked).context)), /^\[080\] .*'shopp\*'/)

  await source.cluster.psql('alter database shop allow_connections false')
  const earlier = await source.labels()
  const asFew = ['--repo1-retention-dump=1', '--db-include=shop', '--db-include=-x', 'dump']
  const closed = dump(source.context(asFew).context)
  assert.match(await refusal(closed), /^\[081\] .*'shop' \(it does not allow connections\)/)
  const manifest = await source.dump('--db-include=s*', '--db-include=-x', '--db-exclude=shop')
  await source.cluster.psql('alter database shop allow_connections true')
  assert.equal((await source.labels()).length, earlier.length + 2)
  assert.deepEqual(
    manifest.databases.map(({ name }) => name),
    ['-x'],
  )
})

test('a user who may not read everything is told what it takes, and whose passwords are not read', async () => {
  await source.cluster.psql('create role looker login')
  await source.cluster.psql('create database looked owner looker')
  const asLooker = ['--pg1-user=looker', '--db-include=shop', 'dump']
  const earlier = await source.labels()
  const denied = await refusal(dump(source.context(asLooker).context))
  assert.match(denied, /permission denied for .*HINT: .*pg_read_all_data/s)
  assert.deepEqual(await source.labels(), earlier)

  const { globals } = await source.dump('--pg1-user=looker', '--db-include=looked')
  await source.cluster.psql('drop database looked')
  await source.cluster.psql('drop role looker')
  assert.equal(globals?.withoutPasswords, true)
})

test('postgres is dumped once somebody has used it, or when it is named', async () => {
  const named = await sealed.dump('--db-include=postgres')
  await sealed.cluster.psql('comment on schema public is null; grant usage on schema public to r')
  const used = await sealed.dump('--db-exclude=planted*')
  await sealed.cluster.psql('revoke usage on schema public from r')

  assert.deepEqual(
    [named, used].map(({ databases }) => databases.map(({ name }) => name)),
    [['postgres'], ['postgres']],
  )
})

test('the manifest tells how to make each database again, and names itself', async () => {
  const { cluster } = source
  await cluster.psql(
    `create database "My App" encoding 'UTF8' template template0
       locale_provider icu icu_locale 'de' locale 'C' connection limit 7`,
  )
  await cluster.psql(
    `create role app; alter database "My App" owner to app; comment on database "My App" is 'it''s'; revoke connect on database "My App" from public;
     alter database "My App" set search_path to a, "b c"; alter role app in database "My App" set work_mem to '7MB'`,
  )
  const manifest = await source.dump('--db-include=My App', '--annotation=why=upgrade')
  const [database] = manifest.databases

  assert.partialDeepStrictEqual(database?.definition, {
    owner: 'app',
    encoding: 'UTF8',
    localeProvider: 'icu',
    locale: 'de',
    collate: 'C',
    tablespace: 'pg_default',
    connectionLimit: 7,
    comment: "it's",
    settings: [
      { role: null, name: 'search_path', value: 'a, "b c"' },
      { role: 'app', name: 'work_mem', value: '7MB' },
    ],
  })
  assert.deepEqual(
    database?.definition.grants?.map(({ grantee, privilege }) => `${grantee} ${privilege}`),
    ['public TEMPORARY', 'app CREATE', 'app TEMPORARY', 'app CONNECT'],
  )
  const notes = await readSealed(
    await source.place(),
    `dump/demo/${manifest.label}/annotations.json`,
    'annotations',
  )
  assert.deepEqual(notes, { why: 'upgrade' })
})

async function verified(what: DumpedCluster, ...argv: readonly string[]): Promise<string> {
  const ran = what.context([...argv, 'dump-verify'])
  const code = await dumpVerify(ran.context)
  return `${code} ${ran.output()}`
}

test('dump-verify reads all there is, and finds each damage to whatever object', async () => {
  const { label, databases, globals } = await sealed.dump('--db-include=planted*', '--jobs=2')
  const folder = join(sealed.repoPath, 'dump/demo', label)
  assert.match(await verified(sealed, `--set=${label}`), /^0 repo1 \S+L: ok, 1 database, \d/)

  const names = [databases[0]?.archives[0]?.name ?? '', globals?.name ?? '', 'manifest.json']
  for (const name of names) {
    const path = join(folder, name)
    const right = await readFile(path)
    const wrong = Buffer.from(right)
    wrong[right.length - 20] = (wrong[right.length - 20] ?? 0) ^ 1
    for (const bytes of [wrong, right.subarray(0, -1), right.subarray(0, 30), Buffer.alloc(0)]) {
      await writeFile(path, bytes)
      assert.match(await verified(sealed, `--set=${label}`), /^103 .*: damaged/, name)
    }
    await writeFile(path, right)
  }
  await rename(join(folder, names[0] ?? ''), join(folder, 'stranger'))
  const gone = await verified(sealed, `--set=${label}`)
  await rename(join(folder, 'stranger'), join(folder, names[0] ?? ''))
  assert.match(gone, /^103 [^]*missing: it is not there[^]*stranger: unknown/)
  const json = await verified(sealed, `--set=${label}`, '--output=json')
  assert.match(json, /^0 \{"sets":\[\{"repo":1,"status":"ok",.*"problems":\[\]\}\]\}\n$/)
})

test('a fingerprint that cannot prove its dump is found, although every byte is as it was written', async () => {
  const manifest = await source.dump('--db-include=shop', '--db-include=-x', '--jobs=2')
  assert.match(await verified(source, `--set=${manifest.label}`), /^0 /)
  const [first, second] = manifest.databases
  assert(first !== undefined && second !== undefined)
  const databases = [
    { ...first, fingerprint: second.fingerprint },
    { ...second, fingerprint: first.fingerprint },
  ]
  await saveDumpManifest(await source.place(), { ...manifest, databases })
  const swapped = await verified(source, `--set=${manifest.label}`)
  await saveDumpManifest(await source.place(), manifest)

  assert.match(
    swapped,
    /^103 [^]*: inconsistent: tables with rows that are not in the dump: 'public\.\w+'/,
  )
  assert.match(swapped, /: inconsistent: tables with rows of which it says nothing: /)
})

test('what dump-verify may not read is neither right nor wrong', async () => {
  const [label = ''] = await sealed.labels()
  const calls: FaultyStorage[] = []
  const verifying = (failAt: number): TestContext =>
    sealed.context([`--set=${label}`, 'dump-verify'], {
      openStorage: (config, key) => {
        const plan = { failAt, mode: 'error-before' } as const
        const storage = faultyStorage(openConfiguredStorage(config, key), plan)
        calls.push(storage)
        return storage
      },
    })
  assert.equal(await dumpVerify(verifying(0).context), 0)
  const log = calls[0]?.log ?? []
  const ran = verifying(log.findIndex((call) => /^get .*\.zst$/.test(call)) + 1)

  assert.equal(await dumpVerify(ran.context), 105)
  assert.match(ran.output(), /could not be verified[^]*unreadable/)

  const env = { PATH: '/usr/bin:/bin', PGBACKREST_REPO1_CIPHER_PASS: 'another one' }
  const other = sealed.context([`--set=${label}`, 'dump-verify'], { env })
  assert.equal(await dumpVerify(other.context), 105)
  assert.match(other.output(), /dump\.info: unreadable: [^]*HINT: is repo-cipher-pass the one/)
})

test('info lists dump sets beside backups, and a stanza that has nothing else', async () => {
  const text = sealed.context(['info'])
  await info(text.context)
  const json = sealed.context(['--output=json', 'info'])
  await info(json.context)
  const labels = await sealed.labels()

  assert.match(
    text.output(),
    /stanza: demo\n {4}status: ok\n[^]*dump sets\n\n {8}dump: \d{8}-\d{6}L/,
  )
  const [stanza] = JSON.parse(json.output())
  assert.equal(stanza.status.code, 0)
  assert.deepEqual(
    stanza.dump.map((set: { label: string }) => set.label),
    labels,
  )
  const one = sealed.context([`--set=${labels[0]}`, 'info'])
  await info(one.context)
  assert.match(one.output(), new RegExp(`database ${SECRET}: .*as of .*LSN 0/`))
})

test('notes on a dump set are added, changed and removed, and its manifest stays', async () => {
  const [label = ''] = await sealed.labels()
  const note = async (text: string): Promise<void> => {
    await annotate(sealed.context([`--set=${label}`, `--annotation=${text}`, 'annotate']).context)
  }
  const manifest = join(sealed.repoPath, 'dump/demo', label, 'manifest.json')
  const written = await readFile(manifest)
  await note('why=ä test')
  await note('who=me')
  await note('who=')
  const shown = sealed.context([`--set=${label}`, 'info'])
  await info(shown.context)

  assert.match(shown.output(), /annotation\(s\)\n {16}why: ä test\n$/)
  assert.deepEqual(await readFile(manifest), written)
  const absent = sealed.context(['--set=20010101-000000L', '--annotation=a=b', 'annotate'])
  assert.match(await refusal(annotate(absent.context)), /^\[075\]/)
})

test('expire keeps the newest dump sets and removes what interrupted dumps left', async () => {
  for (const label of await sealed.labels())
    await expire(sealed.context([`--set=${label}`, 'expire']).context)
  const other = (await sealed.dump('--db-include=postgres')).label
  for (let made = 0; made < 3; made += 1) await sealed.dump('--db-include=planted*')
  const labels = await sealed.labels()
  const left = join(sealed.repoPath, 'dump/demo/20200101-000000L')
  const lost = join(sealed.repoPath, 'dump/demo/20190101-000000L')
  for (const folder of [left, lost]) {
    await mkdir(folder)
    await writeFile(join(folder, '0001.dump.zst'), 'x')
  }
  await writeFile(join(left, 'unfinished'), '')
  const explained = sealed.context(['--repo1-retention-dump=2', '--explain', 'expire'])
  await expire(explained.context)
  assert.match(explained.output(), /remove 20200101-000000L: left by a dump that did not end/)
  assert.match(explained.output(), /keep {3}20190101-000000L: its manifest is missing/)
  assert.deepEqual(await sealed.labels(), labels)

  const expired = sealed.context(['--repo1-retention-dump=2', 'expire'])
  await expire(expired.context)
  const kept = labels.slice(-2)
  assert.deepEqual(await sealed.labels(), [other, ...kept])
  await expire(sealed.context([`--set=${other}`, 'expire']).context)
  assert(!existsSync(left))
  assert.match(expired.logText(), /WARN: .*dump set 20190101-000000L has lost its manifest/)
  assert.match(
    await verified(sealed),
    /^103 repo1 20190101-000000L: damaged.*\n.*manifest\.json: missing/,
  )
  const told = sealed.context(['info'])
  await info(told.context)
  assert.match(told.output(), /dump: 20190101-000000L\n +error: its manifest is missing/)
  await expire(sealed.context(['--set=20190101-000000L', 'expire']).context)
  assert(!existsSync(lost))
  await expire(
    sealed.context(['--repo1-retention-dump=1', '--repo1-retention-dump-type=time', 'expire'])
      .context,
  )
  assert.deepEqual(await sealed.labels(), kept)
  await expire(sealed.context([`--set=${kept[0]}`, 'expire']).context)
  assert.deepEqual(await sealed.labels(), kept.slice(1))
  const again = expire(sealed.context([`--set=${kept[0]}`, 'expire']).context)
  assert.match(await refusal(again), /^\[075\] dump set .* does not exist/)
  const absent = sealed.context([`--set=${kept[0]}`, 'info'])
  await info(absent.context)
  assert.match(absent.output(), /status: error \(requested backup not found\)/)
  const next = await sealed.dump('--repo1-retention-dump=1', '--db-include=planted*')
  assert.deepEqual(await sealed.labels(), [next.label])
})

test('whichever call to the storage fails, no set is listed that is not whole', async () => {
  const stored: FaultyStorage[] = []
  const attempt = async (failAt: number, mode: FaultPlan['mode'] = 'partial'): Promise<void> => {
    const { context } = sealed.context([...DUMP_ONLY, 'dump'], {
      openStorage: (config, key) => {
        const storage = faultyStorage(openConfiguredStorage(config, key), { failAt, mode })
        stored.push(storage)
        return storage
      },
    })
    await dump(context)
  }
  await attempt(0)
  const calls = stored[0]?.calls ?? 0
  let listed = (await sealed.labels()).length
  assert(calls >= 7, String(calls))
  for (const mode of ['partial', 'error-after'] as const) {
    // An answer that is lost matters where the manifest is put, which is last.
    for (let failAt = mode === 'partial' ? 1 : calls; failAt <= calls; failAt += 1) {
      // What is read from dump.info's copy instead is no failure.
      const made = await attempt(failAt, mode).then(
        () => 1,
        () => 0,
      )
      assert.equal((await sealed.labels()).length, listed + made, `${mode} at call ${failAt}`)
      listed += made
    }
  }
  assert.match(await verified(sealed), /^0 (?:repo1 \S+L: ok.*\n)+$/)
})
