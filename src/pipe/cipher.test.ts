import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { isErrorKind } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import { MIB } from '../base/units.ts'
import { decryptor, encryptor, generatePassphrase } from './cipher.ts'
import type { Container } from './compress.ts'
import { collect, type Filter, through } from './pipe.ts'

const pass = new Secret('a passphrase with spaces and ümläuts')

async function filtered(filter: Filter, chunks: readonly Buffer[]): Promise<Buffer> {
  async function* source(): AsyncGenerator<Buffer> {
    yield* chunks
  }
  return await collect(through(source(), filter), 8 * MIB)
}

function openssl(direction: '-e' | '-d', input: Buffer): Buffer {
  const options = ['enc', direction, '-aes-256-cbc', '-md', 'sha1', '-salt', '-pass', 'env:PASS']
  const ran = spawnSync('openssl', options, { input, env: { PASS: pass.reveal() } })
  assert.equal(ran.status, 0, ran.stderr.toString())
  return ran.stdout
}

async function assertCryptoError(
  chunks: readonly Buffer[],
  container: Container = 'normal',
  other: Secret = pass,
): Promise<void> {
  await assert.rejects(filtered(decryptor(other, container), chunks), (error) => {
    assert.ok(isErrorKind(error, 'crypto'), String(error))
    assert.match(error.text, /HINT: .*cipher-pass[^]*HINT: .*cipher-type/)
    return true
  })
}

test('openssl reads what we encrypt', async () => {
  const text = Buffer.alloc(100_000, 'some text ')

  const stored = await filtered(encryptor(pass, 'normal'), [text])

  assert.ok(openssl('-d', stored).equals(text))
})

test('we read what openssl encrypts', async () => {
  const text = Buffer.alloc(100_000, 'some text ')

  const back = await filtered(decryptor(pass, 'normal'), [openssl('-e', text)])

  assert.ok(back.equals(text))
})

test('the raw container is the normal one without its magic', async () => {
  const raw = await filtered(encryptor(pass, 'raw'), [Buffer.from('text')])

  const stored = Buffer.concat([Buffer.from('Salted__'), raw])

  assert.equal(openssl('-d', stored).toString(), 'text')
  assert.equal(raw.length, 8 + 16)
})

test('what was encrypted comes back, whatever the content, container and chunks', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<Container>('normal', 'raw'),
      fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 50 }),
      async (container, parts, chunkBytes) => {
        const chunks = parts.map((part) => Buffer.from(part))
        const plain = Buffer.concat(chunks)
        const stored = await filtered(encryptor(pass, container), chunks)
        const pieces = Array.from({ length: Math.ceil(stored.length / chunkBytes) }, (_, index) =>
          stored.subarray(index * chunkBytes, (index + 1) * chunkBytes),
        )

        assert.ok((await filtered(decryptor(pass, container), pieces)).equals(plain))
        const headerBytes = container === 'raw' ? 8 : 16
        assert.equal(stored.length, headerBytes + 16 * (Math.floor(plain.length / 16) + 1))
      },
    ),
  )
})

test('the same text is never stored as the same bytes', async () => {
  const first = await filtered(encryptor(pass, 'raw'), [Buffer.from('text')])
  const second = await filtered(encryptor(pass, 'raw'), [Buffer.from('text')])

  assert.ok(!first.equals(second))
})

test('another passphrase is a crypto error', async () => {
  // Made by openssl. With random salts, one wrong passphrase of 256 gives padding that looks right.
  const header = '53616c7465645f5f0102030405060708'
  const stored = Buffer.from(`${header}3afecb1d800d8bfd4462ad056bbeb15a`, 'hex')

  assert.equal((await filtered(decryptor(pass, 'normal'), [stored])).toString(), 'text')
  await assertCryptoError([stored], 'normal', new Secret('wrong'))
})

test('bytes cut off, no header and no bytes at all are crypto errors', async () => {
  const stored = await filtered(encryptor(pass, 'normal'), [Buffer.alloc(100)])

  await assertCryptoError([])
  await assertCryptoError([], 'raw')
  await assertCryptoError([stored.subarray(0, 7)])
  await assertCryptoError([stored.subarray(0, 12)])
  await assertCryptoError([stored.subarray(0, 16)])
  await assertCryptoError([stored.subarray(0, -1)])
  await assertCryptoError([Buffer.from('[backrest]\nbackrest-format=5\n')])
  await assertCryptoError([Buffer.from('Sa'), Buffer.from('xxxx')])
})

test('a generated passphrase is the base64 of 48 bytes, and another one each time', () => {
  const text = generatePassphrase().reveal()

  assert.match(text, /^[A-Za-z0-9+/]{64}$/)
  assert.notEqual(text, generatePassphrase().reveal())
})
