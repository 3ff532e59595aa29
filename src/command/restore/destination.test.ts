import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MANIFEST } from '../../../test/harness/info-facts.ts'
import { isErrorKind } from '../../base/error.ts'
import { renderManifest } from '../../format/manifest-write.ts'
import {
  assertNotRunning,
  assertOurs,
  assertSameCluster,
  inspectDestination,
} from './destination.ts'

let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pgsurety-destination-'))
})

after(async () => {
  await rm(folder, { recursive: true })
})

/** A new directory with the given files. */
async function directory(
  name: string,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<string> {
  const path = join(folder, name)
  await mkdir(path)
  for (const [file, content] of Object.entries(files)) await writeFile(join(path, file), content)
  return path
}

test('what is missing or empty has nothing to protect', async () => {
  const missing = await inspectDestination(join(folder, 'missing'))
  const empty = await inspectDestination(await directory('empty', {}))

  assert.equal(missing.content, 'missing')
  assert.deepEqual({ ...empty, dataDir: '' }, { ...missing, dataDir: '', content: 'empty' })
  assertNotRunning(missing)
  assertSameCluster(empty, 1n)
})

test('PG_VERSION makes a cluster, also without a readable pg_control; other files do not', async () => {
  const cluster = await inspectDestination(await directory('cluster', { PG_VERSION: '15\n' }))
  const other = await inspectDestination(await directory('other', { notes: 'mine' }))

  assert.deepEqual(
    [cluster.content, cluster.systemId, cluster.unfinished],
    ['cluster', undefined, 'no'],
  )
  assert.equal(other.content, 'other')
})

test('a directory whose restore did not finish is told by its marker, and whose it is', async () => {
  const paths = [{ name: 'pg_data', user: false, group: false, mode: 0o700 }] as const
  const marked = { 'backup.manifest': renderManifest({ ...MANIFEST, paths }) }
  const found = await inspectDestination(await directory('marked', marked))

  assert.deepEqual(
    [found.content, found.unfinished, found.systemId],
    ['cluster', 'yes', MANIFEST.db.systemId],
  )
  assert.throws(
    () => {
      assertSameCluster(found, 1n)
    },
    (error) => isErrorKind(error, 'db-mismatch'),
  )
})

test('a marker that is damaged says nothing of whose it is', async () => {
  const found = await inspectDestination(await directory('torn', { 'backup.manifest': '[backup' }))

  assert.deepEqual([found.content, found.unfinished, found.systemId], ['cluster', 'yes', undefined])
})

test('a pid file means a server, and standby.signal a standby', async () => {
  const files = { PG_VERSION: '15\n', 'postmaster.pid': '4711\n/pg\n', 'standby.signal': '' }
  const found = await inspectDestination(await directory('running', files))

  assert.equal(found.standbySignal, 'yes')
  assert.throws(
    () => {
      assertNotRunning(found)
    },
    (error) => isErrorKind(error, 'pg-running') && error.message.includes('pid 4711'),
  )
})

test('a directory without full rights for its owner is not taken', async () => {
  const path = await directory('unreadable', {})
  await assertOurs(path)
  await chmod(path, 0o500)

  await assert.rejects(assertOurs(path), (error) => isErrorKind(error, 'path-open'))
})

test('a path through a file cannot be listed', async () => {
  const path = await directory('with-file', { file: '' })

  await assert.rejects(inspectDestination(join(path, 'file')), (error) =>
    isErrorKind(error, 'path-open'),
  )
})
