import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isErrorKind } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import type { DumpManifest, DumpObject } from '../format/dump-manifest.ts'
import { dumpPrefix } from '../format/repo-path.ts'
import { encryptor } from '../pipe/cipher.ts'
import { compressor } from '../pipe/compress.ts'
import { digest } from '../pipe/digest.ts'
import { collect, single, through } from '../pipe/pipe.ts'
import { openStorage } from '../storage/open.ts'
import { faultyStorage } from '../../test/harness/faulty-storage.ts'
import {
  beginDumpSet,
  clearMark,
  createDumps,
  type DumpPlace,
  listDumpSets,
  loadDumpManifest,
  loadDumpNotes,
  openDumps,
  readDumpObject,
  removeDumpSet,
  saveDumpManifest,
  saveDumpNotes,
} from './dump-sets.ts'
import type { Repo } from './repo.ts'

const label = '20261123-140501L'

async function emptyRepo(t: TestContext, pass?: string): Promise<Repo & { root: string }> {
  const root = await mkdtemp(join(tmpdir(), 'dump-sets-'))
  t.after(async () => {
    await rm(root, { recursive: true })
  })
  const storage = openStorage({ type: 'posix', root })
  return { key: 1, storage, root, cipherPass: pass === undefined ? undefined : new Secret(pass) }
}

function manifestOf(archive: DumpObject): DumpManifest {
  return {
    version: 1,
    label,
    stanza: 'main',
    toolVersion: '0.1.0',
    startedMs: 1,
    endedMs: 2,
    server: { version: '17.11', systemId: '7000000000000000001', inRecovery: false, timeline: 1 },
    clientVersion: '17.11',
    compressType: 'zst',
    compressLevel: 3,
    cipher: { type: 'aes-256-cbc', keyId: '0' },
    globals: null,
    databases: [
      {
        name: 'a "b"\n€',
        oid: 5,
        sizeBytes: 10,
        definition: {
          owner: 'postgres',
          encoding: 'UTF8',
          localeProvider: 'icu',
          collate: 'C',
          ctype: 'C',
          locale: 'de',
          icuRules: null,
          collationVersion: null,
          tablespace: 'pg_default',
          connectionLimit: -1,
          comment: null,
          grants: [{ grantee: 'public', privilege: 'CONNECT', grantable: false }],
          settings: [{ role: null, name: 'work_mem', value: '1MB' }],
        },
        snapshot: { id: '3-1', transactions: '1:2:', lsn: '0/1', timeMs: 3 },
        archives: [{ ...archive, part: 'whole' }],
        fingerprint: null,
        dumpMs: 1,
        fingerprintMs: 0,
      },
    ],
    skipped: [{ name: 'postgres', reason: 'untouched' }],
  }
}

async function putObject(place: DumpPlace, content: Buffer): Promise<DumpObject> {
  const before = digest()
  const after = digest()
  const filters = [before, compressor('zst', 3, 'normal')]
  if (place.pass !== undefined) filters.push(encryptor(place.pass, 'normal'))
  const body = through(single(content), ...filters, after)
  await place.storage.put(`${dumpPrefix('main', label)}/0001.dump.zst`, body)
  return {
    name: '0001.dump.zst',
    sizeBytes: after.sizeBytes,
    sha256: after.sha256,
    contentSizeBytes: before.sizeBytes,
    contentSha256: before.sha256,
  }
}

for (const pass of [undefined, 'geheim']) {
  const where = pass === undefined ? 'a plain repository' : 'an encrypted repository'

  test(`a dump set of ${where} says what was written, and gives it back`, async (t) => {
    const repo = await emptyRepo(t, pass)
    const place = await createDumps(repo, 'main')
    await beginDumpSet(place, label)
    const object = await putObject(place, Buffer.from('PGDMP and more'))
    assert.deepEqual(await listDumpSets(repo, 'main'), [{ label, state: 'left' }])
    await saveDumpManifest(place, manifestOf(object))
    await clearMark(repo.storage, 'main', label)
    await saveDumpNotes(place, label, new Map([['reason', 'upgrade']]))

    const again = await openDumps(repo, 'main')
    const manifest = await loadDumpManifest(again, label)
    assert.deepEqual(manifest, manifestOf(object))
    assert.deepEqual(await listDumpSets(repo, 'main'), [{ label, state: 'whole' }])
    assert.deepEqual(await loadDumpNotes(again, label), new Map([['reason', 'upgrade']]))
    const content = await collect(readDumpObject(again, manifest, object), 1000)
    assert.equal(content.toString(), 'PGDMP and more')
  })

  test(`in ${where} no changed byte of an object or a manifest goes unnoticed`, async (t) => {
    const repo = await emptyRepo(t, pass)
    const place = await createDumps(repo, 'main')
    const object = await putObject(place, Buffer.from('PGDMP and more'))
    await saveDumpManifest(place, manifestOf(object))

    for (const [name, step] of [
      ['0001.dump.zst', 1],
      ['manifest.json', 41],
    ] as const) {
      const path = join(repo.root, dumpPrefix('main', label), name)
      const right = await readFile(path)
      for (let at = 0; at < right.length; at += step) {
        const wrong = Buffer.from(right)
        wrong[at] = (wrong[at] ?? 0) ^ 0x10
        await writeFile(path, wrong)
        const reading =
          name === 'manifest.json'
            ? loadDumpManifest(place, label)
            : collect(readDumpObject(place, manifestOf(object), object), 1000)
        await assert.rejects(
          reading,
          (error) => isErrorKind(error, 'checksum', 'format', 'crypto'),
          `byte ${at} of ${name}`,
        )
      }
      await writeFile(path, right)
    }
  })
}

test('a manifest that was written without the key is refused, also when its digest is right', async (t) => {
  const repo = await emptyRepo(t, 'geheim')
  const place = await createDumps(repo, 'main')
  const object = await putObject(place, Buffer.from('x'))
  await saveDumpManifest({ ...place, pass: undefined }, manifestOf(object))
  const path = join(repo.root, dumpPrefix('main', label), 'manifest.json')
  const forged = await collect(
    through(
      single(await readFile(path)),
      encryptor(new Secret(place.pass?.reveal() ?? ''), 'normal'),
    ),
    100_000,
  )
  await writeFile(path, forged)

  await assert.rejects(loadDumpManifest(place, label), { kind: 'checksum' })
})

test('a manifest of a later version is refused by name, and one with a wrong member names it', async (t) => {
  const repo = await emptyRepo(t)
  const place = await createDumps(repo, 'main')
  const right = manifestOf(await putObject(place, Buffer.from('x')))
  const load = async (change: object): Promise<unknown> => {
    // The member replaced is the last one, so that a wrong type gets past the compiler as a foreign file would.
    await saveDumpManifest(place, Object.assign({}, right, change))
    return await loadDumpManifest(place, label)
  }

  await assert.rejects(load({ version: 2 }), { kind: 'version-not-supported', message: /'2'/ })
  await assert.rejects(load({ endedMs: '2' }), { kind: 'format', message: /'endedMs'/ })
  await assert.rejects(load({ databases: [{}] }), { kind: 'format', message: /databases\[0\]/ })
  await assert.rejects(load({ stanza: 'other' }), { kind: 'format', message: /'other'/ })
})

test('what has neither manifest nor mark has lost its manifest, unless it holds nothing', async (t) => {
  const repo = await emptyRepo(t)
  const place = await createDumps(repo, 'main')
  const states = async (): Promise<readonly string[]> =>
    (await listDumpSets(repo, 'main')).map(({ state }) => state)
  await beginDumpSet(place, label)
  await saveDumpManifest(place, manifestOf(await putObject(place, Buffer.from('x'))))
  assert.deepEqual(await states(), ['whole'])
  await clearMark(repo.storage, 'main', label)

  await repo.storage.remove(`${dumpPrefix('main', label)}/manifest.json`)
  assert.deepEqual(await states(), ['lost'])
  await repo.storage.remove(`${dumpPrefix('main', label)}/0001.dump.zst`)
  assert.deepEqual(await states(), ['left'])
})

test('a removal that is interrupted anywhere leaves what the next one may remove, or nothing', async (t) => {
  for (let failAt = 1; ; failAt += 1) {
    const repo = await emptyRepo(t)
    const place = await createDumps(repo, 'main')
    await saveDumpManifest(place, manifestOf(await putObject(place, Buffer.from('x'))))
    const storage = faultyStorage(repo.storage, {
      failAt,
      mode: 'partial',
      afterwards: 'dead',
    })
    await removeDumpSet(storage, 'main', label).catch(() => undefined)
    const states = (await listDumpSets(repo, 'main')).map(({ state }) => state)
    assert(
      states.every((state) => state !== 'lost'),
      `call ${failAt}: ${states.join()}`,
    )
    if (storage.calls < failAt) return
    await removeDumpSet(repo.storage, 'main', label)
    assert.deepEqual(await listDumpSets(repo, 'main'), [])
  }
})

test('dump.info with both copies damaged is corrupt, not missing nor unreachable, and stays as it is', async (t) => {
  for (const pass of [undefined, 'geheim']) {
    const repo = await emptyRepo(t, pass)
    await createDumps(repo, 'main')
    const paths = ['dump.info', 'dump.info.copy'].map((name) => join(repo.root, 'dump/main', name))
    const [first = '', second = ''] = paths
    const right = await readFile(first)
    // In the middle, and near the end: the checksum, or what it is of.
    for (const at of [right.length - 40, Math.floor(right.length / 2)]) {
      const wrong = Buffer.from(right)
      wrong[at] = (wrong[at] ?? 0) ^ 1
      await writeFile(first, wrong)
      await writeFile(second, wrong)
      await assert.rejects(createDumps(repo, 'main'), (error) =>
        isErrorKind(error, 'checksum', 'format'),
      )
      assert.deepEqual(await readFile(first), wrong)
      assert.deepEqual(await readFile(second), wrong)
      await rm(second)
      await assert.rejects(createDumps(repo, 'main'), (error) =>
        isErrorKind(error, 'checksum', 'format'),
      )
      await writeFile(first, right.subarray(0, 50))
      await writeFile(second, wrong)
      await assert.rejects(createDumps(repo, 'main'), (error) =>
        isErrorKind(error, 'checksum', 'format', 'crypto'),
      )
    }
  }
})

test('a stanza without dumps has no sets, and is said to have none', async (t) => {
  const repo = await emptyRepo(t)

  assert.deepEqual(await listDumpSets(repo, 'main'), [])
  await assert.rejects(openDumps(repo, 'main'), { kind: 'file-missing' })
})
