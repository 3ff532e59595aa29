import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '../base/secret.ts'
import { openSealedJson, sealJson } from './sealed-json.ts'

const NAMED = { name: 'manifest', what: 'x' }

test('what is sealed is read back, and anybody can compute the digest again', () => {
  const value = { a: ['"sha256"', '}'], b: { c: null, d: 'ä\n' } }
  const sealed = sealJson('manifest', value, undefined)

  assert.deepEqual(openSealedJson(sealed, NAMED, undefined), value)
  const [, text = '', sha256] =
    /^\{"manifest":(.*),"sha256":"(.*)"\}\n$/.exec(sealed.toString()) ?? []
  assert.equal(createHash('sha256').update(text).digest('hex'), sha256)
})

test('another text, another key, no key and another name are refused', () => {
  const key = new Secret('k')
  const sealed = sealJson('manifest', { a: 1 }, key)

  assert.deepEqual(openSealedJson(sealed, NAMED, key), { a: 1 })
  assert.throws(() => openSealedJson(sealed, NAMED, new Secret('l')), { kind: 'checksum' })
  const unsigned = sealJson('manifest', { a: 1 }, undefined)
  assert.throws(() => openSealedJson(unsigned, NAMED, key), { kind: 'checksum' })
  assert.throws(() => openSealedJson(sealed, { name: 'proof', what: 'x' }, key), { kind: 'format' })
  const changed = Buffer.from(sealed.toString().replace('{"a":1}', '{"a":2}'))
  assert.throws(() => openSealedJson(changed, NAMED, key), { kind: 'checksum' })
})
