import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../base/secret.ts'
import { decryptor, encryptor } from './cipher.ts'
import { openKeyRing, sealKeyRing } from './key-ring.ts'
import { collect, single, through } from './pipe.ts'

const RING = new Map([
  ['0', { pass: 'old', digest: 'sha1' } as const],
  ['1', { pass: 'new', digest: 'sha256' } as const],
])

test('a ring is text and back again, and a passphrase is no ring', () => {
  assert.deepEqual(openKeyRing(sealKeyRing(RING)), RING)
  assert.equal(openKeyRing(new Secret('old')), undefined)
})

test('what names no key is decrypted with key 0 of a ring', async () => {
  const stored = await collect(
    through(single(Buffer.from('x')), encryptor(new Secret('old'), 'normal')),
    100,
  )

  for (const pieces of [[stored], Array.from(stored, (byte) => Buffer.from([byte]))]) {
    const opened = await collect(
      through(inPieces(pieces), decryptor(sealKeyRing(RING), 'normal')),
      100,
    )
    assert.equal(opened.toString(), 'x')
  }
})

test('a key that the ring does not have is named', async () => {
  const stored = Buffer.concat([Buffer.from('PGBR006K\x01'), Buffer.from('7'), Buffer.alloc(24)])

  await assert.rejects(
    collect(through(single(stored), decryptor(sealKeyRing(RING), 'normal')), 100),
    { kind: 'crypto', message: /its key '7' is not among those of the repository/ },
  )
})

test('nothing is encrypted with a ring', () => {
  assert.throws(() => encryptor(sealKeyRing(RING), 'normal'), { kind: 'feature-not-supported' })
})

async function* inPieces(pieces: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* pieces
  await Promise.resolve()
}
