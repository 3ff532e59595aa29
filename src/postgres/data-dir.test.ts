import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { toBytes, toByteString } from '../base/text.ts'
import { listCluster, type ClusterListing, type ListOptions } from './data-dir.ts'

const PG_DIR = 'PG_15_202209061'

interface TestTree {
  readonly root: string
  readonly dataDir: string
  readonly write: (path: string, content?: string) => Promise<void>
  readonly list: (options?: Partial<ListOptions>) => Promise<ClusterListing>
}

/** A root with an empty data directory `pg` in it. */
async function tree(t: TestContext): Promise<TestTree> {
  const root = await mkdtemp(join(tmpdir(), 'pgsurety-list-'))
  t.after(async () => {
    await rm(root, { recursive: true })
  })
  const dataDir = join(root, 'pg')
  await mkdir(join(dataDir, 'pg_tblspc'), { recursive: true, mode: 0o700 })
  return {
    root,
    dataDir,
    write: async (path, content = '') => {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), content)
    },
    list: async (options = {}) =>
      await listCluster({
        dataDir,
        version: '15',
        catalogVersion: 202209061,
        online: 'online',
        tablespaces: new Map(),
        exclude: [],
        ...options,
      }),
  }
}

function namesOf(items: readonly { readonly name: string }[]): readonly string[] {
  return items.map(({ name }) => name)
}

test('a file is listed with size, whole seconds, mode, owner and place', async (t) => {
  const { dataDir, write, list } = await tree(t)
  await write('pg/base/5/1259', 'abc')
  await utimes(join(dataDir, 'base/5/1259'), 1000.9, 1000.9)
  await chmod(join(dataDir, 'base/5/1259'), 0o640)

  const { files } = await list()

  const group = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim()
  assert.deepEqual(files, [
    {
      name: 'pg_data/base/5/1259',
      sizeBytes: 3,
      timestampS: 1000,
      mode: 0o640,
      user: userInfo().username,
      group,
      diskPath: join(dataDir, 'base/5/1259'),
    },
  ])
})

test('owners without a name are false', { skip: process.getuid?.() !== 0 }, async (t) => {
  const { dataDir, write, list } = await tree(t)
  await write('pg/PG_VERSION', '15\n')
  await chown(join(dataDir, 'PG_VERSION'), 54321, 54321)

  const [file] = (await list()).files

  assert.equal(file?.user, false)
  assert.equal(file.group, false)
})

test('names are bytes, and lists are in byte order', async (t) => {
  const { dataDir, write, list } = await tree(t)
  await write('pg/Z')
  await write('pg/a')
  await writeFile(Buffer.concat([Buffer.from(`${dataDir}/`), toBytes('\xff')]), '')

  const { files } = await list()

  assert.deepEqual(namesOf(files), ['pg_data/Z', 'pg_data/a', 'pg_data/\xff'])
})

test('what is left out is listed with its reason', async (t) => {
  const { write, list } = await tree(t)
  await write('pg/postmaster.pid')
  await write('pg/pg_notify/0000')
  await write('pg/base/5/100')
  await write('pg/base/5/100_init')
  await write('pg/log/1.log')

  const { files, paths, skipped } = await list({ exclude: ['log/'] })

  assert.deepEqual(namesOf(files), ['pg_data/base/5/100_init'])
  assert.equal(namesOf(paths).includes('pg_data/pg_notify'), true)
  assert.deepEqual(skipped, [
    { name: 'pg_data/base/5/100', reason: 'is an unlogged relation' },
    { name: 'pg_data/log', reason: "contents are excluded by 'log/'" },
    { name: 'pg_data/pg_notify', reason: 'contents are recreated by PostgreSQL' },
    { name: 'pg_data/postmaster.pid', reason: 'belongs to the running server' },
  ])
})

test('a socket is left out with a warning', async (t) => {
  const { dataDir, list } = await tree(t)
  await using server = createServer().listen(join(dataDir, 'socket'))
  await once(server, 'listening')

  const { files, warnings } = await list()

  assert.deepEqual(files, [])
  assert.deepEqual(warnings, [`exclude special file '${join(dataDir, 'socket')}' from backup`])
})

test('a linked directory is listed as if it were inside, with link and target', async (t) => {
  const { root, dataDir, write, list } = await tree(t)
  await write('wal/summaries/1.summary')
  await symlink('../wal', join(dataDir, 'pg_wal'))

  const { files, links, targets, paths } = await list()

  assert.deepEqual(namesOf(files), ['pg_data/pg_wal/summaries/1.summary'])
  assert.equal(files[0]?.diskPath, join(root, 'wal/summaries/1.summary'))
  assert.equal(links[0]?.name, 'pg_data/pg_wal')
  assert.equal(links[0].destination, '../wal')
  assert.equal(namesOf(paths).includes('pg_data/pg_wal'), true)
  assert.deepEqual(targets, [
    { name: 'pg_data', kind: 'path', path: dataDir },
    {
      name: 'pg_data/pg_wal',
      kind: 'link',
      path: '../wal',
      file: undefined,
      tablespaceId: undefined,
      tablespaceName: undefined,
    },
  ])
})

test('a linked file is a file, with its name split off in the target', async (t) => {
  const { root, dataDir, write, list } = await tree(t)
  await write('etc/pg.conf', 'port=1')
  await symlink(join(root, 'etc/pg.conf'), join(dataDir, 'postgresql.conf'))

  const { files, targets } = await list()

  assert.equal(files[0]?.name, 'pg_data/postgresql.conf')
  assert.equal(files[0].sizeBytes, 6)
  assert.deepEqual(targets[1], {
    name: 'pg_data/postgresql.conf',
    kind: 'link',
    path: join(root, 'etc'),
    file: 'pg.conf',
    tablespaceId: undefined,
    tablespaceName: undefined,
  })
})

test('of a tablespace only the directory of this release is taken, beside made-up paths', async (t) => {
  const { root, dataDir, write, list } = await tree(t)
  await write(`ts/${PG_DIR}/5/16390`)
  await write('ts/PG_14_202107181/5/16390')
  await symlink(join(root, 'ts'), join(dataDir, 'pg_tblspc/16384'))

  const { files, links, targets, paths } = await list({
    tablespaces: new Map([[16384, toByteString('schnell & groß')]]),
  })

  assert.deepEqual(namesOf(files), [`pg_tblspc/16384/${PG_DIR}/5/16390`])
  assert.deepEqual(namesOf(links), ['pg_data/pg_tblspc/16384'])
  assert.deepEqual(namesOf(paths), [
    'pg_data',
    'pg_data/pg_tblspc',
    'pg_tblspc',
    'pg_tblspc/16384',
    `pg_tblspc/16384/${PG_DIR}`,
    `pg_tblspc/16384/${PG_DIR}/5`,
  ])
  assert.equal(paths.find(({ name }) => name === 'pg_tblspc/16384')?.mode, 0o700)
  assert.deepEqual(targets[1], {
    name: 'pg_tblspc/16384',
    kind: 'link',
    path: join(root, 'ts'),
    file: undefined,
    tablespaceId: 16384,
    tablespaceName: toByteString('schnell & groß'),
  })
})

test('offline, a tablespace is named for its OID; online, an unknown one is an error', async (t) => {
  const { root, dataDir, write, list } = await tree(t)
  await write(`ts/${PG_DIR}/5/16390`)
  await symlink(join(root, 'ts'), join(dataDir, 'pg_tblspc/16384'))

  const target = (await list({ online: 'offline' })).targets[1]

  assert.equal(target?.kind === 'link' ? target.tablespaceName : '', 'ts16384')
  await assert.rejects(list(), { kind: 'tablespace-map' })
})

test('anything but a link in pg_tblspc is refused', async (t) => {
  const { write, list } = await tree(t)
  await write('pg/pg_tblspc/16384/x')

  await assert.rejects(list(), { kind: 'link-expected' })
})

test('a link to a link, into the data directory, or to nothing is refused', async (t) => {
  const { root, dataDir, write, list } = await tree(t)
  const link = join(dataDir, 'link')
  await write('pg/base/x')
  await symlink(dataDir, join(root, 'other'))
  await symlink(join(root, 'other'), link)
  await assert.rejects(list(), { kind: 'link-destination' })

  await rm(link)
  await symlink('base', link)
  await assert.rejects(list(), { kind: 'link-destination' })

  await rm(link)
  await symlink(join(root, 'gone'), link)
  await assert.rejects(list(), { kind: 'file-missing' })
})

test('files and directories that vanish during the walk are left out', async (t) => {
  const { dataDir, write, list } = await tree(t)
  for (let number = 1; number <= 300; number += 1) await write(`pg/base/${number}/1259`)

  const [{ files, skipped }] = await Promise.all([
    list(),
    rm(join(dataDir, 'base'), { recursive: true }),
  ])

  assert.equal(files.length <= 300, true)
  assert.deepEqual(skipped, [])
})

test('a data directory that is not there is missing', async (t) => {
  const { root, list } = await tree(t)

  await assert.rejects(list({ dataDir: join(root, 'none') }), { kind: 'path-missing' })
})
