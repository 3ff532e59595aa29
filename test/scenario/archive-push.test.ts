/** archive-push: what PostgreSQL may rely on when it ends with 0, and every reason for which it ends with something else. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { AppError, type ErrorKind } from '../../src/base/error.ts'
import { MIB } from '../../src/base/units.ts'
import { archiveGet } from '../../src/command/archive-get/archive-get.ts'
import { archivePush } from '../../src/command/archive-push/archive-push.ts'
import { stanzaCreate } from '../../src/command/stanza-create.ts'
import { COMPRESS_TYPES, type CompressType } from '../../src/pipe/compress-type.ts'
import { type Cluster, startCluster } from '../harness/cluster.ts'
import { testContext } from '../harness/context.ts'
import { faultyStorage } from '../harness/faulty-storage.ts'
import { pgsurety, pgsuretyCommand, runAs } from '../harness/run.ts'
import { treeDigest } from '../harness/tree.ts'
import { type ArchivedCluster, startArchivedCluster } from './archived-cluster.ts'
import { openRepo } from './repo-truth.ts'
import { dropPrivileges } from './unprivileged.ts'

/** Clusters of which the archiver is off: tests push. */
const beds = new Map<number, ArchivedCluster>()
/** A segment of another cluster of the same version, and of a newer version. */
let foreign: { readonly sameVersion: Buffer; readonly newer: Buffer }
const stack = new AsyncDisposableStack()

before(async () => {
  for (const walSegmentSizeMib of [1, 16, 64]) {
    const settings = { archive_mode: 'off' }
    const options = { version: '15', walSegmentSizeMib, settings } as const
    beds.set(walSegmentSizeMib, stack.use(await startArchivedCluster(options)))
  }
  foreign = { sameVersion: await segmentOfNew('15'), newer: await segmentOfNew('17') }
  dropPrivileges()
  await mkdir(join(bedOf(16).folder, 'lock'), { recursive: true })
})

after(async () => {
  await stack.disposeAsync()
})

function bedOf(walSegmentSizeMib: number): ArchivedCluster {
  const bed = beds.get(walSegmentSizeMib)
  assert(bed !== undefined)
  return bed
}

async function segmentOfNew(version: '15' | '17'): Promise<Buffer> {
  await using cluster = await startCluster({ version })
  return await realSegment(cluster)
}

/** A segment that the server has ended. */
async function realSegment(cluster: Cluster): Promise<Buffer> {
  await cluster.psql("select pg_create_restore_point('end')")
  const name = await cluster.psql('select pg_walfile_name(pg_switch_wal())')
  return await readFile(join(cluster.dataDir, 'pg_wal', name))
}

let segments = 0

/** A name that nothing has been archived under. */
function freshName(): string {
  segments += 1
  return `0000000100000AAA${segments.toString(16).toUpperCase().padStart(8, '0')}`
}

/** The path of a file to push, outside of the data directory. */
async function place(bed: ArchivedCluster, name: string, content: Buffer): Promise<string> {
  const path = join(bed.folder, name)
  await writeFile(path, content)
  return path
}

/** A fresh segment with the server's real content. */
async function placeSegment(bed: ArchivedCluster, name = freshName()): Promise<string> {
  return await place(bed, name, await realSegment(bed.cluster))
}

function argvOf(bed: ArchivedCluster): readonly string[] {
  return [`--config=${bed.config}`, '--stanza=demo']
}

/** Pushes in here; the log. Throws what the command throws. */
async function push(
  bed: ArchivedCluster,
  path: string,
  ...options: readonly string[]
): Promise<string> {
  const ran = testContext({ argv: [...argvOf(bed), ...options, 'archive-push', path] })
  assert.equal(await archivePush(ran.context), 0)
  return ran.logText()
}

/** What the archive gives for a name; undefined when it says that there is no such file. */
async function get(
  bed: ArchivedCluster,
  name: string,
  ...options: readonly string[]
): Promise<Buffer | undefined> {
  const target = join(bed.folder, 'got')
  await rm(target, { force: true })
  const argv = [...argvOf(bed), ...options, 'archive-get', name, target]
  const code = await archiveGet(testContext({ argv }).context)
  if (code === 1) return undefined
  assert.equal(code, 0)
  return await readFile(target)
}

/** Names in the archive that contain `name`. */
async function stored(bed: ArchivedCluster, name: string): Promise<readonly string[]> {
  const objects = await openRepo(argvOf(bed)).storage.listAll('archive/demo/15-1')
  return objects.map((object) => object.name).filter((key) => key.includes(name))
}

async function archiveDigest(bed: ArchivedCluster): Promise<string> {
  return await treeDigest(join(bed.folder, 'repo/archive'))
}

/** The push must fail with `kind` and leave the archive as it was. */
async function refused(
  kind: ErrorKind,
  bed: ArchivedCluster,
  path: string,
  ...options: readonly string[]
): Promise<AppError> {
  const unchanged = await archiveDigest(bed)
  const error = await push(bed, path, ...options).then(
    () => assert.fail(`no error of kind '${kind}'`),
    (thrown: unknown) => thrown,
  )
  assert(error instanceof AppError, String(error))
  assert.equal(error.kind, kind, error.text)
  assert.equal(await archiveDigest(bed), unchanged)
  return error
}

for (const walSegmentSizeMib of [1, 16, 64]) {
  test(`a segment of ${walSegmentSizeMib} MiB is stored under its SHA-1 and comes back as it was`, async () => {
    const bed = bedOf(walSegmentSizeMib)
    const path = await placeSegment(bed)
    const content = await readFile(path)
    assert.equal(content.length, walSegmentSizeMib * MIB)

    await push(bed, path)

    const sha1 = createHash('sha1').update(content).digest('hex')
    const name = basename(path)
    assert.deepEqual(await stored(bed, name), [`0000000100000AAA/${name}-${sha1}.zst`])
    assert.deepEqual(await get(bed, name), content)
  })
}

for (const type of COMPRESS_TYPES) {
  for (const cipher of ['none', 'aes-256-cbc'] as const) {
    test(`a segment compressed with ${type} and encrypted with ${cipher} comes back as it was`, async () => {
      const bed = await repositoryOf(bedOf(1), { type, cipher })
      const path = await placeSegment(bed)

      await push(bed, path)

      const [key = ''] = await stored(bed, basename(path))
      assert.equal(key.endsWith(type === 'none' ? '' : `.${type}`), true)
      assert.deepEqual(await get(bed, basename(path)), await readFile(path))
    })
  }
}

interface RepositoryOptions {
  readonly type: CompressType
  readonly cipher: 'none' | 'aes-256-cbc'
}

/** The same cluster with a repository of its own, encrypted or not. */
async function repositoryOf(
  bed: ArchivedCluster,
  { type, cipher }: RepositoryOptions,
): Promise<ArchivedCluster> {
  const folder = join(bed.folder, `${type}-${cipher}`)
  const config = join(folder, 'pgsurety.conf')
  await mkdir(folder)
  const sealed = cipher === 'none' ? '' : `repo1-cipher-type=${cipher}\nrepo1-cipher-pass=secret\n`
  const text = (await readFile(bed.config, 'utf8'))
    .replace(`repo1-path=${bed.folder}/repo\n`, `repo1-path=${folder}/repo\n${sealed}`)
    .replace('compress-type=zst', `compress-type=${type}`)
  await writeFile(config, text, { mode: 0o600 })
  const made = { ...bed, folder, config }
  const { context } = testContext({ argv: [...argvOf(made), 'stanza-create'] })
  assert.equal(await stanzaCreate(context), 0)
  return made
}

test('a file that is there already is made durable before the push succeeds', async () => {
  const bed = bedOf(16)
  for (const name of [freshName(), '000000E5.history']) {
    const path = name.endsWith('.history')
      ? await place(bed, name, Buffer.from('1\t0/1\twhy\n'))
      : await placeSegment(bed, name)
    await push(bed, path)
    const storage = faultyStorage(openRepo(argvOf(bed)).storage, {
      failAt: 0,
      mode: 'error-before',
    })
    const argv = [...argvOf(bed), 'archive-push', path]
    const ran = testContext({ argv, openStorage: () => storage })
    assert.equal(await archivePush(ran.context), 0)
    assert.equal(storage.log.filter((call) => call.startsWith('sync')).length, 1, name)
  }
})

test('the same segment again is success with a warning, and changes nothing', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  await push(bed, path)
  const digest = await archiveDigest(bed)

  const log = await push(bed, path)
  const silent = await push(bed, path, '--no-archive-mode-check')

  assert.match(
    log,
    /WARN: WAL file '.*' already exists in the repo1 archive with the same checksum/,
  )
  assert.doesNotMatch(silent, /WARN/)
  assert.equal(await archiveDigest(bed), digest)
})

test('another content under the same name is refused, and the program ends with 45', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  await push(bed, path)
  await placeSegment(bed, basename(path))

  const error = await refused('archive-duplicate', bed, path)
  const ended = await pgsurety([...argvOf(bed), 'archive-push', path], { allowFailure: 'allow' })

  assert.match(error.text, /already exists in the repo1 archive with a different checksum/)
  assert.equal(ended.code, 45)
})

test('WAL of another cluster or version is refused unless the header check is off', async () => {
  const bed = bedOf(16)
  const sameVersion = await place(bed, freshName(), foreign.sameVersion)
  const newer = await place(bed, freshName(), foreign.newer)
  const notWal = await place(bed, freshName(), Buffer.alloc(16 * MIB))

  await refused('archive-mismatch', bed, sameVersion)
  await refused('archive-mismatch', bed, newer)
  await refused('format', bed, notWal)

  const second = `--repo2-path=${join(bed.folder, 'repo')}`
  await refused('archive-mismatch', bed, sameVersion, second)
  await push(bed, sameVersion, '--no-archive-header-check')
  assert.deepEqual(await get(bed, basename(sameVersion)), foreign.sameVersion)
})

test('a stanza of another cluster is refused by pg_control, header check or not', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  const other = `--pg1-path=${bedOf(1).cluster.dataDir}`

  await refused('archive-mismatch', bed, path, other)
  await refused('archive-mismatch', bed, path, other, '--no-archive-header-check')
})

for (const name of ['0000000A.history', '000000010000000000000003.00000028.backup']) {
  test(`'${name}' is stored as it is, may come again, and is never overwritten`, async () => {
    const bed = bedOf(16)
    const content = Buffer.from('1\t0/3000000\tno recovery target specified\n')
    const path = await place(bed, name, content)

    await push(bed, path)
    await push(bed, path)
    const [key = '', ...others] = await stored(bed, name)
    await writeFile(path, 'another')
    await refused('archive-duplicate', bed, path)

    assert.deepEqual(others, [])
    const file = join(bed.folder, 'repo/archive/demo/15-1', key)
    assert.deepEqual(await readFile(file), content)
    assert.deepEqual(await get(bed, name), content)
  })
}

test('a partial segment is never taken for the segment', async () => {
  const bed = bedOf(16)
  const name = freshName()
  const partial = await placeSegment(bed, `${name}.partial`)

  await push(bed, partial)

  assert.equal(await get(bed, name), undefined)
  assert.deepEqual(await get(bed, `${name}.partial`), await readFile(partial))
  const whole = await placeSegment(bed, name)
  await push(bed, whole)
  assert.deepEqual(await get(bed, name), await readFile(whole))
})

test('a relative path is one below the data directory, and only from there', async () => {
  const bed = bedOf(16)
  const { dataDir } = bed.cluster
  const name = await bed.cluster.psql(
    "select pg_create_restore_point('end'); select pg_walfile_name(pg_switch_wal())",
  )
  const argv = [...argvOf(bed), 'archive-push', `pg_wal/${name.slice(-24)}`]
  const link = join(bed.folder, 'link')
  await symlink(dataDir, link)

  await refused('option-invalid-value', bed, `pg_wal/${name.slice(-24)}`)
  await refused('option-required', bed, `pg_wal/${name.slice(-24)}`, '--reset-pg1-path')
  const codes = [
    (await pgsurety(argv, { cwd: '/', allowFailure: 'allow' })).code,
    (await pgsurety(argv, { cwd: dataDir })).code,
    (await pgsurety([...argv, `--pg1-path=${link}`], { cwd: dataDir })).code,
  ]

  assert.deepEqual(codes, [32, 0, 0])
  assert.equal((await stored(bed, name.slice(-24))).length, 1)
})

test('a file that is not there is missing, and is not called archived', async () => {
  await refused('file-missing', bedOf(16), join(bedOf(16).folder, freshName()))
})

test('a stop file for the stanza or for all ends every push', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  for (const file of ['demo.stop', 'all.stop']) {
    await writeFile(join(bed.folder, 'lock', file), '')
    await refused('stop', bed, path)
    await rm(join(bed.folder, 'lock', file))
  }

  await push(bed, path)
})

test('a repository that is not mounted, has no stanza, or is locked away has three kinds of error', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  const empty = join(bed.folder, 'empty')
  await mkdir(empty)
  const archive = join(bed.folder, 'repo/archive')

  await refused('path-missing', bed, path, `--repo1-path=${bed.folder}/nowhere`)
  await refused('file-missing', bed, path, `--repo1-path=${empty}`)
  await chmod(archive, 0o000)
  const locked = await push(bed, path).catch((thrown: unknown) => thrown)
  await chmod(archive, 0o750)

  assert(locked instanceof AppError)
  assert.equal(locked.kind, 'file-open')
  await push(bed, path)
})

test('of several repositories, none that can be used is an error of its own, as pgBackRest has it', async () => {
  const bed = bedOf(16)
  const away = [`--repo1-path=${bed.folder}/away`, `--repo2-path=${bed.folder}/gone`]

  const { message } = await refused('repo-invalid', bed, await placeSegment(bed), ...away)

  assert.match(message, /^unable to find a valid repository:\nrepo1: \[73\] .*repo2: \[73\] /s)
})

test('what nobody can print does not become an answer: 1 of archive-get would end a recovery', async () => {
  const bed = bedOf(1)
  const path = await placeSegment(bed)
  await push(bed, path)
  const target = join(bed.folder, 'got')
  const command = pgsuretyCommand()
  const argv = [...argvOf(bed), '--log-level-console=info', 'archive-get', basename(path), target]

  const ran = await runAs(['sh', '-c', '"$@" >/dev/full 2>&1', 'sh', ...command, ...argv], {
    allowFailure: 'allow',
  })

  assert.equal(ran.code, 0)
  assert.deepEqual(await readFile(target), await readFile(path))
})

test('a crash is no answer either', async () => {
  const [node = '', program = ''] = pgsuretyCommand()
  const bug =
    'process.getuid = () => { setImmediate(() => { throw new Error("a bug") }); return 1 }'
  const argv = [...argvOf(bedOf(1)), 'archive-get', freshName(), join(bedOf(1).folder, 'got')]

  const ran = await runAs([node, `--import=data:text/javascript,${bug}`, program, ...argv], {
    allowFailure: 'allow',
  })

  assert.equal(ran.code, 124)
  assert.match(ran.stderr, /^ERROR: \[124\]: Error: a bug\n/)
})

test('a repository that cannot be written to is an error, and is written to when it can be again', async () => {
  const bed = bedOf(16)
  await push(bed, await placeSegment(bed))
  const path = await placeSegment(bed)
  const folder = join(bed.folder, 'repo/archive/demo/15-1/0000000100000AAA')
  await chmod(folder, 0o550)

  const error = await refused('file-open', bed, path)

  assert.match(error.text, /\[13\] permission denied/)
  await chmod(folder, 0o750)
  await push(bed, path)
  assert.deepEqual(await get(bed, basename(path)), await readFile(path))
})

test('a full disk is an error that leaves nothing behind, and the segment fits when there is room', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  const small = join(bed.folder, 'small')
  await runAs(['cp', '-a', join(bed.folder, 'repo'), small])
  await rm(join(small, 'archive/demo/15-1'), { recursive: true, force: true })
  const log = ['--log-level-console=off', '--log-level-stderr=error']
  const options = ['--allow-root', '--compress-type=none', `--repo1-path=${small}`, ...log]
  const command = [...pgsuretyCommand(), ...argvOf(bed), ...options, 'archive-push', path]

  const how = await waysToFillUp()

  const { stdout, stderr } = await runAs([...how.prefix, ...FULL_DISK, how.name, small, ...command])

  const [refusal, code, file, ...more] = stdout.trimEnd().split('\n')
  assert.deepEqual([refusal, code, more], ['64', '0', []], stderr)
  assert.match(file ?? '', new RegExp(`/0000000100000AAA/${basename(path)}-[0-9a-f]{40}$`))
  assert.match(stderr, /no space left on device|file too large/)
})

interface FillUp {
  readonly name: 'mount' | 'limit'
  /** What runs the script. */
  readonly prefix: readonly string[]
}

/** A small file system where users may mount one, else a limit on the size of files. */
async function waysToFillUp(): Promise<FillUp> {
  const prefix = ['unshare', '--map-root-user', '--mount']
  const mount = [...prefix, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']
  const { code } = await runAs(mount, { allowFailure: 'allow' })
  return code === 0 ? { name: 'mount', prefix } : { name: 'limit', prefix: [] }
}

/**
 * Runs the command twice on the repository, with 8 MiB of room and with enough; prints after each its exit code and which
 * WAL is in the archive. Arguments: `mount` or `limit`, the repository, the command.
 */
const FULL_DISK = [
  'bash',
  '-c',
  `how=$1 repo=$2
  shift 2
  attempt() {
    "$@"
    echo $?
    find "$repo/archive" -type f -path '*/0000000100000AAA/*'
  }
  if [ "$how" = mount ]; then
    cp -a "$repo" "$repo.saved"
    mount -t tmpfs -o size=24m tmpfs "$repo"
    cp -a "$repo.saved/." "$repo"
    head --bytes=16777216 /dev/zero >"$repo/ballast"
    attempt "$@"
    rm "$repo/ballast"
  else
    attempt prlimit --fsize=8388608 "$@"
  fi
  attempt "$@"`,
  'bash',
]

test('several programs that push the same segment at once all succeed, and store it once', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  const pushOnce = async (): Promise<number | null> =>
    (await pgsurety([...argvOf(bed), 'archive-push', path], { allowFailure: 'allow' })).code

  const codes = await Promise.all([pushOnce(), pushOnce(), pushOnce(), pushOnce()])

  assert.deepEqual(codes, [0, 0, 0, 0])
  assert.equal((await stored(bed, basename(path))).length, 1)
  assert.deepEqual(await get(bed, basename(path)), await readFile(path))
  const folder = join(bed.folder, 'repo/archive/demo/15-1/0000000100000AAA')
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.endsWith('.tmp')),
    [],
  )
})

test('a queue longer than archive-push-queue-max drops the segment with a warning', async () => {
  const bed = bedOf(16)
  const path = await placeSegment(bed)
  await refused('path-missing', bed, path, '--archive-push-queue-max=31MiB')
  const status = join(bed.folder, 'archive_status')
  await mkdir(status)
  const segment = basename(path)
  const names = [`${segment}.ready`, `${'F'.repeat(24)}.ready`, `${'E'.repeat(24)}.done`]
  for (const name of names) await writeFile(join(status, name), '')

  const dropped = await push(bed, path, '--archive-push-queue-max=31MiB')
  const then = await stored(bed, basename(path))
  await push(bed, path, '--archive-push-queue-max=32MiB')

  const text = `WARN: dropped WAL file '${basename(path)}' because archive queue exceeded 31MB`
  assert(dropped.includes(text), dropped)
  assert.deepEqual(then, [])
  assert.equal((await stored(bed, basename(path))).length, 1)
})
