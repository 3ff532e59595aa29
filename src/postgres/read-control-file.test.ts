import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Clock } from '../base/clock.ts'
import { crc32c } from './crc32c.ts'
import { readControlFile } from './read-control-file.ts'

async function emptyCluster(t: TestContext): Promise<{ dataDir: string; path: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'pgsurety-control-'))
  t.after(async () => {
    await rm(dataDir, { recursive: true })
  })
  await mkdir(join(dataDir, 'global'))
  return { dataDir, path: join(dataDir, 'global', 'pg_control') }
}

function controlFileOf15(systemId: bigint): Buffer {
  const bytes = Buffer.alloc(8192)
  bytes.writeBigUInt64LE(systemId, 0)
  bytes.writeUInt32LE(1300, 8)
  bytes.writeUInt32LE(202209061, 12)
  bytes.writeUInt32LE(crc32c(bytes.subarray(0, 288)), 288)
  return bytes
}

/** Time passes at once, and `meanwhile` happens in it. */
function clockWith(meanwhile: (ms: number) => Promise<void>): Clock {
  return { nowMs: () => 0, sleep: meanwhile }
}

test('a control file is given back parsed and padded with zeros to its full size', async (t) => {
  const { dataDir, path } = await emptyCluster(t)
  const written = controlFileOf15(7n)
  written.fill('x', 512)
  await writeFile(path, written)

  const { control, bytes } = await readControlFile(dataDir)

  assert.equal(control.systemId, 7n)
  assert.deepEqual(bytes, controlFileOf15(7n))
})

test('a control file that was being written is read again 50 ms later', async (t) => {
  const { dataDir, path } = await emptyCluster(t)
  const torn = controlFileOf15(7n)
  torn.writeBigUInt64LE(8n, 0)
  await writeFile(path, torn)
  const waitsMs: number[] = []
  const clock = clockWith(async (ms) => {
    waitsMs.push(ms)
    await writeFile(path, controlFileOf15(8n))
  })

  const { control } = await readControlFile(dataDir, clock)

  assert.equal(control.systemId, 8n)
  assert.deepEqual(waitsMs, [50])
})

test('the same wrong bytes twice are damage', async (t) => {
  const { dataDir, path } = await emptyCluster(t)
  const damaged = controlFileOf15(7n)
  damaged.writeBigUInt64LE(8n, 0)
  await writeFile(path, damaged)
  let waits = 0
  const clock = clockWith(async () => {
    waits += 1
    await Promise.resolve()
  })

  await assert.rejects(readControlFile(dataDir, clock), { kind: 'checksum' })

  assert.equal(waits, 1)
})

test('a missing control file is missing, one that cannot be read is not', async (t) => {
  const { dataDir, path } = await emptyCluster(t)
  await assert.rejects(readControlFile(dataDir), { kind: 'file-missing' })

  await mkdir(path)

  await assert.rejects(readControlFile(dataDir), { kind: 'file-open' })
})
