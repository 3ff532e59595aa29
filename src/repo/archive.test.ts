import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { encryptor } from '../pipe/cipher.ts'
import { compressor } from '../pipe/compress.ts'
import { collect, single, through } from '../pipe/pipe.ts'
import { openStorage } from '../storage/open.ts'
import {
  type ArchivePlace,
  archiveKey,
  findPlainFile,
  findSegment,
  isSegmentFile,
  listSegments,
  loadHistories,
  readArchived,
  theOnly,
} from './archive.ts'

const SEGMENT = '000000010000000000000003'
const ONE = '1'.repeat(40)
const TWO = '2'.repeat(40)
let root = ''
let place: ArchivePlace

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'archive-'))
  place = {
    storage: openStorage({ type: 'posix', root }),
    stanza: 'main',
    archiveId: '17-1',
    cipherPass: undefined,
  }
})
after(async () => {
  await rm(root, { recursive: true, force: true })
})

test('a segment is found whatever its compression, a partial one only when asked for', async () => {
  await place.storage.put(archiveKey(place, SEGMENT, ONE, 'zst'), Buffer.from('x'))
  await place.storage.put(archiveKey(place, `${SEGMENT}.partial`, TWO, 'gz'), Buffer.from('y'))
  const whole = await findSegment(place, SEGMENT)
  assert.deepEqual(
    whole.map(({ checksum, compressType }) => [checksum, compressType]),
    [[ONE, 'zst']],
  )
  const partial = await findSegment(place, `${SEGMENT}.partial`)
  assert.deepEqual(
    partial.map(({ checksum, compressType }) => [checksum, compressType]),
    [[TWO, 'gz']],
  )
  assert.deepEqual(await findSegment(place, '000000010000000000000004'), [])
})

test('two contents under one segment name are refused, the same content twice is not', async () => {
  const other = '000000010000000100000005'
  await place.storage.put(archiveKey(place, other, ONE, 'none'), Buffer.from('x'))
  await place.storage.put(archiveKey(place, other, ONE, 'lz4'), Buffer.from('x'))
  const same = await findSegment(place, other)
  assert.equal(theOnly(other, same)?.checksum, ONE)
  await place.storage.put(archiveKey(place, other, TWO, 'none'), Buffer.from('y'))
  const both = await findSegment(place, other)
  assert.throws(
    () => theOnly(other, both),
    (error) => isErrorKind(error, 'archive-duplicate') && error.message.includes(TWO),
  )
  assert.equal(theOnly(other, []), undefined)
})

test('what was compressed and encrypted comes back as it was', async () => {
  const cipherPass = new Secret('archive key')
  const encrypted = { ...place, cipherPass, archiveId: '17-2' }
  const key = archiveKey(encrypted, SEGMENT, ONE, 'gz')
  await place.storage.put(
    key,
    through(
      single(Buffer.from('wal')),
      compressor('gz', 6, 'normal'),
      encryptor(cipherPass, 'normal'),
    ),
  )
  const [file] = await findSegment(encrypted, SEGMENT)
  assert(file !== undefined)
  assert.equal((await collect(readArchived(encrypted, file), 100)).toString(), 'wal')
})

test('segments are listed from a position on, over timelines, partial ones left out', async () => {
  const listed = { ...place, archiveId: '17-3' }
  for (const name of [
    '000000010000000000000001',
    '000000010000000100000002',
    '000000020000000100000003',
  ]) {
    await place.storage.put(archiveKey(listed, name, ONE, 'none'), Buffer.from('x'))
  }
  const partial = archiveKey(listed, '000000020000000100000004.partial', ONE, 'none')
  await place.storage.put(partial, Buffer.from('x'))
  assert.deepEqual(await listSegments(listed, '000000010000000100000000'), [
    '000000010000000100000002',
    '000000020000000100000003',
  ])
})

test('history files are found by name and read by timeline', async () => {
  const file = '0000000A.history'
  await place.storage.put(archiveKey(place, file, undefined, 'none'), Buffer.from('9\t0/1\twhy\n'))
  assert.notEqual(await findPlainFile(place, file), undefined)
  assert.equal(await findPlainFile(place, '0000000B.history'), undefined)
  assert.deepEqual([...(await loadHistories(place))], [[10, '9\t0/1\twhy\n']])
})

test('segments and partial segments are segments, history and label files are not', () => {
  assert.equal(isSegmentFile(SEGMENT), true)
  assert.equal(isSegmentFile(`${SEGMENT}.partial`), true)
  assert.equal(isSegmentFile('00000002.history'), false)
  assert.equal(isSegmentFile(`${SEGMENT}.00000028.backup`), false)
})
