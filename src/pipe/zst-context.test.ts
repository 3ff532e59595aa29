import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { zstCompressContext, zstDecompressContext } from './zst-context.ts'

const NOTHING = Buffer.alloc(0)
const content = Buffer.from('the same words, the same words, and the same words again')

test('a context gives frame after frame, each as if it were the first', () => {
  const context = zstCompressContext(3)
  const output = Buffer.alloc(1024)
  const frames = [1, 2, 3].map(() => {
    const { takenBytes, madeBytes } = context.step(content, output, 'end')
    assert.equal(takenBytes, content.length)
    return output.toString('hex', 0, madeBytes)
  })
  context.close()
  assert.equal(new Set(frames).size, 1)
  assert.deepEqual(zstdDecompressSync(Buffer.from(frames[0] ?? '', 'hex')), content)
})

test('a frame that has no room is given in pieces', () => {
  const context = zstCompressContext(3)
  const pieces: Buffer[] = []
  let rest = content
  for (let madeBytes = 8; madeBytes === 8; ) {
    const output = Buffer.alloc(8)
    const made = context.step(rest, output, 'end')
    rest = rest.subarray(made.takenBytes)
    madeBytes = made.madeBytes
    pieces.push(output.subarray(0, madeBytes))
  }
  context.close()
  assert.deepEqual(zstdDecompressSync(Buffer.concat(pieces)), content)
})

test('what is corrupt is an error, and the next frame needs another context', () => {
  const frame = zstdCompressSync(content)
  const broken = Buffer.from(frame)
  broken.fill(0xff, 6)
  const output = Buffer.alloc(1024)
  const context = zstDecompressContext()
  assert.throws(() => context.step(broken, output, 'continue'), { kind: 'format' })
  const other = zstDecompressContext()
  const { madeBytes } = other.step(frame, output, 'continue')
  assert.deepEqual(output.subarray(0, madeBytes), content)
  assert.equal(other.step(NOTHING, output, 'continue').madeBytes, 0)
  other.close()
})
