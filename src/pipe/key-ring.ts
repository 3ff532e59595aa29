/**
 * The keys of a repository of format 6, in which each object says by id which key it was encrypted with.
 *
 * A ring travels as a passphrase does, as a Secret and to threads as text. The text begins with a NUL, which no passphrase
 * of a user can hold.
 */
import { Secret } from '../base/secret.ts'

export type KeyDigest = 'sha1' | 'sha256'

export interface RingKey {
  readonly pass: string
  /** From which the cipher's key is derived. */
  readonly digest: KeyDigest
}

/** By id: `0`, `1`, … */
export type KeyRing = ReadonlyMap<string, RingKey>

const MARK = '\0keys\0'

export function sealKeyRing(ring: KeyRing): Secret {
  return new Secret(
    MARK + Array.from(ring, ([id, { pass, digest }]) => [id, digest, pass].join('\0')).join('\0'),
  )
}

/** Undefined for a plain passphrase. */
export function openKeyRing(secret: Secret): KeyRing | undefined {
  const text = secret.reveal()
  if (!text.startsWith(MARK)) return undefined
  const ring = new Map<string, RingKey>()
  const parts = text.slice(MARK.length).split('\0')
  for (let at = 0; at + 2 < parts.length; at += 3) {
    const [id = '', digest, pass = ''] = parts.slice(at, at + 3)
    ring.set(id, { pass, digest: digest === 'sha256' ? 'sha256' : 'sha1' })
  }
  return ring
}
