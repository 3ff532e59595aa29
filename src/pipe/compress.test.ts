import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isErrorKind } from '../base/error.ts'
import { KIB, MIB } from '../base/units.ts'
import { type Container, compressor, decompressor } from './compress.ts'
import { COMPRESS_LEVELS, type CompressType } from './compress-type.ts'
import { collect, type Filter, single, through } from './pipe.ts'
import { zstFrame } from './zst-frame.ts'

const CODECS = ['gz', 'lz4', 'zst', 'bz2'] as const
const TOOLS = { gz: 'gzip', lz4: 'lz4', zst: 'zstd', bz2: 'bzip2' } as const
/** More than is held before gz and zst compress as streams; for the others more than one piece of their memory. */
const BIG_BYTES = { gz: 5 * MIB, zst: 5 * MIB, lz4: 600 * KIB, bz2: 300 * KIB } as const

function text(sizeBytes: number): Buffer {
  const rows = Array.from({ length: 2000 }, (_, row) => `${row};customer ${row % 97};${row * 31}\n`)
  return Buffer.alloc(sizeBytes, rows.join(''))
}

async function filtered(filter: Filter, chunks: readonly Buffer[]): Promise<Buffer> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks
  }
  return await collect(through(source(), filter), 64 * MIB)
}

function chunked(bytes: Buffer, chunkBytes: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, index) =>
    bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes),
  )
}

async function compress(type: CompressType, bytes: Buffer): Promise<Buffer> {
  const filter = compressor(type, COMPRESS_LEVELS[type].default, 'normal')
  return await filtered(filter, chunked(bytes, 1 * MIB))
}

async function decompress(
  type: CompressType,
  bytes: Buffer,
  chunkBytes: number = 4 * MIB,
): Promise<Buffer> {
  return await filtered(decompressor(type, 'normal'), chunked(bytes, chunkBytes))
}

function tool(command: string, args: readonly string[], input: Buffer): Buffer {
  const ran = spawnSync(command, args, { input, maxBuffer: 64 * MIB })
  assert.equal(ran.status, 0, `${command}: ${ran.stderr.toString()}`)
  return ran.stdout
}

/** Incompressible bytes stay as long: this is more than gz and zst hold before they decompress as streams. */
const manyBytes = randomBytes(1.2 * MIB)
const noise = { gz: manyBytes, zst: manyBytes, lz4: manyBytes, bz2: randomBytes(40_000) } as const

for (const type of CODECS) {
  test(`${type}: the ${TOOLS[type]} command reads what we write, small or big`, async () => {
    const small = tool(TOOLS[type], ['-dc'], await compress(type, text(100)))
    const big = tool(TOOLS[type], ['-dc'], await compress(type, text(BIG_BYTES[type])))

    assert.ok(small.equals(text(100)))
    assert.ok(big.equals(text(BIG_BYTES[type])))
  })

  test(`${type}: we read what the ${TOOLS[type]} command writes, small or big`, async () => {
    const small = await decompress(type, tool(TOOLS[type], ['-c'], text(100)))
    const big = await decompress(type, tool(TOOLS[type], ['-c'], noise[type]))

    assert.ok(small.equals(text(100)))
    assert.ok(big.equals(noise[type]))
  })

  test(`${type}: no bytes at all become a frame of no bytes`, async () => {
    const frame = await compress(type, Buffer.alloc(0))

    assert.ok(frame.length > 0)
    assert.equal((await decompress(type, frame)).length, 0)
    assert.equal(tool(TOOLS[type], ['-dc'], frame).length, 0)
  })

  for (const part of ['min', 'max'] as const) {
    const level = COMPRESS_LEVELS[type][part]
    test(`${type}: level ${level} is taken, in both containers`, async () => {
      for (const container of ['normal', 'raw'] as const) {
        const frame = await filtered(compressor(type, level, container), [text(100 * KIB)])
        const back = await filtered(decompressor(type, container), [frame])

        assert.ok(frame.length < 50 * KIB)
        assert.ok(back.equals(text(100 * KIB)))
      }
    })
  }

  for (const size of ['small', 'big'] as const) {
    const first = size === 'small' ? text(3000) : noise[type]
    test(`${type}: ${size} frames after one another are read as one text`, async () => {
      const frames = [
        await compress(type, first),
        await compress(type, text(20)),
        await compress(type, Buffer.alloc(0)),
        await compress(type, text(3000)),
      ]
      const whole = Buffer.concat(frames)
      const expected = Buffer.concat([first, text(20), text(3000)])

      assert.ok((await decompress(type, whole)).equals(expected), 'in one chunk')
      assert.ok((await decompress(type, whole, 64 * KIB)).equals(expected), 'in many chunks')
      assert.ok((await filtered(decompressor(type, 'normal'), frames)).equals(expected), 'by frame')
    })

    test(`${type}: garbage after a ${size} frame is a format error, wherever chunks end`, async () => {
      const frame = await compress(type, first)
      for (const garbage of ['x', '\0', 'garbage!', '\0'.repeat(512), '\x1f', '\x28\xb5', 'BZ']) {
        const tail = Buffer.from(garbage, 'latin1')
        await assertCorrupt(type, [frame, tail])
        await assertCorrupt(type, [Buffer.concat([frame, tail])])
        await assertCorrupt(type, [frame.subarray(0, -3), frame.subarray(-3), ...chunked(tail, 1)])
      }
    })

    test(`${type}: a ${size} frame cut anywhere is a format error`, async () => {
      const frame = await compress(type, first)
      for (const cutBytes of [1, 2, 3, 4, 5, 8, 12, frame.length - 5, frame.length - 1]) {
        await assertCorrupt(type, [frame.subarray(0, -cutBytes)])
        await assertCorrupt(type, [frame, frame.subarray(0, -cutBytes)])
      }
    })
  }

  test(`${type}: other data and no data are format errors`, async () => {
    await assertCorrupt(type, [])
    await assertCorrupt(type, [text(5000)])
    await assertCorrupt(type, [text(BIG_BYTES[type])])
    await assertCorrupt(type, [Buffer.alloc(5000)])
  })

  test(`${type}: a frame read byte by byte gives its text`, async () => {
    const frame = await compress(type, text(3000))

    assert.ok((await decompress(type, frame, 1)).equals(text(3000)))
  })

  test(`${type}: a small file that holds much more than it shows is not made all at once`, async () => {
    const zeros = Buffer.alloc(type === 'bz2' ? 12 * MIB : 48 * MIB)
    const frame = await compress(type, zeros)
    const before = process.memoryUsage().arrayBuffers
    let seenBytes = 0
    let grownBytes = 0
    for await (const piece of through(single(frame), decompressor(type, 'normal'))) {
      if (seenBytes === 0) grownBytes = process.memoryUsage().arrayBuffers - before
      seenBytes += piece.length
      assert.ok(piece.length <= 2 * MIB)
    }

    assert.ok(frame.length < 1 * MIB)
    assert.equal(seenBytes, zeros.length)
    assert.ok(grownBytes < (zeros.length * 2) / 3, `${grownBytes} bytes`)
  })
}

async function assertCorrupt(
  type: CompressType,
  chunks: readonly Buffer[],
  container: Container = 'normal',
): Promise<void> {
  await assert.rejects(filtered(decompressor(type, container), chunks), (error) => {
    assert.ok(isErrorKind(error, 'format'), String(error))
    assert.match(error.message, new RegExp(`^${type} data `))
    return true
  })
}

test('gz is written with the header pgBackRest writes, raw gz in a zlib container', async () => {
  const normal = await compress('gz', text(100))
  const raw = await filtered(compressor('gz', 6, 'raw'), [text(100)])

  assert.equal(normal.toString('hex', 0, 10), '1f8b0800000000000003')
  assert.equal(raw.toString('hex', 0, 2), '789c')
})

test('lz4 is written in linked blocks of 64 KiB, with a content checksum unless raw', async () => {
  const normal = await compress('lz4', text(100))
  const raw = await filtered(compressor('lz4', 1, 'raw'), [text(100)])

  assert.equal(normal.toString('hex', 0, 6), '04224d184440')
  assert.equal(raw.toString('hex', 0, 6), '04224d184040')
  assert.equal(normal.length, raw.length + 4)
})

test('a file is one zst frame and one gz member, however big', async () => {
  const zst = await compress('zst', text(BIG_BYTES.zst))
  const gz = await compress('gz', text(BIG_BYTES.gz))

  const frame = zstFrame()
  assert.equal(frame.take(zst), zst.length)
  assert.ok(frame.isComplete())
  assert.equal(gz.indexOf(Buffer.from('1f8b0800', 'hex'), 1), -1)
})

test('a raw zlib container ends where it ends', async () => {
  const raw = await filtered(compressor('gz', 6, 'raw'), [text(100)])

  await assertCorrupt('gz', [raw, raw], 'raw')
  await assertCorrupt('gz', [Buffer.concat([raw, Buffer.from('x')])], 'raw')
  await assertCorrupt('gz', [raw.subarray(0, -1)], 'raw')
})

test('the gz containers are not taken for each other', async () => {
  const normal = await compress('gz', text(100))
  const raw = await filtered(compressor('gz', 6, 'raw'), [text(100)])

  await assertCorrupt('gz', [normal], 'raw')
  await assertCorrupt('gz', [raw], 'normal')
})

test('a skippable zst frame between frames is skipped', async () => {
  const frame = await compress('zst', text(100))
  const skippable = Buffer.from('502a4d1803000000616263', 'hex')

  const whole = Buffer.concat([frame, skippable, frame, skippable])

  assert.ok((await decompress('zst', whole)).equals(Buffer.concat([text(100), text(100)])))
})

test('without compression bytes pass as they are, even none', async () => {
  assert.ok((await compress('none', text(100))).equals(text(100)))
  assert.ok((await decompress('none', text(100))).equals(text(100)))
  assert.equal((await decompress('none', Buffer.alloc(0))).length, 0)
})

async function* reused(): AsyncGenerator<Buffer> {
  const chunk = Buffer.from('first ')
  yield chunk
  chunk.write('second')
  yield chunk
}

test('a chunk may be overwritten once its output has been taken', async () => {
  for (const type of CODECS) {
    const frame = await collect(through(reused(), compressor(type, 1, 'normal')), 1 * KIB)

    assert.equal((await decompress(type, frame)).toString(), 'first second')
  }
})

test('codecs in one row, of one thread, do not disturb each other', async () => {
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* chunked(text(3 * MIB), 700 * KIB)
  }
  const row = [
    compressor('lz4', 1, 'normal'),
    compressor('lz4', 9, 'raw'),
    decompressor('lz4', 'raw'),
    decompressor('lz4', 'normal'),
  ]

  const back = await collect(through(chunks(), ...row), 4 * MIB)

  assert.ok(back.equals(text(3 * MIB)))
})

test('codecs can be closed twice, early, and again and again without using up the memory', async () => {
  for (let round = 0; round < 100; round += 1) {
    for (const filter of [compressor('bz2', 9, 'normal'), compressor('lz4', 12, 'normal')]) {
      for await (const _piece of await filter.update(Buffer.from('some bytes'))) break
      filter.close()
      filter.close()
    }
  }
})

test('no codec is loaded for types that do not need it', () => {
  const script = `
    import fs from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    const real = fs.readFileSync
    fs.readFileSync = (path, ...rest) => {
      if (String(path).endsWith('.wasm')) throw new Error('loaded')
      return real(path, ...rest)
    }
    syncBuiltinESMExports()
    const { compressor } = await import(${JSON.stringify(new URL('./compress.ts', import.meta.url).href)})
    compressor('gz', 6, 'normal')
    compressor('zst', 3, 'normal')
    try { compressor('lz4', 1, 'normal') } catch (error) { console.log(error.message) }`
  const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  })

  assert.equal(ran.stdout.toString(), 'loaded\n', ran.stderr.toString())
})
