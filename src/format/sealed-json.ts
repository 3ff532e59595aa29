/**
 * JSON that tells whether it still is what was written: `{"<name>":<text>,"sha256":"<hex>"}`, in an encrypted repository with
 * `,"hmac":"<hex>"` behind it. Both are over the bytes of `<text>`, so that nobody need agree on how to write JSON.
 *
 * The digest finds damage. The HMAC needs the key of the stanza's dumps: encryption alone does not keep anybody from changing
 * what he cannot read.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { AppError } from '../base/error.ts'
import type { Secret } from '../base/secret.ts'
import type { JsonValue } from './json.ts'

/** `key`: undefined when the repository is not encrypted. */
export function sealJson(name: string, value: unknown, key: Secret | undefined): Buffer {
  const text = JSON.stringify(value)
  const hmac = key === undefined ? '' : `,"hmac":"${hmacOf(text, key)}"`
  return Buffer.from(`{"${name}":${text},"sha256":"${sha256Of(text)}"${hmac}}\n`, 'utf8')
}

/** Throws `format` for what is not of this shape, `checksum` when it is not what was written. `what` names it in messages. */
export function openSealedJson(
  content: Buffer,
  { name, what }: { readonly name: string; readonly what: string },
  key: Secret | undefined,
): JsonValue {
  const whole = content.toString('utf8')
  const head = `{"${name}":`
  const [tail = '', sha256 = '', hmac] =
    /,"sha256":"([0-9a-f]{64})"(?:,"hmac":"([0-9a-f]{64})")?\}\n$/.exec(whole) ?? []
  if (!whole.startsWith(head) || tail === '') {
    throw new AppError('format', `'${what}' is not a sealed ${name}`, {
      hint: 'Was it cut short?',
    })
  }
  const text = whole.slice(head.length, whole.length - tail.length)
  if (sha256Of(text) !== sha256) {
    throw new AppError('checksum', `'${what}' does not have the SHA-256 that it names`)
  }
  if (key !== undefined && !isSame(hmac, hmacOf(text, key))) {
    throw new AppError('checksum', `'${what}' was not written with the key of the stanza's dumps`)
  }
  return parsed(text, what)
}

function parsed(text: string, what: string): JsonValue {
  try {
    const value: JsonValue = JSON.parse(text)
    return value
  } catch (cause) {
    throw new AppError('format', `'${what}' holds no JSON`, { cause })
  }
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** Not the passphrase itself, which also encrypts. */
function hmacOf(text: string, pass: Secret): string {
  const key = createHmac('sha256', pass.reveal()).update('pgsurety dump hmac').digest()
  return createHmac('sha256', key).update(text, 'utf8').digest('hex')
}

function isSame(given: string | undefined, computed: string): boolean {
  return given !== undefined && timingSafeEqual(Buffer.from(given), Buffer.from(computed))
}
