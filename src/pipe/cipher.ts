/**
 * Encryption as a stage of a copy: AES-256-CBC as `openssl enc -aes-256-cbc -md sha1 -salt` and pgBackRest 2.60 write
 * it (format 5).
 *
 * Shape: magic `Salted__` (not in the raw container), 8 bytes of random salt, the text with 1 to 16 bytes of PKCS#7
 * padding. There is no authentication: the padding finds 255 of 256 wrong passphrases, the checksums of the repository
 * find the rest and every change of content.
 */
import type { Decipheriv } from 'node:crypto'
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from '../base/error.ts'
import { Secret } from '../base/secret.ts'
import type { Container } from './compress.ts'
import type { Filter } from './pipe.ts'

const ALGORITHM = 'aes-256-cbc'
const MAGIC = Buffer.from('Salted__', 'latin1')
const SALT_BYTES = 8
const KEY_BYTES = 32
const IV_BYTES = 16

interface Key {
  readonly key: Buffer
  readonly iv: Buffer
}

/** OpenSSL's `EVP_BytesToKey` with SHA-1 and one round. */
function deriveKey(pass: Secret, salt: Buffer): Key {
  const passBytes = Buffer.from(pass.reveal(), 'utf8')
  let derived = Buffer.alloc(0)
  let digest = Buffer.alloc(0)
  while (derived.length < KEY_BYTES + IV_BYTES) {
    digest = createHash('sha1').update(digest).update(passBytes).update(salt).digest()
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

/** Output is longer than the input by 1 to 16 bytes of padding and 16 (raw: 8) bytes of header. */
export function encryptor(pass: Secret, container: Container): Filter {
  const salt = randomBytes(SALT_BYTES)
  const { key, iv } = deriveKey(pass, salt)
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

/** Throws `crypto` for input that is cut short, has no header, or (most likely) has another passphrase. */
export function decryptor(pass: Secret, container: Container): Filter {
  const magic = container === 'raw' ? Buffer.alloc(0) : MAGIC
  const headerBytes = magic.length + SALT_BYTES
  /** The header, until it is complete. */
  let header = Buffer.alloc(0)
  let decipher: Decipheriv | undefined
  return {
    update: (chunk) => {
      if (decipher !== undefined) return nonEmpty(decipher.update(chunk))
      const missingBytes = headerBytes - header.length
      header = Buffer.concat([header, chunk.subarray(0, missingBytes)])
      if (!header.subarray(0, magic.length).equals(magic.subarray(0, header.length))) {
        throw cryptoError('it has no encryption header')
      }
      if (header.length < headerBytes) return []
      const { key, iv } = deriveKey(pass, header.subarray(magic.length))
      decipher = createDecipheriv(ALGORITHM, key, iv)
      return nonEmpty(decipher.update(chunk.subarray(missingBytes)))
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
