import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MIB } from '../../base/units.ts'
import { xxh128 } from '../../pipe/codecs.ts'
import { collect, single } from '../../pipe/pipe.ts'
import { readStored } from '../../repo/read-stored.ts'
import type { StoredBlocks } from '../../repo/stored-file.ts'
import { openPosixStorage } from '../../storage/posix.ts'
import type { Storage } from '../../storage/storage.ts'
import { type CopyJob, type CopyResult, type CopySetup, copyTasks } from './copy-job.ts'
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

function jobOf(name: string, sizeBytes: number): CopyJob {
  return {
    name: `pg_data/${name}`,
    diskPath: join(root, name),
    key: `backup/demo/${INCR}/pg_data/${name}`,
    sizeBytes,
    extent: 'exact',
    kind: 'file',
    prior: undefined,
    stored: undefined,
    firstBlock: undefined,
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
  return { kind: 'blocks', name: `pg_data/${name}`, key, mapRange, sizes: SIZES }
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
