/** Dump sets damaged in any place: dump-verify finds it and names the object. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import { annotate } from '../../src/command/annotate.ts'
import { dump } from '../../src/command/dump/dump.ts'
import { dumpRestore } from '../../src/command/dump-restore/dump-restore.ts'
import { dumpVerify } from '../../src/command/dump-verify/dump-verify.ts'
import { testContext, type TestContext } from '../harness/context.ts'
import { type DumpedCluster, PASSPHRASE, startDumpedCluster } from './dumped-cluster.ts'

const isFull = process.env['PGSURETY_TEST_FULL'] === '1'

let source: DumpedCluster

/** A repository with one dump set. */
interface Place {
  readonly path: string
  context(...argv: readonly string[]): TestContext
}
let places: readonly Place[]

before(async () => {
  source = await startDumpedCluster()
  await source.cluster.psql('create database shop')
  await source.cluster.psql('create database shop2')
  await source.cluster.psql(
    `create table t as select n, md5(n::text) from generate_series(1, 2000) n;
     select lo_from_bytea(0, 'a large object'); create view v as select n from t`,
    'shop',
  )
  const sealed = {
    PGSURETY_REPO1_CIPHER_TYPE: 'aes-256-cbc',
    PGSURETY_REPO1_CIPHER_PASS: PASSPHRASE,
  }
  places = await Promise.all([makePlace('plain', {}), makePlace('sealed', sealed)])
})

after(async () => {
  await source[Symbol.asyncDispose]()
})

async function makePlace(name: string, env: Readonly<Record<string, string>>): Promise<Place> {
  const path = join(source.folder, name)
  await mkdir(path)
  const common = [`--config=${source.config}`, '--stanza=demo', `--repo1-path=${path}`]
  const context: Place['context'] = (...argv) =>
    testContext({
      argv: [...common, ...argv],
      env: { PATH: '/usr/bin:/bin', HOME: source.folder, ...env },
    })
  await dump(context(`--lock-path=${path}-lock`, '--annotation=why=test', 'dump').context)
  const [set = ''] = globSync('dump/demo/*L', { cwd: path })
  const noted = context(
    `--lock-path=${path}-lock`,
    `--set=${basename(set)}`,
    '--annotation=who=me',
    'annotate',
  )
  await annotate(noted.context)
  // Leaves a proof beside the set.
  await dumpRestore(context('--database=shop2', '--prove-only', 'dump-restore').context)
  return { path, context }
}

async function verified(place: Place): Promise<{ code: number; output: string }> {
  const ran = place.context('dump-verify')
  const code = await dumpVerify(ran.context)
  return { code, output: ran.output() }
}

function objectsOf({ path }: Place): readonly string[] {
  const found = globSync('dump/demo/**/*', { cwd: path, withFileTypes: true })
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
}

/** What is there twice: the other copy is used. */
function isCopied(object: string): boolean {
  return basename(object).startsWith('dump.info')
}

/** Damages an object in several ways, one after the other, and says of which dump-verify did not find. */
async function unfound(
  place: Place,
  object: string,
  damages: readonly ((whole: Buffer) => readonly [string, Buffer])[],
): Promise<readonly string[]> {
  const whole = await readFile(object)
  const missed: string[] = []
  for (const damage of damages) {
    const [what, damaged] = damage(whole)
    await writeFile(object, damaged)
    const { code, output } = await verified(place)
    const isFound = code === 103 && output.includes(basename(object))
    const isHarmless = isCopied(object) && code === 0
    if (!isFound && !isHarmless) missed.push(`${basename(object)}, ${what}: ${code} ${output}`)
  }
  await writeFile(object, whole)
  return missed
}

function flip(whole: Buffer): readonly [string, Buffer] {
  const bit = Math.floor(Math.random() * whole.length * 8)
  const damaged = Buffer.from(whole)
  damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
  return [`bit ${bit & 7} of byte ${bit >> 3} of ${whole.length} flipped`, damaged]
}

function cut(whole: Buffer): readonly [string, Buffer] {
  const sizeBytes = Math.floor(Math.random() * whole.length)
  return [`cut to ${sizeBytes} of ${whole.length}`, whole.subarray(0, sizeBytes)]
}

const empty = (): readonly [string, Buffer] => ['emptied', Buffer.alloc(0)]
const longer = (whole: Buffer): readonly [string, Buffer] => [
  'one byte longer',
  Buffer.concat([whole, Buffer.alloc(1)]),
]

test('every flipped bit and every truncation of any object is found, and the object named', async (context) => {
  let count = 0
  for (const place of places) {
    const objects = objectsOf(place)
    assert.equal(objects.length, 10, objects.join('\n'))
    assert.equal((await verified(place)).code, 0)
    for (const object of objects) {
      const damages = isFull
        ? [empty, longer, cut, ...Array.from({ length: 25 }, () => flip)]
        : [cut, flip]
      assert.deepEqual(await unfound(place, object, damages), [])
      count += damages.length
    }
    const healed = await verified(place)
    assert.equal(healed.code, 0, healed.output)
  }
  context.diagnostic(`${count} damages`)
})

test('an object that is not there, or is another one, is found; dump.info only when both copies are bad', async () => {
  for (const place of places) {
    const objects = objectsOf(place)
    for (const object of objects) {
      if (/annotations|proof/.test(object)) continue
      const whole = await readFile(object)
      await rm(object)
      const gone = await verified(place)
      assert.equal(gone.code, isCopied(object) ? 0 : 103, gone.output)
      const other = objects.find((each) => each !== object && each.endsWith('.dump.zst')) ?? ''
      await writeFile(object, await readFile(other))
      const swapped = await verified(place)
      assert.equal(swapped.code, isCopied(object) ? 0 : 103, swapped.output)
      await writeFile(object, whole)
    }
    const copies = objects.filter(isCopied)
    const whole = await readFile(copies[0] ?? '')
    for (const copy of copies) await writeFile(copy, flip(whole)[1])
    const bad = await verified(place)
    // Where it is encrypted, the damage may be such that it could as well be another passphrase.
    assert(bad.code === 103 || (place === places[1] && bad.code === 105), bad.output)
    assert.match(bad.output, /dump\.info: /)
    for (const copy of copies) await writeFile(copy, whole)
  }
})
