import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, chownSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import { KIB, MIB } from '../base/units.ts'
import { collect, through } from '../pipe/pipe.ts'
import { pageCheck, type PageCheck } from './page.ts'

const PAGE_BYTES = 8 * KIB

/** `pg_attribute` of a new cluster with checksums: some hundred kilobytes of real pages. */
let relation: Buffer
let folder: string

function isPostgresAccount(): boolean {
  return process.getuid?.() !== 0
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgsurety-page-'))
  const [version] = readdirSync('/usr/lib/postgresql').toSorted()
  const initdb = [`/usr/lib/postgresql/${version}/bin/initdb`, '--data-checksums', '--no-sync']
  const command = [...initdb, '-D', join(folder, 'data')]
  const asPostgres = [
    'setpriv',
    '--reuid=postgres',
    '--regid=postgres',
    '--init-groups',
    ...command,
  ]
  const [program = '', ...args] = isPostgresAccount() ? command : asPostgres
  if (!isPostgresAccount()) {
    const account = spawnSync('id', ['-u', 'postgres']).stdout.toString()
    chownSync(folder, Number(account), -1)
  }
  const ran = spawnSync(program, args)
  assert.equal(ran.status, 0, ran.stderr.toString())
  // 1249 is pg_attribute, in every version.
  relation = readFileSync(join(folder, 'data/base/1/1249'))
  assert.ok(relation.length > 256 * KIB, 'more than the codecs check at once')
})

after(() => {
  rmSync(folder, { recursive: true, force: true })
})

type Options = Parameters<typeof pageCheck>[0]

async function check(
  chunks: readonly Buffer[],
  options: Partial<Options> = {},
): Promise<PageCheck> {
  const filter = pageCheck({
    firstBlock: 0,
    pageSizeBytes: PAGE_BYTES,
    headerCheck: 'on',
    ...options,
  })
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks
  }
  const passed = await collect(through(source(), filter), 1 * MIB)
  assert.ok(passed.equals(Buffer.concat(chunks)))
  return filter
}

function changed(bytes: Buffer, ...offsets: readonly number[]): Buffer {
  const copy = Buffer.from(bytes)
  for (const offset of offsets) copy[offset] = (copy[offset] ?? 0) ^ 1
  return copy
}

function pageAt(bytes: Buffer, index: number): Buffer {
  return bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES)
}

test('the pages of a new cluster are good', async () => {
  const { badPages, misaligned } = await check([relation])

  assert.deepEqual(badPages, [])
  assert.equal(misaligned, false)
})

test('one changed bit is found, with the number of its page in the relation', async () => {
  const damaged = changed(relation, 3 * PAGE_BYTES + 8000)
  const damagedAtEnd = changed(relation, relation.length - 1)

  assert.deepEqual((await check([damaged])).badPages, [3])
  assert.deepEqual((await check([damagedAtEnd])).badPages, [relation.length / PAGE_BYTES - 1])
})

test('a changed bit is found wherever it is, however the file is cut into chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(relation.length - 1),
      fc.integer({ min: 1000, max: 300_000 }),
      async (offset, chunkBytes) => {
        const damaged = changed(relation, offset)
        const count = Math.ceil(damaged.length / chunkBytes)
        const chunks = Array.from({ length: count }, (_, index) =>
          damaged.subarray(index * chunkBytes, (index + 1) * chunkBytes),
        )

        const { badPages, misaligned } = await check(chunks)

        assert.deepEqual(badPages, [Math.floor(offset / PAGE_BYTES)])
        assert.equal(misaligned, false)
      },
    ),
    { numRuns: 40 },
  )
})

test('a page at the place of another is bad', async () => {
  const swapped = Buffer.concat([pageAt(relation, 1), pageAt(relation, 0), pageAt(relation, 2)])

  assert.deepEqual((await check([swapped])).badPages, [0, 1])
})

test('later segments count on from the blocks before them', async () => {
  const firstBlock = 131_072
  const { badPages } = await check([relation], { firstBlock })

  assert.equal(badPages.length, relation.length / PAGE_BYTES)
  assert.equal(badPages[0], firstBlock)
  assert.deepEqual(
    (await check([relation.subarray(2 * PAGE_BYTES)], { firstBlock: 2 })).badPages,
    [],
  )
})

test('a page of zeros is good, a new page with anything else in it is not', async () => {
  const zero = Buffer.alloc(PAGE_BYTES)
  const file = Buffer.concat([zero, changed(zero, 0), changed(zero, 8191), zero])

  assert.deepEqual((await check([file])).badPages, [1, 2])
  assert.deepEqual((await check([file], { headerCheck: 'off' })).badPages, [1, 2])
})

test('without header check a page is new by its checksum, not by its header', async () => {
  const noUpper = Buffer.from(pageAt(relation, 0))
  noUpper.writeUInt16LE(0, 14)
  const noChecksum = Buffer.from(pageAt(relation, 0))
  noChecksum.writeUInt16LE(0, 8)

  assert.deepEqual((await check([noUpper], { headerCheck: 'on' })).badPages, [0])
  assert.deepEqual((await check([noUpper], { headerCheck: 'off' })).badPages, [0])
  assert.deepEqual((await check([noChecksum], { headerCheck: 'on' })).badPages, [0])
  assert.deepEqual((await check([noChecksum], { headerCheck: 'off' })).badPages, [0])
  assert.deepEqual((await check([pageAt(relation, 0)], { headerCheck: 'off' })).badPages, [])
})

test('a bad page is read once more, and accepted when it has changed meanwhile', async () => {
  const damaged = changed(relation, PAGE_BYTES + 100, 4 * PAGE_BYTES + 100, 6 * PAGE_BYTES + 100)
  const asked: number[] = []
  const reread = async (pageIndex: number): Promise<Buffer | undefined> => {
    asked.push(pageIndex)
    if (pageIndex === 1) return pageAt(relation, 1)
    return pageIndex === 4 ? pageAt(damaged, 4) : undefined
  }

  const { badPages } = await check([damaged], { reread })
  const inPieces = await check([damaged.subarray(0, 9000), damaged.subarray(9000)], { reread })

  assert.deepEqual(badPages, [4, 6])
  assert.deepEqual(inPieces.badPages, [4, 6])
  assert.deepEqual(asked, [1, 4, 6, 1, 4, 6])
})

test('pages are asked for again by their place in the file, and reported by their place in the relation', async () => {
  const damaged = changed(relation.subarray(2 * PAGE_BYTES), PAGE_BYTES + 100)
  const asked: number[] = []
  const reread = (pageIndex: number): undefined => {
    asked.push(pageIndex)
  }

  const { badPages } = await check([damaged], { firstBlock: 2, reread })

  assert.deepEqual(asked, [1])
  assert.deepEqual(badPages, [3])
})

test('a file that ends inside a page is misaligned, and its whole pages are still checked', async () => {
  const cut = changed(relation, 100).subarray(0, 3 * PAGE_BYTES + 700)
  const { badPages, misaligned } = await check([cut])

  assert.deepEqual(badPages, [0])
  assert.equal(misaligned, true)
  assert.equal((await check([relation.subarray(0, 3)])).misaligned, true)
})

test('an empty file is good', async () => {
  const { badPages, misaligned } = await check([])

  assert.deepEqual(badPages, [])
  assert.equal(misaligned, false)
})
