import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { encryptor } from '../pipe/cipher.ts'
import { compressor } from '../pipe/compress.ts'
import { collect, single, through } from '../pipe/pipe.ts'
import { openPosixStorage } from '../storage/posix.ts'
import { archivesSince, copyArchived, missingFiles } from './archive-copy.ts'
import {
  archiveKey,
  type ArchivedFile,
  type ArchivePlace,
  findPlainFile,
  findSegment,
  readArchived,
} from './archive.ts'

const CONTENT = Buffer.from('wal '.repeat(1000))
const SHA1 = createHash('sha1').update(CONTENT).digest('hex')
const segment = (number: number): string =>
  `00000001000000${number.toString().padStart(2, '0')}00000001`

let root: string
let plain: ArchivePlace
let sealed: ArchivePlace

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgsurety-archive-copy-'))
  plain = placeAt('plain', undefined)
  sealed = placeAt('sealed', new Secret('key'))
})

after(async () => {
  await rm(root, { recursive: true })
})

function placeAt(name: string, cipherPass: Secret | undefined): ArchivePlace {
  const storage = openPosixStorage({ root: join(root, name) })
  return { storage, stanza: 'demo', archiveId: '15-1', cipherPass }
}

async function store(place: ArchivePlace, name: string, sha1 = SHA1): Promise<void> {
  const isSegment = /^[0-9A-F]{24}(?:\.partial)?$/.test(name)
  const type = isSegment ? 'zst' : 'none'
  const filters = [
    ...(isSegment ? [compressor('zst', 3, 'normal')] : []),
    ...(place.cipherPass === undefined ? [] : [encryptor(place.cipherPass, 'normal')]),
  ]
  const key = archiveKey(place, name, sha1, type)
  await place.storage.put(key, through(single(CONTENT), ...filters))
}

async function missing(from: string, lacking?: ArchivePlace): Promise<readonly ArchivedFile[]> {
  const found: ArchivedFile[] = []
  for await (const file of missingFiles(plain, lacking, from)) found.push(file)
  return found
}

test('what one archive lacks of another is found and copied, encrypted as its own', async () => {
  const files = [
    '00000002.history',
    segment(1),
    segment(2),
    `${segment(2)}.00000028.backup`,
    segment(3),
  ]
  for (const name of [...files, `${segment(3)}.partial`]) await store(plain, name)
  await store(sealed, segment(1))

  const lacks = await missing(segment(1), sealed)
  for (const file of lacks) await copyArchived(plain, sealed, file)

  assert.equal((await missing(segment(2))).length, 5)
  assert.equal(lacks.length, 5)
  assert.deepEqual(await missing('', sealed), [])
  const history = await findPlainFile(sealed, '00000002.history')
  for (const file of [...(await findSegment(sealed, segment(3))), history]) {
    assert(file !== undefined)
    assert((await collect(readArchived(sealed, file), 1e6)).equals(CONTENT))
    assert(!(await collect(sealed.storage.get(file.key), 1e6)).includes('wal wal'))
  }
})

test('a segment that is not what its name says is not copied', async () => {
  await store(plain, segment(4), 'a'.repeat(40))
  const [damaged] = await missing(segment(4), sealed)
  assert(damaged !== undefined)

  await assert.rejects(copyArchived(plain, sealed, damaged), (error) =>
    isErrorKind(error, 'checksum'),
  )

  assert.deepEqual(await findSegment(sealed, segment(4)), [])
})

test('WAL missed since an earlier major version is looked for in each archive since, by cluster and not by number', () => {
  const old = { id: 1, version: '14', systemId: 1n }
  const then = { id: 2, version: '15', systemId: 2n }
  const now = { id: 3, version: '16', systemId: 3n }
  const holder = { ...plain, history: [old, then, now] }
  // Begun after the first upgrade.
  const lacking = {
    ...plain,
    history: [
      { ...then, id: 1 },
      { ...now, id: 2 },
    ],
  }
  const since = (archiveId: string): readonly string[] =>
    archivesSince({ archiveId, from: 'X' }, holder, lacking).map(
      (pair) => `${pair.holder.archiveId} ${pair.lacking.archiveId} ${pair.from}`,
    )

  assert.deepEqual(since('16-3'), ['16-3 16-2 X'])
  assert.deepEqual(since('15-2'), ['15-2 15-1 X', '16-3 16-2 '])
  assert.deepEqual(since('14-1'), ['15-2 15-1 ', '16-3 16-2 '])
})
