import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ahead, type ByteSource, collect, type Filter, measure, single, through } from './pipe.ts'

interface Recorder extends Filter {
  readonly calls: readonly string[]
}

/** Turns each chunk into two, and says what happened to it. */
function doubling(name: string, failAt: 'update' | 'end' | 'never' = 'never'): Recorder {
  const calls: string[] = []
  return {
    calls,
    update: (chunk) => {
      if (failAt === 'update') throw new Error(`${name} update`)
      calls.push(chunk.toString())
      return [chunk, Buffer.from(name)]
    },
    end: () => {
      if (failAt === 'end') throw new Error(`${name} end`)
      calls.push('end')
      return [Buffer.from(`/${name}`)]
    },
    close: () => {
      calls.push('close')
    },
  }
}

async function* letters(...chunks: readonly string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

async function* failing(): AsyncGenerator<Buffer> {
  yield Buffer.from('a')
  throw new Error('source')
}

async function text(source: ByteSource): Promise<string> {
  return (await collect(source, 1000)).toString()
}

test('bytes pass every filter in order, and what a filter gives at its end passes the later ones', async () => {
  const first = doubling('1')
  const second = doubling('2')

  assert.equal(await text(through(letters('a', 'b'), first, second)), 'a212b212/12/2')
  assert.deepEqual(first.calls, ['a', 'b', 'end', 'close'])
  assert.deepEqual(second.calls, ['a', '1', 'b', '1', '/1', 'end', 'close'])
})

test('without filters a source gives what it has', async () => {
  assert.equal(await text(through(letters('a', 'b'))), 'ab')
})

test('filters are closed when the source, an update, an end or the taker stops early', async () => {
  const filters = {
    source: doubling('source'),
    update: doubling('1', 'update'),
    end: doubling('1', 'end'),
    taker: doubling('taker'),
  }

  await assert.rejects(text(through(failing(), filters.source)), /source/)
  await assert.rejects(text(through(letters('a'), filters.update)), /1 update/)
  await assert.rejects(text(through(letters('a'), filters.end)), /1 end/)
  for await (const chunk of through(letters('a', 'b'), filters.taker)) {
    assert.equal(chunk.toString(), 'a')
    break
  }

  for (const filter of Object.values(filters)) assert.equal(filter.calls.at(-1), 'close')
})

test('the next chunk is asked for only when the one before has been taken', async () => {
  const order: string[] = []
  async function* source(): AsyncGenerator<Buffer> {
    for (const name of ['a', 'b']) {
      order.push(`read ${name}`)
      yield Buffer.from(name)
    }
  }

  for await (const chunk of through(source(), measure())) order.push(`took ${chunk.toString()}`)

  assert.deepEqual(order, ['read a', 'took a', 'read b', 'took b'])
})

test('a measure counts and hashes what passes', async () => {
  const seen = measure()

  assert.equal(await text(through(letters('a', 'bc'), seen)), 'abc')

  assert.equal(seen.sizeBytes, 3)
  assert.equal(seen.sha1(), 'a9993e364706816aba3e25717850c26c9cd0d89d')
})

test('a collected source is a copy, and no longer than allowed', async () => {
  const reused = Buffer.from('a')
  async function* source(): AsyncGenerator<Buffer> {
    yield reused
    reused.write('b')
    yield reused
  }

  assert.equal(await text(source()), 'ab')
  await assert.rejects(collect(letters('abc'), 2), RangeError)
})

test('a source of no bytes has no chunks', async () => {
  assert.equal(await text(single(Buffer.from('abc'))), 'abc')
  for await (const _chunk of single(Buffer.alloc(0))) assert.fail('a chunk')
})

test('a source drawn ahead gives the same bytes, though its two buffers are reused', async () => {
  const buffers = [Buffer.alloc(3), Buffer.alloc(3)]
  async function* reused(): ByteSource {
    for (const [index, part] of ['abc', 'de', 'fgh', 'i', 'jk'].entries()) {
      const buffer = buffers[index % 2] ?? Buffer.alloc(0)
      buffer.write(part)
      yield buffer.subarray(0, part.length)
      await Promise.resolve()
    }
  }
  const seen: string[] = []
  for await (const chunk of ahead(reused())) {
    await new Promise(setImmediate)
    await new Promise(setImmediate)
    seen.push(chunk.toString())
  }
  assert.deepEqual(seen, ['abc', 'de', 'fgh', 'i', 'jk'])
})

test('a source drawn ahead fails where it fails, and ends when the taker stops', async () => {
  let ended = 'no'
  async function* breaking(): ByteSource {
    try {
      yield Buffer.from('a')
      yield Buffer.from('b')
      await Promise.reject(new Error('broken'))
    } finally {
      ended = 'yes'
    }
  }
  const seen: string[] = []
  await assert.rejects(async () => {
    for await (const chunk of ahead(breaking())) seen.push(chunk.toString())
  }, /broken/)
  assert.deepEqual([seen.join(''), ended], ['ab', 'yes'])
  ended = 'no'
  for await (const chunk of ahead(breaking())) {
    assert.equal(chunk.toString(), 'a')
    break
  }
  assert.equal(ended, 'yes')
})
