import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { MemoryStorage } from '../../../test/harness/memory-storage.ts'
import { MIB } from '../../base/units.ts'
import type { GetRange } from '../../storage/storage.ts'
import type { PlaceJob, PlaceResult } from './copy-job.ts'
import { placeBatch, type Placing } from './place-batch.ts'

const CONTENT = Buffer.from('what the backup has')
const TIMESTAMP_S = 1_700_000_000

const LARGE = Buffer.alloc(3 * MIB, 'large')

/** Gives every object in two halves. */
class HalvingStorage extends MemoryStorage {
  readonly asked: string[] = []

  override async *get(key: string, range?: GetRange): AsyncGenerator<Buffer, void, undefined> {
    this.asked.push(key)
    for await (const bytes of super.get(key, range)) {
      const half = Math.ceil(bytes.length / 2)
      yield bytes.subarray(0, half)
      yield bytes.subarray(half)
    }
  }
}

const storage = new HalvingStorage(
  new Map([
    ['file', CONTENT],
    ['large', LARGE],
    ['bundle', Buffer.concat([CONTENT, CONTENT, Buffer.from('gap'), CONTENT])],
  ]),
)
let folder: string
/** What was told of being done. */
const told: number[] = []

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'place-'))
})

after(async () => {
  await rm(folder, { recursive: true })
})

const sha1 = (content: Buffer): string => createHash('sha1').update(content).digest('hex')

const stored = (key: string, range?: GetRange): PlaceJob['stored'] => ({
  kind: 'whole',
  key,
  range,
  container: 'normal',
})

function jobOf(job: Partial<PlaceJob>): PlaceJob {
  return {
    name: 'pg_data/file',
    diskPath: join(folder, 'file'),
    stored: stored('file'),
    sizeBytes: CONTENT.length,
    checksum: sha1(CONTENT),
    mode: 0o600,
    owner: undefined,
    timestampS: TIMESTAMP_S,
    existing: 'replace',
    ...job,
  }
}

const PLACING: Placing = {
  storage,
  set: { stanza: 'demo', references: [], compressType: 'none', cipherPass: undefined },
  did: (bytes) => {
    told.push(bytes)
  },
}

async function placeAll(jobs: readonly PlaceJob[]): Promise<readonly PlaceResult[]> {
  return await placeBatch(PLACING, jobs)
}

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
  const [result] = await placeAll([jobOf(job)])
  return result
}

const onDisk = async (): Promise<string> => await readFile(join(folder, 'file'), 'utf8')

test('bytes count while a file is under way', async () => {
  const large = { stored: stored('large'), sizeBytes: LARGE.length, checksum: sha1(LARGE) }
  await place(undefined, large)

  assert.deepEqual(told, [LARGE.length / 2, LARGE.length / 2])
  assert.equal(await onDisk(), LARGE.toString())
})

test('small files that lie side by side are read in one go, and each gets its own bytes', async () => {
  const sizeBytes = CONTENT.length
  const jobs = [0, sizeBytes, 2 * sizeBytes + 3].map((offsetBytes, index) =>
    jobOf({
      diskPath: join(folder, `small-${index}`),
      stored: stored('bundle', { offsetBytes, sizeBytes }),
    }),
  )
  storage.asked.length = 0

  assert.deepEqual(
    await placeAll(jobs),
    jobs.map(() => ({ outcome: 'copied', writtenBytes: sizeBytes })),
  )
  assert.deepEqual(storage.asked, ['bundle', 'bundle'])
  for (const { diskPath } of jobs) assert.deepEqual(await readFile(diskPath), CONTENT)
})

test('a file that is not what the manifest says is named, with the object that holds it', async () => {
  await assert.rejects(place(undefined, { checksum: sha1(LARGE) }), {
    kind: 'checksum',
    hints: [`the stored file 'memory/file' is damaged; restore from another backup with --set.`],
  })
})

test('a file that is kept gets the mode and the time that it should have', async () => {
  await place(CONTENT.toString(), { mode: 0o640, timestampS: 1000, existing: 'keep-if-identical' })

  const { mode, mtimeMs } = await stat(join(folder, 'file'))
  assert.deepEqual([mode & 0o777, mtimeMs], [0o640, 1_000_000])
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
