import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { KIB, MIB } from '../../base/units.ts'
import { xxh128 } from '../../pipe/codecs.ts'
import { COMPRESS_LEVELS, COMPRESS_TYPES } from '../../pipe/compress-type.ts'
import { collect, single } from '../../pipe/pipe.ts'
import { readStored } from '../../repo/read-stored.ts'
import type { StoredBlocks, StoredFile } from '../../repo/stored-file.ts'
import { openPosixStorage } from '../../storage/posix.ts'
import type { Storage } from '../../storage/storage.ts'
import {
  type Copied,
  type CopyJob,
  type CopyResult,
  type CopySetup,
  copyTasks,
} from './copy-job.ts'
import { storeBlocks } from './store-file.ts'

const FULL = '20260102-030405F'
const INCR = `${FULL}_20260103-030405I`
const BUNDLE = { id: 4, key: `backup/demo/${INCR}/bundle/4`, container: 'raw' } as const

let root = ''
let storage: Storage
let setup: CopySetup

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgsurety-copy-job-'))
  storage = openPosixStorage({ root: join(root, 'repo') })
  setup = {
    storage: { type: 'posix', root: join(root, 'repo') },
    stanza: 'demo',
    references: [FULL, INCR],
    compressType: 'none',
    compressLevel: 0,
    cipherPass: undefined,
    dataDir: root,
    pageSizeBytes: 8192,
    headerCheck: 'on',
    bufferBytes: 1024,
  }
})

after(async () => {
  await rm(root, { recursive: true })
})

function jobOf(name: string, sizeBytes: number, firstBlock?: number): CopyJob {
  return {
    name: `pg_data/${name}`,
    diskPath: join(root, name),
    key: `backup/demo/${INCR}/pg_data/${name}`,
    sizeBytes,
    extent: 'exact',
    kind: 'file',
    prior: undefined,
    stored: undefined,
    firstBlock,
    block: undefined,
  }
}

const placeOf = (result: CopyResult | undefined): unknown =>
  result?.outcome === 'copied' ? result.bundle : result?.outcome

test('S48: a bundle is what is stored of its files, one after the other; none when that is nothing', async () => {
  await writeFile(join(root, 'one'), 'first')
  await writeFile(join(root, 'emptied'), '')
  await writeFile(join(root, 'two'), 'second')
  const jobs = [jobOf('one', 5), jobOf('gone', 9), jobOf('emptied', 7), jobOf('two', 6)]
  const copy = copyTasks(storage, setup)

  const results = await copy({ bundle: BUNDLE, jobs })
  const nothing = { ...BUNDLE, key: 'nothing' }
  await copy({ bundle: nothing, jobs: jobs.slice(1, 3) })

  assert.deepEqual(results.map(placeOf), [
    { bundleId: 4, offsetBytes: 0 },
    'gone',
    undefined,
    { bundleId: 4, offsetBytes: 5 },
  ])
  assert.equal((await collect(storage.get(BUNDLE.key), 99)).toString(), 'firstsecond')
  assert.equal(await storage.stat('nothing'), undefined)
})

const SIZES = { sizeBytes: 8192, checksumSizeBytes: 1 }

const checksumOf = (letter: string): string =>
  xxh128(Buffer.alloc(SIZES.sizeBytes, letter)).toString('hex', 0, 1)

/** Another letter, of which a block has the same short checksum as of the first. */
function collidingLetter(letter: string): string {
  for (let code = 0x21; code < 0x10000; code += 1) {
    const other = String.fromCharCode(code)
    if (other !== letter && checksumOf(other) === checksumOf(letter)) return other
  }
  throw new Error('no block has the same checksum')
}

/** Stores a file as the full backup did. */
async function storeBefore(name: string, content: Buffer): Promise<StoredBlocks> {
  const job = { ...SIZES, superBlockBytes: 8192, prior: undefined }
  const { bytes, stored } = storeBlocks(
    { ...setup, references: [FULL] },
    { job, place: { bundleId: 0, offsetBytes: 0 }, before: [] },
    { source: single(content), sizeBytes: content.length },
  )
  const key = `backup/demo/${FULL}/pg_data/${name}.pgbi`
  const sizeBytes = await storage.put(key, bytes)
  const mapSizeBytes = stored().block?.mapSizeBytes ?? 0
  const mapRange = { offsetBytes: sizeBytes - mapSizeBytes, sizeBytes: mapSizeBytes }
  return { kind: 'blocks', name: `pg_data/${name}`, key, startBytes: 0, mapRange, sizes: SIZES }
}

test('a file that block checksums cannot tell from the one before is stored all the same', async () => {
  const prior = await storeBefore('table', Buffer.alloc(SIZES.sizeBytes, 'a'))
  const content = Buffer.alloc(SIZES.sizeBytes, collidingLetter('a'))
  await writeFile(join(root, 'table'), content)
  const job = jobOf('table', SIZES.sizeBytes)
  const key = `${job.key}.pgbi`
  const block = { ...SIZES, superBlockBytes: 8192, prior }

  const [result] = await copyTasks(
    storage,
    setup,
  )({
    bundle: undefined,
    jobs: [{ ...job, key, block }],
  })

  assert(result?.outcome === 'copied' && result.block !== undefined)
  const { mapSizeBytes } = result.block
  const mapRange = { offsetBytes: result.repoSizeBytes - mapSizeBytes, sizeBytes: mapSizeBytes }
  const read = readStored(storage, setup, { ...prior, key, mapRange })
  assert((await collect(read, 99_999)).equals(content))
})

test('S48: of a file whose blocks are those of before nothing is stored', async () => {
  // Smaller ones are compared as a whole before.
  const content = Buffer.alloc(MIB + 1, 'b')
  const prior = await storeBefore('same', content)
  await writeFile(join(root, 'same'), content)
  const job = jobOf('same', content.length)
  const checksum = createHash('sha1').update(content).digest('hex')
  const block = { ...SIZES, superBlockBytes: 8192, prior }

  const results = await copyTasks(
    storage,
    setup,
  )({
    bundle: undefined,
    jobs: [{ ...job, prior: { checksum, find: 'compare' }, block }],
  })

  assert.deepEqual(results, [{ outcome: 'same' }])
  assert.equal(await storage.stat(job.key), undefined)
})

/** Where a copied file is found again. */
function storedOf(result: Copied, job: CopyJob): StoredFile {
  const { bundle, repoSizeBytes, block } = result
  const key = bundle === undefined ? job.key : BUNDLE.key
  const offsetBytes = bundle?.offsetBytes ?? 0
  if (block === undefined) {
    const container = bundle === undefined ? 'normal' : BUNDLE.container
    return { kind: 'whole', key, range: { offsetBytes, sizeBytes: repoSizeBytes }, container }
  }
  const { mapSizeBytes, ...sizes } = block
  const mapOffsetBytes = offsetBytes + repoSizeBytes - mapSizeBytes
  const mapRange = { offsetBytes: mapOffsetBytes, sizeBytes: mapSizeBytes }
  return { kind: 'blocks', name: job.name, key, startBytes: offsetBytes, mapRange, sizes }
}

test('small and larger files, whole or in blocks, are read back from wherever and however they are stored', async () => {
  const contents = [1, 8192, 3 * 8192 + 1, 128 * KIB, 128 * KIB + 1, 300 * KIB].map((sizeBytes) =>
    Buffer.alloc(sizeBytes, `${sizeBytes} bytes of content `),
  )
  const block = { sizeBytes: 8192, checksumSizeBytes: 6, superBlockBytes: MIB, prior: undefined }
  const jobs = contents.flatMap((content, index) => {
    const job = jobOf(`sized-${index}`, content.length)
    return [
      { content, job },
      { content, job: { ...job, key: `${job.key}.pgbi`, block } },
    ]
  })
  for (const [index, content] of contents.entries()) {
    await writeFile(join(root, `sized-${index}`), content)
  }
  for (const compressType of COMPRESS_TYPES) {
    for (const cipherPass of [undefined, 'a phrase']) {
      const { default: compressLevel } = COMPRESS_LEVELS[compressType]
      const how = { ...setup, compressType, compressLevel, cipherPass }
      // Each file by itself costs a sync, and is compressed the same way.
      for (const bundle of compressType === 'zst' ? [BUNDLE, undefined] : [BUNDLE]) {
        for (const part of bundle === undefined ? jobs.map((one) => [one]) : [jobs]) {
          const results = await copyTasks(
            storage,
            how,
          )({ bundle, jobs: part.map(({ job }) => job) })
          for (const [index, { job, content }] of part.entries()) {
            const result = results[index]
            assert(result?.outcome === 'copied')
            assert.equal(result.checksum, createHash('sha1').update(content).digest('hex'))
            const read = await collect(readStored(storage, how, storedOf(result, job)), MIB)
            assert(read.equals(content), `${job.name} ${compressType}`)
          }
        }
      }
    }
  }
})

test('of a small file a page that is wrong is found, and one that has become shorter is stored as it is', async () => {
  // A page that says it is in use, and has no checksum.
  const wrong = Buffer.alloc(8192)
  wrong.writeUInt16LE(100, 14)
  await writeFile(join(root, 'right'), Buffer.alloc(2 * 8192))
  await writeFile(join(root, 'wrong'), Buffer.concat([Buffer.alloc(8192), wrong]))
  await writeFile(join(root, 'odd'), Buffer.alloc(8000))
  await writeFile(join(root, 'shorter'), Buffer.alloc(8192))
  const names = ['right', 'wrong', 'odd', 'shorter']
  const sizes = [2 * 8192, 2 * 8192, 8000, 2 * 8192]
  const jobs = names.map((name, index) => jobOf(name, sizes[index] ?? 0, 131_072))

  const results = await copyTasks(storage, setup)({ bundle: BUNDLE, jobs })

  assert.deepEqual(
    results.map((result) => (result.outcome === 'copied' ? [result.sizeBytes, result.pages] : [])),
    [
      [2 * 8192, { bad: [], misaligned: false }],
      [2 * 8192, { bad: [131_073], misaligned: false }],
      [8000, { bad: [], misaligned: true }],
      [8192, { bad: [], misaligned: false }],
    ],
  )
})

test('a small file that is what the prior backup has is not stored again', async () => {
  const content = Buffer.alloc(8192, 'same')
  await writeFile(join(root, 'kept'), content)
  const checksum = createHash('sha1').update(content).digest('hex')
  const job: CopyJob = { ...jobOf('kept', content.length), prior: { checksum, find: 'compare' } }

  const results = await copyTasks(storage, setup)({ bundle: undefined, jobs: [job] })

  assert.deepEqual(results, [{ outcome: 'same' }])
  assert.equal(await storage.stat(job.key), undefined)
})
