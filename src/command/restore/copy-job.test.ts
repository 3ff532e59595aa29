import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MemoryStorage } from '../../../test/harness/memory-storage.ts'
import { type PlaceJob, placeJobs, type PlaceResult, type PlaceSetup } from './copy-job.ts'

const CONTENT = Buffer.from('what the backup has')
const HALF_BYTES = 10
const TIMESTAMP_S = 1_700_000_000

/** Gives every object in two halves. */
class HalvingStorage extends MemoryStorage {
  override async *get(): AsyncGenerator<Buffer, void, undefined> {
    yield CONTENT.subarray(0, HALF_BYTES)
    yield CONTENT.subarray(HALF_BYTES)
    await Promise.resolve()
  }
}

const storage = new HalvingStorage(new Map())
let folder: string
/** What was told of being done. */
const told: number[] = []

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'place-'))
})

after(async () => {
  await rm(folder, { recursive: true })
})

/** Places the one file of the backup over what is there. */
async function place(
  present: string | undefined,
  job: Partial<PlaceJob>,
): Promise<PlaceResult | undefined> {
  const diskPath = join(folder, 'file')
  await rm(diskPath, { force: true })
  if (present !== undefined) {
    await writeFile(diskPath, present)
    await utimes(diskPath, TIMESTAMP_S, TIMESTAMP_S)
  }
  const setup: PlaceSetup = {
    storage: { type: 'posix', root: '/' },
    set: { stanza: 'demo', references: [], compressType: 'none', cipherPass: undefined },
  }
  const run = placeJobs(storage, setup, (bytes) => told.push(bytes))
  const [result] = await run([
    {
      name: 'pg_data/file',
      diskPath,
      stored: { kind: 'whole', key: 'file', range: undefined, container: 'normal' },
      sizeBytes: CONTENT.length,
      checksum: createHash('sha1').update(CONTENT).digest('hex'),
      mode: 0o600,
      owner: undefined,
      timestampS: TIMESTAMP_S,
      existing: 'replace',
      ...job,
    },
  ])
  return result
}

const onDisk = async (): Promise<string> => await readFile(join(folder, 'file'), 'utf8')

test('bytes count while a file is under way', async () => {
  await place(undefined, {})

  assert.deepEqual(told, [HALF_BYTES, CONTENT.length - HALF_BYTES])
  assert.equal(await onDisk(), CONTENT.toString())
})

test('a file of the right size and time is kept unread only when that is asked for', async () => {
  const other = CONTENT.toString().toUpperCase()

  await place(other, { existing: 'keep-if-identical' })
  assert.equal(await onDisk(), CONTENT.toString())
  await place(other, { existing: 'keep-if-dated' })
  assert.equal(await onDisk(), other)
  await place(other, { existing: 'keep-if-dated', timestampS: TIMESTAMP_S + 1 })
  assert.equal(await onDisk(), CONTENT.toString())
})

test('what the system refuses is told with the name of the file', async () => {
  const diskPath = join(folder, 'nowhere/file')

  await assert.rejects(place(undefined, { diskPath }), {
    kind: 'file-open',
    message: `unable to open file '${diskPath}' for write: [2] no such file or directory`,
  })
})
