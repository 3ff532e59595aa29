/**
 * Encryption as a stage of a copy: AES-256-CBC as `openssl enc -aes-256-cbc -md sha1 -salt` and pgBackRest 2.60 write
 * it (format 5). What 2.60 writes in format 6 is read, not written.
 *
 * Shape: magic `Salted__` (not in the raw container), 8 bytes of random salt, the text with 1 to 16 bytes of PKCS#7
 * padding. In format 6 the magic may be `PGBR006_`, or `PGBR006K` and the length and id of the key in its ring. There is no authentication: the padding finds 255 of 256 wrong passphrases, the checksums of the repository
 * find the rest and every change of content.
 */
import type { Decipheriv } from 'node:crypto'
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import type { Container } from './compress.ts'
import { type KeyDigest, openKeyRing, type RingKey } from './key-ring.ts'
import type { SyncFilter } from './pipe.ts'

const ALGORITHM = 'aes-256-cbc'
const MAGIC = Buffer.from('Salted__', 'latin1')
/** Encrypted with the user's passphrase, and with a key that is named next. */
const MAGIC_USER = Buffer.from('PGBR006_', 'latin1')
const MAGIC_KEY = Buffer.from('PGBR006K', 'latin1')
/** The key of what names none: all of format 5, and of format 6 all below a backup. */
const UNNAMED_KEY = '0'
const SALT_BYTES = 8
const KEY_BYTES = 32
const IV_BYTES = 16

interface Key {
  readonly key: Buffer
  readonly iv: Buffer
}

/** OpenSSL's `EVP_BytesToKey` with one round. */
function deriveKey({ pass, digest: name }: RingKey, salt: Buffer): Key {
  const passBytes = Buffer.from(pass, 'utf8')
  let derived = Buffer.alloc(0)
  let digest = Buffer.alloc(0)
  while (derived.length < KEY_BYTES + IV_BYTES) {
    digest = createHash(name).update(digest).update(passBytes).update(salt).digest()
    derived = Buffer.concat([derived, digest])
  }
  return {
    key: derived.subarray(0, KEY_BYTES),
    iv: derived.subarray(KEY_BYTES, KEY_BYTES + IV_BYTES),
  }
}

/** 48 random bytes as base64: the text itself is the passphrase. */
export function generatePassphrase(): Secret {
  return new Secret(randomBytes(48).toString('base64'))
}

/**
 * Output is longer than the input by 1 to 16 bytes of padding and 16 (raw: 8) bytes of header.
 * Throws `feature-not-supported` for a ring of keys.
 */
export function encryptor(pass: Secret, container: Container): SyncFilter {
  if (openKeyRing(pass) !== undefined) {
    throw new AppError('feature-not-supported', 'repositories of format 6 cannot be written to')
  }
  const salt = randomBytes(SALT_BYTES)
  const { key, iv } = deriveKey({ pass: pass.reveal(), digest: 'sha1' }, salt)
  const cipher = createCipheriv(ALGORITHM, key, iv)
  let header = container === 'raw' ? [salt] : [MAGIC, salt]
  const afterHeader = (bytes: Buffer): readonly Buffer[] => {
    const output = bytes.length > 0 ? [...header, bytes] : header
    header = []
    return output
  }
  return {
    update: (chunk) => afterHeader(cipher.update(chunk)),
    end: () => afterHeader(cipher.final()),
    close: () => undefined,
  }
}

/** All of `bytes` as `encryptor` would give it. */
export function encryptWhole(bytes: Buffer, pass: Secret, container: Container): Buffer {
  const filter = encryptor(pass, container)
  return Buffer.concat([...filter.update(bytes), ...filter.end()])
}

/** Throws `crypto` for input that is cut short, has no header, or (most likely) has another passphrase. */
export function decryptor(pass: Secret, container: Container): SyncFilter {
  /** The header, until it is complete. */
  let header = Buffer.alloc(0)
  let decipher: Decipheriv | undefined
  return {
    update: (chunk) => {
      if (decipher !== undefined) return nonEmpty(decipher.update(chunk))
      header = Buffer.concat([header, chunk])
      const found = container === 'raw' ? unnamed(0) : readHeader(header)
      const saltEnd = (found?.bytes ?? Infinity) + SALT_BYTES
      if (found === undefined || header.length < saltEnd) return []
      const { key, iv } = deriveKey(keyOf(pass, found), header.subarray(found.bytes, saltEnd))
      decipher = createDecipheriv(ALGORITHM, key, iv)
      return nonEmpty(decipher.update(header.subarray(saltEnd)))
    },
    end: () => {
      if (decipher === undefined) throw cryptoError('its encryption header is cut short')
      try {
        return nonEmpty(decipher.final())
      } catch (cause) {
        throw cryptoError('it is cut short, or the passphrase is another one', cause)
      }
    },
    close: () => undefined,
  }
}

/** All of `bytes` as `decryptor` would give it. */
export function decryptWhole(bytes: Buffer, pass: Secret, container: Container): Buffer {
  const filter = decryptor(pass, container)
  return Buffer.concat([...filter.update(bytes), ...filter.end()])
}

/** What comes before the salt. */
interface Header {
  readonly bytes: number
  /** Id in a ring of keys. */
  readonly keyId: string
  /** Of a user's passphrase, which has no ring to say so. */
  readonly digest: KeyDigest
}

function unnamed(bytes: number): Header {
  return { bytes, keyId: UNNAMED_KEY, digest: 'sha1' }
}

/** Undefined while it is not complete. */
function readHeader(bytes: Buffer): Header | undefined {
  const isMaybe = (magic: Buffer): boolean =>
    bytes.subarray(0, magic.length).equals(magic.subarray(0, bytes.length))
  if (![MAGIC, MAGIC_USER, MAGIC_KEY].some(isMaybe)) {
    throw cryptoError('it has no encryption header')
  }
  if (bytes.length < MAGIC.length) return undefined
  if (isMaybe(MAGIC)) return unnamed(MAGIC.length)
  if (isMaybe(MAGIC_USER)) {
    return { bytes: MAGIC_USER.length, keyId: UNNAMED_KEY, digest: 'sha256' }
  }
  const idFrom = MAGIC_KEY.length + 1
  const idTo = idFrom + (bytes[MAGIC_KEY.length] ?? Infinity)
  if (bytes.length < idTo) return undefined
  return { bytes: idTo, keyId: bytes.toString('latin1', idFrom, idTo), digest: 'sha256' }
}

function keyOf(pass: Secret, { keyId, digest }: Header): RingKey {
  const ring = openKeyRing(pass)
  if (ring === undefined) return { pass: pass.reveal(), digest }
  const key = ring.get(keyId)
  if (key !== undefined) return key
  throw cryptoError(`its key '${keyId}' is not among those of the repository`)
}

function nonEmpty(bytes: Buffer): readonly Buffer[] {
  return bytes.length > 0 ? [bytes] : []
}

function cryptoError(what: string, cause?: unknown): AppError {
  return new AppError('crypto', `unable to decrypt data: ${what}`, {
    hint: [
      'is repo-cipher-pass the one the repository was created with?',
      'is repo-cipher-type right for the repository?',
    ],
    cause,
  })
}
